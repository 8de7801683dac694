"""A process that may open few further files, for real: the limit is lowered and what it leaves is used up."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

__all__ = ["few_files"]


@contextmanager
def few_files(free: int = 0) -> Iterator[Callable[[], None]]:
    """Let so many further files be opened, and no more; gives what ends that before the block does."""
    resource = pytest.importorskip("resource", reason="the system has no limit of open files that can be lowered")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []

    def let_go() -> None:
        while held:
            os.close(held.pop())
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    held.append(os.open(os.devnull, os.O_RDONLY))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(held[0], 64) + free + 16, hard))
        while True:
            try:
                held.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                break
        for _ in range(free):
            os.close(held.pop())
        yield let_go
    finally:
        let_go()
