"""When to look next: at a parse, whose end its pages and its progress foretell, and at an export."""

from __future__ import annotations

import math
import threading

from doc2x_sdk.clock import Clock

__all__ = ["LONGEST_PAUSE", "GrowingPace", "ParsePace", "ParseSpeed"]

LONGEST_PAUSE = 8.0  # seconds
SOON = 0.5  # of the estimate: the first look where looks are free
LATER = 0.9  # the same once other parses have taught what a page takes
LATE = 1.08  # of the estimate: the first look where each one takes a place from another request
LONG = 3.5  # seconds; of a longer parse it is worth a look whether it goes as it should
NEAR = 0.9  # of the way to a predicted end: a look there costs less than one that comes late
MARGIN = 0.05  # seconds behind a predicted end where looks are dear


class ParseSpeed:
    """How much longer a page takes than was assumed, as the looks at earlier parses tell. Safe to use from threads.

    A parse seen under way tells its time; of one that had ended only an upper bound is known, and a lower one of one
    that shows no progress. The guess moves in small steps towards what all of them are likeliest to have come from, if
    times spread log-normally; no single one moves it far, since a parse may have waited for a slot without a word.
    """

    MOST = math.log(30.0)
    LESSONS = 8  # parses after which an estimate is relied on
    SPREAD = 0.25  # standard deviation of the logarithm of what a page takes
    WEIGHT = 0.15
    STEP = 0.06  # of the logarithm: the most that one parse teaches

    def __init__(self) -> None:
        self._log = 0.0
        self._lessons = 0
        self._lock = threading.Lock()

    @property
    def factor(self) -> float:
        """The pages' time over what was assumed; 1 until something was learned."""
        return math.exp(self._log)

    @property
    def is_known(self) -> bool:
        """Whether enough parses have taught it that the end of the next one can be waited for."""
        return self._lessons >= self.LESSONS

    def took(self, factor: float) -> None:
        """Note that a parse takes so many times what was assumed."""
        with self._lock:
            self._move(log_of(factor) - self._log)

    def took_less(self, factor: float) -> None:
        """Note that a parse had ended by then."""
        with self._lock:
            self._move(-self.SPREAD * tail(-(log_of(factor) - self._log) / self.SPREAD))

    def took_more(self, factor: float) -> None:
        """Note that a parse showed no progress by then."""
        with self._lock:
            self._move(self.SPREAD * tail((log_of(factor) - self._log) / self.SPREAD))

    def _move(self, wanted: float) -> None:
        moved = self._log + max(-self.STEP, min(self.STEP, self.WEIGHT * wanted))
        self._log = max(-self.MOST, min(self.MOST, moved))
        self._lessons += 1


def log_of(factor: float) -> float:
    """Return the logarithm of a factor that may be next to nothing."""
    return math.log(max(factor, 1e-3))


def tail(z: float) -> float:
    """Return the density of the normal distribution at z over its share above z, both in standard deviations."""
    z = min(z, 5.0)
    share = 0.5 * math.erfc(z / math.sqrt(2.0))
    return math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi) / share


class ParsePace:
    """When to look at a parse next.

    The first look comes at half of what the pages should take, or at 90 % once eight other parses have taught what that
    is; a little after all of it where that is less than two floors, since a look between would hardly ever see the end.
    While the progress stands at 0, a pause is at most 35 % of what has passed. Once it moves, its speed between two
    looks predicts the end, and a pause is 90 % of what seems left; within two floors of the end, all of it. No pause is
    below the floor or 1 % of what has passed, nor over 8 s.

    Where looks are `dear`, since the service limits requests, it waits for the end instead: the first look comes a
    little after it should have come, unless that is over 3.5 s away, and so do those that follow a progress.
    """

    def __init__(
        self,
        clock: Clock,
        pages: int,
        *,
        floor: float,
        start: float = 0.5,
        per_page: float = 0.15,
        speed: ParseSpeed | None = None,
    ) -> None:
        self._clock = clock
        self._floor = floor
        self._start = start
        self._began = clock.monotonic()
        self._work = per_page * max(1, pages)
        self._speed = speed or ParseSpeed()
        self._learns = speed is not None
        self._moved: tuple[float, int] | None = None  # the first look that saw progress: seconds, percent
        self._still = 0.0  # seconds after which a look saw none
        self.dear = False

    def first_pause(self) -> float:
        """Return the seconds until the first look."""
        return self._jittered(self._first_look())

    def pause(self, progress: int) -> float:
        """Return the seconds until the look after one that saw this percentage, below 100."""
        elapsed = self._clock.monotonic() - self._began
        self._learn(elapsed, progress)
        if progress <= 0:
            self._still = elapsed
        due = self._first_look() - elapsed
        if progress <= 0 and due > 0:
            return self._jittered(due)
        if progress <= 0:
            left, most = max(0.0, self._estimate() - elapsed) or float("inf"), 0.35 * elapsed
        else:
            left, most = (100 - progress) / self._percent_a_second(elapsed, progress), 1.5 * elapsed
        near = left < 2 * self._floor
        wanted = left + MARGIN if self.dear else left if near else NEAR * left
        return self._jittered(max(min(wanted, most), 0.01 * elapsed))

    def ended(self) -> None:
        """Note that a look saw the end."""
        self._learn(self._clock.monotonic() - self._began, 100)

    def begin_anew(self, progress: int) -> None:
        """Count from now: a limit kept the service from beginning until a moment ago."""
        self._began = self._clock.monotonic() - (self._estimate() * progress / 100 if progress > 0 else 0.0)
        self._moved, self._still = None, 0.0

    def _first_look(self) -> float:
        estimate = self._estimate()
        at_the_end = estimate < LONG if self.dear else estimate < 2 * self._floor
        return estimate * (LATE if at_the_end else LATER if self._speed.is_known else SOON)

    def _estimate(self) -> float:
        return self._start + self._work * self._speed.factor

    def _learn(self, elapsed: float, progress: int) -> None:
        """Tell the others, once, what this parse takes."""
        if not self._learns or progress < (10 if elapsed < self._estimate() else 0):
            return
        self._learns = False
        since = max(0.0, elapsed - self._start) / self._work
        if progress >= 100:
            self._speed.took_less(since)
        elif progress >= 10:
            began = min(max(self._still, self._start), self._latest_start(elapsed, progress))
            self._speed.took((elapsed - began) * 100 / progress / self._work)
        else:
            self._speed.took_more(since)

    def _percent_a_second(self, elapsed: float, progress: int) -> float:
        """Return the speed: since progress was first seen, or since the queue should have ended."""
        if self._moved is None:
            self._moved = elapsed, progress
        since, before = self._moved
        if progress > before and elapsed > since:
            return (progress - before) / (elapsed - since)
        return progress / max(0.01, elapsed - self._queue(elapsed, progress))

    def _queue(self, elapsed: float, progress: int) -> float:
        """Return the seconds that seem to have passed before the first page: as the speed of the others has it."""
        expected = elapsed - self._work * self._speed.factor * progress / 100
        return min(max(self._still, expected), self._latest_start(elapsed, progress))

    def _latest_start(self, elapsed: float, progress: int) -> float:
        """Return when its first page began at the latest, as far as one can guess: the less is done, the later."""
        latest = elapsed - (elapsed - self._still) * progress / 100
        return latest if self._still else min(latest, 2 * self._start)

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
