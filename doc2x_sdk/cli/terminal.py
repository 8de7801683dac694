"""Lines on the two streams: results on stdout, everything else on stderr, and no text that either can't take."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, TextIO

import click

__all__ = [
    "above",
    "answer",
    "flush",
    "give_up",
    "hush",
    "is_terminal",
    "keep_stdout",
    "leave_dead",
    "prepare",
    "printable",
    "say",
    "show_warnings",
    "stdout",
    "unwarned",
    "warn",
    "writing",
]


def prepare() -> None:
    """Let both streams escape what their encoding lacks; an odd file name must not end a run."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


kept: list[TextIO] = []
"""Standard output as it was, while `keep_stdout` holds it."""
copies: list[int] = []
"""The descriptors that lead there then."""
STDOUT, STDERR = 1, 2


def stdout() -> TextIO | None:
    """Return the stream of the results; None where there is none."""
    return kept[-1] if kept else sys.stdout


def keep_stdout() -> Callable[[], None]:
    """Keep stdout for results: what plugins, and programs that they start, print goes to stderr. Return what ends that.

    A plugin that prints would break `--json` for whoever reads it.
    """
    stream = sys.stdout
    if stream is None or stream.closed or sys.stderr is None:
        return lambda: None
    mine = own_copy(stream)
    kept.append(mine or stream)
    sys.stdout = sys.stderr

    def end() -> None:
        kept.pop()
        sys.stdout = stream
        if mine is not None:
            os.dup2(copies.pop(), STDOUT)
            with suppress(OSError):
                mine.close()

    return end


def own_copy(stream: TextIO) -> TextIO | None:
    """Return a copy of stdout, and send what is written to its descriptor to stderr; None where it is another one's."""
    try:
        if stream.fileno() != STDOUT:
            return None
        stream.flush()
        copies.append(os.dup(STDOUT))
        os.dup2(STDERR, STDOUT)
    except OSError:
        return None
    return open(copies[-1], "w", encoding=stream.encoding, errors=stream.errors)  # noqa: PTH123 - a descriptor


def is_terminal(stream: IO[str] | None) -> bool:
    """Tell whether somebody looks at a stream; a stream that is closed or missing has no one."""
    return stream is not None and not stream.closed and stream.isatty()


def printable(text: str) -> str:
    """Return a text of one line: line breaks, control characters and surrogates are escaped."""
    if text.isprintable():
        return text
    from doc2x_sdk.flow.source import printable as escaped

    return escaped(text)


def answer(line: str) -> None:
    """Write a line of the result to stdout, now: a reader of the pipe may wait for it. Raises what `writing` raises."""
    stream = stdout()
    if stream is not None:
        with writing():
            stream.write(f"{line}\n")
            stream.flush()


def flush() -> None:
    """Let stdout write what it holds. Raises what `writing` raises."""
    stream = stdout()
    if stream is None or stream.closed:
        return
    with writing():
        stream.flush()


@contextmanager
def writing() -> Iterator[None]:
    """Write to stdout in the block: what can't be written fails at a flush, or at once where nothing is buffered.

    Raises `OutputError` when it can't be written (a full disk), and `BrokenPipeError` as it is.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        from doc2x_sdk.errors import OutputError

        hush(STDOUT, *copies)  # what is still buffered would fail once more at the end
        told = f"Standard output can't be written: {error.strerror}"
        raise OutputError(told, advice="Send it elsewhere, then run the same command again.") from None


above: list[Callable[[str], None]] = []
"""What writes messages while a bar is shown below them: it would break their lines, and so the commands in them."""


def say(text: str, *, label: str = "", colour: str | None = None) -> None:
    """Write a message to stderr, each of its lines escaped, with a coloured label on a terminal.

    Where stderr can't be written (its terminal is gone, its disk is full) the work goes on without.
    """
    if sys.stderr is None:
        return
    lines = "\n".join(printable(line) for line in text.split("\n"))
    plain = os.name == "nt" or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    if label and colour and not plain and is_terminal(sys.stderr):
        label = click.style(label, fg=colour, bold=True)
    told = f"{label} {lines}" if label else lines
    try:
        if above:
            above[-1](told)
        else:
            sys.stderr.write(f"{told}\n")
            sys.stderr.flush()
    except BrokenPipeError:
        raise
    except OSError:
        pass


def warn(text: str) -> None:
    """Write a warning to stderr."""
    say(text, label="Warning:", colour="yellow")


def show_warnings() -> Callable[[], None]:
    """Show the library's warnings on stderr, with the time; return what ends that. --verbose has them in its log."""
    import logging

    class Shown(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if log.level != logging.DEBUG:
                warn(f"{time.strftime('%H:%M:%S')} {record.getMessage()}")

    log, handler = logging.getLogger("doc2x_sdk"), Shown(logging.WARNING)
    log.addHandler(handler)
    return lambda: log.removeHandler(handler)


@contextmanager
def unwarned() -> Iterator[None]:
    """Keep the library's log quiet: what it would say is shown otherwise."""
    import logging

    log = logging.getLogger("doc2x_sdk")

    def nothing(_: logging.LogRecord) -> bool:
        return False

    log.addFilter(nothing)
    try:
        yield
    finally:
        log.removeFilter(nothing)


def hush(*descriptors: int) -> None:
    """Send what is still buffered for a closed pipe nowhere, so that the end of the process is quiet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for descriptor in descriptors or (STDOUT, *copies, STDERR):
            os.dup2(nowhere, descriptor)
    finally:
        os.close(nowhere)


def give_up() -> None:
    """Drop what stderr holds and can't write, at the end: Python would make an exit code of its own of it."""
    if sys.stderr is not None and not sys.stderr.closed:
        try:
            sys.stderr.flush()
        except OSError:
            hush(STDERR)


def leave_dead() -> None:
    """Write nowhere what would go to a terminal that was closed."""
    for descriptor in (STDOUT, *copies, STDERR):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):
                hush(descriptor)
