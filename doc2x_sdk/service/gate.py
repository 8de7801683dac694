"""Paces the API requests of one client, once the service has said that they come too often (HTTP 429)."""

from __future__ import annotations

import enum
import itertools
import threading
from collections import deque

from doc2x_sdk.clock import Clock, Deadline

__all__ = ["Gate", "Turn"]

MEASURED_OVER = 2.0  # seconds whose answers tell the rate that the service took
SAME_EVENT = 1.0  # seconds in which several refusals count as one,
ENOUGH = 16  # unless so many answers came between them, which tell the rate as well
FIRST_LESS = 0.9  # factor of what was answered of late, which a burst has helped to
LESS = 0.97  # factor after each further refusal, of a rate that is known by then
MORE = 1.0  # requests a second that are added in each second after the first refusal
MORE_KNOWN = 0.2  # the same after the second
SLOWEST = 1.0  # requests a second
PATIENCE = 8.0  # seconds after which a request no longer lets younger ones go first


class Turn(enum.IntEnum):
    """Who goes first of the requests that wait: the one whose document has the longest way before it."""

    BEGIN = 0
    """It begins a document, for which a slot is kept free."""
    GO_ON = 1
    """It looks at a parse, or begins an export."""
    END = 2
    """It looks at an export: nothing but its document waits for that."""


class Ticket:
    """A request that waits: its turn, and its number among all of them."""

    def __init__(self, turn: Turn, number: int) -> None:
        self.order = turn, number

    def come_of_age(self) -> None:
        """Go by the number alone, before all that came later."""
        self.order = Turn.BEGIN, self.order[1]


class Gate:
    """Lets requests through at a rate that the service takes. Safe to use from many threads.

    It is open until the first refusal. Then the rate is a tenth less than what was answered of late. What is answered
    between two refusals tells it better: the service gave all that it had. It grows slowly without a refusal. Those
    that wait go by their `Turn`, and after 8 s by age.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: deque[float] = deque(maxlen=1000)
        self._rate: float | None = None
        self._more = MORE
        self._free = 0.0  # when the next place is free
        self._refused = float("-inf")
        self._answered_since = 0
        self._numbers = itertools.count()
        self._waiting: list[Ticket] = []

    @property
    def rate(self) -> float | None:
        """Requests a second; None while there has been no refusal."""
        return self._rate

    def enter(self, *, turn: Turn, deadline: Deadline) -> None:
        """Wait until a request may leave, but not past its deadline."""
        if self._rate is None:
            return
        ticket = Ticket(turn, next(self._numbers))
        patience = self._clock.deadline(PATIENCE)
        with self._lock:
            self._waiting.append(ticket)
        try:
            while (pause := self._pause(ticket)) > 0 and not deadline.passed():
                self._clock.sleep(min(pause, deadline.left(), patience.left() or pause))
                if patience.passed():
                    ticket.come_of_age()
        finally:
            with self._lock:
                self._waiting.remove(ticket)

    def _pause(self, ticket: Ticket) -> float:
        """Take the place if it is the ticket's and return 0, else the seconds until it would be, if nobody comes."""
        with self._lock:
            interval = 1 / (self._rate or SLOWEST)
            now = self._clock.monotonic()
            ahead = sum(other.order < ticket.order for other in self._waiting)
            if not ahead and self._free <= now:
                self._free = max(self._free, now - interval) + interval  # who woke late costs nobody a place
                return 0.0
            return max(self._free + ahead * interval - now, 0.1 * interval)

    def answered(self) -> None:
        """Note an answer that was no refusal."""
        with self._lock:
            self._answers.append(self._clock.monotonic())
            self._answered_since += 1
            if self._rate is not None:
                self._rate += self._more / self._rate

    def refused(self) -> None:
        """Note a refusal."""
        with self._lock:
            now = self._clock.monotonic()
            since = now - self._refused
            if since <= 0 or (since < SAME_EVENT and self._answered_since < ENOUGH):
                return
            of_late = sum(now - instant < MEASURED_OVER for instant in self._answers) / MEASURED_OVER
            if self._rate is None:
                self._rate, self._free = max(SLOWEST, FIRST_LESS * of_late), now
            else:
                taken = self._answered_since / since
                if since > MEASURED_OVER:  # there may have been little to ask
                    taken = max(taken, of_late)
                self._rate = max(SLOWEST, LESS * min(self._rate, taken))
                self._more = MORE_KNOWN
            self._refused, self._answered_since = now, 0
