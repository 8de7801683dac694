"""From what was typed to a list of documents."""

from __future__ import annotations

import glob
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from doc2x_sdk.cli.terminal import printable
from doc2x_sdk.clock import Clock
from doc2x_sdk.errors import Doc2XError, FileError
from doc2x_sdk.flow.filenames import PICTURES, pictures_of, result_name
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
        typed: what stood on the command line, of an input that is no path.
    """

    path: Path
    error: Doc2XError | None = None
    typed: str = ""

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return printable(self.typed or os.fspath(self.path))


def expand(given: Iterable[str], formats: Collection[str] = (), passed_by: list[Path] | None = None) -> list[Item]:
    """Return the documents that the arguments name, each once, in the order of the arguments.

    A folder stands for the PDF, JPG and PNG files in it and below, sorted, without hidden ones and without the
    pictures of results; a pattern that the shell left stands for what it matches.

    Args:
        given: the arguments.
        formats: what may stand among them by mistake.
        passed_by: takes the picture folders that were left out.
    """
    found: dict[str, Item] = {}
    passed_by = [] if passed_by is None else passed_by
    for argument in given:
        for item in look_up(argument, formats, passed_by):
            found.setdefault(os.path.normcase(item.path.absolute()), item)
    return list(found.values())


def look_up(argument: str, formats: Collection[str], passed_by: list[Path]) -> Iterator[Item]:
    """Yield what one argument stands for."""
    path = Path(argument)
    if path.is_dir():
        yield from search(path, passed_by)
    elif not WILD.isdisjoint(argument) and not os.path.lexists(argument):
        matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        if not matches:
            yield Item(path, FileError("Nothing matches this pattern", advice="Check its spelling."))
        for match in matches:
            yield from search(Path(match), passed_by) if Path(match).is_dir() else [Item(Path(match))]
    else:
        error = None if os.path.lexists(argument) else mistaken(argument, formats)
        yield Item(path) if error is None else Item(path, error, typed=argument)


def mistaken(argument: str, formats: Collection[str]) -> FileError | None:
    """Return the error of what was never meant to be a path here; None where it may have been."""
    if "://" in argument:
        return FileError("This is an address, and no file", advice="Download it first, then convert the file.")
    if argument == "-":
        return FileError("Standard input is not read", advice="Save the document in a file, and name that.")
    if argument in formats:
        return FileError("There is no such file", advice=f"If the format is meant: --to {argument}.")
    return None


def search(folder: Path, passed_by: list[Path]) -> Iterator[Item]:
    """Yield the documents in a folder and below; links to folders are not followed.

    The pictures of results are left out: where results are below their inputs, a second run would pay for them.
    """
    closed: list[OSError] = []
    files: list[Path] = []
    for where, folders, names in os.walk(folder, onerror=closed.append):
        pictures = {name for name in folders if name.endswith(PICTURES)}
        pictures = pictures & picture_folders(names) if pictures else pictures
        passed_by += [Path(where, name) for name in sorted(pictures)]
        folders[:] = [name for name in folders if not name.startswith(".") and name not in pictures]
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


def picture_folders(names: Iterable[str]) -> set[str]:
    """Return how the picture folders of the results in a folder are called: `paper_images` beside `paper.md`."""
    results = [name for name in names if os.path.splitext(name)[1].lower() not in SUFFIXES]  # noqa: PTH122 - of many names
    return {pictures_of(name[:at]) for name in results for at, sign in enumerate(name) if sign == "."}


def check_template(template: str) -> None:
    """Raise `ConfigError` for a name template that can't be filled in."""
    result_name(template, Source("name", "name", "pdf", size=0, sha256="", pages=0), uid="uid", clock=Clock())
