"""What is written about a parse and its results: each function returns a write for the ledger's one writer."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping

from doc2x_sdk.errors import LedgerError
from doc2x_sdk.ledger.rows import ParseKey, ParseRow, ResultRow, check_uid, parse_row, read_results, select

__all__ = ["change", "give_back", "record", "take"]

TAKEN = "Nothing was sent by this one. Was the folder beside the ledger removed, or is its file used under two names?"


def take(
    key: ParseKey, *, owner: str, source: str, size: int, pages: int, now: float, is_held: Callable[[ParseRow], bool]
) -> Callable[[sqlite3.Connection], ParseRow | None]:
    """Return the write that gives a parse to an owner, and makes its row where there is none.

    It gives the row as it is then; None for one that `is_held` by another process.
    """

    def write(connection: sqlite3.Connection) -> ParseRow | None:
        found = select(connection, key)
        if found is None:
            return insert(connection, key, owner, source, size=size, pages=pages, now=now)
        row = parse_row(found, read_results(connection, found["id"]))
        if is_held(row):
            return None
        connection.execute(
            "UPDATE parse SET owner = ?, source = ?, waits_at = NULL WHERE id = ?", (owner, source, row.id)
        )
        return row._replace(owner=owner, source=source)

    return write


def insert(
    connection: sqlite3.Connection, key: ParseKey, owner: str, source: str, *, size: int, pages: int, now: float
) -> ParseRow:
    """Make the row of a parse that was never seen."""
    made = connection.execute(
        "INSERT INTO parse (account, sha256, options, source, size, pages, state, owner, created_at, changed_at) "
        "VALUES (?, ?, ?, ?, ?, ?, 'planned', ?, ?, ?)",
        (key.account, key.sha256, key.options, source, size, pages, owner, now, now),
    )
    found = connection.execute("SELECT * FROM parse WHERE id = ?", (made.lastrowid,)).fetchone()
    return parse_row(found)


def give_back(row: int, owner: str) -> Callable[[sqlite3.Connection], object]:
    """Return the write that ends an owner's hold of a parse."""
    return lambda connection: connection.execute(
        "UPDATE parse SET owner = NULL, waits_at = NULL WHERE id = ? AND owner = ?", (row, owner)
    )


def change(row: int, values: Mapping[str, object], *, owner: str | None) -> Callable[[sqlite3.Connection], None]:
    """Return the write that sets columns of a parse, given by their names.

    With an `owner` it raises `LedgerError` where the parse is not his any more, and `ProtocolError` for a uid that
    another parse of the account has.
    """

    def write(connection: sqlite3.Connection) -> None:
        columns, mine = ", ".join(f"{name} = :{name}" for name in values), " AND owner = :token" if owner else ""
        if owner:
            check_uid(connection, row, values.get("uid"))
        named = {**values, "row": row, "token": owner}
        if not connection.execute(f"UPDATE parse SET {columns} WHERE id = :row{mine}", named).rowcount and owner:  # noqa: S608
            raise LedgerError("Another process has taken this document over", advice=TAKEN)

    return write


def record(row: int, result: ResultRow, now: float) -> Callable[[sqlite3.Connection], None]:
    """Return the write of a format's row, new or changed; a target belongs to the last parse that wanted it."""
    what = (result.format, result.options, result.target, result.source, result.state, result.sha256, result.reason)

    def write(connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO result (parse, format, options, target, source, state, sha256, reason, changed_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (target, format) DO UPDATE SET "
            "parse = excluded.parse, options = excluded.options, source = excluded.source, "
            "state = excluded.state, sha256 = excluded.sha256, reason = excluded.reason, "
            "changed_at = excluded.changed_at",
            (row, *what, now),
        )

    return write
