"""The ledger's one writer thread, whose commits take in all that waits, and a reader.

A commit is an fsync (0.3 to 30 ms by disk). Writes are queued to one thread, which commits everything that arrived
while the last fsync ran; who needs to know that his row is on the disk waits for his future.
"""

from __future__ import annotations

import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from doc2x_sdk.errors import LedgerError
from doc2x_sdk.ledger.files import connect, ledger_error, open_reader, prepare

__all__ = ["Store"]

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]
Queued = tuple[Work, "Future[Any]"]


class Store:
    """The file, its one writer and a reader.

    Raises `LedgerError` when the file can't be used: unwritable, broken, emptied, another program's, or from a newer
    version. A broken one is copied aside and left as it is; a new one is never begun silently.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._process = os.getpid()
        existed = prepare(path)
        self._queue: queue.SimpleQueue[Queued | None] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._open = True
        self._writer = connect(path, existed=existed)
        self._reader_guard = threading.Lock()
        self._reader: sqlite3.Connection | None = None
        self._thread = threading.Thread(target=self._run, name="doc2x-ledger", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Queue a write; the future is done once it is on the disk.

        `work` runs in the writer's thread inside a transaction, after all that was queued before it. When it raises,
        its own changes are undone and the future raises.
        """
        self._check_process()
        future: Future[T] = Future()
        with self._guard:
            if not self._open:
                raise LedgerError("The ledger is closed")
            self._queue.put((work, future))
        return future

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
                raise ledger_error(error) from error

    def close(self) -> None:
        """Commit what is queued and close the file."""
        if os.getpid() != self._process:
            return
        with self._guard:
            was_open, self._open = self._open, False
            if was_open:
                self._queue.put(None)
        self._thread.join()
        with self._reader_guard:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise LedgerError("The ledger was opened before this process was forked", advice="Open it in the child.")

    def _run(self) -> None:
        try:
            while batch := self._next():
                commit(self._writer, batch)
        finally:
            with self._guard:
                self._open = False
            self._writer.close()
            for _, future in self._rest():  # after a failure of the thread itself: nobody may wait for ever
                future.set_exception(LedgerError("The ledger was closed"))

    def _next(self) -> list[Queued]:
        """Return all that is queued, at least one; nothing at the end."""
        first = self._queue.get()
        batch = [] if first is None else [first]
        return batch + self._rest()

    def _rest(self) -> list[Queued]:
        batch: list[Queued] = []
        with suppress(queue.Empty):
            while True:
                item = self._queue.get_nowait()
                if item is None:
                    self._queue.put(None)  # the end: seen again once the rest is committed
                    break
                batch.append(item)
        return batch


def commit(connection: sqlite3.Connection, batch: list[Queued]) -> None:
    """Run a batch in one transaction and settle its futures after the fsync."""
    settled: list[tuple[Future[Any], Any, BaseException | None]] = []
    failure: BaseException | None = None
    try:
        connection.execute("BEGIN IMMEDIATE")
        for work, future in batch:
            connection.execute("SAVEPOINT step")
            try:
                value = work(connection)
            except Exception as error:  # whatever a step raises belongs to its caller
                if isinstance(error, sqlite3.Error) and not connection.in_transaction:
                    raise  # a full disk has undone all of it
                connection.execute("ROLLBACK TO step")
                settled.append((future, None, error))
            else:
                settled.append((future, value, None))
            connection.execute("RELEASE step")
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        failure = ledger_error(error)
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
    if failure is not None:
        for _, future in batch:
            future.set_exception(failure)
        return
    for future, value, problem in settled:
        if problem is None:
            future.set_result(value)
        else:
            future.set_exception(ledger_error(problem) if isinstance(problem, sqlite3.Error) else problem)
