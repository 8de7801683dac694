"""From what was typed to a list of documents, each with a name of its own for its results."""

from __future__ import annotations

import glob
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import file_digest
from pathlib import Path

from doc2x_sdk.cli.terminal import printable
from doc2x_sdk.clock import Clock
from doc2x_sdk.errors import Doc2XError, FileError
from doc2x_sdk.flow.publish import result_name
from doc2x_sdk.flow.source import Source

__all__ = ["Item", "check_template", "expand"]

SUFFIXES = frozenset({".pdf", ".jpg", ".jpeg", ".png"})
WILD = frozenset("*?[")
MARK = 8  # hex digits of the sha256 that tell results of one name apart


@dataclass(frozen=True, slots=True)
class Item:
    """One document to convert, or an input that is none.

    Attributes:
        path: where it is.
        template: of its results' name.
        error: why it can't be converted, where that is known already.
    """

    path: Path
    template: str
    error: Doc2XError | None = None

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return printable(os.fspath(self.path))


def expand(given: Iterable[str], template: str) -> list[Item]:
    """Return the documents that the arguments name, each once, in the order of the arguments.

    A folder stands for the PDF, JPG and PNG files in it and below, sorted, without hidden ones; a pattern that the
    shell left stands for what it matches. Two documents whose results would have one name: the first by path keeps
    it, a later one gets `-` and 8 digits of its sha256.

    Raises:
        ConfigError: the template can't be filled in.
    """
    found: dict[str, Item] = {}
    for argument in given:
        for item in look_up(argument, template):
            found.setdefault(os.path.normcase(item.path.absolute()), item)
    return apart(list(found.values()))


def look_up(argument: str, template: str) -> Iterator[Item]:
    """Yield what one argument stands for."""
    path = Path(argument)
    if path.is_dir():
        yield from search(path, template)
    elif not WILD.isdisjoint(argument) and not os.path.lexists(argument):
        matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        if not matches:
            yield Item(path, template, FileError("Nothing matches this pattern", advice="Check its spelling."))
        for match in matches:
            yield from search(Path(match), template) if Path(match).is_dir() else [Item(Path(match), template)]
    else:
        yield Item(path, template)


def search(folder: Path, template: str) -> Iterator[Item]:
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
        yield Item(Path(error.filename), template, FileError(f"The folder can't be read: {error.strerror}", advice=""))
    if not files and not closed:
        kinds = "Its PDF, JPG and PNG files would be converted, those of its folders too; hidden ones are left out."
        yield Item(folder, template, FileError("There is no document in this folder", advice=kinds))
    for path in sorted(files):
        yield Item(path, template)


def apart(items: list[Item]) -> list[Item]:
    """Return the items with templates that give each a result name of its own."""
    sharing: dict[str, list[int]] = defaultdict(list)
    for at, item in enumerate(items):
        sharing[filled(item)].append(at)
    if "{uid" in items[0].template:
        return items
    for members in sharing.values():
        taken = {items[min(members, key=lambda at: items[at].name)].template}
        for at in sorted(members, key=lambda at: items[at].name)[1:]:
            items[at] = marked(items[at], taken)
            taken.add(items[at].template)
    return items


def check_template(template: str) -> None:
    """Raise `ConfigError` for a name template that can't be filled in."""
    filled(Item(Path("name"), template))


def filled(item: Item) -> str:
    """Return the result name of an item as it compares on systems that ignore case; the uid is not known yet."""
    source = Source(item.name, Path(item.name).stem or "document", "pdf", size=0, sha256="", pages=0)
    return result_name(item.template, source, uid="uid", clock=Clock()).casefold()


def marked(item: Item, taken: set[str]) -> Item:
    """Return an item whose template ends with its sha256; copies of one file are numbered."""
    try:
        with item.path.open("rb") as file:
            mark = file_digest(file, "sha256").hexdigest()[:MARK]
    except OSError:
        return item  # the library will say why it can't be read
    template = f"{item.template}-{mark}"
    number = 2
    while template in taken:
        template = f"{item.template}-{mark}-{number}"
        number += 1
    return replace(item, template=template)
