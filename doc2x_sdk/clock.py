"""Time and chance, handed in wherever the package waits, so that a test can hold both.

Deadlines are counted in `monotonic` seconds: a jump of the wall clock never lengthens or shortens a wait. `now`
(seconds since 1970) is for dates that people read, such as the {date} of a file name.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Clock", "Deadline"]


class Clock(NamedTuple):
    """The three clocks and the die. The defaults are the machine's own."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    uniform: Callable[[float, float], float] = random.uniform

    def deadline(self, seconds: float | None) -> Deadline:
        """Return a deadline `seconds` from now; None never comes."""
        return Deadline(self, None if seconds is None else self.monotonic() + seconds)


class Deadline(NamedTuple):
    """A moment on the monotonic clock, shared by everything that must end before it."""

    clock: Clock
    moment: float | None

    def left(self) -> float:
        """Return the seconds left: infinite without a moment, 0.0 once it has passed."""
        return float("inf") if self.moment is None else max(0.0, self.moment - self.clock.monotonic())

    def passed(self) -> bool:
        """Tell whether nothing is left."""
        return self.left() <= 0.0

    def earlier(self, seconds: float | None) -> Deadline:
        """Return the earlier of this deadline and one `seconds` from now."""
        other = self.clock.deadline(seconds)
        if self.moment is None:
            return other
        return self if other.moment is None or self.moment <= other.moment else other
