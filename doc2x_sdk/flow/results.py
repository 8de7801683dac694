"""Which results are there already, whose they are, and the ledger's row of each."""

from __future__ import annotations

import json
import os
from pathlib import Path

from doc2x_sdk.errors import InputChanged, OutputError
from doc2x_sdk.flow.book import choice_of
from doc2x_sdk.flow.filenames import result_name
from doc2x_sdk.flow.images import digest_of
from doc2x_sdk.flow.kit import Kit
from doc2x_sdk.flow.publish import Publisher
from doc2x_sdk.flow.receipts import AnyReceipt, NoReceipt, canonical, fields_of, path_text, where_of
from doc2x_sdk.flow.source import Source
from doc2x_sdk.flow.wish import Wish
from doc2x_sdk.ledger.rows import ResultRow, TargetRow
from doc2x_sdk.models import Document
from doc2x_sdk.open_files import check_open_files

__all__ = ["Results", "todo_of", "what_is_there"]

REPLACE = "Convert it with --overwrite to replace it, or choose another name or folder."
REPLACE_BRIEFLY = "--overwrite replaces it"
OLDER = "an older file is in its place"
"""How the reason begins of a result, not done yet, that is to replace a file."""


class Results:
    """The wanted formats of one document: where each goes, what is done, and what the ledger is told about it."""

    def __init__(self, source: Source, wish: Wish, kit: Kit) -> None:
        self._source = source
        self._wish = wish
        self._kit = kit
        self._receipt: AnyReceipt = NoReceipt()
        self._formats: dict[Path, str] = {}
        self._digest = ""
        self._told: dict[Path, tuple[str, str, str]] = {}
        self.files: dict[str, Path] = {}
        self.skipped: list[str] = []
        self.warnings: list[str] = []

    @property
    def files_told(self) -> dict[str, Path]:
        """Format to file, below the folder of the results as the caller named it."""
        return {name: self._wish.told(path) for name, path in self.files.items()}

    @property
    def _where(self) -> str:
        """What the input is called in the ledger; what is fetched by its uid keeps the name that it was sent under."""
        if self._source.size == 0 and self._receipt.row is not None:
            return self._receipt.row.source
        return where_of(self._source)

    def todo(self, publisher: Publisher) -> list[str]:
        """Return the wanted formats that are not there; the others are left as they are and reported.

        Those that are of another format, or were made with other options, get a warning. Raises `InputChanged` for a
        result that was made here of an earlier content, or of other pages, of the same input, and for a file that an
        earlier run was to replace.
        """
        self.files, self.skipped, self.warnings = {}, [], []
        missing = []
        for name in self._wish.plan.wanted:
            suffix = self._wish.plan.suffix_of(name)
            self.files[name] = publisher.target(suffix)
            self._formats[self.files[name]] = name
            if not publisher.is_taken(suffix) or not self._is_result(self.files[name], name):
                missing.append(name)
            else:
                self.skipped.append(name)
        return missing

    def _is_result(self, target: Path, name: str) -> bool:
        """Tell whether a file is there to stay; false for what a run left that was stopped as it claimed the name.

        Raises `InputChanged` when the ledger knows that it is none of this input as it is now, `OutputError` when it
        must be compared and can't be read.
        """
        if self._kit.ledger is None or self._wish.out is None:
            return True
        regular, told = target.is_file() and not target.is_symlink(), self._wish.told(target)
        rows = self._kit.ledger.targets_of(path_text(target), name)
        known = next((row for row in rows if row.format == name or is_of(row, target, told, regular=regular)), None)
        if known is None:
            return True
        if known.state == "publishing" and regular:
            if known.sha256 == digest_there(target, told):
                self._kit.ledger.finish(known)
                known = known._replace(state="done", reason=None)
            elif target.stat().st_size == 0:  # the claim of a file system without hard links, see `disk.place`
                target.unlink()
                return False
        if known.source == self._where and known.source_sha256 != self._source.sha256:
            raise InputChanged(f"{told} was made of an earlier content of this file", advice=REPLACE)
        if known.state != "done" and (known.reason or "").startswith(OLDER):
            raise InputChanged(f"{told} is older: a run that was to replace it did not get so far", advice=REPLACE)
        self._compare(known, target, name)
        if regular and target.stat().st_size == 0:
            self.warnings.append(f"{target.name} is empty, and stays as it is; {REPLACE_BRIEFLY}")
        return True

    def _compare(self, known: TargetRow, target: Path, name: str) -> None:
        """Raise `InputChanged` for a result of other pages than are wanted; warn of another format or other options."""
        before, wanted = json.loads(known.options), json.loads(self._options(name))
        pages = before.pop("pages", None)
        if pages != wanted.pop("pages", None):
            made_of = "all pages" if pages is None else f"pages {pages} only"
            raise InputChanged(f"{self._wish.told(target)} was made of {made_of} of this file", advice=REPLACE)
        if known.format != name:
            told = f"{target.name} is there as {known.format}, not {name}, and stays as it is"
            self.warnings.append(f"{told}; {REPLACE_BRIEFLY}")
        elif before != wanted or not self._is_parsed_alike(known):
            self.warnings.append(f"{target.name} was made with other options and stays as it is; {REPLACE_BRIEFLY}")

    def _is_parsed_alike(self, known: TargetRow) -> bool:
        """Tell whether a result came of a parse with these options; what is fetched by its uid has its own."""
        before, wanted = json.loads(known.parse_options), json.loads(canonical(fields_of(self._wish.parse)))
        asked = {*before, *wanted} - {"pages", "as", "api"}  # a part of a book, how it was sent, and by which interface
        return self._source.size == 0 or all(before.get(each) == wanted.get(each) for each in asked)

    def _options(self, name: str) -> str:
        """Return the options of a format as the ledger has them, see `ResultRow`."""
        plan, pages = self._wish.plan, choice_of(self._source, self._wish.pages)
        beside = {"exporter": plan.options.get(name) or None, "processors": self._kit.formats.told(plan, name) or None}
        return canonical(fields_of(self._wish.export) | beside | {"pages": pages})

    def begin(self, receipt: AnyReceipt, todo: list[str]) -> None:
        """Write down what is wanted under a receipt, so that it can be fetched after any stop."""
        self._receipt = receipt
        for name in todo:
            if self.files[name] not in self._told:
                self._tell(name, "wanted", wait=False)

    def exporting(self, name: str) -> None:
        """Write down that a format is about to be made."""
        if name in self.files:
            self._tell(name, "exporting", wait=False)

    def before_place(self, target: Path, digest: str) -> None:
        """Write down, on the disk, what is about to get its final name."""
        name = self._formats.get(target)
        if name is not None:
            self._tell(name, "publishing", wait=True, sha256=digest)
            self._digest = digest

    def done(self, name: str, *, placed: bool) -> None:
        """Write down that a format is there; `placed` is false when somebody else's file came in between."""
        if placed:
            self._tell(name, "done", wait=False, sha256=self._digest)
        else:
            self.skipped.append(name)

    def failed(self, name: str, reason: str) -> None:
        """Write down that a format could not be made."""
        self._tell(name, "failed", wait=False, reason=reason)
        del self.files[name]

    def _tell(self, name: str, state: str, *, wait: bool, sha256: str | None = None, reason: str | None = None) -> None:
        if self._wish.out is None:
            return
        described = self._told.get(self.files[name])
        if self._wish.overwrite and state != "done" and os.path.lexists(self.files[name]):
            reason = OLDER if reason is None else f"{OLDER}; {reason}"
        if described is None:
            described = self._options(name), path_text(self.files[name]), self._where
            self._told[self.files[name]] = described
        self._receipt.result(ResultRow(name, *described, state, sha256, reason), wait=wait)


def is_of(row: TargetRow, target: Path, told: Path, *, regular: bool) -> bool:
    """Tell whether a file is the one of a row, as far as that is known; raises as `digest_there`."""
    return row.state == "done" or (regular and row.sha256 == digest_there(target, told))


def digest_there(target: Path, told: Path) -> str:
    """Return the sha256, in hex, of a file that may be a result. Raises `OutputError` when it can't be read.

    `told` is how the error names it.
    """
    try:
        return digest_of(target)
    except OSError as error:
        check_open_files(error, f"{told} can't be compared")
        raise OutputError(f"{told} can't be read: {error.strerror}", path=told) from error


def what_is_there(source: Source, wish: Wish, kit: Kit) -> Document | None:
    """Describe the results when all that is wanted is there already: nothing is asked, paid or touched then.

    Raises `ConfigError` for pages that the source lacks, a picture too, and what `Results.todo` does.
    """
    choice_of(source, wish.pages)
    if wish.out is None or not wish.plan.wanted or wish.overwrite:
        return None
    uid = kit.last_uid(source, wish.parse) if "{uid" in wish.name else None
    if uid is None and "{uid" in wish.name:
        return None
    results = Results(source, wish, kit)
    name = result_name(wish.name, source, uid=uid, clock=kit.clock)
    if results.todo(Publisher(wish.out, name, overwrite=False)):
        return None
    left, warnings = tuple(results.skipped), tuple(results.warnings)
    return Document(source.name, uid, (), files=results.files_told, skipped=left, warnings=warnings)


def todo_of(source: Source, wish: Wish, kit: Kit) -> list[str]:
    """Return the wanted formats that are not there; none where the results' name waits for a uid."""
    if wish.out is None or "{uid" in wish.name:
        return []
    name = result_name(wish.name, source, uid=None, clock=kit.clock)
    return Results(source, wish, kit).todo(Publisher(wish.out, name, overwrite=wish.overwrite))
