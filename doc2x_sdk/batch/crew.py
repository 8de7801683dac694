"""The threads of a rescue."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Generator
from contextlib import suppress

from doc2x_sdk.batch.done import Done
from doc2x_sdk.batch.rescue import Rescue, Task
from doc2x_sdk.flow.callbacks import CallbackRaised
from doc2x_sdk.flow.kit import Stopped

__all__ = ["Crew"]

AT_A_TIME = 8
RESULTS_AHEAD = 64  # fetched documents that wait for the caller before the threads do
LOOK = 0.2  # seconds between two looks at whether it was stopped
LEAVE_WITHIN = 2.0  # seconds that a stopped rescue waits for its threads; what they do after that costs nothing


class Crew:
    """Threads that fetch one document each, the most urgent first."""

    def __init__(self, rescue: Rescue, jobs: int | None) -> None:
        self.stop = rescue.stop
        self._rescue = rescue
        self._done: queue.Queue[Done | None] = queue.Queue(RESULTS_AHEAD)
        self._late: deque[Done] = deque()
        self._failure: Exception | None = None
        self._guard = threading.Lock()
        self._working = 0
        self._jobs = jobs or AT_A_TIME
        self._threads: list[threading.Thread] = []

    def results(self) -> Generator[Done]:
        """Start the threads and yield what becomes of each document, as they finish; closing it stops them.

        Raises what a callback raised, or what should not have happened, once the threads have ended.
        """
        try:
            self._hire()
            while (self._working or not self._done.empty()) and not self.stop.is_set():
                with suppress(queue.Empty):
                    done = self._done.get(timeout=LOOK)
                    if done is not None:
                        yield done
        finally:
            self.close()
        with suppress(queue.Empty):
            while True:
                done = self._done.get_nowait()
                if done is not None:
                    yield done
        yield from self._late
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Fetch nothing more."""
        self.stop.set()
        end = time.monotonic() + LEAVE_WITHIN
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _hire(self) -> None:
        for number in range(self._jobs):
            self._working += 1
            self._threads.append(threading.Thread(target=self._work, name=f"doc2x-rescue-{number + 1}", daemon=True))
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        """Fetch documents until there are none or it is stopped."""
        try:
            while (taken := self._rescue.next()) is not None:
                row, tasks = taken
                for task in tasks:
                    done = self._rescue.fetched(task) if isinstance(task, Task) else task
                    if done is not None:
                        self._give(done)
                self._rescue.ended(row)
        except Stopped:
            pass
        except CallbackRaised as raised:
            self._fail(raised.error)
        except Exception as error:  # noqa: BLE001 - the caller gets it
            self._fail(error)
        finally:
            with self._guard:
                self._working -= 1
            self._give(None)

    def _fail(self, error: Exception) -> None:
        with self._guard:
            self._failure = self._failure or error
        self.stop.set()

    def _give(self, done: Done | None) -> None:
        """Hand a result to the caller; once it is stopped, without waiting for him."""
        while not self.stop.is_set():
            with suppress(queue.Full):
                self._done.put(done, timeout=LOOK)
                return
        if done is not None:
            self._late.append(done)
