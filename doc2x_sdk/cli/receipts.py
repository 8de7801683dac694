"""Receipts in words: the lines of `doc2x jobs`, and what to do about each document."""

from __future__ import annotations

import os
import time
from pathlib import Path

from doc2x_sdk.cli.terminal import printable
from doc2x_sdk.ledger.rows import LOCAL, PAID, ParseRow, ResultRow, path_of

__all__ = ["brief", "bytes_text", "clock_time", "facts", "next_step", "results"]

STEPS = {
    "planned": "Nothing was paid for it. `doc2x convert` sends it.",
    "reserving": "Nothing was paid for it. `doc2x convert` sends it.",
    "failed": "`doc2x convert ... --retry-failed` sends it again.",
    "unknown": "Look at the account's page count (`doc2x quota`); `doc2x convert ... --retry-unknown` sends it again.",
}
LOCAL_FAILED = "This machine could not do it, for the reason given. The same `doc2x convert` tries it again."
UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def ago(moment: float | None) -> str:
    """Return how long ago something was, in the largest unit; empty for never."""
    if moment is None:
        return ""
    seconds = max(0.0, time.time() - moment)
    return next((f"{seconds // size:.0f} {unit} ago" for size, unit in UNITS if seconds >= size), "just now")


def clock_time(moment: float | None) -> str:
    """Return a moment in local time; empty for never."""
    return "" if moment is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


def bytes_text(count: int) -> str:
    """Return a number of bytes in the unit that suits it."""
    units = ("TB", 1024**4), ("GB", 1024**3), ("MB", 1024**2), ("KB", 1024)
    return next((f"{count / size:.1f} {unit}" for unit, size in units if count >= size), f"{count} bytes")


def brief(row: ParseRow) -> tuple[str, ...]:
    """Return a row of the table: number, state, pages, sent, results, document, uid."""
    done = [result.format for result in row.results if result.state == "done"]
    lacking = [f"{result.format} ({result.state})" for result in row.results if result.state != "done"]
    name = Path(row.source).name or row.source
    pages = str(row.pages or "")
    results = ", ".join(dict.fromkeys(done + lacking))  # each once, though it may be in several places
    return str(row.id), row.state, pages, ago(row.uid_at), results, name, row.uid or ""


def facts(row: ParseRow) -> list[tuple[str, str]]:
    """Return what a receipt says, without what is empty."""
    expires = row.expires_at()
    told = {
        "document": row.source,
        "state": row.state,
        "pages": str(row.pages or ""),
        "uid": row.uid or "",
        "sent": clock_time(row.uid_at),
        "last change": clock_time(row.changed_at),
        "kept until": clock_time(expires) if row.state in PAID and row.account != LOCAL else "",
        "reason": row.reason or "",
        "code": row.code or "",
        "trace id": row.trace_id or "",
        "uids before": ", ".join(row.history),
        "account": row.account,
        "options": row.options if row.options != "{}" else "",
        "sha256": row.sha256,
        "number": str(row.id),
    }
    return [(name, printable(value)) for name, value in told.items() if value]


def results(row: ParseRow) -> list[tuple[str, str, str]]:
    """Return the rows of the results: format, state, file."""
    return [
        (each.format, state_of(each) + (f": {each.reason}" if each.reason else ""), printable(each.target))
        for each in row.results
    ]


def state_of(result: ResultRow) -> str:
    """Return the state of a result, and whether somebody has taken it away since."""
    gone = result.state == "done" and not os.path.lexists(path_of(result.target))
    return "done, and gone since" if gone else result.state


def next_step(row: ParseRow) -> str:
    """Return what can be done about a document."""
    is_complete = bool(row.results) and all(result.state == "done" for result in row.results)
    if row.state == "planned" and is_complete:
        return "All results were written; nothing was paid for them."
    if row.state not in PAID:
        return LOCAL_FAILED if row.state == "failed" and row.account == LOCAL else STEPS[row.state]
    if row.account == LOCAL:
        return "This machine converted it; nothing was paid."
    if (row.expires_at() or 0.0) < time.time():
        told = "All results were written. " if is_complete else "`doc2x convert` pays for it again: "
        return f"{told}The service has forgotten it, since it keeps a document for 24 hours."
    if is_complete:
        return f"All results were written. For another format:\n  doc2x fetch {row.uid} --to FORMAT"
    told = "The same `doc2x convert` again, or `doc2x rescue`, fetches what is not there yet, at no cost; or it alone:"
    return f"{told}\n  doc2x fetch {row.uid} --to FORMAT"
