"""What the ledger's rows say, as plain values, and the questions that only read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from doc2x_sdk.errors import LedgerError

__all__ = ["RESULT_SECONDS", "ParseKey", "ParseRow", "ResultRow", "TargetRow", "parse_row", "read_jobs", "read_results"]

RESULT_SECONDS = 24 * 3600.0
"""How long the service keeps a result (Doc2X API v2, codes)."""


@dataclass(frozen=True, slots=True)
class ParseKey:
    """The identity of a paid parse: account, sha256 of the bytes, and the parse options as canonical JSON."""

    account: str
    sha256: str
    options: str


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One format of one parse and where it goes. States: wanted, exporting, publishing, done, failed."""

    format: str
    options: str
    target: str
    state: str
    sha256: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class TargetRow:
    """Whose a published file is: the row of the result, and the source that it was made of."""

    id: int
    state: str
    sha256: str | None
    source: str
    source_sha256: str


@dataclass(frozen=True, slots=True)
class ParseRow:
    """One parse. States: planned, reserving, uploading, submitted, parsed, failed, unknown.

    `id` grows in the order of the first sight. `uid_at` is when the uid was given, in seconds since 1970. `history`
    holds the uids before it, none of which was paid as far as the service told.
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
    owner: str | None
    created_at: float
    changed_at: float
    results: tuple[ResultRow, ...] = field(default=())

    def expires_at(self) -> float | None:
        """Return when the service forgets the result, in seconds since 1970; None without a uid."""
        return None if self.uid_at is None else self.uid_at + RESULT_SECONDS

    def as_dict(self) -> dict[str, Any]:
        """Return the row for JSON."""
        return asdict(self) | {"expires_at": self.expires_at()}


def parse_row(row: sqlite3.Row, results: tuple[ResultRow, ...] = ()) -> ParseRow:
    """Read a row of the table."""
    values = {name: row[name] for name in row.keys()}  # noqa: SIM118 - a Row iterates over its values
    values["history"] = tuple(json.loads(values["history"]))
    return ParseRow(**values, results=results)


def read_results(connection: sqlite3.Connection, parse: int) -> tuple[ResultRow, ...]:
    """Read the results of a parse, in the order in which they were wanted."""
    rows = connection.execute(
        "SELECT format, options, target, state, sha256, reason FROM result WHERE parse = ? ORDER BY id", (parse,)
    )
    return tuple(ResultRow(*row) for row in rows)


def read_jobs(
    path: Path, *, states: tuple[str, ...] = (), uid: str | None = None, account: str | None = None
) -> Iterator[ParseRow]:
    """Yield the parses of a ledger with their results, oldest first, without writing to it.

    Raises `LedgerError` when the file can't be read; a missing one has no rows.
    """
    if not path.exists():
        return
    where, values = ["1"], list[str]()
    if states:
        where.append(f"state IN ({', '.join('?' * len(states))})")
        values += states
    for column, value in (("uid", uid), ("account", account)):
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30.0)) as connection:
            connection.row_factory = sqlite3.Row
            query = f"SELECT * FROM parse WHERE {' AND '.join(where)} ORDER BY id"  # noqa: S608 - fixed column names
            for row in connection.execute(query, values):
                yield parse_row(row, read_results(connection, row["id"]))
    except sqlite3.Error as error:
        raise LedgerError(f"The ledger {path} can't be read: {error}") from error
