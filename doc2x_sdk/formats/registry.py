"""From the formats that a user wants to the exports that are needed; decided before anything is sent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

import pluggy

from doc2x_sdk.arguments import formats_of, of_kind
from doc2x_sdk.errors import ConfigError
from doc2x_sdk.formats.clean import CLEAN, MARKDOWN
from doc2x_sdk.formats.guard import PluginRaised
from doc2x_sdk.formats.offers import Offer, check_name, checked_offer
from doc2x_sdk.formats.options import GUIDE, check_declared, typed_options
from doc2x_sdk.formats.plan import NATIVE_SUFFIX, PARSE, Plan
from doc2x_sdk.formats.plugins import PluginRow, Plugins, new_manager
from doc2x_sdk.formats.shipped import how_to_install, package_for
from doc2x_sdk.hookspecs import Exporter, Option
from doc2x_sdk.models import NATIVE_FORMATS

__all__ = ["NATIVE_SUFFIX", "Formats", "Offer", "Plan", "new_manager"]

Options = Mapping[str, Mapping[str, object]]

ALIASES = {"markdown": "md", "latex": "tex", "word": "docx", "doc": "docx"}
"""What people call the service's formats -> their names."""

OPTIONS = "a dict of options for each format, such as {'epub': {'toc': True}}"
ONE_OF_TWO = "Uninstall one of them, or leave it out of DOC2X_PLUGINS."


class Processor:
    """The declared options of a post-processor."""

    def __init__(self, name: str, options: tuple[Option, ...], help: str, package: str) -> None:  # noqa: A002
        self.name = name
        self.options = options
        self.help = help
        self.package = package
        self.defaults = {option.name: option.default for option in options}


class Formats:
    """The formats of one client and its plugins, which are its own: nothing here is global.

    Plugins are asked for their formats when these are first needed.
    """

    def __init__(self, plugins: Plugins | pluggy.PluginManager | Callable[[], Plugins] | None = None) -> None:
        """Take the plugins, or a manager that plugins were registered on; without, there are the built-in formats."""
        self._given = plugins
        self._lock = threading.RLock()
        self._plugins: Plugins | None = None
        self._offers: dict[str, list[Offer]] = {}
        self._processors: dict[str, Processor] = {}
        self._clashes: dict[str, str] = {}

    @classmethod
    def installed(cls, environ: Mapping[str, str] | None = None) -> Formats:
        """Return the built-in formats and those of installed plugins; they are loaded when they are first needed."""
        return cls(lambda: Plugins.installed(environ))

    @property
    def plugins(self) -> Plugins:
        """The plugins, loaded and asked for their formats."""
        with self._lock:
            if self._plugins is None:
                given = self._given
                if given is None or isinstance(given, pluggy.PluginManager):
                    given = Plugins(given)
                plugins = given if isinstance(given, Plugins) else given()
                self._gather(plugins)
                self._plugins = plugins
            return self._plugins

    def _gather(self, plugins: Plugins) -> None:
        registered: dict[str, Registration] = {}
        for key, row in plugins.active.items():
            register = Registration(row)
            try:
                if "doc2x_register_exporters" in row.hooks:
                    plugins.call(key, "doc2x_register_exporters", register=register)
            except PluginRaised as error:
                plugins.fail(key, f"its formats can't be registered: {error}")
                continue
            registered[key] = register
        self._refuse_clashes(registered, plugins)
        for key, register in registered.items():
            plugins.note(key, formats=tuple(offer.name for offer in register.offers))
            for offer in register.offers:
                self._offers.setdefault(offer.name, []).append(offer)
            self._processors |= {each.name: each for each in register.processors}
        for name, offers in self._offers.items():
            if len(offers) > 1:
                for key, row in plugins.active.items():
                    if name in row.formats:
                        plugins.note(key, reason=offered_twice(name, offers))
        self._note_needs(plugins)

    def _refuse_clashes(self, registered: dict[str, Registration], plugins: Plugins) -> None:
        """Take plugins out of use whose post-processor has the name of another's, or of a format of another's.

        Its options would reach either of them, whoever was asked last.
        """
        for name in sorted({each.name for register in registered.values() for each in register.processors}):
            packages = [register.package for register in registered.values() if name in register.names]
            if len(packages) > 1:
                reason = f"The post-processor {name!r} is offered twice: by {' and by '.join(sorted(packages))}"
                self._clashes[name] = reason
                for key, register in list(registered.items()):
                    if any(each.name == name for each in register.processors):
                        plugins.fail(key, reason)
                        del registered[key]

    def _note_needs(self, plugins: Plugins) -> None:
        """Write down which formats need one that nobody offers."""
        known = {*NATIVE_FORMATS, PARSE, *self._offers}
        for key, row in plugins.active.items():
            for name in row.formats:
                needs = {offer.needs for offer in self._offers[name] if offer.package == row.package} - known
                if needs:
                    plugins.note(key, reason=f"The format {name!r} needs {needs.pop()!r}, which nobody offers")

    @property
    def rows(self) -> tuple[PluginRow, ...]:
        """What `doc2x plugins` tells: one row a plugin, also of those that are blocked or broken."""
        return self.plugins.rows

    @property
    def offers(self) -> tuple[Offer, ...]:
        """All derived formats by name, those that are offered twice left out."""
        _ = self.plugins
        return tuple(self._offers[name][0] for name in sorted(self._offers) if len(self._offers[name]) == 1)

    @property
    def processors(self) -> tuple[Processor, ...]:
        """The post-processors that declared options, by name."""
        _ = self.plugins
        return tuple(self._processors[name] for name in sorted(self._processors))

    @property
    def names(self) -> tuple[str, ...]:
        """All names that `--to` takes."""
        return (*NATIVE_FORMATS, *(offer.name for offer in self.offers))

    def offer(self, name: str) -> Offer:
        """Return a derived format.

        Raises `ConfigError` when nobody offers it, or two do; the error lists what exists and which package to install.
        """
        _ = self.plugins
        offers = self._offers.get(name, [])
        if len(offers) > 1:
            raise ConfigError(offered_twice(name, offers), advice=ONE_OF_TWO)
        if not offers:
            raise ConfigError(f"There is no format {name[:60]!r}", advice=self._advice(name))
        return offers[0]

    def plan(self, to: Iterable[str], options: Options | None = None) -> Plan:
        """Resolve the wanted formats and type the options of exporters and post-processors.

        Raises `ConfigError` for a name that nobody offers or that is no text, for formats that wait for each other, and
        for an option that is unknown or of the wrong type.
        """
        wanted = formats_of(to)
        ordered: dict[str, Offer] = {}
        natives = dict.fromkeys(name for name in wanted if name in NATIVE_FORMATS)
        for name in wanted:
            if name not in NATIVE_FORMATS:
                self._resolve(name, (), ordered)
        natives.update(dict.fromkeys(offer.needs for offer in ordered.values() if offer.needs in NATIVE_FORMATS))
        typed = self._options(ordered, {} if options is None else options)
        return Plan(wanted, tuple(natives), tuple(ordered.values()), typed)

    def told(self, plan: Plan, name: str) -> dict[str, dict[str, object]]:
        """Return the options, other than their defaults, of the post-processors that a format passes on its way."""
        native, told = plan.native_of(name), dict[str, dict[str, object]]()
        for processor in () if native == PARSE else self.processors:
            given = plan.options.get(processor.name, {})
            chosen = {key: value for key, value in given.items() if value != processor.defaults[key]}
            if chosen and (processor.name != CLEAN or native in MARKDOWN):
                told[processor.name] = chosen
        return told

    def _resolve(self, name: str, waiting: tuple[str, ...], ordered: dict[str, Offer]) -> None:
        if name in waiting:
            ring = " needs ".join([*waiting[waiting.index(name) :], name])
            packages = ", ".join(sorted({self.offer(each).package for each in waiting}))
            raise ConfigError(f"The formats wait for each other: {ring} (offered by {packages})", advice=self._listed())
        if name in ordered or (waiting and name in (*NATIVE_FORMATS, PARSE)):
            return
        try:
            offer = self.offer(name)
        except ConfigError as error:
            if not waiting:
                raise
            by = self.offer(waiting[-1])
            raise ConfigError(
                f"The format {by.name!r} of {by.package} needs {name!r}: {error.message}", advice=error.advice
            ) from None
        self._resolve(offer.needs, (*waiting, name), ordered)
        ordered[name] = offer

    def _options(self, ordered: Mapping[str, Offer], given: Options) -> dict[str, Mapping[str, object]]:
        of_kind(given, Mapping, "options", OPTIONS)
        for each in given.values():
            of_kind(each, Mapping, "options", OPTIONS)
        declared = {processor.name: processor.options for processor in self.processors}
        declared |= {name: offer.options for name, offer in ordered.items()}
        for name in given:
            if name not in declared:
                if name in self._clashes:
                    raise ConfigError(self._clashes[name], advice=ONE_OF_TWO)
                known = name in self.names
                advice = "Ask for it too (`to`, or --to), or leave the option out." if known else self._advice(name)
                raise ConfigError(f"There are options for {name!r}, which was not asked for", advice=advice)
        return {name: typed_options(name, options, given.get(name, {})) for name, options in declared.items()}

    def _advice(self, name: str) -> str:
        import difflib  # noqa: PLC0415 - only for a mistake

        package = package_for(name)
        row = next((row for row in self.plugins.rows if row.package == package and row.state != "loaded"), None)
        plain = name.lower()
        meant = ALIASES.get(plain) or next(iter(difflib.get_close_matches(plain, self.names, 1)), "")
        if "," in name:
            hint = "Name each format by itself: to=['md', 'docx'], or --to md --to docx. "
        elif row is not None:
            hint = f"{package} would offer it, but it is {row.state}: {row.reason}. "
        elif package is not None:
            own = f"The service's is {meant}. " if plain in ALIASES else ""
            hint = f"{own}To get {name}, {how_to_install(package)}. "
        else:
            hint = f"Is {meant} meant? " if meant else ""
        return hint + self._listed()

    def _listed(self) -> str:
        return f"There are: {', '.join(self.names)}. `doc2x formats` tells about each."


class Registration:
    """What one plugin's `doc2x_register_exporters` is given."""

    def __init__(self, row: PluginRow) -> None:
        self._row = row
        self.offers: list[Offer] = []
        self.processors: list[Processor] = []

    @property
    def package(self) -> str:
        """The plugin's package."""
        return self._row.package

    @property
    def names(self) -> set[str]:
        """The names that options are given by: of formats and of post-processors."""
        return {offer.name for offer in self.offers} | {processor.name for processor in self.processors}

    def __call__(self, exporter: Exporter) -> None:
        """Offer a format."""
        offer = checked_offer(exporter, package=self._row.package, version=self._row.version, entry=self._row.entry)
        if offer.name in self.names:
            raise ConfigError(f"The format {offer.name!r} is registered twice")
        self.offers.append(offer)

    def processor(self, name: str, options: Sequence[Option], help: str = "") -> None:  # noqa: A002 - the contract's
        """Declare a post-processor's options."""
        check_name(f"A post-processor of {self.package}", name)
        if name in (*NATIVE_FORMATS, PARSE, CLEAN) and not self._row.is_own:
            raise ConfigError(f"A post-processor of {self.package} has the name {name!r} of doc2x-sdk", advice=GUIDE)
        if name in self.names:
            raise ConfigError(f"The post-processor {name!r} is registered twice")
        self.processors.append(Processor(name, check_declared(name, options), help, self.package))


def offered_twice(name: str, offers: Sequence[Offer]) -> str:
    """Say who offers one name."""
    return f"The format {name!r} is offered twice: by {' and by '.join(sorted(offer.package for offer in offers))}"
