"""Looks for the canary key and the canary signature wherever an object, an error or a log line could show them."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import pickle
import pprint
import traceback
from collections.abc import Iterator
from urllib.parse import quote

from tests.support.wire import KEY, SIGNATURE

__all__ = ["found_in", "of_error", "of_object", "of_records"]


def found_in(text: str | bytes) -> list[str]:
    """The secrets that a text holds."""
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    return [secret for secret in (KEY, quote(KEY, safe=""), SIGNATURE) if secret in text]


def of_object(value: object) -> list[str]:
    """The secrets that an object shows: printed, copied, pickled or looked into."""
    texts: list[str | bytes] = [repr(value), str(value), f"{value}", pprint.pformat(value)]
    with contextlib.suppress(TypeError):
        texts.append(pprint.pformat(vars(value)))
    # An object may refuse to be copied or pickled; one that lets itself be must come out clean. Once Dask has sent an
    # error, those of its class are copied and pickled with their tracebacks, which may be too deep.
    with contextlib.suppress(TypeError, pickle.PicklingError, RecursionError):
        texts.append(pickle.dumps(value))
    for way in (copy.copy, copy.deepcopy):
        with contextlib.suppress(TypeError, RecursionError):
            texts.append(repr(way(value)))
    return [secret for text in texts for secret in found_in(text)]


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that it came from, whether they would be printed or not."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [each.__cause__, each.__context__]


def of_error(error: BaseException) -> list[str]:
    """The secrets that an error shows: in its words, its fields, and its traceback with the locals of each frame."""
    found: list[str] = []
    for each in chain(error):
        told = traceback.TracebackException(type(each), each, ours(each), capture_locals=True)
        found += found_in("".join(told.format()))
        found += of_object(each)
    return found


def ours(error: BaseException) -> object:
    """The traceback from the first frame inside the package on: the test's own locals know the secrets."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith(
        ("tests.", "_pytest", "contextlib")
    ):
        trace = trace.tb_next
    return trace


def of_records(records: list[logging.LogRecord]) -> list[str]:
    """The secrets in log records: the line, and what a handler would get to see of its parts."""
    stream = io.StringIO()
    for record in records:
        print(record.getMessage(), record.__dict__, logging.Formatter().format(record), file=stream)
    return found_in(stream.getvalue())
