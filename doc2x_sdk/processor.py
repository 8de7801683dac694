"""One processor for the threads of a batch, where they cost least.

Python runs one of its threads at a time. On several processors each that is woken runs as far as the next lock on a
processor of its own and waits there for the one before it, which costs more than most of what it has to do. On one it
would take the processor from the thread that has the lock, to no end: so they run as what Linux calls batch work, which
waits until the other pauses or its time is up.
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

    There it takes the processor from no other, unless it had a policy of its own. Processes that were started one after
    another take different ones. Nothing is raised where the system refuses.
    """
    if sys.platform == "linux" and len(choice(os.getpid())[0]) > 1:
        _here.policy = None
        with suppress(OSError):  # musl has no such call
            _here.policy = os.sched_getscheduler(0)
        keep()


@contextmanager
def all_processors() -> Iterator[None]:
    """Let this thread run as any other during the block: what others wrote, and programs that it starts, inherit it."""
    if not hasattr(_here, "policy"):
        yield
        return
    release()
    try:
        yield
    finally:
        keep()


def keep() -> None:
    """Keep this thread on the one processor, as batch work."""
    if sys.platform == "linux":
        move(choice(os.getpid())[1])
        change_policy(os.SCHED_BATCH)


def release() -> None:
    """Let this thread run on all processors, as it did before."""
    if sys.platform == "linux":
        move(choice(os.getpid())[0])
        change_policy(os.SCHED_OTHER)


@cache
def choice(process: int) -> tuple[frozenset[int], frozenset[int]]:
    """Return the processors that a process may use, when it is first asked, and the one of them for its threads.

    None where the system does not tell.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            allowed = sorted(os.sched_getaffinity(0))
            return frozenset(allowed), frozenset({allowed[process % len(allowed)]})
    return frozenset(), frozenset()


def move(processors: frozenset[int]) -> None:
    """Let this thread run on these processors only."""
    if sys.platform == "linux":
        with suppress(OSError):  # a sandbox may refuse it, or the processors were taken away meanwhile
            os.sched_setaffinity(0, processors)


def change_policy(policy: int) -> None:
    """Give this thread a policy, unless it came with another than the usual one, or none that the system tells."""
    if sys.platform == "linux" and _here.policy == os.SCHED_OTHER:
        with suppress(OSError):
            os.sched_setscheduler(0, policy, os.sched_param(0))
