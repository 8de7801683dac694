"""How many parses and pages may be in flight: one limit an account, shared by all processes through the ledger.

It starts modest and grows quickly until the service first says that it is full; from then on it grows slowly and is
halved each time (additive increase, multiplicative decrease), but not far below what the service was seen to work on at
once, which each refusal takes less for granted. What was learned stays for the next run.
"""

from __future__ import annotations

import enum
import sqlite3
from collections.abc import Callable
from typing import cast

from doc2x_sdk.ledger.files import IN_FLIGHT, is_one_of
from doc2x_sdk.ledger.rows import ParseRow

__all__ = ["TASKS_FIRST", "Slot", "admit", "grow", "halve"]

TASKS_FIRST = 10.0
PAGES_FIRST = 500.0
TASKS_MOST = 1000.0
PAGES_MOST = 100_000.0
PAGES_A_TASK = PAGES_FIRST / TASKS_FIRST
PAGES_LEAST = PAGES_A_TASK / 2
PROBE_FROM = 1.25  # of what was seen, before a limit was met: a little more of it is hardly news
PROBE_EVERY = 8  # of those that are known, once a limit was met: what ended unnoticed has counted as at work
SEEN_KEPT = 0.95  # of what was once seen at work at once: so much of it each further refusal leaves
PAGES_STEP = 5.0  # pages that a round adds at least, once a limit was met
ORPHAN_MOST = 15 * 60.0
ORPHAN_FIRST = 30.0
ORPHAN_A_PAGE = 2.0
"""A parse whose owner died may still run at the service: so many seconds, and more a page, but not over 15 minutes,
after which the service ends every parse. One that takes longer costs no more than an answer that it is full."""
SAME_EVENT = 2.0  # seconds in which several refusals count as one
CALM = 60.0  # seconds without a limit met after which a round adds a whole task; before that, a part of one
FORGOTTEN = 3600.0  # seconds after which a limit that was met no longer slows the growth
WAITED_LONG = 5.0  # seconds after which others let a parse go first
WAITED_TOO_LONG = 65.0  # a process that was suspended while it waited does not hold up the others for ever
PAGES_CODE = "parse_concurrency_limit"
HAS_SLOT = is_one_of("state", IN_FLIGHT)  # in the words of the index: with others SQLite does without it

Alive = Callable[[str], bool]


def limits(connection: sqlite3.Connection, account: str) -> sqlite3.Row:
    """Return the account's row of limits, made when missing."""
    look = "SELECT * FROM pace WHERE account = ?"
    found: sqlite3.Row | None = connection.execute(look, (account,)).fetchone()
    if found is None:
        connection.execute(
            "INSERT INTO pace (account, tasks, pages) VALUES (?, ?, ?)", (account, TASKS_FIRST, PAGES_FIRST)
        )
        found = connection.execute(look, (account,)).fetchone()
    return cast(sqlite3.Row, found)


def in_flight(
    connection: sqlite3.Connection, row: ParseRow, is_alive: Alive, now: float, *, but: int = -1
) -> tuple[int, int]:
    """Count the tasks and pages in flight on a row's account, but for one row.

    Those of dead owners count while the service may be at them. The row's own is alive, and most often has them all.
    """
    among = {"account": row.account, "but": but, "now": now, "owner": row.owner}
    count, own, own_pages = connection.execute(
        "SELECT COUNT(*), COALESCE(SUM(owner IS :owner), 0), COALESCE(SUM(pages), 0) "  # noqa: S608 - fixed words
        f"FROM parse WHERE account = :account AND id != :but AND {HAS_SLOT}",
        among,
    ).fetchone()
    if count == own:
        return count, own_pages
    found = connection.execute(
        f"SELECT owner, COUNT(*), SUM(pages), "  # noqa: S608 - fixed words
        f"state != 'reserving' AND uid_at IS NOT NULL AND "
        f"ABS(uid_at - :now) < MIN({ORPHAN_MOST}, {ORPHAN_FIRST} + {ORPHAN_A_PAGE} * pages) AS recent "
        f"FROM parse WHERE account = :account AND id != :but AND {HAS_SLOT} GROUP BY owner, recent",
        among,
    ).fetchall()
    tasks = pages = 0
    for owner, count, sum_pages, recent in found:
        if recent or (owner and is_alive(owner)):
            tasks += count
            pages += sum_pages
    return tasks, pages


def is_growing(limit: sqlite3.Row, now: float) -> bool:
    """Tell whether no limit was met of late, so that the room still doubles with each round."""
    return not limit["met"] or abs(now - limit["met_at"]) >= FORGOTTEN


def is_half_full(count: int, room: float) -> bool:
    """Tell whether so much of the room is in use that more of it is made."""
    return 2 * count >= room


def at_work(connection: sqlite3.Connection, account: str) -> tuple[int, int]:
    """Count the tasks and pages that the service was seen to work on and that have not ended as far as is known."""
    found = connection.execute(
        f"SELECT COUNT(*), COALESCE(SUM(pages), 0) FROM parse "  # noqa: S608 - fixed words
        f"WHERE account = ? AND working AND owner IS NOT NULL AND {HAS_SLOT}",
        (account,),
    ).fetchone()
    return int(found[0]), int(found[1])


class Slot(enum.Enum):
    """What came of asking for a slot."""

    NONE = "none"
    SPARE = "spare"
    """Of a room that no limit was met in, less than half is in use, and the service worked on about as much: to see it
    at work on this one teaches nothing."""
    KNOWN = "known"
    """The service worked on as many before; where no limit was met, on four fifths as many."""
    PROBING = "probing"
    """It is more than the service is known to take, so that an early look at it teaches."""


def admit(row: ParseRow, is_alive: Alive, now: float) -> Callable[[sqlite3.Connection], Slot]:
    """Return the write that moves a parse to `reserving` when there is room; a first one always has it.

    One that waited for long goes before those that came later, so that small documents don't starve a large one.
    """

    def write(connection: sqlite3.Connection) -> Slot:
        limit = limits(connection, row.account)
        tasks, pages = in_flight(connection, row, is_alive, now, but=row.id)
        full = tasks and (tasks + 1 > limit["tasks"] or pages + row.pages > limit["pages"])
        if full or let_first(connection, row, is_alive, now):
            connection.execute(
                "UPDATE parse SET waits_at = :now WHERE id = :id AND (waits_at IS NULL OR waits_at < :stale)",
                {"now": now, "id": row.id, "stale": now - WAITED_TOO_LONG},
            )
            return Slot.NONE
        connection.execute(
            "UPDATE parse SET state = 'reserving', attempts = attempts + 1, working = 0, waits_at = NULL, "
            "changed_at = ? WHERE id = ?",
            (now, row.id),
        )
        is_needed = is_half_full(tasks + 1, limit["tasks"]) or is_half_full(pages + row.pages, limit["pages"])
        growing = is_growing(limit, now)
        reach = PROBE_FROM if growing else 1.0
        is_known = tasks + 1 <= reach * limit["tasks_seen"] and pages + row.pages <= reach * limit["pages_seen"]
        if growing and is_known:
            return Slot.KNOWN if is_needed else Slot.SPARE
        if growing:
            return Slot.PROBING
        return Slot.PROBING if not is_known or row.id % PROBE_EVERY == 0 else Slot.KNOWN

    return write


def let_first(connection: sqlite3.Connection, row: ParseRow, is_alive: Alive, now: float) -> bool:
    """Tell whether another parse has waited for long, and longer than this one."""
    mine = connection.execute("SELECT waits_at FROM parse WHERE id = ?", (row.id,)).fetchone()
    since = now if mine is None or mine[0] is None else mine[0]
    elder = connection.execute(
        "SELECT owner FROM parse WHERE account = ? AND id != ? AND waits_at < ? AND waits_at > ? "
        "AND state = 'planned' AND owner IS NOT NULL ORDER BY waits_at LIMIT 1",
        (row.account, row.id, min(since, now - WAITED_LONG), now - WAITED_TOO_LONG),
    ).fetchone()
    return elder is not None and is_alive(elder[0])


def halve(row: ParseRow, code: str | None, is_alive: Alive, now: float) -> Callable[[sqlite3.Connection], None]:
    """Return the write that halves the limit that was met: pages by its code, tasks otherwise."""

    def write(connection: sqlite3.Connection) -> None:
        limit = limits(connection, row.account)
        if abs(now - limit["met_at"]) < SAME_EVENT:
            return
        in_tasks, in_pages = in_flight(connection, row, is_alive, now)
        tasks, pages = limit["tasks"], limit["pages"]
        work_tasks, work_pages = at_work(connection, row.account)
        tasks_seen, pages_seen = float(limit["tasks_seen"]), float(limit["pages_seen"])
        kept = 1.0 if is_growing(limit, now) else SEEN_KEPT
        if code == PAGES_CODE:
            pages_seen = max(kept * pages_seen, kept * work_pages)
            pages = max(PAGES_LEAST, min(pages, in_pages) / 2, min(pages, pages_seen))
        else:
            tasks_seen = max(kept * tasks_seen, kept * work_tasks)
            tasks = max(1.0, min(tasks, in_tasks) / 2, min(tasks, tasks_seen))
        connection.execute(
            "UPDATE pace SET tasks = ?, pages = ?, tasks_seen = ?, pages_seen = ?, met = met + 1, met_at = ? "
            "WHERE account = ?",
            (tasks, pages, tasks_seen, pages_seen, now, row.account),
        )

    return write


def grow(row: ParseRow, is_alive: Alive, now: float) -> Callable[[sqlite3.Connection], None]:
    """Return the write that makes room after the service took a parse, where at least half of the room is in use.

    Until a limit is met each parse adds one task, so that a round doubles them. From then on a round adds one, and less
    in the first minute: one too many finds no slot, and begins only when it is looked at, late.
    """

    def write(connection: sqlite3.Connection) -> None:
        limit = limits(connection, row.account)
        others = in_flight(connection, row, is_alive, now, but=row.id)
        slow = not is_growing(limit, now)
        calm = min(1.0, abs(now - limit["met_at"]) / CALM)
        tasks, pages = limit["tasks"], limit["pages"]
        if is_half_full(others[0] + 1, tasks):
            tasks = min(TASKS_MOST, tasks + (calm / max(1.0, tasks) if slow else 1.0))
        if is_half_full(others[1] + row.pages, pages) or is_half_full(others[0] + 1, limit["tasks"]):
            a_round = min(1.0, row.pages / pages)
            pages = min(PAGES_MOST, pages + (a_round * max(PAGES_STEP, 0.05 * pages) if slow else PAGES_A_TASK))
        if slow:  # what ended and was not noticed yet would count as at work
            seen = min(others[0] + 1, limit["tasks"]), min(others[1] + row.pages, limit["pages"])
        else:
            seen = at_work(connection, row.account)
            tasks, pages = max(tasks, seen[0]), max(pages, seen[1])
        connection.execute(
            "UPDATE pace SET tasks = ?, pages = ?, tasks_seen = MAX(tasks_seen, ?), pages_seen = MAX(pages_seen, ?) "
            "WHERE account = ?",
            (min(TASKS_MOST, tasks), min(PAGES_MOST, pages), *seen, row.account),
        )

    return write
