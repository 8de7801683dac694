"""What a caller holds while a batch or a rescue is at work: an iterator that can be stopped."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from doc2x_sdk.batch.batch import Batch
from doc2x_sdk.batch.crew import Crew
from doc2x_sdk.batch.done import Done
from doc2x_sdk.batch.rescue import PassedOver, Rescue
from doc2x_sdk.errors import Doc2XError
from doc2x_sdk.ledger.rows import ParseRow

__all__ = ["BatchRun", "RescueRun"]


class Work(Protocol):
    """The threads behind a run."""

    stop: threading.Event

    def results(self) -> Generator[Done]:
        """Start them and yield what becomes of each document, as they finish."""

    def close(self) -> None:
        """Stop them, and wait for them for a few seconds."""


class StoppableRun:
    """An iterator of `Done` that stops the work when it is closed or dropped. Also a context manager, which closes it.

    What was paid and not fetched stays in the ledger: another run goes on with it.
    """

    def __init__(self, work: Work, client: object) -> None:
        self._client = client  # may end a server of its own when it is dropped
        self._work = work
        self._results = work.results()
        self._is_over = False
        self._cut_short: Doc2XError | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Done:
        try:
            return next(self._results)
        except StopIteration:
            if self._cut_short is not None:
                raise self._cut_short from None
            self._is_over = True
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def stop(self) -> None:
        """Let no further document begin, from any thread or a signal handler; returns at once.

        What has come by then is still given out. What is left in work is in the ledger.
        """
        self._work.stop.set()

    def close(self) -> None:
        """Stop: nothing more is sent or fetched; takes a few seconds."""
        self._is_over = True
        self._end()

    def cut_short(self, reason: Doc2XError) -> None:
        """Stop it from elsewhere; who iterates over it gets the reason, so that he does not take it for its end."""
        if not self._is_over:
            self._cut_short = reason
        self._end()

    def _end(self) -> None:
        self._work.close()
        with suppress(ValueError):  # another thread is in it, and sees the end
            self._results.close()


class BatchRun(StoppableRun):
    """A running batch."""

    def __init__(self, batch: Batch, client: object) -> None:
        super().__init__(batch, client)
        self._batch = batch

    @property
    def in_flight(self) -> int:
        """How many documents are being worked on."""
        return self._batch.in_flight

    @property
    def reason(self) -> Doc2XError | None:
        """What let no further document begin, such as an empty account or an outage; None where nothing did."""
        return self._batch.reason


class RescueRun(StoppableRun):
    """A running rescue."""

    def __init__(self, rescue: Rescue, client: object, *, jobs: int | None = None) -> None:
        super().__init__(Crew(rescue, jobs), client)
        self._rescue = rescue

    def remaining(self) -> Iterator[ParseRow]:
        """Yield the receipt of each document that is still to be fetched, the most urgent first, also before the start.

        One that goes to two places comes twice.
        """
        return self._rescue.remaining()

    def passed_over(self) -> PassedOver:
        """Count the documents that lack results and are left alone."""
        return self._rescue.passed_over()
