"""Many documents: checked ahead, the longest first, one after another through as many workers as the slots allow.

Results come as they finish. A file's error is its own; what concerns them all (the key, the quota, the budget, the
disk, the ledger) stops the rest, which are reported as not sent. A service that gives no answer is waited for.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from doc2x_sdk.clock import Clock
from doc2x_sdk.errors import (
    AuthError,
    BudgetExceeded,
    DeadlineExceeded,
    DiskFull,
    Doc2XError,
    LedgerError,
    NetworkError,
    OutputError,
    QuotaExceeded,
)
from doc2x_sdk.flow.kit import Kit, Stopped, Wish
from doc2x_sdk.flow.pipeline import convert_source
from doc2x_sdk.flow.source import Source, open_source, printable
from doc2x_sdk.models import Document, ProgressCallback

__all__ = ["Batch", "Done"]

log = logging.getLogger("doc2x_sdk")

WINDOW = 32  # documents checked ahead, among which the longest goes first
WORKERS_FIRST = 14
WORKERS_MOST = 64
RESULTS_AHEAD = 64  # finished documents that wait for the caller before workers do
LOOK = 0.2  # seconds between two looks at the stop event
STOPPING = (AuthError, QuotaExceeded, BudgetExceeded, DiskFull, LedgerError)
"""Errors that concern every document to come."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one input.

    Attributes:
        source: the path as it was given.
        document: the result; None with an error.
        error: why there is none; None without an error.
        sent: False when the batch had stopped before this input was begun.
    """

    source: str
    document: Document | None = None
    error: Doc2XError | None = None
    sent: bool = True

    @property
    def files(self) -> dict[str, Path]:
        """Format to file; empty with an error."""
        return dict(self.document.files) if self.document else {}


@dataclass(order=True, slots=True)
class Checked:
    """A checked input in the window: the longest first, then in the given order."""

    rank: tuple[int, int]
    path: Path = field(compare=False)
    source: Source = field(compare=False)
    wish: Wish = field(compare=False)


class Outage:
    """A pause that all workers share while the service gives no answer; one of them tries now and then."""

    def __init__(self, clock: Clock, longest: float) -> None:
        self._clock = clock
        self._longest = longest
        self._lock = threading.Lock()
        self._since: float | None = None
        self._pause = 1.0

    def over(self) -> None:
        """Note that an answer came."""
        with self._lock:
            self._since = None
            self._pause = 1.0

    def wait(self, error: NetworkError) -> bool:
        """Wait before the next try; False when it has lasted too long."""
        with self._lock:
            now = self._clock.monotonic()
            self._since = self._since or now
            if now - self._since > self._longest:
                return False
            pause = self._pause
            self._pause = min(60.0, self._pause * 2)
            log.warning(
                "no answer from the service for %.0f s, next try in %.0f s: %s", now - self._since, pause, error.message
            )
            self._clock.sleep(pause * self._clock.uniform(0.9, 1.0))
            return True


class Batch:
    """One batch. Iterate over `results()` once.

    Args:
        paths: the inputs; may be a generator of any length, which is read ahead by a few dozen.
        wish: what each is to become.
        kit: of the client; must have a ledger.
        jobs: most documents at a time; None lets the account's limits decide.
        fail_fast: stop at the first error.
        on_progress: called from the workers' threads.
    """

    def __init__(
        self,
        paths: Iterable[str | os.PathLike[str]],
        wish: Wish,
        kit: Kit,
        *,
        jobs: int | None = None,
        fail_fast: bool = False,
        on_progress: ProgressCallback | None = None,
    ) -> None:
        self.stop = threading.Event()
        clock = replace(kit.clock, sleep=self._sleep)
        self._sleep_plain = kit.clock.sleep
        self._kit = replace(kit, clock=clock, stop=self.stop)
        self._wish = wish
        self._paths = iter(paths)
        self._order = itertools.count()
        self._exhausted = False
        self._checking = 0
        self._window: list[Checked] = []
        self._names: set[str] = set()
        self._ready = threading.Condition()
        self._done: queue.Queue[Done | None] = queue.Queue(RESULTS_AHEAD)
        self._jobs = jobs
        self._fail_fast = fail_fast
        self._on_progress = on_progress
        self._outage = Outage(clock, kit.settings.outage)
        self._reason: Doc2XError | None = None
        self._workers = 0
        self._running = 0

    @property
    def in_flight(self) -> int:
        """How many documents are being worked on."""
        return self._running

    def results(self) -> Iterator[Done]:
        """Start the workers and yield what becomes of each input, in finishing order; closing it stops the batch."""
        try:
            with self._ready:
                self._hire()
            ended = 0
            while ended < self._workers:
                try:
                    done = self._done.get(timeout=LOOK)
                except queue.Empty:
                    continue
                if done is None:
                    ended += 1
                else:
                    yield done
            yield from self._not_sent()
        finally:
            self.stop.set()
            with self._ready:
                self._ready.notify_all()

    def _not_sent(self) -> Iterator[Done]:
        """Yield the inputs that a stop kept from being begun."""
        if self._reason is None:
            return
        names = itertools.chain(
            (each.source.name for each in self._window), (printable(str(path)) for path in self._paths)
        )
        for name in names:
            error = type(self._reason)(f"Not sent: {self._reason.message}", advice=self._reason.advice, source=name)
            yield Done(name, error=error, sent=False)

    def _sleep(self, seconds: float) -> None:
        """Sleep, unless the batch is stopped meanwhile."""
        if self.stop.is_set():
            raise Stopped
        if self._sleep_plain is not Clock().sleep:
            self._sleep_plain(seconds)
        elif self.stop.wait(seconds):
            raise Stopped

    def _hire(self) -> None:
        """Start as many workers as the account's slots can use: some parse while others export."""
        limit = WORKERS_FIRST
        if self._kit.ledger is not None:
            limit = max(limit, int(1.5 * self._kit.ledger.task_limit(self._kit.account)) + 4)
        limit = min(limit, WORKERS_MOST, self._jobs or WORKERS_MOST)
        while self._workers < limit:
            self._workers += 1
            threading.Thread(target=self._work, name=f"doc2x-{self._workers}", daemon=True).start()

    def _work(self) -> None:
        """Convert documents until there are none or the batch is stopped."""
        try:
            while not self.stop.is_set():
                checked = self._next()
                if checked is None:
                    return
                if isinstance(checked, Checked):
                    self._running += 1
                    try:
                        done = self._convert(checked)
                    finally:
                        self._running -= 1
                else:
                    done = checked
                self._judge(done)
                self._give(done)
        except Stopped:
            return
        finally:
            self._give(None)

    def _next(self) -> Checked | Done | None:
        """Return the longest checked input of the window, or an input's error; None at the end."""
        while True:
            with self._ready:
                while True:
                    if self.stop.is_set() or self._reason is not None:
                        return None
                    if len(self._window) >= WINDOW or (self._exhausted and not self._checking and self._window):
                        return heapq.heappop(self._window)
                    if self._exhausted and not self._checking:
                        return None
                    if not self._exhausted:
                        break
                    self._ready.wait(LOOK)
                taken = self._take()
            if taken is None:
                continue
            path, number, name = taken
            error = self._check(path, number, name)
            if error is not None:
                return error

    def _take(self) -> tuple[Path, int, str] | None:
        """Take the next path and fix its result's name; None at the end."""
        try:
            path = Path(next(self._paths))
        except StopIteration:
            self._exhausted = True
            self._ready.notify_all()
            return None
        key = path.stem.casefold()
        name = "{stem}-{mark}" if key in self._names else "{stem}"
        self._names.add(key)
        self._checking += 1
        return path, next(self._order), name

    def _check(self, path: Path, number: int, name: str) -> Done | None:
        """Check a path and put it into the window; return its error if it has one."""
        called = printable(str(path))
        try:
            with open_source(path, self._kit.settings, name=called) as source:
                template = self._wish.name.replace("{stem}", name.replace("{mark}", source.sha256[:8]))
                checked = Checked((-source.pages, number), path, source, replace(self._wish, name=template))
        except Doc2XError as error:
            return Done(called, error=error)
        else:
            with self._ready:
                heapq.heappush(self._window, checked)
            return None
        finally:
            with self._ready:
                self._checking -= 1
                self._ready.notify_all()

    def _convert(self, checked: Checked) -> Done:
        """Convert one document; a service that gives no answer is waited for."""
        name = checked.source.name
        while True:
            try:
                checked.source.check_unchanged()
                document = convert_source(checked.source, checked.wish, self._kit, on_progress=self._on_progress)
            except NetworkError as error:
                if isinstance(error, DeadlineExceeded) or self._outage.wait(error):
                    continue
                self._reason = self._reason or error
                return Done(name, error=error)
            except OutputError as error:
                return Done(name, error=error)
            except Doc2XError as error:
                self._outage.over()
                return Done(name, error=error)
            except OSError as error:
                return Done(name, error=Doc2XError(f"It failed on this machine: {error}", source=name))
            else:
                self._outage.over()
                return Done(name, document=document)

    def _judge(self, done: Done) -> None:
        """Stop the batch for what concerns all; otherwise see whether there is room for more workers."""
        with self._ready:
            if done.error is not None and (self._fail_fast or isinstance(done.error, STOPPING)):
                self._reason = self._reason or done.error
            if self._reason is None and not self._exhausted:
                self._hire()
            self._ready.notify_all()

    def _give(self, done: Done | None) -> None:
        """Hand a result to the caller, who may have left."""
        while not self.stop.is_set():
            try:
                self._done.put(done, timeout=LOOK)
            except queue.Full:
                continue
            return
