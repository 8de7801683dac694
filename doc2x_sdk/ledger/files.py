"""The ledger's file: SQLite in WAL mode with synchronous=FULL; made, opened and checked, never replaced silently."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import stat
import time
from contextlib import closing, suppress
from pathlib import Path

from doc2x_sdk.errors import LedgerError, Locked
from doc2x_sdk.ledger.owner import make_private_folder

__all__ = ["IN_FLIGHT", "connect", "is_one_of", "ledger_error", "open_reader", "owners_of", "prepare"]

log = logging.getLogger("doc2x_sdk")

SCHEMA_VERSION = 1
APPLICATION_ID = 0x44325831
"""Stands in the file's header, so that no other program's database is taken for a ledger."""
BUSY_SECONDS = 30.0
NETWORK_FILE_SYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "afpfs", "fuse.sshfs", "9p")
IN_FLIGHT = ("reserving", "uploading", "submitted")
"""The states of a parse that has one of the account's slots."""


def is_one_of(column: str, words: tuple[str, ...]) -> str:
    """Return the SQL that tells whether a column is one of these words.

    It is no `IN`: of three words or more SQLite then makes a table each time that it looks at a row.
    """
    return "(" + " OR ".join(f"{column} = '{word}'" for word in words) + ")"


STATES = ("planned", *IN_FLIGHT, "parsed", "failed", "unknown")
RESULT_STATES = ("wanted", "exporting", "publishing", "done", "failed")
SCHEMA = f"""
CREATE TABLE parse (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    options TEXT NOT NULL,
    source TEXT NOT NULL,
    size INTEGER NOT NULL,
    pages INTEGER NOT NULL,
    state TEXT NOT NULL CHECK {is_one_of("state", STATES)},
    uid TEXT,
    uid_at REAL,
    history TEXT NOT NULL DEFAULT '[]',
    attempts INTEGER NOT NULL DEFAULT 0,
    reason TEXT,
    code TEXT,
    trace_id TEXT,
    working INTEGER NOT NULL DEFAULT 0,
    owner TEXT,
    waits_at REAL,
    created_at REAL NOT NULL,
    changed_at REAL NOT NULL,
    UNIQUE (account, sha256, options)
);
CREATE INDEX parse_in_flight ON parse (account) WHERE {is_one_of("state", IN_FLIGHT)};
CREATE INDEX parse_waiting ON parse (account, waits_at) WHERE waits_at IS NOT NULL;
CREATE INDEX parse_uid ON parse (uid);
CREATE TABLE result (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    parse INTEGER NOT NULL REFERENCES parse (id) ON DELETE CASCADE,
    format TEXT NOT NULL,
    options TEXT NOT NULL,
    target TEXT NOT NULL,
    source TEXT NOT NULL,
    state TEXT NOT NULL CHECK {is_one_of("state", RESULT_STATES)},
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
    tasks_seen REAL NOT NULL DEFAULT 0,
    pages_seen REAL NOT NULL DEFAULT 0,
    met INTEGER NOT NULL DEFAULT 0,
    met_at REAL NOT NULL DEFAULT 0
);
"""


def ledger_error(error: sqlite3.Error, path: Path) -> LedgerError:
    """Say what a database error means for the ledger, and which file it is."""
    text = str(error)
    if "locked" in text or "busy" in text:
        return Locked(f"The ledger {path} is locked by another process")
    if "full" in text:
        advice = "Free some space there and run the same command again."
        return LedgerError(f"No space is left for the ledger {path}", advice=advice)
    if "readonly" in text or "read-only" in text:
        advice = "Name another file with --ledger or DOC2X_LEDGER."
        return LedgerError(f"The ledger {path} can't be written", advice=advice)
    return LedgerError(f"The ledger {path} can't be used: {text}")


def prepare(path: Path) -> bool:
    """Make the folder (0700) and the file (0600), warn about what may not hold, and tell whether the file was there."""
    was_used, existed = owners_of(path).exists(), path.exists()
    try:
        make_private_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.name == "posix" and stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as error:
        advice = "Name another file with --ledger or DOC2X_LEDGER."
        raise LedgerError(f"The ledger {path} can't be written: {error.strerror}", advice=advice) from error
    if was_used and not existed:
        log.warning("the ledger %s was removed since it was last used; a new one is begun", path)
    kind = file_system_of(path)
    if kind in NETWORK_FILE_SYSTEMS:
        log.warning("the ledger %s is on a network file system (%s), where its locks may not hold", path, kind)
    return existed


def owners_of(path: Path) -> Path:
    """Return the folder of the owners' marks of a ledger."""
    return path.with_name(f"{path.name}.owners")


def file_system_of(path: Path) -> str:
    """Return the kind of file system that a path is on; empty where the system doesn't tell (not Linux)."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return ""
    real = path.resolve()
    found = [(len(entry[1]), entry[2]) for entry in mounts if len(entry) > 2 and real.is_relative_to(entry[1])]
    return max(found)[1] if found else ""


def connect(path: Path, *, existed: bool = True) -> sqlite3.Connection:
    """Open the file for writing: WAL and FULL set and read back, the schema made or checked.

    Raises `LedgerError`, also for a file that `existed` and has no tables although it was in use.
    """
    unclean = path.with_name(path.name + "-wal").exists()
    was_used = owners_of(path).exists()  # looked at first: it is made after the schema
    emptied = existed and was_used and not unclean
    if unclean:
        check_integrity(path)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    try:
        version = schema_version(connection, path)
        if version == 0 and emptied:
            await_schema(connection)
        set_durable(connection, path)
        if version < SCHEMA_VERSION:
            make_schema(connection)
    except LedgerError:
        connection.close()
        raise
    except sqlite3.OperationalError as error:
        connection.close()
        raise ledger_error(error, path) from error
    except sqlite3.DatabaseError as error:
        connection.close()
        raise broken(path, error) from error
    return connection


def await_schema(connection: sqlite3.Connection) -> None:
    """Wait a second for another process that makes the schema; raise `sqlite3.DatabaseError` when there is none."""
    for _ in range(20):
        if connection.execute("PRAGMA user_version").fetchone()[0]:
            return
        time.sleep(0.05)
    raise sqlite3.DatabaseError("it is empty, though it was in use")


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the file for reading; raises `sqlite3.Error`."""
    where = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(where, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    return connection


def schema_version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the file's schema, 0 for a new file; raise `LedgerError` for one that this version does not know."""
    connection.execute("BEGIN")  # one view of all three, whatever another process is making meanwhile
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    mark = int(connection.execute("PRAGMA application_id").fetchone()[0])
    others = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
    connection.execute("COMMIT")
    if mark != APPLICATION_ID and (others or version):
        raise LedgerError(
            f"{path} is a database of another program, not a ledger",
            advice="Name another file with --ledger or DOC2X_LEDGER.",
        )
    if version > SCHEMA_VERSION:
        raise LedgerError(
            f"The ledger {path} was made by a newer version (schema {version}, this one knows {SCHEMA_VERSION})",
            advice="Update doc2x-sdk, or name another file with --ledger or DOC2X_LEDGER.",
        )
    return version


def check_integrity(path: Path) -> None:
    """Raise `LedgerError` when the file's pages, with those of its log, don't fit together.

    It is only read: who closes it after writing would bring the log into a file that it may not belong to.
    """
    try:
        with closing(open_reader(path)) as reader:
            told = reader.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError as error:
        raise ledger_error(error, path) from error
    except sqlite3.DatabaseError as error:
        raise broken(path, error) from error
    if told != "ok":
        raise broken(path, sqlite3.DatabaseError(told))


def set_durable(connection: sqlite3.Connection, path: Path) -> None:
    """Set what makes a commit survive a power cut, and read it back."""
    mode = in_wal_mode(connection, path)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA fullfsync=ON")  # macOS: an fsync alone leaves the bytes in the disk's cache
    connection.execute("PRAGMA checkpoint_fullfsync=ON")
    connection.execute("PRAGMA foreign_keys=ON")
    if mode.lower() != "wal" or connection.execute("PRAGMA synchronous").fetchone()[0] != 2:
        raise LedgerError(f"The ledger {path} can't be made durable here (journal mode {mode})")


def in_wal_mode(connection: sqlite3.Connection, path: Path) -> str:
    """Change to WAL and return the mode; SQLite does not wait by itself while another process does the same."""
    for _ in range(int(BUSY_SECONDS / 0.05)):
        try:
            return str(connection.execute("PRAGMA journal_mode=WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            time.sleep(0.05)
    raise Locked(f"The ledger {path} is locked by another process")


def make_schema(connection: sqlite3.Connection) -> None:
    """Make the tables; another process may do the same at this moment."""
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        for statement in SCHEMA.split(";"):
            if statement.strip():
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    connection.execute("COMMIT")


def broken(path: Path, error: sqlite3.Error) -> LedgerError:
    """Keep a copy of a broken ledger and say what to do; it is never replaced by a new one."""
    copy = path.with_name(path.name + ".broken")
    with suppress(OSError):
        if not copy.exists():
            for end in ("-wal", ""):  # the log belongs to the file
                if os.path.exists(f"{path}{end}"):  # noqa: PTH110 - not a path of its own
                    os.close(os.open(f"{copy}{end}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
                    shutil.copyfile(f"{path}{end}", f"{copy}{end}")
    return LedgerError(
        f"The ledger {path} is broken: {error}",
        advice=f"A copy is kept as {copy.name}. Rescue what it holds with `sqlite3 {copy.name} .recover`, or name "
        "another file with --ledger; documents in it that were paid in the last 24 hours can be fetched by their uid.",
    )
