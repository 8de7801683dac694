"""A run of `doc2x convert` over many documents: the client's batch, its signals and its rows."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from doc2x_sdk.cli import terminal
from doc2x_sdk.cli.crowd import crowd
from doc2x_sdk.cli.exits import STOPS, exit_of
from doc2x_sdk.cli.rows import Interrupted, NotDone, Row
from doc2x_sdk.cli.run import Run
from doc2x_sdk.cli.stopping import Stopping
from doc2x_sdk.errors import Doc2XError

if TYPE_CHECKING:
    from doc2x_sdk.batch import BatchRun, Done
    from doc2x_sdk.client import Doc2X
    from doc2x_sdk.models import Progress

__all__ = ["Many"]


class Many(Run):
    """The documents of one batch and what became of them."""

    def __init__(self, *given: Any, **settings: Any) -> None:
        super().__init__(*given, **settings)
        self._flying: dict[str, str] = {}  # document -> uid, of those that the service has

    def through(self, client: Doc2X | None, stopping: Stopping, **wishes: Any) -> None:
        """Convert all items; without a client, those that can't be converted are told.

        Raises `LedgerError` and `OutputError` where no document can be begun.
        """
        for item in self.items:
            if item.error is not None:
                self.add(Row(item.name, error=item.error))
        if client is None:
            return
        # The first by path keeps a name that several would have.
        good = sorted((item for item in self.items if item.error is None), key=lambda item: item.name)
        told: set[str] = {item.name for item in self.items if item.error is not None}
        paths = [item.path for item in good]
        batch = client.convert_many(paths, to=self.to, out=str(self.out), on_progress=self._note, **wishes)
        with crowd(len(good), quiet=self.quiet, verbose=self.verbose) as self._report, batch:
            stopping.on_stop(lambda: self._stop(batch, stopping))
            if stopping.code:
                self._stop(batch, stopping)
            for done in batch:
                told.add(done.source)
                self._flying.pop(done.source, None)
                row = self._row(done)
                self._report.end(row)
                self.add(row)
            if batch.reason is not None and exit_of(batch.reason) in STOPS:  # also where all documents were begun
                self.stopped = batch.reason
            self.interrupted = stopping.code
            stopping.on_stop(lambda: None)  # all that is left to do is to close
        if self.interrupted:
            for item in self.items:
                if item.name not in told:
                    self.add(Row(item.name, error=self._left(item.name)))

    def _note(self, progress: Progress) -> None:
        """Take a step of a document; called from the batch's threads."""
        if progress.uid is not None:
            self._flying[progress.source] = progress.uid
        self._report.step(progress)

    def _stop(self, batch: BatchRun, stopping: Stopping) -> None:
        """Begin nothing more, and say how to go on."""
        batch.stop()
        again = " (again: exits at once)" if stopping.code == 130 and terminal.is_terminal(sys.stderr) else ""
        terminal.say(f"Stopping, {len(self._flying)} in flight, run the same command to go on.{again}")

    def _row(self, done: Done) -> Row:
        """Return the row of what became of one input."""
        if done.document is not None:
            return Row.of(done.source, done.document)
        if done.error is not None and not done.sent:
            cause = done.error.__cause__
            if isinstance(cause, Doc2XError):
                if self.stopped is None and cause.source == done.source:  # its own refusal, told for all of them
                    Row(done.source, error=cause).told(quiet=self.quiet, of_many=True)
                self.stopped = self.stopped or cause
            return Row(done.source, error=NotDone(exit_of(done.error), self.stopped))
        return Row(done.source, error=done.error, to_fetch=done.to_fetch)

    def _left(self, name: str) -> NotDone:
        """Return the error of a document that a signal kept from its end."""
        uid = self._flying.get(name)
        if uid is None:
            return NotDone(self.interrupted)
        error = Interrupted(self.interrupted, None if self.is_local else uid)
        error.advice = NotDone.advice_by_default
        return error
