"""The ledger's file: SQLite, one writer thread, and commits that take in all that waits.

A commit is an fsync (0.3 to 30 ms by disk). Writes are queued to one thread, which commits everything that arrived
while the last fsync ran; who needs to know that his row is on the disk waits for his future.
"""

from __future__ import annotations

import logging
import os
import queue
import shutil
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from doc2x_sdk.errors import LedgerError, Locked

__all__ = ["Store"]

log = logging.getLogger("doc2x_sdk")

T = TypeVar("T")
SCHEMA_VERSION = 1
BUSY_SECONDS = 30.0
NETWORK_FILE_SYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "afpfs", "fuse.sshfs", "9p")
SCHEMA = """
CREATE TABLE parse (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    options TEXT NOT NULL,
    source TEXT NOT NULL,
    size INTEGER NOT NULL,
    pages INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN
        ('planned', 'reserving', 'uploading', 'submitted', 'parsed', 'failed', 'unknown')),
    uid TEXT,
    uid_at REAL,
    history TEXT NOT NULL DEFAULT '[]',
    attempts INTEGER NOT NULL DEFAULT 0,
    reason TEXT,
    code TEXT,
    trace_id TEXT,
    owner TEXT,
    created_at REAL NOT NULL,
    changed_at REAL NOT NULL,
    UNIQUE (account, sha256, options)
);
CREATE INDEX parse_in_flight ON parse (account, state) WHERE state IN ('reserving', 'uploading', 'submitted');
CREATE INDEX parse_uid ON parse (uid);
CREATE TABLE result (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    parse INTEGER NOT NULL REFERENCES parse (id) ON DELETE CASCADE,
    format TEXT NOT NULL,
    options TEXT NOT NULL,
    target TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('wanted', 'exporting', 'publishing', 'done', 'failed')),
    sha256 TEXT,
    reason TEXT,
    changed_at REAL NOT NULL,
    UNIQUE (target, format)
);
CREATE INDEX result_parse ON result (parse);
CREATE TABLE pace (
    account TEXT PRIMARY KEY,
    tasks REAL NOT NULL,
    pages REAL NOT NULL,
    met INTEGER NOT NULL DEFAULT 0,
    met_at REAL NOT NULL DEFAULT 0
);
"""


class Store:
    """The file and its one writer.

    Raises `LedgerError` when the file can't be used: unwritable, broken, or from a newer version. A broken one is
    copied aside and left as it is; a new one is never begun silently.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._process = os.getpid()
        prepare(path)
        self._queue: queue.SimpleQueue[tuple[Callable[[sqlite3.Connection], Any], Future[Any]] | None]
        self._queue = queue.SimpleQueue()
        self._ready: Future[None] = Future()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="doc2x-ledger", daemon=True)
        self._thread.start()
        self._ready.result()

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Queue a write; the future is done once it is on the disk.

        `work` runs in the writer's thread inside a transaction, after all that was queued before it. When it raises,
        its own changes are undone and the future raises.
        """
        if os.getpid() != self._process:
            raise LedgerError("The ledger was opened before this process was forked", advice="Open it in the child.")
        if self._closed:
            raise LedgerError("The ledger is closed")
        future: Future[T] = Future()
        self._queue.put((work, future))
        return future

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do a write and wait until it is on the disk."""
        return self.submit(work).result()

    def close(self) -> None:
        """Commit what is queued and close the file."""
        if self._closed or os.getpid() != self._process:
            return
        self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            connection = connect(self.path)
        except LedgerError as error:
            self._ready.set_exception(error)
            return
        self._ready.set_result(None)
        try:
            while (batch := self._next()) is not None:
                commit(connection, batch)
        finally:
            connection.close()

    def _next(self) -> list[tuple[Callable[[sqlite3.Connection], Any], Future[Any]]] | None:
        """Return all that is queued, at least one; None at the end."""
        first = self._queue.get()
        if first is None:
            return None
        batch = [first]
        with suppress(queue.Empty):
            while (item := self._queue.get_nowait()) is not None:
                batch.append(item)
            self._queue.put(None)
        return batch


def commit(
    connection: sqlite3.Connection, batch: list[tuple[Callable[[sqlite3.Connection], Any], Future[Any]]]
) -> None:
    """Run a batch in one transaction and settle its futures after the fsync."""
    settled: list[tuple[Future[Any], Any, BaseException | None]] = []
    failure: BaseException | None = None
    try:
        connection.execute("BEGIN IMMEDIATE")
        for work, future in batch:
            connection.execute("SAVEPOINT step")
            try:
                value = work(connection)
            except Exception as error:  # noqa: BLE001 - whatever a step raises belongs to its caller
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


def ledger_error(error: sqlite3.Error) -> LedgerError:
    """Say what a database error means for the ledger."""
    text = str(error)
    if "locked" in text or "busy" in text:
        return Locked("The ledger is locked by another process")
    if "full" in text:
        return LedgerError("No space is left for the ledger", advice="Free some space and run the same command again.")
    if "readonly" in text or "read-only" in text:
        return LedgerError("The ledger can't be written", advice="Name another file with --ledger or DOC2X_LEDGER.")
    return LedgerError(f"The ledger can't be used: {text}")


def prepare(path: Path) -> None:
    """Make the folder (0700) and the file (0600), and warn about a network file system."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        advice = "Name another file with --ledger or DOC2X_LEDGER."
        raise LedgerError(f"The ledger {path} can't be written: {error.strerror}", advice=advice) from error
    kind = file_system_of(path)
    if kind in NETWORK_FILE_SYSTEMS:
        log.warning("the ledger %s is on a network file system (%s), where its locks may not hold", path, kind)


def file_system_of(path: Path) -> str:
    """Return the kind of file system that a path is on; empty where the system doesn't tell (not Linux)."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return ""
    real = path.resolve()
    found = [(len(entry[1]), entry[2]) for entry in mounts if len(entry) > 2 and real.is_relative_to(entry[1])]
    return max(found)[1] if found else ""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file for writing: WAL and FULL set and read back, the schema made or checked."""
    unclean = path.with_name(path.name + "-wal").exists()
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    try:
        version = schema_version(connection, path)
        if unclean:
            check_integrity(connection)
        set_durable(connection, path)
        if version < SCHEMA_VERSION:
            make_schema(connection)
    except LedgerError:
        connection.close()
        raise
    except sqlite3.OperationalError as error:
        connection.close()
        raise ledger_error(error) from error
    except sqlite3.DatabaseError as error:
        connection.close()
        raise broken(path, error) from error
    return connection


def schema_version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the file's schema, 0 for a new file; raise `LedgerError` for one that this version does not know."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise LedgerError(
            f"The ledger {path} was made by a newer version (schema {version}, this one knows {SCHEMA_VERSION})",
            advice="Update doc2x-sdk, or name another file with --ledger or DOC2X_LEDGER.",
        )
    return version


def check_integrity(connection: sqlite3.Connection) -> None:
    """Raise `sqlite3.DatabaseError` when the file's pages don't fit together."""
    told = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if told != "ok":
        raise sqlite3.DatabaseError(told)


def set_durable(connection: sqlite3.Connection, path: Path) -> None:
    """Set what makes a commit survive a power cut, and read it back."""
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    if mode.lower() != "wal" or connection.execute("PRAGMA synchronous").fetchone()[0] != 2:
        raise LedgerError(f"The ledger {path} can't be made durable here (journal mode {mode})")


def make_schema(connection: sqlite3.Connection) -> None:
    """Make the tables; another process may do the same at this moment."""
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        for statement in SCHEMA.split(";"):
            if statement.strip():
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    connection.execute("COMMIT")


def broken(path: Path, error: sqlite3.Error) -> LedgerError:
    """Keep a copy of a broken ledger and say what to do; it is never replaced by a new one."""
    copy = path.with_name(path.name + ".broken")
    with suppress(OSError):
        if not copy.exists():
            shutil.copyfile(path, copy)
            copy.chmod(0o600)
    return LedgerError(
        f"The ledger {path} is broken: {error}",
        advice=f"A copy is kept as {copy.name}. Rescue what it holds with `sqlite3 {copy.name} .recover`, or name "
        "another file with --ledger; documents in it that were paid in the last 24 hours can be fetched by their uid.",
    )
