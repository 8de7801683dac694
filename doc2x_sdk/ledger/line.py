"""How the threads of one process wait for each other: for a claim, and in line for a slot."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from doc2x_sdk.clock import Clock
from doc2x_sdk.ledger.rows import ParseKey

__all__ = ["Claims", "Line", "Told"]

log = logging.getLogger("doc2x_sdk")

LOOK_AGAIN = 0.25
"""Seconds between two looks at what another process holds; within this process a wait ends with its reason."""

TOLD_AFTER, TOLD_EVERY = 15.0, 60.0
"""Seconds of a wait for another process until it is told of, and between two times."""

FURTHER_BACK = 4  # times as long until one who is not the first in line looks whether he is to stop

Check = Callable[[], None]


class Claims:
    """The parses that threads of this process hold."""

    def __init__(self) -> None:
        self._held: set[ParseKey] = set()
        self._changed = threading.Condition()

    @contextmanager
    def held(self, key: ParseKey, check: Check) -> Iterator[None]:
        """Hold a key; waits while another thread does, and calls `check` meanwhile."""
        with self._changed:
            while key in self._held:
                check()
                self._changed.wait(LOOK_AGAIN)
            self._held.add(key)
        try:
            yield
        finally:
            with self._changed:
                self._held.discard(key)
                self._changed.notify_all()

    def pause(self, clock: Clock) -> None:
        """Wait before the next look at what another process holds."""
        with self._changed:
            if not self._changed.wait(real_seconds(clock)):
                let_pass(clock)


class Told:
    """Tells of the wait for a document that another process holds: after 15 s, then once a minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next = clock.deadline(TOLD_AFTER)

    def waits(self, source: str, holder: str) -> None:
        """Tell it where it is time to."""
        if self._next.passed():
            self._next = self._clock.deadline(TOLD_EVERY)
            log.warning("%s: waiting for the process %s, which works on it", source, holder or "?")


class Line:
    """Threads that wait for a slot of an account, first come, first served; only the first one asks the ledger."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: dict[str, deque[threading.Condition]] = defaultdict(deque)
        self.count = 0
        """Grows whenever a slot may have become free."""

    @contextmanager
    def first(self, account: str, check: Check) -> Iterator[threading.Condition]:
        """Stand in line and go on as its first; the next one is let on at the end.

        Gives the thread's turn, by which it alone is woken: with a crowd in line, to wake all of it for each slot would
        cost more than all else.
        """
        turn = threading.Condition(self._guard)
        with self._guard:
            line = self._waiting[account]
            line.append(turn)
        try:
            with self._guard:
                while line[0] is not turn:
                    turn.wait(FURTHER_BACK * LOOK_AGAIN)
                    check()
            yield turn
        finally:
            with self._guard:
                line.remove(turn)
                self._wake(line)

    def freed(self) -> None:
        """Note that a slot may have become free."""
        with self._guard:
            self.count += 1
            for line in self._waiting.values():
                self._wake(line)

    def wait(self, turn: threading.Condition, seen: int, clock: Clock) -> int:
        """Wait until `count` is no longer `seen`, or it is time to look at what other processes freed."""
        with self._guard:
            changed = turn.wait_for(lambda: self.count != seen, real_seconds(clock))
            count = self.count
        if not changed:
            let_pass(clock)
        return count

    @staticmethod
    def _wake(line: deque[threading.Condition]) -> None:
        if line:
            line[0].notify()


def real_seconds(clock: Clock) -> float:
    """Return how long a wait really lasts: under a clock that is not the machine's own hardly at all."""
    return LOOK_AGAIN if clock.sleep is time.sleep else 0.005


def let_pass(clock: Clock) -> None:
    """Tell such a clock of the wait."""
    if clock.sleep is not time.sleep:
        clock.sleep(LOOK_AGAIN)
