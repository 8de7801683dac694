"""Calls into plugin code: whatever it raises stays with the plugin, what the user's signals raise does not."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from traceback import format_tb
from types import FrameType
from typing import Any, TypeVar

from doc2x_sdk.errors import Doc2XError
from doc2x_sdk.processor import all_processors

__all__ = ["PluginRaised", "call_plugin", "log_raised", "raised_at", "told"]

log = logging.getLogger("doc2x_sdk")

T = TypeVar("T")
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))
TEXT_LENGTH = 300


class PluginRaised(Exception):
    """Plugin code raised something; it is the cause of this error, and the message tells it in one line."""


def call_plugin(call: Callable[[], T]) -> T:
    """Call plugin code and return its result.

    A Ctrl-C (or another signal whose handler raises) that arrives meanwhile goes on its way, even if the plugin
    swallowed it; the same exception raised by the plugin itself does not.

    Raises `PluginRaised` for whatever the plugin raises, `SystemExit` and `KeyboardInterrupt` included.
    """
    with handlers_watched() as raised:
        try:
            with all_processors():
                result = call()
        except BaseException as error:
            if raised:
                raise raised[-1] from None
            log_raised(raised_at(error))
            raise PluginRaised(told(error)) from error
        if raised:
            raise raised[-1]
        return result


def raised_at(error: BaseException) -> str:
    """Return the class of an exception and the lines where it was raised, without any value."""
    return f"{type(error).__name__} at\n{''.join(format_tb(error.__traceback__)).rstrip()}"


def log_raised(where: str) -> None:
    """Write to the log where a plugin raised something; `where` is from `raised_at`."""
    log.debug("a plugin raised %s", where)


@contextmanager
def handlers_watched() -> Iterator[list[BaseException]]:
    """Note what the process's signal handlers raise during the block, and put the handlers back after it.

    Only the main thread runs handlers and may set them; elsewhere there is nothing to note.
    """
    raised: list[BaseException] = []
    if threading.current_thread() is not threading.main_thread():
        yield raised
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def watched(handler: Callable[[int, FrameType | None], Any]) -> Callable[[int, FrameType | None], None]:
        def call(number: int, frame: FrameType | None) -> None:
            try:
                handler(number, frame)
            except BaseException as error:
                raised.append(error)
                raise

        return call

    try:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, watched(handler))
        yield raised
    finally:
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)


def told(error: BaseException) -> str:
    """Describe an exception in one short line that any terminal takes, even if its own text can't be had."""
    try:
        text = str(error.message if isinstance(error, Doc2XError) else error)  # our advice is for users
    except BaseException:  # noqa: BLE001 - the text of a plugin's exception is plugin code too
        text = "its text can't be shown"
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * TEXT_LENGTH]).split())
    line = line if len(line) <= TEXT_LENGTH else f"{line[:TEXT_LENGTH]}..."
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
