"""Threads that work on documents, and the one caller who takes what becomes of each as it comes."""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress

from doc2x_sdk.batch.done import Done
from doc2x_sdk.errors import ConfigError
from doc2x_sdk.flow.calls import LEAVE_WITHIN

__all__ = ["LOOK", "Workers"]

log = logging.getLogger("doc2x_sdk")

RESULTS_AHEAD = 64  # that wait for the caller before the threads do
MORE_THREADS = "Raise its limit of threads (`ulimit -u`, or the container's), then run it again; nothing was sent."
LOOK = 0.2  # seconds between two looks at whether the work was stopped


class Workers:
    """Threads that all do the same work, started as they are needed.

    Args:
        work: what each thread does until it returns; it hands over each result by `give`.
        stop: once it is set, no thread waits for the caller any more, and he for none.
        name: of the threads, before their numbers.
    """

    def __init__(self, work: Callable[[], None], stop: threading.Event, name: str) -> None:
        self._work = work
        self._stop = stop
        self._name = name
        self._done: queue.Queue[Done | None] = queue.Queue(RESULTS_AHEAD)
        self._late: deque[Done] = deque()
        self._guard = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._working = 0
        self._most = sys.maxsize
        self.failure: BaseException | None = None
        """What ended a thread, such as a callback's `sys.exit`, for the caller; then the work is stopped."""

    def hire(self, up_to: int) -> None:
        """Start threads until there have been so many, or the system allows no more, unless the work is stopped.

        Raises `ConfigError` when it allows not even one.
        """
        with self._guard:
            while not self._stop.is_set() and len(self._threads) < min(up_to, self._most):
                thread = threading.Thread(target=self._run, name=f"{self._name}-{len(self._threads) + 1}", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:
                    if not self._threads:
                        told = "The system lets this process start no thread"
                        raise ConfigError(told, advice=MORE_THREADS) from error
                    self._most = len(self._threads)
                    log.info("the system allows no more than %d threads for documents", self._most)
                else:
                    self._working += 1
                    self._threads.append(thread)

    def are(self, number: int) -> bool:
        """Tell whether so many have been started, or all that the system allows."""
        return len(self._threads) >= min(number, self._most)

    def give(self, done: Done | None) -> None:
        """Hand a result to the caller; once the work is stopped, without waiting for him."""
        while not self._stop.is_set():
            with suppress(queue.Full):
                self._done.put(done, timeout=LOOK)
                return
        if done is not None:
            self._late.append(done)

    def results(self, idle: Callable[[], None] = lambda: None, away: Callable[[], int] = lambda: 0) -> Iterator[Done]:
        """Yield results until all threads have ended or the work is stopped; `idle` is called while none comes.

        Nor is waited for as many threads as are `away`, from which nothing is to come.
        """
        while (self._working > away() or not self._done.empty()) and not self._stop.is_set():
            try:
                done = self._done.get(timeout=LOOK)
            except queue.Empty:
                idle()
                continue
            if done is not None:
                yield done

    def left(self) -> Iterator[Done]:
        """Yield what had come when the work was stopped and was not taken."""
        with suppress(queue.Empty):
            while True:
                done = self._done.get_nowait()
                if done is not None:
                    yield done
        yield from self._late

    def leave(self) -> bool:
        """Wait a little for the threads of stopped work to end; False when they were waited for before."""
        with self._guard:
            leaving, self._threads = self._threads, []
        end = time.monotonic() + LEAVE_WITHIN
        for thread in leaving:
            thread.join(max(0.0, end - time.monotonic()))
        return bool(leaving)

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - it would end this thread alone
            self.failure = self.failure or error
            self._stop.set()
        finally:
            with self._guard:
                self._working -= 1
            self.give(None)  # he may be waiting for the last
