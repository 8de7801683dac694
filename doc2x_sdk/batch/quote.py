"""What a batch would cost, without a request: each input's verdict, and the pages that would have to be paid for."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from doc2x_sdk.arguments import whole
from doc2x_sdk.batch.feed import name_of, no_path
from doc2x_sdk.batch.names import Names
from doc2x_sdk.errors import Doc2XError, FileError, InputChanged, PagesLimitExceeded
from doc2x_sdk.flow.book import parts_of
from doc2x_sdk.flow.kept import Kept
from doc2x_sdk.flow.kit import Kit
from doc2x_sdk.flow.parses import wanted_of
from doc2x_sdk.flow.results import todo_of, what_is_there
from doc2x_sdk.flow.source import Source, open_source, printable
from doc2x_sdk.flow.wish import Wish
from doc2x_sdk.ledger.rows import LOCAL, ParseKey, ParseRow

__all__ = ["VERDICTS", "Quote", "Quoted"]

VERDICTS = {
    "new": "has to be paid for",
    "begun": "was begun; paid for unless the service says that it has it",
    "paid": "paid earlier; only exports, which cost nothing",
    "archived": "all that is wanted is in the archive; nothing is asked of the service",
    "done": "all results are there",
    "duplicate": "the same document as an earlier input",
    "unknown": "may have been paid; left alone without retry_unknown",
    "failed": "the service gave it up earlier; left alone without retry_failed",
    "over_limit": "more pages than the service takes",
    "too_large": "larger than the service takes",
    "encrypted": "encrypted",
    "broken": "a broken PDF",
    "empty": "empty",
    "missing": "not there",
    "unreadable": "can't be read",
    "unsupported": "neither a PDF nor a picture",
    "changed": "what is there was made of an earlier content or of other pages",
    "unusable": "can't be used",
}
"""Verdict -> what it means."""


@dataclass(frozen=True, slots=True)
class Quoted:
    """One input.

    Attributes:
        source: the path as it was given, in printable characters.
        verdict: one of `VERDICTS`.
        pages: of the document; 0 where they can't be counted.
        to_pay: pages that would be paid for, at most.
        error: why it can't be converted, where it can't.
    """

    source: str
    verdict: str
    pages: int = 0
    to_pay: int = 0
    error: Doc2XError | None = None


class Quote:
    """An iterator of `Quoted` in the order of the inputs, which sums up as it goes. Sends nothing.

    Attributes:
        counts: verdict -> inputs.
        pages: of all inputs that can be converted.
        to_pay: pages that would be paid for, at most.
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]], wish: Wish, kit: Kit) -> None:
        self._paths = iter(paths)
        self._here = whole(Path())  # the program may change its folder
        self._wish = wish
        self._kit = kit
        self._names = Names(wish, kit)
        self._seen: set[bytes] = set()
        self.counts: Counter[str] = Counter()
        self.pages = 0
        self.to_pay = 0

    @property
    def files(self) -> int:
        """How many inputs were looked at."""
        return self.counts.total()

    def all(self) -> Self:
        """Look at all inputs and return the quote, for its sums."""
        for _ in self:
            continue
        return self

    def __iter__(self) -> Iterator[Quoted]:
        return self

    def __next__(self) -> Quoted:
        given: object = next(self._paths)
        if isinstance(given, str | os.PathLike):
            quoted = self._quote(Path(given))
        else:
            quoted = Quoted(name_of(given), "unusable", error=no_path(given))
        self.counts[quoted.verdict] += 1
        self.pages += quoted.pages
        self.to_pay += quoted.to_pay
        return quoted

    def _quote(self, path: Path) -> Quoted:
        called = printable(str(path))
        template = self._names.reserve(path)
        try:
            with open_source(self._here / path, self._kit.settings, name=called) as source:
                return self._of_source(source, template)
        except PagesLimitExceeded as error:
            return Quoted(called, "over_limit", error=error)
        except FileError as error:
            return Quoted(called, error.fault if error.fault in VERDICTS else "unusable", error=error)
        except (Doc2XError, OSError) as error:
            told = error if isinstance(error, Doc2XError) else FileError(str(error), source=called)
            return Quoted(called, "unusable", error=told)

    def _of_source(self, source: Source, template: str) -> Quoted:
        """Return the verdict on an input that can be used."""
        wish, kit, name = self._wish, self._kit, source.name
        named = wish._replace(name=self._names.settle(template, source))
        mark = bytes.fromhex(source.sha256)[:16]
        is_again = mark in self._seen
        self._seen.add(mark)
        try:
            if what_is_there(source, named, kit) is not None:
                return Quoted(name, "done", source.pages)
        except InputChanged as error:
            return Quoted(name, "changed", source.pages, error=error)
        if is_again and not wish.force:
            return Quoted(name, "duplicate", source.pages)
        parses = list(self._parses(source))
        todo = todo_of(source, named, kit)
        verdicts = [(self._of_parse(key, todo, len(parses)), pages) for key, pages in parses]
        to_pay = sum(pages for verdict, pages in verdicts if verdict in ("new", "begun"))
        order = ("unknown", "failed", "new", "begun", "paid")
        worst = next((each for each in order if each in dict(verdicts)), "archived")
        return Quoted(name, worst, source.pages, 0 if worst in ("unknown", "failed") else to_pay)

    def _parses(self, source: Source) -> Iterator[tuple[ParseKey, int]]:
        """Yield the identity and the pages of each parse that an input takes: one, or one a part."""
        kit, wish = self._kit, self._wish
        goes_as = kit.goes_as(source, wish.plan.natives)
        parts = () if source.is_picture else parts_of(source, kit.settings, wish.pages)
        for part in parts:
            yield kit.key_of(source.sha256, wish.parse, pages=part.label), len(part.pages)
        if not parts:
            yield kit.key_of(source.sha256, wish.parse, sent_as=goes_as), source.pages

    def _of_parse(self, key: ParseKey, todo: Sequence[str], parts: int) -> str:
        """Return the verdict on one parse by the archive and its receipt."""
        ledger, wish = self._kit.ledger, self._wish
        wanted = wanted_of(self._kit, wish, todo, is_picture='"as": "picture"' in key.options, parts=parts)
        if not wish.force and Kept(self._kit, key, []).holds(wanted):
            return "archived"
        row = None if ledger is None else ledger.find(key)
        if row is None or wish.force:
            return "new"
        if row.state == "unknown":
            return "new" if wish.retry_unknown else "unknown"
        if row.state == "failed":
            return "new" if wish.retry_failed or key.account == LOCAL else "failed"
        return self._of_uid(row)

    def _of_uid(self, row: ParseRow) -> str:
        expires = row.expires_at()
        if row.uid is None or expires is None or expires <= self._kit.clock.now():
            return "new"
        return "begun" if row.state == "uploading" else "paid"
