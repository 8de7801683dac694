"""How many documents at a time this process has open files for, and the wait where no further one can be opened."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from doc2x_sdk.clock import Clock, Deadline
from doc2x_sdk.errors import TooManyOpenFiles
from doc2x_sdk.ledger.rows import LOCAL
from doc2x_sdk.open_files import most_open_files

__all__ = ["WORKERS_MOST", "once_open", "workers_most"]

log = logging.getLogger("doc2x_sdk")

T = TypeVar("T")

WORKERS_MOST = 200
WORKERS_HERE = 100  # of the embedded engine, which works on a few documents at a time: more would only wait
FILES_A_WORKER = 4  # open at once, and seldom more: its staging folder, a result, a connection to each host
FILES_ELSEWHERE = 80  # of the ledger and the program around the batch
WITHIN = 60.0  # seconds in which others may close their files
PAUSE = 1.0


def workers_most(account: str) -> int:
    """Return how many documents of an account this process can work on at a time."""
    most = WORKERS_HERE if account == LOCAL else WORKERS_MOST
    files = most_open_files()
    if files is None or files >= FILES_ELSEWHERE + most * FILES_A_WORKER:
        return most
    few = max(1, (files - FILES_ELSEWHERE) // FILES_A_WORKER)
    log.info("this process may open %d files (ulimit -n): at most %d documents are worked on at a time", files, few)
    return few


def once_open(work: Callable[[], T], clock: Clock, is_over: Callable[[], bool]) -> T:
    """Do some work; where it can open no further file, wait for others to close theirs and do it again.

    Raises `TooManyOpenFiles` when that lasts for a minute, or when the batch is over.
    """
    give_up: Deadline | None = None
    while True:
        try:
            return work()
        except TooManyOpenFiles as error:
            give_up = give_up or clock.deadline(WITHIN)
            if is_over() or give_up.passed():
                raise
            log.info("%s; it is tried again in %g s", error.message, PAUSE)
        clock.sleep(PAUSE)
