"""From paths to checked documents: read ahead by a few dozen, the longest of them first, each fifth the shortest."""

from __future__ import annotations

import heapq
import logging
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from doc2x_sdk.arguments import whole
from doc2x_sdk.batch.done import Done
from doc2x_sdk.batch.outage import Visit
from doc2x_sdk.batch.workers import LOOK
from doc2x_sdk.clock import Clock
from doc2x_sdk.errors import FileError
from doc2x_sdk.flow.calls import LEAVE_WITHIN
from doc2x_sdk.flow.source import Source, printable
from doc2x_sdk.flow.wish import Wish
from doc2x_sdk.processor import all_processors

__all__ = ["Checked", "Feed", "name_of", "no_path"]

log = logging.getLogger("doc2x_sdk")

WINDOW = 64  # documents checked ahead, among which the next is chosen
SHORT_EVERY = 5  # the share of documents that go as the shortest: their exports fill the time of the long parses
FILLED_WITHIN = 0.5  # seconds that checked documents wait for the window to fill


@dataclass(order=True, slots=True)
class Checked:
    """A checked input in the window: the longest first, then in the given order."""

    rank: tuple[int, int]
    source: Source = field(compare=False)
    wish: Wish = field(compare=False)
    visit: Visit = field(compare=False, default_factory=Visit)


Check = Callable[[Path, str, int, str], Checked | Done]


class Feed:
    """Hands out checked documents to many threads. Memory does not grow with the number of paths.

    Args:
        paths: may be a generator of any length; it is asked by one thread at a time, and may be slow. Relative ones are
            of the folder that the program is in now, wherever it is when they are taken.
        reserve: gives the template of a path's results; called for one path after another.
        check: checks a path, given with what it is called, its number and template; called from the threads that ask.
        clock: tells how long a document has waited.
    """

    def __init__(
        self,
        paths: Iterable[str | os.PathLike[str]],
        reserve: Callable[[Path], str],
        check: Check,
        clock: Clock,
    ) -> None:
        self._is_there = isinstance(paths, list | tuple)
        self._paths = iter(paths)
        self._here = whole(Path())
        self._reserve = reserve
        self._check = check
        self._clock = clock
        self._changed = threading.Condition()
        self._window: list[Checked] = []
        self._put_off: deque[Checked] = deque()
        self._handed_out = 0
        self._fill_by = 0.0
        self._taken = 0
        self._checking = 0
        self._asking = False
        self._exhausted = False
        self.failure: BaseException | None = None
        """What the iterable of paths raised, if it did."""

    @property
    def is_empty(self) -> bool:
        """Whether all documents have been handed out, but for those that were put off."""
        return self._is_over() and not self._window

    def next(self, is_stopped: Callable[[], bool]) -> Checked | Done | None:
        """Return a checked document, or an input's error; None at the end, or once it is stopped."""
        while True:
            with self._changed:
                while True:
                    if is_stopped():
                        return None
                    if self.is_empty and not self._put_off:
                        return None
                    if self._is_time_for_put_off():
                        self._fill_by = self._clock.monotonic() + FILLED_WITHIN
                        return self._put_off.popleft()
                    if self._is_ripe():
                        return self._pop()
                    if self._may_ask():
                        break
                    self._changed.wait(LOOK)
                self._asking = True
            found = self._ask()
            if found is not None:
                return found

    def put_off(self, checked: Checked) -> bool:
        """Take a document back until the others have been handed out; False when there are no others."""
        with self._changed:
            if self._is_over() and not (self._window or self._put_off):
                return False
            self._put_off.append(checked)
            return True

    def left_over(self) -> Iterator[Checked]:
        """Yield the documents that were put off; nothing may ask any more."""
        while self._put_off:
            yield self._put_off.popleft()

    def wake(self) -> None:
        """Let the threads that wait look at whether they were stopped."""
        with self._changed:
            self._changed.notify_all()

    @property
    def is_asking(self) -> bool:
        """Whether a thread is in the iterable of paths, for as long as that takes."""
        return self._asking

    def rest(self, is_stopped: Callable[[], bool]) -> Iterator[str]:
        """Yield the names of the inputs that were not handed out; nothing may begin any more.

        An iterable that lets wait for 2 s in all, or until it is stopped, is left alone with the thread that is in it.
        """
        left = LEAVE_WITHIN
        with self._changed:
            while self._checking or (self._asking and left > 0.0 and not is_stopped()):
                began = time.monotonic()
                self._changed.wait(LOOK)
                left -= time.monotonic() - began if self._asking else 0.0
            window, self._window = self._window, []
            is_left = self._asking
        yield from (each.source.name for each in sorted(window, key=lambda each: each.rank[1]))
        if self.failure is None and self._is_there:
            yield from (name_of(given) for given in self._paths)
        elif self.failure is None and not is_left:
            is_left = yield from self._drained(left, is_stopped)
        if is_left:
            log.warning("the generator of the inputs is left alone where it is; what it would still give is not told")

    def _drained(self, left: float, is_stopped: Callable[[], bool]) -> Generator[str, None, bool]:
        """Yield the names of what a generator still gives; return whether it was left alone.

        A thread of its own is in it, since it may block for ever, and can't be closed meanwhile.
        """
        names: queue.Queue[str | None] = queue.Queue(WINDOW)
        gone = threading.Event()

        def hand_over(name: str | None) -> None:
            while not gone.is_set():
                with suppress(queue.Full):
                    names.put(name, timeout=LOOK)
                    return

        def take() -> None:
            try:
                for given in self._paths:
                    hand_over(name_of(given))
                    if gone.is_set():
                        return
            except BaseException as error:  # noqa: BLE001 - as in `_ask`
                self.failure = error
            hand_over(None)

        threading.Thread(target=take, name="doc2x-inputs", daemon=True).start()
        try:
            while left > 0.0 and not is_stopped():
                began = time.monotonic()
                try:
                    name = names.get(timeout=min(left, LOOK))
                except queue.Empty:
                    left -= time.monotonic() - began
                    continue
                left -= time.monotonic() - began
                if name is None:
                    return False
                yield name
        finally:
            gone.set()
        return True

    def _may_ask(self) -> bool:
        return not self._asking and not self._exhausted and len(self._window) + self._checking < WINDOW

    def _is_over(self) -> bool:
        return self._exhausted and not self._checking and not self._asking

    def _is_time_for_put_off(self) -> bool:
        """Tell whether there are no others to go before those that were put off, or these let wait."""
        if not self._put_off or self._window:
            return False
        return self._is_over() or self._clock.monotonic() >= self._fill_by

    def _is_ripe(self) -> bool:
        """Tell whether a document of the window may go."""
        if not self._window:
            return False
        full = len(self._window) + self._checking >= WINDOW or self._is_over()
        return full or self._clock.monotonic() >= self._fill_by

    def _pop(self) -> Checked:
        self._handed_out += 1
        if self._handed_out % SHORT_EVERY:
            checked = heapq.heappop(self._window)
        else:
            checked = max(self._window)
            self._window.remove(checked)
            heapq.heapify(self._window)
        self._fill_by = self._clock.monotonic() + FILLED_WITHIN
        self._changed.notify_all()
        return checked

    def _ask(self) -> Done | None:
        """Take the next path and check it into the window; return its error if it has one."""
        path, template, odd = None, "", None
        try:
            with nullcontext() if self._is_there else all_processors():  # a list runs no code of others
                given: object = next(self._paths)
            if isinstance(given, str | os.PathLike):
                path = Path(given)
                template = self._reserve(path)
            else:
                odd = Done(name_of(given), error=no_path(given))
        except StopIteration:
            pass
        except BaseException as error:  # noqa: BLE001 - it is the caller's iterable; he gets it back, a sys.exit too
            path, self.failure = None, error
        with self._changed:
            self._asking = False
            self._changed.notify_all()
            if path is None:
                self._exhausted = odd is None
                return odd
            number = self._taken
            self._taken += 1
            self._checking += 1
        checked: Checked | Done | None = None
        try:
            checked = self._check(self._here / path, printable(str(path)), number, template)
        finally:
            with self._changed:
                self._checking -= 1
                if isinstance(checked, Checked):
                    if not self._window:
                        self._fill_by = self._clock.monotonic() + FILLED_WITHIN
                    heapq.heappush(self._window, checked)
                self._changed.notify_all()
        return checked if isinstance(checked, Done) else None


def name_of(given: object) -> str:
    """Return what an input is called, also one that is no path."""
    return printable(os.fspath(given) if isinstance(given, str | os.PathLike) else repr(given)[:60])


def no_path(given: object) -> FileError:
    """Return the error of an input that is no path; the others go on."""
    told = f"An input of a batch is a path, not {type(given).__name__}"
    return FileError(told, source=name_of(given), advice="`convert` takes bytes and open files.")
