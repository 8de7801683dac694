"""Plugins: found by entry points, loaded one at a time in a guard of its own, and told about in rows.

`DOC2X_PLUGINS` limits what is loaded: empty for none, or a comma list of packages or entry points. What is blocked is
not imported. A plugin that can't be used is a row with its reason, and the others work.
"""

from __future__ import annotations

import inspect
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, NamedTuple

import pluggy

from doc2x_sdk import hookspecs
from doc2x_sdk.formats import builtin
from doc2x_sdk.formats.guard import PluginRaised, call_plugin
from doc2x_sdk.version import __version__

__all__ = ["GROUP", "PluginRow", "Plugins", "new_manager"]

log = logging.getLogger("doc2x_sdk")

GROUP = "doc2x"
VARIABLE = "DOC2X_PLUGINS"
CORE = "doc2x-sdk"
PREFIX = "doc2x_"
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith(PREFIX))


class PluginRow(NamedTuple):
    """One plugin.

    Attributes:
        package, version: of the distribution that brings it.
        name: the entry point's.
        hooks: those it implements.
        formats: those it offers.
        state: "loaded"; "broken", see the reason; "blocked" by DOC2X_PLUGINS; "missing", named there but not installed.
        reason: why it is not, or not wholly, in use.
        entry: "module:object" of the entry point; empty for objects that a program registered.
    """

    package: str
    version: str
    name: str
    hooks: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    state: Literal["loaded", "broken", "blocked", "missing"] = "loaded"
    reason: str = ""
    entry: str = ""

    @property
    def is_own(self) -> bool:
        """Whether it is this package's own, whose hooks need no watching."""
        return self.package == CORE and not self.entry

    def as_json(self) -> dict[str, Any]:
        """Return the row as plain values."""
        row: dict[str, Any] = self._asdict()
        return row


class Refused(Exception):
    """A plugin breaks the contract; the message says how."""


class Plugins:
    """The plugins of one client: a pluggy manager of its own, and a row about each plugin. Nothing here is global."""

    def __init__(self, manager: pluggy.PluginManager | None = None) -> None:
        """Take over a manager with the plugins that were registered on it, by default one with the built-in formats."""
        self.manager = manager or new_manager()
        self._rows: dict[str, PluginRow] = {}
        for plugin in list(self.manager.get_plugins()):
            name = self.manager.get_name(plugin) or type(plugin).__name__
            version = __version__ if plugin is builtin else str(getattr(plugin, "__version__", ""))
            self._check_in(name, PluginRow(name, version, name), plugin)

    @classmethod
    def installed(
        cls, environ: Mapping[str, str] | None = None, entries: Iterable[EntryPoint] | None = None
    ) -> Plugins:
        """Load what is installed.

        Args:
            environ: where DOC2X_PLUGINS is looked up; the process's own by default.
            entries: the entry points; by default all of the group `doc2x`.
        """
        plugins = cls()
        allowed = allowed_names(os.environ if environ is None else environ)
        unseen = set(allowed or ())
        found = entry_points(group=GROUP) if entries is None else entries
        for entry in sorted(found, key=lambda entry: (normal(package_of(entry)), entry.name)):
            names = {normal(package_of(entry)), normal(entry.name)}
            unseen -= names
            plugins.load(entry, blocked=allowed is not None and not names & allowed)
        for name in sorted(unseen):
            plugins._rows[f"{VARIABLE}:{name}"] = PluginRow(
                name, "", name, state="missing", reason=f"{VARIABLE} names it, and no such plugin is installed"
            )
        return plugins

    def load(self, entry: EntryPoint, *, blocked: bool = False) -> None:
        """Import and register one entry point; what goes wrong becomes its row."""
        package, version = package_of(entry), entry.dist.version if entry.dist else ""
        key = f"{package}:{entry.name}"
        row = PluginRow(package, version, entry.name, entry=entry.value)
        if blocked:
            self._rows[key] = row._replace(state="blocked", reason=f"{VARIABLE} leaves it out")
            return
        try:
            plugin = call_plugin(entry.load)
            call_plugin(lambda: self.manager.register(plugin, key))
        except PluginRaised as error:
            self._rows[key] = row
            self.fail(key, f"it can't be loaded: {reason_of(error)}")
            return
        self._check_in(key, row, plugin)

    def _check_in(self, key: str, row: PluginRow, plugin: object) -> None:
        self._rows[key] = row._replace(hooks=self._hooks_of(plugin))
        try:
            check_hooks(self.manager, plugin, self._rows[key].hooks)
        except Refused as error:
            self.fail(key, str(error))

    def _hooks_of(self, plugin: object) -> tuple[str, ...]:
        return tuple(sorted(caller.name for caller in self.manager.get_hookcallers(plugin) or ()))

    def fail(self, key: str, reason: str) -> None:
        """Take a plugin out of use, with a reason."""
        row = self._rows[key]
        log.warning("the plugin %s %s is not used: %s", row.package, row.version, reason)
        self._rows[key] = row._replace(state="broken", reason=reason, formats=())
        if self.manager.has_plugin(key):
            self.manager.unregister(name=key)

    def note(self, key: str, *, formats: tuple[str, ...] | None = None, reason: str = "") -> None:
        """Write down what a plugin offers, or what is the matter with an offer of it."""
        row = self._rows[key]
        known = "; ".join(dict.fromkeys(part for part in (row.reason, reason) if part))
        self._rows[key] = row._replace(formats=row.formats if formats is None else formats, reason=known)

    @property
    def rows(self) -> tuple[PluginRow, ...]:
        """All plugins, the built-in formats first."""
        return tuple(self._rows.values())

    @property
    def active(self) -> dict[str, PluginRow]:
        """The plugins in use, by their name on the manager."""
        return {key: row for key, row in self._rows.items() if row.state == "loaded"}

    def row(self, key: str) -> PluginRow:
        """Return the row of a plugin by its name on the manager; one for a plugin that was registered since."""
        return self._rows.get(key) or PluginRow(key, "", key)

    def call(self, key: str, hook: str, **arguments: Any) -> None:
        """Call a hook of one plugin. Raises `PluginRaised`."""
        plugin = self.manager.get_plugin(key)
        others = [each for each in self.manager.get_plugins() if each is not plugin]
        call_plugin(lambda: self.manager.subset_hook_caller(hook, others)(**arguments))

    def calls(self, hook: str) -> list[tuple[PluginRow, Callable[..., None]]]:
        """Return the implementations of a hook in pluggy's order, each with its plugin's row, to be called in turn.

        Each takes all arguments of the hook by name and raises `PluginRaised`.
        """
        caller: pluggy.HookCaller = getattr(self.manager.hook, hook)
        return [(self.row(each.plugin_name), guarded(each)) for each in reversed(caller.get_hookimpls())]


def guarded(implementation: pluggy.HookImpl) -> Callable[..., None]:
    """Return a hook implementation as a function that takes all of the hook's arguments and raises `PluginRaised`."""

    def call(**arguments: Any) -> None:
        own = [arguments[name] for name in implementation.argnames]
        call_plugin(lambda: implementation.function(*own))

    return call


def new_manager() -> pluggy.PluginManager:
    """Return a manager with the contract and the built-in formats, to register plugins on."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    manager.register(builtin, CORE)
    return manager


def allowed_names(environ: Mapping[str, str]) -> set[str] | None:
    """Return the packages and entry points that DOC2X_PLUGINS allows; None when it is not set."""
    value = environ.get(VARIABLE)
    return None if value is None else {normal(name) for name in value.split(",") if name.strip()}


def normal(name: str) -> str:
    """Return a package's name as comparisons want it (PyPA name normalization)."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def package_of(entry: EntryPoint) -> str:
    """Return the name of the distribution that brings an entry point."""
    return str(entry.dist.name) if entry.dist else entry.value.partition(":")[0]


def reason_of(error: PluginRaised) -> str:
    """Say what went wrong, with the way out where there is one."""
    cause = error.__cause__
    if isinstance(cause, pluggy.PluginValidationError):
        line = " ".join(str(cause).split("\n", 1)[-1].split())
        hook = next((vars(hookspecs)[name] for name in HOOKS if f"{name}(" in line), None)
        takes = f"; {hook.__name__} takes {', '.join(inspect.signature(hook).parameters)}" if hook else ""
        return f"{line}{takes}; is it made for a newer doc2x-sdk than {__version__}?"
    return str(error)


def check_hooks(manager: pluggy.PluginManager, plugin: object, hooks: tuple[str, ...]) -> None:
    """Raise `Refused` for hooks that are misspelt, not marked or wrapped, and for a plugin without any."""
    known = ", ".join(HOOKS)
    for name in hooks:
        caller: pluggy.HookCaller = getattr(manager.hook, name)
        own = next(each for each in caller.get_hookimpls() if each.plugin is plugin)
        if not caller.has_spec() and not own.optionalhook:
            import difflib  # noqa: PLC0415 - only for a mistake

            close = difflib.get_close_matches(name, HOOKS, 1)
            hint = f"; {close[0]} is meant?" if close else ""
            raise Refused(f"there is no hook {name} (there are {known}){hint}")
        if own.hookwrapper or own.wrapper:
            raise Refused(f"its {name} is a wrapper; use tryfirst or trylast instead")
    for name in HOOKS:
        if name not in hooks and callable(getattr(plugin, name, None)):
            raise Refused(f"its {name} is not marked with doc2x_sdk.hookimpl")
    if not hooks:
        raise Refused(f"it has no hook; there are {known}")
