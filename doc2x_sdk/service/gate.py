"""Paces the API requests of one client, once the service has said that they come too often (HTTP 429)."""

from __future__ import annotations

import threading
from collections import deque

from doc2x_sdk.clock import Clock, Deadline

__all__ = ["Gate"]

MEASURED_OVER = 2.0  # seconds whose answers tell the rate that the service took
SAME_EVENT = 1.0  # seconds in which several refusals count as one
FIRST_LESS = 0.82  # factor of what was answered of late, which a burst has helped to
LESS = 0.95  # factor after each further refusal
MORE = 1.0  # requests a second that are added in each second without one
SLOWEST = 1.0  # requests a second
POLL_PATIENCE = 2.0  # seconds after which a poll no longer yields


class Gate:
    """Lets requests through at a rate that the service takes. Safe to use from many threads.

    It is open until the first refusal. Then the rate is a fifth less than what was answered of late, a little less
    after each further refusal, and slowly more without one. Polls yield to work: a request that moves a
    document reserves its place, a poll goes when no place is reserved, or after 2 s all the same.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: deque[float] = deque(maxlen=1000)
        self._rate: float | None = None
        self._free = 0.0  # the next place that is not reserved
        self._refused = float("-inf")

    @property
    def rate(self) -> float | None:
        """Requests a second; None while there has been no refusal."""
        return self._rate

    def enter(self, *, poll: bool, deadline: Deadline) -> None:
        """Wait until a request may leave, but not past its deadline."""
        yields_until = self._clock.monotonic() + POLL_PATIENCE if poll else 0.0
        while True:
            with self._lock:
                if self._rate is None:
                    return
                now = self._clock.monotonic()
                place = max(now, self._free)
                reserve = place <= now or now >= yields_until
                if reserve:
                    self._free = place + 1 / self._rate
            pause = min(place - now, deadline.left())
            if pause > 0:
                self._clock.sleep(pause)
            if reserve or deadline.passed():
                return

    def answered(self) -> None:
        """Note an answer that was no refusal."""
        with self._lock:
            self._answers.append(self._clock.monotonic())
            if self._rate is not None:
                self._rate += MORE / self._rate

    def refused(self) -> None:
        """Note a refusal."""
        with self._lock:
            now = self._clock.monotonic()
            if now - self._refused < SAME_EVENT:
                return
            self._refused = now
            taken = sum(now - instant < MEASURED_OVER for instant in self._answers) / MEASURED_OVER
            if self._rate is None:
                self._rate = max(SLOWEST, FIRST_LESS * taken)
            else:
                self._rate = max(SLOWEST, LESS * min(self._rate, max(taken, SLOWEST)))
