"""How every wait here behaves: what to forgive, and when to give up."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from doc2x_sdk.clock import Clock, Deadline
from doc2x_sdk.errors import AuthError, Doc2XError, NetworkError, ProtocolError, RateLimit, ResponseTooLarge, TaskFailed
from doc2x_sdk.flow.heldup import HeldUp
from doc2x_sdk.flow.pace import LONGEST_PAUSE, GrowingPace
from doc2x_sdk.flow.silence import Silence
from doc2x_sdk.service.answers import LIMIT_CODES, NOT_FOUND

__all__ = ["Forgiving"]

log = logging.getLogger("doc2x_sdk")

T = TypeVar("T")
NOT_FOUND_GRACE = 30.0  # seconds for which the service may say that it does not know a uid which it must have
HELD_UP_FIRST = 0.8  # seconds until one that a limit holds up is asked about again, if no other's parse ends
ASKED_MOST = 300.0  # seconds of a Retry-After that are waited between two polls
TROUBLE_CODES = frozenset({"internal_error", "parse_create_task_error", "parse_error"})


class Forgiving:
    """Asks one question again and again, through failures that pass.

    Forgiven until the deadline, which is the caller's to watch: HTTP 429 to a poll, which says nothing about the uid,
    and limit codes once the service was seen at work on it. Forgiven for `patience` seconds in a row: limit codes
    before that, no or unreadable answers. Forgiven a few times: the service's own trouble. Forgiven for 30 s in a row,
    of a uid that is `young` or was heard of here: that the service does not know it. Everything else is raised at once.
    Without `network` it is no poll: answers that did not come are raised, and 429 counts as a limit code.
    """

    def __init__(
        self,
        clock: Clock,
        deadline: Deadline,
        *,
        patience: float,
        retries: int,
        young: bool = False,
        network: bool = True,
    ) -> None:
        self._clock = clock
        self._patience = patience
        self._retries = retries
        self._network = network
        self._trouble = 0
        self._failing_since: float | None = None
        self._asked = 0.0
        self._known = young
        self._not_found: Deadline | None = None
        self._pace = GrowingPace(clock, first=1.0, most=LONGEST_PAUSE)
        self.deadline = deadline
        self.working = False
        """Whether the service was seen at work on the uid: a limit code then is a throttled answer, no more."""
        self._held_up = False
        self.on_limit: Callable[[str | None], None] | None = None
        """Called with the code of each limit that keeps the service from beginning."""
        self.others: HeldUp | None = None
        """Other documents, of which one that ends makes room for one that a limit holds up."""
        self.silence: Silence | None = None
        """What all documents know of the service's silence."""

    def ask(self, question: Callable[[], T]) -> T | None:
        """Return the answer; None for a failure that was forgiven. Raises the failure that is not."""
        asked = self._clock.monotonic()
        try:
            answer = question()
        except Doc2XError as error:
            self._asked = self._pause_of(error)
            failure = silence_of(error) if self._network else error
            forgiven = self.forgive(failure)
            self._heard(failure, asked)
            if not forgiven and failure is not error:
                raise failure from error
            if not forgiven:
                raise
            log.debug("asking again: %s", error)
            return None
        self._heard(None, asked)
        self._known = True
        self._trouble = 0
        self._failing_since = self._not_found = None
        self._pace = GrowingPace(self._clock, first=1.0, most=LONGEST_PAUSE)
        return answer

    def _pause_of(self, error: Doc2XError) -> float:
        """Return the seconds that the service asked to wait, as far as they are waited: it may be well much sooner."""
        asked = error.retry_after or 0.0 if isinstance(error, RateLimit) else 0.0
        if asked > ASKED_MOST:
            log.warning("the service asks to wait for %.0f s; it is asked again in %.0f s", asked, ASKED_MOST)
        return min(asked, ASKED_MOST)

    def _heard(self, error: Doc2XError | None, asked: float) -> None:
        """Let all documents know whether the service has answered."""
        if self.silence is None:
            return
        if error is None or not isinstance(error, NetworkError | ProtocolError):
            self.silence.answered(self._clock)
            return
        now = self._clock.monotonic()
        patience = self._patience - (now - (self._failing_since or now))
        self.silence.failed(error, self._clock, asked=asked, left=min(patience, self.deadline.left()))

    def forgive(self, error: Doc2XError) -> bool:
        """Tell whether to ask again after this failure."""
        if error.code == NOT_FOUND:
            self._not_found = self._not_found or self._clock.deadline(NOT_FOUND_GRACE if self._known else 0.0)
            return not self._not_found.passed()
        if error.code in TROUBLE_CODES and isinstance(error, TaskFailed):
            self._trouble += 1
            return self._trouble <= self._retries
        if isinstance(error, RateLimit):
            if self._network and error.code not in LIMIT_CODES:
                return True
            self._known = True
            if not self.working:
                if not self._held_up:
                    self._pace = GrowingPace(self._clock, first=HELD_UP_FIRST, grow=1.1, most=LONGEST_PAUSE)
                self._held_up = True
                if self.on_limit is not None:
                    self.on_limit(error.code)
            return self.working or self._within_patience()
        if isinstance(error, ResponseTooLarge) or not self._network or self._is_over(error):
            return False
        return isinstance(error, NetworkError | ProtocolError) and self._within_patience()

    def _is_over(self, error: Doc2XError) -> bool:
        """Tell whether all documents together have waited long enough for an answer."""
        return isinstance(error, NetworkError) and self.silence is not None and self.silence.is_too_long(self._clock)

    def _within_patience(self) -> bool:
        now = self._clock.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        return now - self._failing_since < self._patience

    def was_held_up(self) -> bool:
        """Tell, once, whether a limit has kept the service from beginning with the uid."""
        was, self._held_up = self._held_up, False
        return was

    def pause_after_failure(self) -> None:
        """Wait after a forgiven failure: longer each time, and as long as the service asked."""
        pause = self._pace.pause()
        if self._held_up and self.others is not None and not self._asked:
            self.others.wait(min(pause, self.deadline.left()), self._clock)
        else:
            self.sleep(max(pause, self._asked))

    def sleep(self, seconds: float) -> None:
        """Sleep, but never past the deadline."""
        self._clock.sleep(max(0.0, min(seconds, self.deadline.left())))


def silence_of(error: Doc2XError) -> Doc2XError:
    """Return the error, or what it is in an answer to a poll.

    A 503 that says when to come again is no limit of this client's, but a service that is down. A 403 without the
    service's own word is a gateway's, where the same key was let in before.
    """
    if isinstance(error, RateLimit) and error.status == 503 and error.code is None:
        return NetworkError(error.message, sent="all", status=503, trace_id=error.trace_id, uid=error.uid)
    if isinstance(error, AuthError) and error.status == 403 and error.code is None:
        return ProtocolError(error.message, status=403, trace_id=error.trace_id, uid=error.uid, advice=error.advice)
    return error
