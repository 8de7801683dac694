"""Documents that the service has and is too full to begin with: when a parse ends, the eldest of them looks again."""

from __future__ import annotations

import threading
from collections import deque

from doc2x_sdk.clock import Clock

__all__ = ["HeldUp"]

SLICE = 0.1  # seconds between two looks at whether a parse has ended


class HeldUp:
    """Those of one client's documents that wait for the service to begin. Safe to use from threads.

    Only a look makes the service begin with them, and whoever is uploaded in the moment that a slot is free takes it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()

    def a_parse_ended(self) -> None:
        """Let the eldest look: a slot may be free."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()

    def wait(self, seconds: float, clock: Clock) -> None:
        """Wait until it is this one's turn, but no longer than so many seconds."""
        turn = threading.Event()
        end = clock.deadline(seconds)
        with self._lock:
            self._waiting.append(turn)
        try:
            while not turn.is_set() and not end.passed():
                clock.sleep(min(SLICE, end.left()))
        finally:
            with self._lock:
                if turn in self._waiting:
                    self._waiting.remove(turn)
