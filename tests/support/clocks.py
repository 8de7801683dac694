"""Clocks for tests: nothing sleeps, and what would have been slept is written down."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from doc2x_sdk.clock import Clock

__all__ = ["SharedClock", "SkippingClock", "StillClock"]


class StillClock:
    """Time stands still but for `sleep` and `advance`. Chance gives its upper end, or `share` of the way to it."""

    def __init__(self, *, start: float = 1000.0, now: float = 1.7e9, share: float = 1.0) -> None:
        self.sleeps: list[float] = []
        self.wall_offset = 0.0  # add to it to let the wall clock jump
        self.on_sleep: Callable[[float], None] | None = None  # called after each sleep, with its length
        self._passed = 0.0
        self._start = start
        self._now = now
        self._share = share
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        """Seconds of the monotonic clock."""
        return self._start + self._passed

    def now(self) -> float:
        """Seconds since 1970."""
        return self._now + self._passed + self.wall_offset

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self._passed += seconds

    def sleep(self, seconds: float) -> None:
        """Write it down and let that much time pass at once."""
        assert seconds >= 0
        self.sleeps.append(seconds)
        self.advance(seconds)
        if self.on_sleep is not None:
            self.on_sleep(seconds)

    def uniform(self, low: float, high: float) -> float:
        """Chance, without chance."""
        return low + (high - low) * self._share

    @property
    def clock(self) -> Clock:
        """What the package is handed."""
        return Clock(monotonic=self.monotonic, now=self.now, sleep=self.sleep, uniform=self.uniform)


class SkippingClock(StillClock):
    """Real time, but sleeps are skipped: they count as passed at once. For limits that a silent server must meet."""

    def __init__(self, *, share: float = 1.0) -> None:
        super().__init__(start=time.monotonic(), now=time.time(), share=share)
        self._begun = time.monotonic()

    def monotonic(self) -> float:
        """Real seconds and skipped ones."""
        return super().monotonic() + time.monotonic() - self._begun

    def now(self) -> float:
        """Real seconds since 1970, and skipped ones."""
        return super().now() + time.monotonic() - self._begun


class SharedClock:
    """One time for many threads: it jumps to the next waking once all of them sleep. Chance gives its middle."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._time = 0.0
        self._awake = 0
        self._wakings: list[float] = []

    def run(self, *works: Callable[[], None]) -> None:
        """Let each work go in a thread of its own, until all have ended."""
        self._awake = len(works)
        threads = [threading.Thread(target=self._work, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()

    def monotonic(self) -> float:
        """Seconds since it was made."""
        return self._time

    def sleep(self, seconds: float) -> None:
        """Sleep until that much time has passed for all."""
        with self._changed:
            waking = self._time + seconds
            self._wakings.append(waking)
            self._awake -= 1
            self._jump()
            assert self._changed.wait_for(lambda: self._time >= waking, 30)

    @property
    def clock(self) -> Clock:
        """What the package is handed."""
        return Clock(monotonic=self.monotonic, sleep=self.sleep, uniform=lambda low, high: (low + high) / 2)

    def _work(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            with self._changed:
                self._awake -= 1
                self._jump()

    def _jump(self) -> None:
        """Go to the next waking, if nobody is awake."""
        if self._awake == 0 and self._wakings:
            self._time = max(self._time, min(self._wakings))
            self._awake = sum(waking <= self._time for waking in self._wakings)
            self._wakings = [waking for waking in self._wakings if waking > self._time]
            self._changed.notify_all()
