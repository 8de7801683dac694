"""How many parses and pages may be in flight: one limit an account, shared by all processes through the ledger.

It starts modest and grows quickly until the service first says that it is full; from then on it grows by one a round
and is halved each time (additive increase, multiplicative decrease).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from doc2x_sdk.ledger.rows import ParseRow

__all__ = ["admit", "grow", "halve"]

TASKS_FIRST = 10.0
PAGES_FIRST = 500.0
TASKS_MOST = 1000.0
PAGES_A_TASK = PAGES_FIRST / TASKS_FIRST
ORPHAN_SECONDS = 15 * 60.0
"""A parse whose owner died may still run at the service, which ends every parse after 15 minutes."""
SAME_EVENT = 2.0  # seconds in which several refusals count as one
PAGES_CODE = "parse_concurrency_limit"
IN_FLIGHT = "('reserving', 'uploading', 'submitted')"


def limits(connection: sqlite3.Connection, account: str) -> sqlite3.Row:
    """Return the account's row of limits, made when missing."""
    connection.execute(
        "INSERT INTO pace (account, tasks, pages) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (account, TASKS_FIRST, PAGES_FIRST),
    )
    found: sqlite3.Row = connection.execute("SELECT * FROM pace WHERE account = ?", (account,)).fetchone()
    return found


def in_flight(
    connection: sqlite3.Connection, row: ParseRow, is_alive: Callable[[str], bool], now: float
) -> tuple[int, int]:
    """Count the other tasks and pages in flight; those of dead owners while the service may still be at them."""
    found = connection.execute(
        f"SELECT owner, uid_at, state, COUNT(*), SUM(pages) FROM parse WHERE account = ? AND id != ? "  # noqa: S608
        f"AND state IN {IN_FLIGHT} GROUP BY owner, state, CASE WHEN uid_at > ? THEN 1 ELSE 0 END",
        (row.account, row.id, now - ORPHAN_SECONDS),
    ).fetchall()
    tasks = pages = 0
    for owner, uid_at, state, count, sum_pages in found:
        alive = bool(owner) and is_alive(owner)
        orphan = state != "reserving" and uid_at is not None and uid_at > now - ORPHAN_SECONDS
        if alive or orphan:
            tasks += count
            pages += sum_pages
    return tasks, pages


def admit(row: ParseRow, is_alive: Callable[[str], bool], now: float) -> Callable[[sqlite3.Connection], bool]:
    """Return the write that moves a parse to `reserving` when there is room; a first one always has it."""

    def write(connection: sqlite3.Connection) -> bool:
        limit = limits(connection, row.account)
        tasks, pages = in_flight(connection, row, is_alive, now)
        if tasks and (tasks + 1 > limit["tasks"] or pages + row.pages > limit["pages"]):
            return False
        connection.execute(
            "UPDATE parse SET state = 'reserving', attempts = attempts + 1, changed_at = ? WHERE id = ?", (now, row.id)
        )
        return True

    return write


def halve(account: str, code: str | None, now: float) -> Callable[[sqlite3.Connection], None]:
    """Return the write that halves the limit that was met: pages by its code, tasks otherwise."""

    def write(connection: sqlite3.Connection) -> None:
        limit = limits(connection, account)
        if now - limit["met_at"] < SAME_EVENT:
            return
        found = connection.execute(
            f"SELECT COUNT(*), COALESCE(SUM(pages), 0) FROM parse WHERE account = ? AND state IN {IN_FLIGHT}",  # noqa: S608
            (account,),
        ).fetchone()
        tasks, pages = limit["tasks"], limit["pages"]
        if code == PAGES_CODE:
            pages = max(PAGES_A_TASK / 2, min(pages, found[1]) / 2)
        else:
            tasks = max(1.0, min(tasks, found[0]) / 2)
        connection.execute(
            "UPDATE pace SET tasks = ?, pages = ?, met = met + 1, met_at = ? WHERE account = ?",
            (tasks, pages, now, account),
        )

    return write


def grow(account: str) -> Callable[[sqlite3.Connection], None]:
    """Return the write that makes room after a parse went through: one more task each until a limit is first met."""

    def write(connection: sqlite3.Connection) -> None:
        limit = limits(connection, account)
        step = 1.0 if limit["met"] == 0 else 1.0 / limit["tasks"]
        connection.execute(
            "UPDATE pace SET tasks = ?, pages = ? WHERE account = ?",
            (min(TASKS_MOST, limit["tasks"] + step), limit["pages"] + step * PAGES_A_TASK, account),
        )

    return write
