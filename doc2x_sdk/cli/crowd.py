"""How far a batch is: one bar for all on a terminal, a line a document elsewhere, nothing when quiet. On stderr."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Self

from doc2x_sdk.cli import terminal
from doc2x_sdk.cli.progress import STAGES, share_column, shown

if TYPE_CHECKING:
    from doc2x_sdk.cli.rows import Row
    from doc2x_sdk.models import Progress

__all__ = ["crowd"]


def crowd(count: int, *, quiet: bool, verbose: bool) -> Crowd:
    """Return what suits the terminal. With `verbose` the log tells the steps, and bars would tear it apart."""
    if quiet or verbose:
        return Crowd(count)
    return CrowdBar(count) if terminal.is_terminal(sys.stderr) else CrowdLines(count)


class Crowd:
    """Shows nothing. `step` is called from many threads, `end` from one."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.ended = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def step(self, progress: Progress) -> None:
        """Take a step of one document."""

    def end(self, row: Row) -> None:  # noqa: ARG002 - for those that show it
        """Take the end of one document."""
        self.ended += 1


class CrowdLines(Crowd):
    """A line for each document that was converted, with the time, since these lines are read as a log the day after.

    What failed is told elsewhere, what was there only in the end.
    """

    def end(self, row: Row) -> None:
        """Tell that a document is done."""
        super().end(row)
        if row.error is None and not row.was_there:
            now = time.strftime("%H:%M:%S")
            terminal.say(f"{now} [{self.ended}/{self.count}] {row.source}: {row.pages or 0} pages")


class CrowdBar(Crowd):
    """A bar of the documents that have ended, with how many are at which step."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._display = Progress(
            TextColumn("{task.description}", markup=False, style="cyan"),
            BarColumn(bar_width=None),
            share_column(width=2 * len(str(count)) + 1),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=False,
            expand=True,
        )
        self._shown = shown(self._display)
        self._task = self._display.add_task("checking", share=f"0/{count}", total=count)
        self._at: dict[str, str] = {}
        self._guard = threading.Lock()

    def __enter__(self) -> Self:
        self._shown.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.__exit__(None, None, None)

    def step(self, progress: Progress) -> None:
        """Count a document at its step."""
        stage = STAGES[progress.stage]
        with self._guard:
            if self._at.get(progress.source) == stage:
                return
            self._at[progress.source] = stage
            self._show()

    def end(self, row: Row) -> None:
        """Move the bar."""
        terminal.leave_dead()  # the batch goes on when its terminal was closed and nobody ends it
        super().end(row)
        with self._guard:
            self._at.pop(row.source, None)
            self._show()

    def _show(self) -> None:
        counts = Counter(self._at.values())
        words = STAGES | {"check": "waiting"}  # checked they are before: now it is their turn that is waited for
        told = ", ".join(f"{counts[stage]} {words[name]}" for name, stage in STAGES.items() if counts[stage])
        self._display.update(
            self._task, description=told or "checking", completed=self.ended, share=f"{self.ended}/{self.count}"
        )
