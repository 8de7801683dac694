"""What callers pass, checked before anything is sent: scripts have no types. Each raises `ConfigError`."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from doc2x_sdk.errors import ConfigError

__all__ = [
    "callback",
    "count_of",
    "flag",
    "folder",
    "formats_of",
    "keywords",
    "of_kind",
    "path_of",
    "several",
    "text",
    "whole",
]

FOLDER = "the path of a folder"
UNSENT = "Nothing was sent."


def of_kind(value: object, kind: Any, name: str, what: str) -> None:
    """Raise for an argument that is not of a kind; `what` says what it takes."""
    if not isinstance(value, kind):
        raise ConfigError(f"`{name}` is {what}, not {repr(value)[:60]}", advice=UNSENT)


def several(sources: Iterable[str | os.PathLike[str]]) -> Iterable[str | os.PathLike[str]]:
    """Return the inputs; raise for a single one, whose letters or lines would be taken for paths, and for none."""
    if isinstance(sources, str | bytes | os.PathLike) or hasattr(sources, "read"):
        given = os.fspath(sources) if isinstance(sources, os.PathLike) else sources
        raise ConfigError(
            f"These are not several paths but one: {given!r}",
            advice="Give a list, or a generator such as Path('papers').glob('*.pdf'); `convert` takes a single one.",
        )
    of_kind(sources, Iterable, "sources", "a list of paths, or a generator of them")
    return sources


def formats_of(to: str | Iterable[str]) -> tuple[str, ...]:
    """Return the names of formats, each once; raise for what is neither one nor several."""
    what = "the name of a format, or a list of names"
    of_kind(to, Iterable, "to", what)
    names = (to,) if isinstance(to, str) else tuple(to)
    if not all(isinstance(name, str) for name in names):
        raise ConfigError(f"`to` is {what}, not {repr(to)[:60]}", advice=UNSENT)
    return tuple(dict.fromkeys(names))


def flag(value: object, name: str) -> None:
    """Raise for what is neither True nor False: the text "false" would be taken for True, and pay."""
    of_kind(value, bool, name, "True or False")


def text(value: object, name: str) -> None:
    """Raise for what is neither text nor None."""
    of_kind(value, str | None, name, "text, or None")


def callback(value: object) -> None:
    """Raise for what can't be called with a `Progress`; None is nobody to be told."""
    if value is not None and not callable(value):
        raise ConfigError(f"`on_progress` is a function, or None, not {repr(value)[:60]}", advice=UNSENT)


def keywords(given: Mapping[str, Any] | None, known: Collection[str], name: str) -> Mapping[str, Any]:
    """Return an argument that holds settings by name; None is none. Raise for another shape, and another name."""
    if given is None:
        return {}
    of_kind(given, Mapping, name, "a dict of settings by name")
    unknown = [repr(each) for each in given if each not in known]
    if unknown:
        told = f"`{name}` has no setting {', '.join(unknown)[:60]}"
        raise ConfigError(told, advice=f"There are: {', '.join(sorted(known))}.")
    return given


def count_of(number: int | None, what: str, *, least: int) -> int | None:
    """Return a number, or None for no limit; raise for what is neither, or less than the least."""
    if number is not None and (not isinstance(number, int) or isinstance(number, bool) or number < least):
        raise ConfigError(
            f"`{what}` is a number from {least}, or None, not {number!r}", advice="Leave it out for no limit."
        )
    return number


def path_of(value: str | os.PathLike[str], name: str, what: str) -> Path:
    """Return a path; raise for what is none, and for an empty one, which would be the current folder."""
    named = os.fspath(value) if isinstance(value, os.PathLike) else value
    of_kind(named, str, name, what)
    if not named:
        raise ConfigError(f"`{name}` is empty", advice=f"It takes {what}; '.' is the current folder.")
    return Path(value)


def folder(out: str | os.PathLike[str] | None, *, needed: bool = False) -> Path | None:
    """Return the folder of the results; raise as `path_of`. None is allowed unless one is needed."""
    if out is None:
        return path_of("", "out", FOLDER) if needed else None
    return path_of(out, "out", FOLDER if needed else f"{FOLDER}, or None")


def whole(path: Path) -> Path:
    """Return a path that leads to the same place when the program changes its folder; links are not followed.

    Where the current folder is gone it stays as it is, and what opens it tells that.
    """
    try:
        return path.absolute()
    except OSError:
        return path
