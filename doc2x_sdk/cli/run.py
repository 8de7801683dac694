"""A run of `doc2x convert`: one document after another, a stop where the next would meet the same, and the report."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from typing import Any

from doc2x_sdk.cli import guard, tables, terminal
from doc2x_sdk.cli.exits import STOPS, exit_of_many
from doc2x_sdk.cli.inputs import Item
from doc2x_sdk.cli.progress import Reporter, reporter
from doc2x_sdk.cli.rows import Interrupted, NotDone, Row, summary
from doc2x_sdk.errors import Doc2XError
from doc2x_sdk.models import Document, Progress

__all__ = ["Run", "fetch_line"]


class Run:
    """The documents of one command and what became of them."""

    def __init__(self, items: Sequence[Item], *, to: Sequence[str], out: str, quiet: bool, as_json: bool) -> None:
        self.items = items
        self.to = to
        self.out = out
        self.quiet = quiet
        self.as_json = as_json
        self.is_local = False
        self.rows: list[Row] = []
        self.interrupted = 0
        self._last: Progress | None = None

    def through(self, convert: Callable[..., Document] | None, *, verbose: bool, **wishes: Any) -> None:
        """Convert the items in their order; `convert` is the client's, None when no item can be converted.

        A failure of one does not end the run, unless the next would meet it too; a signal does.
        """
        with reporter(len(self.items), quiet=self.quiet, verbose=verbose) as report:
            for item in self.items:
                stop = self.interrupted or next((row.exit for row in self.rows if row.exit in STOPS), 0)
                if stop:
                    self.rows.append(Row(item.name, error=NotDone(stop)))
                    continue
                report.begin(item.name)
                row = self.one(item, convert, report, wishes)
                report.end()
                self.rows.append(row)
                row.told(quiet=self.quiet)
                if not terminal.is_terminal(sys.stdout):  # a reader of the pipe need not wait for the last document
                    self.print_paths(row)

    def one(self, item: Item, convert: Callable[..., Document] | None, report: Reporter, wishes: dict[str, Any]) -> Row:
        """Convert one item."""
        self._last = None

        def step(progress: Progress) -> None:
            self._last = progress
            report.step(progress)

        if item.error is not None or convert is None:
            return Row(item.name, error=item.error)
        try:
            document = convert(
                item.path, to=self.to, out=self.out, result_name=item.template, on_progress=step, **wishes
            )
        except Doc2XError as error:
            self.advise(error)
            return Row(item.name, error=error)
        except KeyboardInterrupt as stop:
            self.interrupted = guard.interrupted_code(stop)
            return Row(item.name, error=self.interruption(item))
        return Row(item.name, document)

    def advise(self, error: Doc2XError) -> None:
        """Put the uid and the formats into an advice to fetch; on this machine a uid dies with its server."""
        if "doc2x fetch" in error.advice and self.is_local:
            error.advice = "Run the same command again."
        elif error.uid is not None:
            line = fetch_line(error.uid, self.to, self.out)
            error.advice = error.advice.replace("doc2x fetch UID --to FMT", line)

    def interruption(self, item: Item) -> Interrupted:
        """Return the error of the document in work, and tell how it can be had."""
        last = self._last
        begun = last is not None and last.uid is not None
        sending = last is not None and last.stage == "upload" and last.done < (last.total or 0)
        uid = last.uid if last is not None and begun and not sending and not self.is_local else None
        if uid is None:
            told = "Interrupted. Run the same command again to go on."
        else:
            line = fetch_line(uid, self.to, self.out)
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
        shown = terminal.is_terminal(sys.stdout) and not self.quiet
        if self.as_json:
            tables.print_json([row.as_json() for row in self.rows])
        elif shown and len(self.rows) == 1:
            self.print_paths(self.rows[0])
        elif shown:
            cells = [row.cells() for row in self.rows]
            tables.print_table(("Document", "Pages", "Result"), cells, right=("Pages",))
        if len(self.rows) > 1 and not self.quiet:
            terminal.say(summary(self.rows))
        return self.interrupted or exit_of_many(row.exit for row in self.rows)


def fetch_line(uid: str, to: Sequence[str], out: str) -> str:
    """Return the command that fetches a document, to be copied into a shell."""
    words = ["doc2x", "fetch", uid, *(word for name in to for word in ("--to", name))]
    words += ["--out", out] if out != "out" else []
    return shlex.join(words)
