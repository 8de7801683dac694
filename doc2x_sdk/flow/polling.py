"""How every wait here behaves: when to look, what to forgive, when to give up."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from doc2x_sdk.clock import Clock, Deadline
from doc2x_sdk.errors import Doc2XError, NetworkError, ProtocolError, RateLimit, ResponseTooLarge, TaskFailed
from doc2x_sdk.service.answers import LIMIT_CODES, NOT_FOUND

__all__ = ["Forgiving", "GrowingPace", "ParsePace"]

log = logging.getLogger("doc2x_sdk")

T = TypeVar("T")
NOT_FOUND_GRACE = 30.0  # seconds after an upload in which the service may not know its uid yet
TROUBLE_CODES = frozenset({"internal_error", "parse_create_task_error", "parse_error"})
LONGEST_PAUSE = 8.0


class ParsePace:
    """When to look at a parse next.

    The first look comes at half of what the pages should take. While the progress stands at 0, a pause is at most 35 %
    of what has passed. Once it moves, its speed between two looks predicts the end, and a pause is 85 % of what seems
    left; within two floors of the end, all of it. No pause is below the floor or 1 % of what has passed, nor over 8 s.
    """

    def __init__(self, clock: Clock, pages: int, *, floor: float, start: float = 0.5, per_page: float = 0.15) -> None:
        self._clock = clock
        self._floor = floor
        self._start = start
        self._began = clock.monotonic()
        self._estimate = start + per_page * max(1, pages)
        self._moved: tuple[float, int] | None = None  # the first look that saw progress: seconds, percent

    def first_pause(self) -> float:
        """Return the seconds until the first look."""
        return self._jittered(self._estimate / 2)

    def pause(self, progress: int) -> float:
        """Return the seconds until the look after one that saw this percentage, below 100."""
        elapsed = self._clock.monotonic() - self._began
        if progress <= 0:
            left, most = max(0.0, self._estimate - elapsed) or float("inf"), 0.35 * elapsed
        else:
            left, most = (100 - progress) / self._speed(elapsed, progress), elapsed
        wanted = left if left < 2 * self._floor else 0.85 * left
        return self._jittered(max(min(wanted, most), 0.01 * elapsed))

    def _speed(self, elapsed: float, progress: int) -> float:
        """Return percent a second: since progress was first seen, or since the queue should have ended."""
        if self._moved is None:
            self._moved = elapsed, progress
        since, before = self._moved
        if progress > before and elapsed > since:
            return (progress - before) / (elapsed - since)
        return progress / max(0.01, elapsed - min(self._start, elapsed / 2))

    def _jittered(self, wanted: float) -> float:
        """Let chance move a pause by 5 %, upwards only from the floor."""
        wanted = min(wanted, LONGEST_PAUSE) * self._clock.uniform(0.95, 1.05)
        return max(self._floor * self._clock.uniform(1.0, 1.05), wanted)


class GrowingPace:
    """Pauses that grow up to `most` seconds, each 5 % up or down by chance.

    The first is `first` seconds; those behind it begin at `then`, which is `first * grow` unless it is given.
    """

    def __init__(
        self, clock: Clock, *, first: float, then: float | None = None, grow: float = 1.3, most: float = 3.0
    ) -> None:
        self._clock = clock
        self._next = first
        self._then = first * grow if then is None else then
        self._grow = grow
        self._most = most

    def pause(self) -> float:
        """Return the seconds until the next look."""
        pause = self._next
        self._next, self._then = min(self._most, self._then), min(self._most, self._then * self._grow)
        return pause * self._clock.uniform(0.95, 1.05)


class Forgiving:
    """Asks one question again and again, through failures that pass.

    Forgiven until the deadline, which is the caller's to watch: HTTP 429 to a poll, which says nothing about the uid,
    and limit codes once the service was seen at work on it. Forgiven for `patience` seconds in a row: limit codes
    before that, no or unreadable answers. Forgiven a few times: the service's own trouble. Forgiven for 30 s after an
    upload (`fresh`): an unknown uid. Everything else is raised at once. Without `network` it is no poll: answers that
    did not come are raised, and 429 counts as a limit code.
    """

    def __init__(
        self,
        clock: Clock,
        deadline: Deadline,
        *,
        patience: float,
        retries: int,
        fresh: bool = False,
        network: bool = True,
    ) -> None:
        self._clock = clock
        self._patience = patience
        self._retries = retries
        self._network = network
        self._trouble = 0
        self._failing_since: float | None = None
        self._asked = 0.0
        self._grace = clock.deadline(NOT_FOUND_GRACE if fresh else 0.0)
        self._pace = GrowingPace(clock, first=1.0, most=LONGEST_PAUSE)
        self.deadline = deadline
        self.working = False
        """Whether the service was seen at work on the uid: a limit code then is a throttled answer, no more."""
        self.on_limit: Callable[[str | None], None] | None = None
        """Called with the code of each limit that keeps the service from beginning."""

    def ask(self, question: Callable[[], T]) -> T | None:
        """Return the answer; None for a failure that was forgiven. Raises the failure that is not."""
        try:
            answer = question()
        except Doc2XError as error:
            if not self.forgive(error):
                raise
            log.debug("asking again: %s", error)
            self._asked = error.retry_after or 0.0 if isinstance(error, RateLimit) else 0.0
            return None
        self._trouble = 0
        self._failing_since = None
        self._pace = GrowingPace(self._clock, first=1.0, most=LONGEST_PAUSE)
        return answer

    def forgive(self, error: Doc2XError) -> bool:
        """Tell whether to ask again after this failure."""
        if error.code == NOT_FOUND:
            return not self._grace.passed()
        if error.code in TROUBLE_CODES and isinstance(error, TaskFailed):
            self._trouble += 1
            return self._trouble <= self._retries
        if isinstance(error, RateLimit):
            if self._network and error.code not in LIMIT_CODES:
                return True
            if self.on_limit is not None and not self.working:
                self.on_limit(error.code)
            return self.working or self._within_patience()
        if isinstance(error, ResponseTooLarge) or not self._network:
            return False
        return isinstance(error, NetworkError | ProtocolError) and self._within_patience()

    def _within_patience(self) -> bool:
        now = self._clock.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        return now - self._failing_since < self._patience

    def pause_after_failure(self) -> None:
        """Wait after a forgiven failure: longer each time, and as long as the service asked."""
        self.sleep(max(self._pace.pause(), self._asked))

    def sleep(self, seconds: float) -> None:
        """Sleep, but never past the deadline."""
        self._clock.sleep(max(0.0, min(seconds, self.deadline.left())))
