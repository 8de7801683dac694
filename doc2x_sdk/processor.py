"""One processor for the threads of a batch, where they cost least.

Python runs one of its threads at a time. On several processors each that is woken runs as far as the next lock on a
processor of its own and waits there for the one before it, which costs more than most of what it has to do.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

__all__ = ["all_processors", "share_one_processor"]

_here = threading.local()


def share_one_processor() -> None:
    """Keep this thread on one processor, the same for all threads of the process that call this. Only Linux can.

    Processes that were started one after another take different ones. Nothing is raised where the system refuses.
    """
    allowed, chosen = choice(os.getpid())
    if len(allowed) > 1:
        move(chosen)
        _here.is_kept = True


@contextmanager
def all_processors() -> Iterator[None]:
    """Let this thread run anywhere during the block: what others wrote, and programs that it starts, inherit that."""
    if not getattr(_here, "is_kept", False):
        yield
        return
    allowed, chosen = choice(os.getpid())
    move(allowed)
    try:
        yield
    finally:
        move(chosen)


@cache
def choice(process: int) -> tuple[frozenset[int], frozenset[int]]:
    """Return the processors that a process may use, when it is first asked, and the one of them for its threads."""
    if sys.platform != "linux":
        return frozenset(), frozenset()
    allowed = sorted(os.sched_getaffinity(0))
    return frozenset(allowed), frozenset({allowed[process % len(allowed)]})


def move(processors: frozenset[int]) -> None:
    """Let this thread run on these processors only."""
    if sys.platform == "linux":
        with suppress(OSError):  # a sandbox may refuse it, or the processors were taken away meanwhile
            os.sched_setaffinity(0, processors)
