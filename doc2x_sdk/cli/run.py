"""A run of a command over documents: what became of each, the report, and the exit code."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from doc2x_sdk.cli import guard, tables, terminal
from doc2x_sdk.cli.arguments import command_line
from doc2x_sdk.cli.exits import exit_of_many
from doc2x_sdk.cli.inputs import Item
from doc2x_sdk.cli.progress import reporter
from doc2x_sdk.cli.rows import Interrupted, NotDone, Row
from doc2x_sdk.clock import Clock
from doc2x_sdk.errors import DiskFull, Doc2XError, TaskFailed
from doc2x_sdk.flow.filenames import result_name
from doc2x_sdk.flow.source import Source
from doc2x_sdk.models import Document, Progress

__all__ = ["ONE_FETCH", "TABLE_MOST", "Run", "fetch_line"]

ONE_FETCH = re.compile(r"`doc2x fetch [^`]*`")
FETCH = r"doc2x fetch (?:UID|{})(?: --to [^\s`]+)?"
AGAIN = "The same command goes on from there: what is done stays, and what was paid is not paid again."
TO_FETCH = "What is to be fetched is at the service for 24 hours; the same command fetches it and pays nothing."
ENGINE_GAVE_UP = (
    "This machine's engine could not do it, for the reason given. With an account's key the service may: "
    "`doc2x config set-key`, and without --local."
)
TABLE_MOST = 40  # rows; a longer table shows what went wrong only


class Run:
    """The documents of one command and what became of them.

    Attributes:
        unseen: what the table leaves out, of `STATES`.
    """

    unseen: tuple[str, ...] = ("there", "left")

    def __init__(
        self,
        items: Sequence[Item],
        *,
        to: Sequence[str],
        out: str | None,
        quiet: bool,
        as_json: bool,
        verbose: bool = False,
        api: str = "v2",
        name: str | None = None,
        of_fetch: Sequence[str] = (),
    ) -> None:
        self.items = items
        self.to = to
        self.out = out
        self.quiet = quiet
        self.as_json = as_json
        self.verbose = verbose
        self.api = api
        self.name = name
        self.of_fetch = of_fetch
        self.is_local = False
        self.interrupted = 0
        self.stopped: Doc2XError | None = None  # what ended the run before all documents were begun
        self.rows: list[Row] = []
        self._counts: Counter[str] = Counter()
        self._codes: Counter[int] = Counter()
        self._last: Progress | None = None

    @property
    def shows_table(self) -> bool:
        """Whether somebody looks at stdout and wants to see more than errors."""
        return terminal.is_terminal(terminal.stdout()) and not self.quiet and not self.as_json

    def one(self, convert: Callable[..., Document], **wishes: Any) -> None:
        """Convert the only item; `convert` is the client's."""
        (item,) = self.items
        with reporter(quiet=self.quiet, verbose=self.verbose) as report:
            report.begin(item.name)

            def step(progress: Progress) -> None:
                self._last = progress
                report.step(progress)

            try:
                row = Row.of(item.name, convert(item.path, to=self.to, out=self.out, on_progress=step, **wishes))
            except Doc2XError as error:
                row = Row(item.name, error=error)
            except KeyboardInterrupt as stop:
                self.interrupted = guard.interrupted_code(stop)
                row = Row(item.name, error=self.interruption(item))
            report.end()
        self.add(row)

    def add(self, row: Row) -> None:
        """Tell what became of a document, now; its row is kept where it is shown at the end."""
        if row.error is not None:
            self.advise(row.error, row.source)
        self._codes[row.exit] += 1
        self._counts[state_of(row)] += 1
        self._counts["pages"] += row.pages or 0
        if self.as_json or self.shows_table:
            self.rows.append(row)
        row.told(quiet=self.quiet, of_many=len(self.items) > 1)
        if not terminal.is_terminal(terminal.stdout()):  # a reader of the pipe need not wait for the last document
            self.print_paths(row)

    def advise(self, error: Doc2XError, source: str) -> None:
        """Put the whole line into an advice to fetch; on this machine a uid dies with its server."""
        if self.is_local and type(error) is TaskFailed:
            error.advice = ENGINE_GAVE_UP
        elif self.is_local and isinstance(error, DiskFull):
            error.advice = "Free some space, then run the same command again."
        elif self.is_local and "doc2x fetch" in error.advice:
            error.advice = "Run the same command again."
        elif error.uid is not None:
            line = self.fetch_line(error.uid, source)
            error.advice = re.sub(FETCH.format(re.escape(error.uid)), lambda _: line, error.advice)

    def fetch_line(self, uid: str, source: str) -> str:
        """Return the command that fetches a document of this run as it was asked for."""
        stem = self._stems.get(source)
        if self.name is None or stem is None:
            return fetch_line(uid, self.to, self.out, self.api, self.of_fetch)
        name = result_name(self.name, Source(source, stem, "pdf", 0, "", 0), uid=uid, clock=Clock())
        literal = name.replace("{", "{{").replace("}", "}}")
        named = ["--name", literal] if name != uid else []
        return fetch_line(uid, self.to, self.out, self.api, [*named, *self.of_fetch])

    @cached_property
    def _stems(self) -> dict[str, str]:
        """The stem of each document that shares it with no other, which would have a longer name."""
        shared = Counter(item.path.stem.casefold() for item in self.items)
        return {item.name: item.path.stem for item in self.items if shared[item.path.stem.casefold()] == 1}

    def interruption(self, item: Item) -> Interrupted:
        """Return the error of the document in work, and tell how it can be had."""
        last = self._last
        begun = last is not None and last.uid is not None
        sending = last is not None and last.stage == "upload" and last.done < (last.total or 0)
        uid = last.uid if last is not None and begun and not sending and not self.is_local else None
        if uid is None:
            told = "Interrupted. Run the same command again to go on."
        else:
            line = self.fetch_line(uid, item.name)
            told = f"Interrupted. {item.name} goes on at the service; within 24 hours, without paying again:\n  {line}"
        terminal.say(told)
        return Interrupted(self.interrupted, uid)

    def print_paths(self, row: Row) -> None:
        """Print the files that were written, where lines are wanted."""
        if self.quiet or self.as_json:
            return
        for path in row.written:
            terminal.answer(path)

    def finish(self) -> int:
        """Report the whole run and return its exit code."""
        places = {item.name: at for at, item in enumerate(self.items)}
        self.rows.sort(key=lambda row: places.get(row.source, len(places)))
        if self.as_json:
            tables.print_json([row.as_json() for row in self.rows])
        elif self.shows_table and len(self.items) == 1:
            for row in self.rows:
                self.print_paths(row)
        elif self.shows_table:
            self.show_table()
        if self._codes.total() > 1 and not self.quiet:
            terminal.say(self.summary())
            if self.stopped is not None:
                what = str(self.stopped).removesuffix(self.stopped.advice).rstrip()
                advice = ONE_FETCH.sub("run the same command", self.stopped.advice)  # it is about all of them
                terminal.say(f"{what}\n  {advice} {AGAIN}", label="Stopped:", colour="red")
        return self.code

    @property
    def code(self) -> int:
        """The exit code, as far as the run has come."""
        return self.interrupted or exit_of_many(self._codes.elements())

    @property
    def counts(self) -> dict[str, int]:
        """How many documents became what, and the pages of those that were converted."""
        words = STATES | {"pages": "pages"}
        return {word.replace(" ", "_"): self._counts[name] for name, word in words.items() if self._counts[name]}

    def show_table(self) -> None:
        """Draw the table of what was begun; of very many documents those that are not done."""
        rows = [row for row in self.rows if state_of(row) not in self.unseen]
        if len(rows) > TABLE_MOST:
            rows = [row for row in rows if row.exit]
        if rows:
            cells = [row.cells() for row in rows]
            tables.print_table(("Document", "Pages", "Result"), cells, right=("Pages",))

    def summary(self) -> str:
        """Return one sentence about the run."""
        counts = self._counts
        total = sum(counts[name] for name in STATES)
        if total and counts["there"] == total:
            return f"{total} documents: nothing to do, all results are there (--overwrite replaces them)."
        parts = [f"{counts[name]} {word}" for name, word in STATES.items() if counts[name]]
        pages = f"; {counts['pages']} pages" if counts["pages"] else ""
        told = f"{total} documents: {', '.join(parts)}{pages}."
        return f"{told} {TO_FETCH}" if counts["paid"] else told


STATES = {
    "done": "done",
    "archived": "from the archive",
    "there": "there already",
    "failed": "failed",
    "paid": "paid and to be fetched",
    "flying": "in flight",
    "left": "not done",
}
"""What became of a document -> the word of the summary."""


def state_of(row: Row) -> str:
    """Return which of `STATES` a row is."""
    if isinstance(row.error, NotDone):
        return "flying" if isinstance(row.error, Interrupted) else "left"
    if row.to_fetch:
        return "paid"
    if row.exit or row.was_there:
        return "failed" if row.exit else "there"
    return "archived" if row.was_archived else "done"


def fetch_line(uid: str, to: Sequence[str], out: str | None, api: str = "v2", more: Sequence[str] = ()) -> str:
    """Return the command that fetches a document, with `more` words at its end, to be copied into a shell."""
    words = ["doc2x", "fetch", uid, *(word for name in to for word in ("--to", name))]
    words += ["--out", out] if out is not None and out != "out" else []
    words += ["--api", api] if api != "v2" else []
    return command_line([*words, *more])
