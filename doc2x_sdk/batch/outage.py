"""A service that gives no answer: all documents of a batch wait together, and one of them tries now and then."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from doc2x_sdk.batch.workers import LOOK
from doc2x_sdk.clock import Clock
from doc2x_sdk.errors import NetworkError
from doc2x_sdk.flow.silence import Silence, clock_time

__all__ = ["Outage", "Visit"]

PAUSE_FIRST = 1.0
PAUSE_MOST = 60.0
IN_A_ROW = 180.0  # seconds between two failures of a document that still belong together


class Outage:
    """What the threads of a batch know of the service's silence.

    Args:
        clock: time and chance.
        longest: seconds of silence after which the batch gives up.
        check: called while a document waits; may raise, which ends the wait.
        silence: what the documents at work know of it; it tells the user.
    """

    def __init__(self, clock: Clock, longest: float, check: Callable[[], None], silence: Silence) -> None:
        self._clock = clock
        self._longest = longest
        self._check = check
        self._silence = silence
        self._changed = threading.Condition()
        self._since: float | None = None
        self._pause = PAUSE_FIRST
        self._trying: Visit | None = None
        self._given_up = False  # then what is at work waits for nobody any more, and the batch ends
        self.reason: NetworkError | None = None
        """Why the batch gives up, with the last failure as its cause; None until then."""

    @contextmanager
    def visit(self) -> Iterator[Visit]:
        """Yield a document's view of it."""
        one = Visit(self)
        try:
            yield one
        finally:
            self.leave(one)

    def enter(self, one: Visit) -> None:
        """Wait while the service is silent, unless this document is the one that tries."""
        while True:
            with self._changed:
                if self._since is None or self._trying is one or self._given_up:
                    return
                if self._trying is None:
                    self._trying = one
                    return
                self._changed.wait(LOOK)
            self._check()

    def pause(self, one: Visit, seconds: float) -> float:
        """Return how long to sleep instead of so long: the document that tries does so ever more seldom."""
        with self._changed:
            if self._since is None or self._trying is not one or self._given_up:
                return seconds
            pause, self._pause = max(seconds, self._pause), min(PAUSE_MOST, self._pause * 2)
            return pause

    def silent(self, one: Visit, error: NetworkError) -> bool:
        """Wait after a failure until it is time to try again; False when the silence has lasted too long.

        So it has for one document alone where only the storage is out of reach: then `reason` is None.
        """
        with self._changed:
            now = self._clock.monotonic()
            own = one.failed(now)
            self._silence.failed(error, self._clock, asked=now if self._since is None else self._since)
            if self._since is None:
                self._since = self._silence.since or now
            if now - self._since > self._longest and not self._given_up:
                self._given_up = True
                self.reason = self._too_long(error, now - self._since)
                self._changed.notify_all()
            if self._given_up or now - one.since > self._longest:
                return False
            if self._trying is None:
                self._trying = one
            mine = self._trying is one
        if mine:
            self._clock.sleep(max(own, self._clock.uniform(0.1, 0.2)))  # `pause` makes more of it
        elif own:
            self._clock.sleep(own * self._clock.uniform(0.5, 1.0))
        return True

    def _too_long(self, last: NetworkError, lasted: float) -> NetworkError:
        began = clock_time(self._clock.now() - lasted)
        reason = NetworkError(
            f"The service gave no usable answer for {lasted:.0f} s, since {began}; the last cause: {last.message}",
            status=last.status,
            trace_id=last.trace_id,
            advice=f"How long a batch waits for it is the setting `outage` (DOC2X_OUTAGE), here {self._longest:g} s. "
            "Check the connection and the proxy settings.",
        )
        reason.__cause__ = last
        return reason

    def over(self) -> None:
        """Note that the service answered: all go on."""
        with self._changed:
            self._silence.answered(self._clock)
            self._since, self._trying, self._pause = None, None, PAUSE_FIRST
            self._changed.notify_all()

    def leave(self, one: Visit) -> None:
        """Let another document try, if it was this one's turn."""
        with self._changed:
            if self._trying is one:
                self._trying = None
                self._changed.notify_all()


class Visit:
    """One document's view of an outage; see `Outage`."""

    def __init__(self, outage: Outage) -> None:
        self._outage = outage
        self._failed_at = float("-inf")
        self._pause = 0.0
        self.since = float("inf")
        """When the first of its failures in a row was, on the monotonic clock."""

    def failed(self, now: float) -> float:
        """Note a failure; return the least seconds until the next try: none after the first, then ever more.

        They grow with its own failures, since an answer to another document, or to another question, ends the outage.
        """
        if now - self._failed_at > IN_A_ROW:
            self.since, self._pause = now, 0.0
        self._failed_at = now
        pause, self._pause = self._pause, min(PAUSE_MOST, max(PAUSE_FIRST, 2 * self._pause))
        return pause

    def enter(self) -> None:
        """Wait while the service is silent."""
        self._outage.enter(self)

    def pause(self, seconds: float) -> float:
        """Return how long to sleep instead of so long."""
        return self._outage.pause(self, seconds)

    def silent(self, error: NetworkError) -> bool:
        """Wait after a failure; False when it has lasted too long."""
        return self._outage.silent(self, error)

    def answered(self) -> None:
        """Note an answer."""
        self._outage.over()
