"""A run of `doc2x rescue`: the client's threads, its signals and its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doc2x_sdk.cli import terminal
from doc2x_sdk.cli.crowd import crowd
from doc2x_sdk.cli.rows import NotDone, Row
from doc2x_sdk.cli.run import Run
from doc2x_sdk.cli.stopping import Stopping

if TYPE_CHECKING:
    from doc2x_sdk.batch import RescueRun
    from doc2x_sdk.client import Doc2X
    from doc2x_sdk.models import Progress

__all__ = ["Rescued"]


class NotFetched(NotDone):
    """The document was not fetched before a signal stopped the run; its uid is still good."""

    def __init__(self, code: int, uid: str | None) -> None:
        super().__init__(code)
        self.message = "Not fetched: the run was stopped before"
        self.uid = uid


class Rescued(Run):
    """The documents of one rescue: what was fetched, and after a signal also what remains."""

    unseen = ()
    passed_over = (0, 0)
    """Documents that lack results and are left alone: held by another process, and over their time."""

    def through(self, client: Doc2X, stopping: Stopping, *, jobs: int | None) -> int:
        """Fetch all and return how many documents there were. Raises `LedgerError` without a ledger."""
        with client.rescue(self.out, to=self.to, jobs=jobs, on_progress=self._note) as run:
            count = sum(1 for _ in run.remaining())
            self.passed_over = run.passed_over()
            with crowd(count, quiet=self.quiet, verbose=self.verbose) as self._report:
                stopping.on_stop(lambda: self._stop(run))
                if stopping.code:
                    self._stop(run)
                for done in run:
                    named = terminal.printable(done.source)
                    failed = Row(named, error=done.error, to_fetch=done.to_fetch)
                    row = Row.of(named, done.document) if done.document else failed
                    self._report.end(row)
                    self.add(row)
            self.interrupted = stopping.code
            stopping.on_stop(lambda: None)  # all that is left to do is to tell
            if self.interrupted:
                for left in run.remaining():
                    self.add(Row(terminal.printable(left.source), error=NotFetched(self.interrupted, left.uid)))
        return count

    def _note(self, progress: Progress) -> None:
        """Take a step of a document; called from the client's threads."""
        self._report.step(progress)

    def _stop(self, run: RescueRun) -> None:
        """Begin nothing more, and say how to go on."""
        run.stop()
        terminal.say("Stopping; what was not fetched is kept by the service. Run the same command to go on.")
