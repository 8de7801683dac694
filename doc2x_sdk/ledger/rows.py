"""What the ledger's rows say, as plain values, and the questions that only read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, TextIO
from urllib.parse import unquote, urlsplit

from doc2x_sdk.config.settings import LOCAL
from doc2x_sdk.errors import LedgerError, ProtocolError
from doc2x_sdk.ledger.files import open_reader

__all__ = [
    "ARRIVED",
    "LOCAL",
    "PAID",
    "RESULT_SECONDS",
    "UNSENT",
    "ParseKey",
    "ParseRow",
    "ResultRow",
    "TargetRow",
    "check_uid",
    "export_jobs",
    "parse_row",
    "path_of",
    "read_jobs",
    "read_results",
    "select",
]

PAID = ("uploading", "submitted", "parsed")
"""The states of a parse that was paid for, or may have been, and has a uid."""
UNSENT = frozenset({"planned", "reserving"})
"""States in which nothing was sent."""
ARRIVED = frozenset({"submitted", "parsed"})
"""States of a parse that is paid and at the service."""
LACKS_RESULT = "EXISTS (SELECT 1 FROM result WHERE result.parse = parse.id AND result.state != 'done')"
TO_BE_DONE = """
    state = 'planned'
    AND NOT EXISTS (SELECT 1 FROM result WHERE result.parse = parse.id) -- with results: from the archive
    AND NOT (uid IS NULL AND history = '[]' AND owner IS NULL AND EXISTS (
        SELECT 1 FROM parse AS other JOIN result ON result.parse = other.id -- another account's, of the right key
        WHERE other.account IN (SELECT account FROM parse) AND other.account != parse.account
        AND other.sha256 = parse.sha256
        AND json_remove(other.options, '$.pages') = json_remove(parse.options, '$.pages')
        AND result.state = 'done' AND result.changed_at >= parse.changed_at
    ))
"""
RESULT_SECONDS = 24 * 3600.0
"""How long the service keeps a result (Doc2X API v2, codes)."""


class ParseKey(NamedTuple):
    """The identity of a paid parse: account, sha256 of the bytes, and the parse options as canonical JSON."""

    account: str
    sha256: str
    options: str


class ResultRow(NamedTuple):
    """One format of one parse and where it goes. States: wanted, exporting, publishing, done, failed.

    `options` are those of the export as canonical JSON; below `exporter` those of the format's own exporter, below
    `pages` the choice of pages, where there is one; below `processors` those of post-processors that are other than
    their defaults. `source` is the input that it was wanted of. `reason` tells why it
    failed, or that an older file has its place until it is done.
    """

    format: str
    options: str
    target: str
    source: str
    state: str
    sha256: str | None = None
    reason: str | None = None


class TargetRow(NamedTuple):
    """Whose a published file is: the row of the result, the source that it was made of, with which options, as what.

    `options` and `reason` are those of a `ResultRow`, `parse_options` those of its `ParseKey`.
    """

    id: int
    state: str
    sha256: str | None
    reason: str | None
    source: str
    source_sha256: str
    options: str
    parse_options: str
    format: str


class ParseRow(NamedTuple):
    """One parse. States: planned, reserving, uploading, submitted, parsed, failed, unknown.

    `id` grows in the order of the first sight. `uid_at` is when the uid was given, in seconds since 1970. `history`
    holds the uids before it: of uploads that never arrived, of parses that failed, or paid again on purpose. `working`
    tells whether the service was seen at work on the uid. `waits_at` is since when it waits for a slot.
    """

    id: int
    account: str
    sha256: str
    options: str
    source: str
    size: int
    pages: int
    state: str
    uid: str | None
    uid_at: float | None
    history: tuple[str, ...]
    attempts: int
    reason: str | None
    code: str | None
    trace_id: str | None
    working: bool
    owner: str | None
    waits_at: float | None
    created_at: float
    changed_at: float
    results: tuple[ResultRow, ...] = ()

    def expires_at(self) -> float | None:
        """Return when the service forgets the result, in seconds since 1970; None without a uid."""
        return None if self.uid_at is None else self.uid_at + RESULT_SECONDS

    def as_dict(self) -> dict[str, Any]:
        """Return the row for JSON."""
        results = [result._asdict() for result in self.results]
        row: dict[str, Any] = self._asdict()
        return row | {"results": results, "expires_at": self.expires_at()}


def parse_row(row: sqlite3.Row, results: tuple[ResultRow, ...] = ()) -> ParseRow:
    """Read a row of the table."""
    values = {name: row[name] for name in row.keys()}  # noqa: SIM118 - a Row iterates over its values
    values["history"] = tuple(json.loads(values["history"]))
    values["working"] = bool(values["working"])
    return ParseRow(**values, results=results)


def select(connection: sqlite3.Connection, key: ParseKey) -> sqlite3.Row | None:
    """Return the row of a parse."""
    found: sqlite3.Row | None = connection.execute(
        "SELECT * FROM parse WHERE account = ? AND sha256 = ? AND options = ?", (key.account, key.sha256, key.options)
    ).fetchone()
    return found


def check_uid(connection: sqlite3.Connection, row: int, uid: object) -> None:
    """Raise `ProtocolError` for a uid that another parse of the row's account has: the one would be stored over it."""
    other = connection.execute(
        "SELECT source FROM parse WHERE uid = ? AND id != ? AND account = (SELECT account FROM parse WHERE id = ?)",
        (uid, row, row),
    ).fetchone()
    if other is not None:
        raise ProtocolError(
            f"The service gave a uid, {uid}, that it had given before, for {other['source']}",
            advice="Nothing was sent. Run the same command again; if it goes on, report the uid to the service.",
        )


def read_results(connection: sqlite3.Connection, parse: int) -> tuple[ResultRow, ...]:
    """Read the results of a parse, in the order in which they were wanted."""
    rows = connection.execute(
        "SELECT format, options, target, source, state, sha256, reason FROM result WHERE parse = ? ORDER BY id",
        (parse,),
    )
    return tuple(ResultRow(*row) for row in rows)


def read_jobs(
    path: Path,
    *,
    states: tuple[str, ...] = (),
    uid: str | None = None,
    account: str | None = None,
    source: str | None = None,
    unfinished: bool = False,
    newest_first: bool = False,
) -> Iterator[ParseRow]:
    """Yield the parses of a ledger with their results, in the order of their first sight, without writing to it.

    Args:
        path: the ledger; a missing one has no rows.
        states: only parses in these states.
        uid: only the parse that has, or once had, this uid.
        account: only this account's.
        source: only inputs whose path holds this text.
        unfinished: only parses whose state is not an end, or with a result that is not done. One of which nothing was
            sent, and whose results another account has got since, is none.
        newest_first: the other way round.

    Raises `LedgerError` when the file can't be read.
    """
    if not path.exists():
        return
    where, values = ["1"], list[str]()
    if states:
        where.append(f"state IN ({', '.join('?' * len(states))})")
        values += states
    if uid is not None:
        where.append("(uid = ? OR EXISTS (SELECT 1 FROM json_each(history) WHERE value = ?))")
        values += [uid, uid]
    if account is not None:
        where.append("account = ?")
        values.append(account)
    if source is not None:
        where.append("INSTR(source, ?) > 0")
        values.append(source)
    if unfinished:
        where.append(f"(state NOT IN ('parsed', 'failed', 'planned') OR {TO_BE_DONE} OR {LACKS_RESULT})")
    order = "DESC" if newest_first else "ASC"
    query = f"SELECT * FROM parse WHERE {' AND '.join(where)} ORDER BY id {order}"  # noqa: S608 - fixed column names
    try:
        with closing(open_reader(path)) as connection:
            for row in connection.execute(query, values):
                yield parse_row(row, read_results(connection, row["id"]))
    except sqlite3.Error as error:
        raise LedgerError(f"The ledger {path} can't be read: {error}") from error


def export_jobs(path: Path, out: TextIO, **filters: Any) -> int:
    """Write parses as JSON Lines, one with its results a line, and return how many. Filters as for `read_jobs`."""
    count = 0
    for count, row in enumerate(read_jobs(path, **filters), 1):  # noqa: B007 - the count is the result
        out.write(json.dumps(row.as_dict(), ensure_ascii=False, sort_keys=True) + "\n")
    return count


def path_of(text: str) -> Path:
    """Return a path as a receipt holds it; see `flow.receipts.path_text`."""
    return Path(unquote(urlsplit(text).path, errors="surrogateescape")) if text.startswith("file://") else Path(text)
