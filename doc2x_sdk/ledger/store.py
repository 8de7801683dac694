"""The ledger's one writer thread, whose commits take in all that waits, and a reader.

A commit is an fsync (0.3 to 30 ms by disk). Writes are queued to one thread, which commits everything that arrived
while the last fsync ran; who needs to know that his row is on the disk waits for his future. What nothing waits for
rides along with the next commit.
"""

from __future__ import annotations

import atexit
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from doc2x_sdk.errors import LedgerError
from doc2x_sdk.ledger.files import connect, ledger_error, open_reader, prepare

__all__ = ["Store"]

log = logging.getLogger("doc2x_sdk")

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]
COMPANY = 0.05
"""Seconds after a commit in which what nothing waits for is held back for the next one."""


class Queued(NamedTuple):
    """A write, and who waits for it."""

    work: Work
    future: Future[Any] | None


class Settled(NamedTuple):
    """What a write gave, or raised."""

    queued: Queued
    value: Any = None
    problem: Exception | None = None


class Store:
    """The file, its one writer and a reader.

    Raises `LedgerError` when the file can't be used: unwritable, broken, emptied, another program's, or from a newer
    version. A broken one is copied aside and left as it is; a new one is never begun silently.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._process = os.getpid()
        existed = prepare(path)
        self._queue: list[Queued] = []
        self._changed = threading.Condition()
        self._open = True
        self._urgent = False  # whether the queue has something that somebody waits for
        self._idle = False  # whether there has been no commit of late, so that nothing is held back
        self._writer = connect(path, existed=existed)
        self._place, self._identity = path.absolute(), path.stat()  # the program may change its folder
        self._reader_guard = threading.Lock()
        self._reader: sqlite3.Connection | None = None
        self._thread = threading.Thread(target=self._run, name="doc2x-ledger", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            self._writer.close()
            told = f"The ledger {path} needs a thread, and the system lets this process start none"
            raise LedgerError(told, advice="Raise its limit of threads (`ulimit -u`, or the container's).") from error
        atexit.register(self.close)

    def check_there(self) -> None:
        """Raise `LedgerError` where the file is not under its name any more: what is written no one would find."""
        try:
            if os.path.samestat(self._identity, self._place.stat()):
                return
            what = "replaced"
        except OSError:
            what = "removed"
        told = f"The ledger {self.path} was {what} while it was in use: what is paid now would be paid again"
        raise LedgerError(told, advice="Put it back, or end all that uses it, then run the same command again.")

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Queue a write; the future is done once it is on the disk.

        `work` runs in the writer's thread inside a transaction, after all that was queued before it. When it raises,
        its own changes are undone and the future raises.
        """
        future: Future[T] = Future()
        self._put(Queued(work, future))
        return future

    def later(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """Queue a write that nothing waits for, in its turn among the others; it is committed with the next of them.

        It waits for company no longer than `COMPANY`. A failure of its own is no more than logged.
        """
        self._put(Queued(work, None))

    def _put(self, queued: Queued) -> None:
        self._check_process()
        with self._changed:
            if not self._open:
                raise LedgerError(f"The ledger {self.path} is closed")
            self._queue.append(queued)
            if queued.future is not None:
                self._urgent = True
            if self._urgent or self._idle:
                self._changed.notify()

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do a write and wait until it is on the disk."""
        return self.submit(work).result()

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Look at what is committed, in this thread and without a write lock."""
        self._check_process()
        with self._reader_guard:
            try:
                if self._reader is None:
                    self._reader = open_reader(self.path)
                return work(self._reader)
            except sqlite3.Error as error:
                raise ledger_error(error, self.path) from error

    def close(self) -> None:
        """Commit what is queued and close the file."""
        if os.getpid() != self._process:
            return
        with self._changed:
            self._open = False
            self._changed.notify()
        self._thread.join()
        self._close_reader()
        atexit.unregister(self.close)

    def _close_reader(self) -> None:
        with self._reader_guard:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            told = f"The ledger {self.path} was opened before this process was forked"
            raise LedgerError(told, advice="Open it in the child.")

    def _run(self) -> None:
        try:
            while batch := self._next():
                commit(self._writer, batch, self.path)
        finally:
            with self._changed:
                self._open = False
                rest = self._queue
            self._close_reader()  # who closes last brings the log into the file, which a reader can't
            self._writer.close()
            for queued in rest:  # after a failure of the thread itself: nobody may wait for ever
                if queued.future is not None:
                    queued.future.set_exception(LedgerError(f"The ledger {self.path} was closed"))

    def _next(self) -> list[Queued]:
        """Return all that is queued, at least one; nothing at the end."""
        with self._changed:
            if not self._changed.wait_for(self._is_due, COMPANY):
                self._idle = True
                self._changed.wait_for(lambda: self._queue or not self._open)
                self._idle = False
            batch, self._queue, self._urgent = self._queue, [], False
        return batch

    def _is_due(self) -> bool:
        return self._urgent or not self._open


def commit(connection: sqlite3.Connection, batch: Sequence[Queued], path: Path) -> None:
    """Run a batch in one transaction and settle its futures after the fsync; errors name the file's `path`.

    Savepoints, which cost as much as the writes, are made only once one of them has raised: then all run again, and the
    changes of each that raises are undone.
    """
    settled: list[Settled] = []
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            settled = [Settled(queued, queued.work(connection)) for queued in batch]
        except Exception as error:  # noqa: BLE001 - found again below
            log.debug("a write to the ledger raised %s; all of its transaction are tried again", type(error).__name__)
            if connection.in_transaction:  # a full disk has undone all of it
                connection.execute("ROLLBACK")
            connection.execute("BEGIN IMMEDIATE")
            settled = [step_by_step(connection, queued) for queued in batch]
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        settled = [Settled(queued, problem=error) for queued in batch]
    for each in settled:
        settle(each, path)


def step_by_step(connection: sqlite3.Connection, queued: Queued) -> Settled:
    """Run a write whose own changes are undone when it raises; raises `sqlite3.Error` when all of them are."""
    connection.execute("SAVEPOINT step")
    try:
        settled = Settled(queued, queued.work(connection))
    except Exception as error:  # whatever a step raises belongs to its caller
        if isinstance(error, sqlite3.Error) and not connection.in_transaction:
            raise  # a full disk has undone all of it
        connection.execute("ROLLBACK TO step")
        settled = Settled(queued, problem=error)
    connection.execute("RELEASE step")
    return settled


def settle(settled: Settled, path: Path) -> None:
    """Tell who waits for a write what became of it, each by an error of his own: it is told about his document."""
    (_, future), value, problem = settled
    if isinstance(problem, sqlite3.Error):
        problem = ledger_error(problem, path)
    if future is None:
        if problem is not None:
            log.debug("a write to the ledger was lost: %s", problem)
    elif problem is not None:
        future.set_exception(problem)
    else:
        future.set_result(value)
