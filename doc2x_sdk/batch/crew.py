"""The threads of a rescue."""

from __future__ import annotations

import threading
from collections.abc import Generator

from doc2x_sdk.batch.done import Done
from doc2x_sdk.batch.rescue import Rescue, Task
from doc2x_sdk.batch.workers import Workers
from doc2x_sdk.flow.callbacks import CallbackRaised
from doc2x_sdk.flow.kit import Stopped

__all__ = ["Crew"]

AT_A_TIME = 8


class Crew:
    """Threads that fetch one document each, the most urgent first."""

    def __init__(self, rescue: Rescue, jobs: int | None) -> None:
        self.stop = rescue.stop
        self._rescue = rescue
        self._workers = Workers(self._work, self.stop, "doc2x-rescue")
        self._failure: Exception | None = None
        self._guard = threading.Lock()
        self._jobs = jobs or AT_A_TIME

    def results(self) -> Generator[Done]:
        """Start the threads and yield what becomes of each document, as they finish; closing it stops them.

        Raises what a callback raised, or what should not have happened, once the threads have ended.
        """
        try:
            self._workers.hire(self._jobs)
            yield from self._workers.results()
        finally:
            self.close()
        yield from self._workers.left()
        failure = self._workers.failure or self._failure
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Fetch nothing more."""
        self.stop.set()
        self._workers.leave()

    def _work(self) -> None:
        """Fetch documents until there are none or it is stopped."""
        try:
            while (taken := self._rescue.next()) is not None:
                row, tasks = taken
                for task in tasks:
                    done = self._rescue.fetched(task) if isinstance(task, Task) else task
                    if done is not None:
                        self._workers.give(done)
                self._rescue.ended(row)
        except Stopped:
            pass
        except CallbackRaised as raised:
            self._fail(raised.error)
        except Exception as error:  # noqa: BLE001 - the caller gets it
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        with self._guard:
            self._failure = self._failure or error
        self.stop.set()
