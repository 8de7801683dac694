"""What callers pass, checked before anything is sent."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from doc2x_sdk.errors import ConfigError

__all__ = ["count_of", "flag", "folder", "several", "whole"]


def several(sources: Iterable[str | os.PathLike[str]]) -> Iterable[str | os.PathLike[str]]:
    """Return the inputs; raise `ConfigError` for a single path, whose letters would be taken for paths."""
    if isinstance(sources, str | bytes | os.PathLike):
        raise ConfigError(
            f"These are not several paths but one: {os.fspath(sources)!r}",
            advice="Give a list, or a generator such as Path('papers').glob('*.pdf'); `convert` takes a single one.",
        )
    return sources


def flag(value: object, name: str) -> None:
    """Raise `ConfigError` for what is neither True nor False: the text "false" would be taken for True, and pay."""
    if not isinstance(value, bool):
        raise ConfigError(f"`{name}` is True or False, not {value!r}", advice="Nothing was sent.")


def count_of(number: int | None, what: str, *, least: int) -> int | None:
    """Return a number, or None for no limit; raise `ConfigError` for what is neither, or less than the least."""
    if number is not None and (not isinstance(number, int) or isinstance(number, bool) or number < least):
        raise ConfigError(
            f"`{what}` is a number from {least}, or None, not {number!r}", advice="Leave it out for no limit."
        )
    return number


def folder(out: str | os.PathLike[str] | None, *, needed: bool = False) -> Path | None:
    """Return the folder of the results; raise `ConfigError` for an empty path, which would be the current folder.

    None is allowed unless one is needed.
    """
    if (out is None and needed) or (out is not None and not os.fspath(out)):
        raise ConfigError("`out` is empty", advice="Name a folder; '.' is the current one.")
    return None if out is None else Path(out)


def whole(path: Path) -> Path:
    """Return a path that leads to the same place when the program changes its folder; links are not followed.

    Where the current folder is gone it stays as it is, and what opens it tells that.
    """
    try:
        return path.absolute()
    except OSError:
        return path
