"""Signals while many documents are in work: the first stops in order, the second at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import FrameType
from typing import Any, Self

__all__ = ["Stopping"]

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class Stopping:
    """Takes Ctrl-C, SIGTERM and SIGHUP over for a with statement; one that the parent ignores stays ignored.

    The first is passed to what `on_stop` was given, in a thread of its own: a handler runs between any two steps of
    the main thread, which may hold the very lock that is needed. The second ends the process there and then; what was
    paid is in the ledger by then.

    Attributes:
        code: 0, or the exit code of the first signal.
    """

    def __init__(self) -> None:
        self.code = 0
        self._stop: Callable[[], None] | None = None
        self._before: dict[int, Any] = {}
        self._signals: SimpleQueue[bool] = SimpleQueue()  # its `put` may be called from a handler
        self._thread = threading.Thread(target=self._listen, name="doc2x-signals", daemon=True)

    def on_stop(self, stop: Callable[[], None]) -> None:
        """Say what the first signal is to do."""
        self._stop = stop

    def __enter__(self) -> Self:
        self._thread.start()
        for name in SIGNALS:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        self._signals.put(False)
        self._thread.join()

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self.code:
            os._exit(128 + number)
        self.code = 128 + number
        self._signals.put(True)

    def _listen(self) -> None:
        if self._signals.get() and self._stop is not None:
            self._stop()
