"""From what was typed to a list of documents."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from doc2x_sdk.cli.terminal import printable
from doc2x_sdk.clock import Clock
from doc2x_sdk.errors import Doc2XError, FileError
from doc2x_sdk.flow.publish import result_name
from doc2x_sdk.flow.source import Source

__all__ = ["Item", "check_template", "expand"]

SUFFIXES = frozenset({".pdf", ".jpg", ".jpeg", ".png"})
WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Item:
    """One document to convert, or an input that is none.

    Attributes:
        path: where it is.
        error: why it can't be converted, where that is known already.
    """

    path: Path
    error: Doc2XError | None = None

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return printable(os.fspath(self.path))


def expand(given: Iterable[str]) -> list[Item]:
    """Return the documents that the arguments name, each once, in the order of the arguments.

    A folder stands for the PDF, JPG and PNG files in it and below, sorted, without hidden ones; a pattern that the
    shell left stands for what it matches.
    """
    found: dict[str, Item] = {}
    for argument in given:
        for item in look_up(argument):
            found.setdefault(os.path.normcase(item.path.absolute()), item)
    return list(found.values())


def look_up(argument: str) -> Iterator[Item]:
    """Yield what one argument stands for."""
    path = Path(argument)
    if path.is_dir():
        yield from search(path)
    elif not WILD.isdisjoint(argument) and not os.path.lexists(argument):
        matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        if not matches:
            yield Item(path, FileError("Nothing matches this pattern", advice="Check its spelling."))
        for match in matches:
            yield from search(Path(match)) if Path(match).is_dir() else [Item(Path(match))]
    else:
        yield Item(path)


def search(folder: Path) -> Iterator[Item]:
    """Yield the documents in a folder and below; links to folders are not followed."""
    closed: list[OSError] = []
    files: list[Path] = []
    for where, folders, names in os.walk(folder, onerror=closed.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [
            Path(where, name)
            for name in names
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 - of many names
        ]
    for error in closed:
        yield Item(Path(error.filename), FileError(f"The folder can't be read: {error.strerror}", advice=""))
    if not files and not closed:
        kinds = "Its PDF, JPG and PNG files would be converted, those of its folders too; hidden ones are left out."
        yield Item(folder, FileError("There is no document in this folder", advice=kinds))
    for path in sorted(files):
        yield Item(path)


def check_template(template: str) -> None:
    """Raise `ConfigError` for a name template that can't be filled in."""
    result_name(template, Source("name", "name", "pdf", size=0, sha256="", pages=0), uid="uid", clock=Clock())
