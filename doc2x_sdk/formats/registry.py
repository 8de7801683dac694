"""From the formats that a user wants to the exports that are needed; decided before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pluggy

from doc2x_sdk import hookspecs
from doc2x_sdk.errors import ConfigError
from doc2x_sdk.formats import builtin
from doc2x_sdk.hookspecs import Exporter
from doc2x_sdk.models import NATIVE_FORMATS, Bundle

__all__ = ["NATIVE_SUFFIX", "Formats", "Offer", "Plan"]

PARSE = "parse"
NATIVE_SUFFIX: Mapping[str, str] = {"md": ".md", "md_dollar": ".md", "tex": ".tex", "docx": ".docx"}


@dataclass(frozen=True, slots=True)
class Offer:
    """One derived format and the package that offers it."""

    exporter: Exporter = field(repr=False)
    name: str
    needs: str
    suffix: str
    package: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is wanted and what that takes.

    Attributes:
        wanted: the formats that the user named, each once, in his order.
        natives: the service's formats to export, each once; those that only exporters need come along.
        offers: the derived formats.
    """

    wanted: tuple[str, ...]
    natives: tuple[str, ...]
    offers: tuple[Offer, ...]

    def suffix_of(self, name: str) -> str:
        """Return a wanted format's extension; `md_dollar` beside `md` gets `.dollar.md`."""
        if name == "md_dollar" and "md" in self.wanted:
            return ".dollar.md"
        derived = next((offer.suffix for offer in self.offers if offer.name == name), None)
        return derived or NATIVE_SUFFIX[name]


class Formats:
    """The formats of one client and its plugin manager, which is its own: nothing here is global."""

    def __init__(self, manager: pluggy.PluginManager | None = None) -> None:
        self._manager = manager or new_manager()
        self._offers: dict[str, Offer] = {}
        for plugin in self._manager.get_plugins():
            hook = self._manager.subset_hook_caller("doc2x_register_exporters", self._others(plugin))
            package = self._manager.get_name(plugin) or "unknown"
            hook(register=lambda exporter, package=package: self._add(exporter, package))

    def _others(self, plugin: object) -> list[object]:
        return [each for each in self._manager.get_plugins() if each is not plugin]

    def _add(self, exporter: Exporter, package: str) -> None:
        name = exporter.name
        older = self._offers.get(name)
        if older is not None or name in (*NATIVE_FORMATS, PARSE):
            first = older.package if older else "the service"
            raise ConfigError(f"The format {name!r} is offered twice: by {first} and by {package}")
        self._offers[name] = Offer(exporter, name, exporter.needs, exporter.suffix, package)

    @property
    def offers(self) -> tuple[Offer, ...]:
        """All derived formats, by name."""
        return tuple(self._offers[name] for name in sorted(self._offers))

    @property
    def names(self) -> tuple[str, ...]:
        """All names that `--to` takes."""
        return (*NATIVE_FORMATS, *sorted(self._offers))

    def plan(self, to: Iterable[str]) -> Plan:
        """Resolve the wanted formats.

        Raises `ConfigError` for a name that nobody offers; the error lists those that exist.
        """
        wanted = tuple(dict.fromkeys([to] if isinstance(to, str) else to))
        for name in wanted:
            if name not in self.names:
                advice = f"Choose from: {', '.join(self.names)}. `doc2x formats` tells about each."
                raise ConfigError(f"There is no format {name!r}", advice=advice)
        offers = tuple(self._offers[name] for name in wanted if name in self._offers)
        natives = dict.fromkeys([name for name in wanted if name in NATIVE_FORMATS])
        natives.update(dict.fromkeys(offer.needs for offer in offers if offer.needs != PARSE))
        return Plan(wanted, tuple(natives), offers)

    def process(self, bundle: Bundle) -> None:
        """Let plugins post-process a bundle."""
        self._manager.hook.doc2x_process_bundle(bundle=bundle)


def new_manager() -> pluggy.PluginManager:
    """Return a manager with the contract and the built-in formats."""
    manager = pluggy.PluginManager("doc2x")
    manager.add_hookspecs(hookspecs)
    manager.register(builtin, "doc2x-sdk")
    return manager
