"""A service that gives no usable answer: told early and for all documents in one, and once when it is over."""

from __future__ import annotations

import logging
import threading
import time

from doc2x_sdk.clock import Clock
from doc2x_sdk.errors import Doc2XError, NetworkError

__all__ = ["Silence", "clock_time"]

log = logging.getLogger("doc2x_sdk")

TOLD_AFTER = 15.0  # seconds; what is over before is not worth a word
TOLD_EVERY = 60.0  # seconds between two words
FORGOTTEN_AFTER = 180.0  # seconds without a question, as between two calls: nothing is known of them


class Silence:
    """What the documents of one client, or of one batch, know of the service's silence. Safe to use from threads.

    It begins with the first question that got no usable answer, and an answer to any look at a parse ends it.

    Args:
        longest: seconds without an answer for which the service is asked again; None, and answers that can't be used,
            let each document's patience decide.
    """

    def __init__(self, longest: float | None = None) -> None:
        self._longest = longest
        self._lock = threading.Lock()
        self._answered = float("-inf")
        self._told: float | None = None
        self.failed_at = float("-inf")
        """When the last question got no usable answer, on the monotonic clock."""
        self.since: float | None = None
        """When it began, on the monotonic clock; None while the service answers."""

    def failed(self, error: Doc2XError, clock: Clock, *, asked: float, left: float = 0.0) -> None:
        """Note that a question, asked at that moment, got no usable answer and is asked again for `left` seconds."""
        now = clock.monotonic()
        with self._lock:
            if self.since is None or asked - self.failed_at > FORGOTTEN_AFTER:
                self.since = asked if asked >= self._answered else now  # others were answered meanwhile
                self._told = None
            self.failed_at = now
            lasted, told = now - self.since, self._told
            if self._longest is not None and isinstance(error, NetworkError):
                left = self._longest - lasted
            if lasted < TOLD_AFTER or left <= 0 or (told is not None and now - told < TOLD_EVERY):
                return
            self._told = now
        if told is not None:
            log.warning("still no usable answer from the service, after %.0f s (%s)", lasted, error.message)
            return
        log.warning(
            "no usable answer from the service since %s (%s). It is asked again until %s. What was paid is in the "
            "receipts: after a stop the same command, or call, goes on from there, and nothing is paid twice",
            clock_time(clock.now() - lasted),
            error.message,
            clock_time(clock.now() + left),
        )

    def is_too_long(self, clock: Clock) -> bool:
        """Tell whether it has lasted longer than it is waited for."""
        with self._lock:
            if self._longest is None or self.since is None:
                return False
            return clock.monotonic() - self.since > self._longest

    def answered(self, clock: Clock) -> None:
        """Note an answer."""
        now = clock.monotonic()
        with self._lock:
            is_news = self._told is not None and now - self.failed_at <= FORGOTTEN_AFTER
            since, self.since = self.since, None
            self._answered, self._told = now, None
        if is_news and since is not None:
            log.warning("the service answers again, after %.0f s", now - since)


def clock_time(moment: float) -> str:
    """Return the local time of a moment in seconds since 1970."""
    return time.strftime("%H:%M:%S", time.localtime(moment))
