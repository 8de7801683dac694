"""The record of batches in words: the lines of `doc2x jobs runs`, and how to go on with the newest."""

from __future__ import annotations

from collections.abc import Sequence

from doc2x_sdk.cli.arguments import MASK, command_line
from doc2x_sdk.cli.exits import MEANINGS
from doc2x_sdk.cli.receipts import clock_time
from doc2x_sdk.cli.record import RunRow, folder_of_work
from doc2x_sdk.cli.run import ONE_FETCH

__all__ = ["cells", "go_on"]

SIGNALLED = 128  # exit codes above it tell more than the counts


def cells(row: RunRow) -> tuple[str, str, str, str, str]:
    """Return a row of the table: began, took, documents, exit code, what became of it."""
    code = "" if row.end is None else str(row.end.exit)
    return clock_time(row.began_at), took(row), str(row.documents), code, what(row)


def took(row: RunRow) -> str:
    """Return how long it ran, in the unit that suits it; empty where nobody knows."""
    if row.ended_at is None:
        return ""
    seconds = max(0, round(row.ended_at - row.began_at))
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h {seconds // 60 % 60} min"


def what(row: RunRow) -> str:
    """Say what became of a batch, and what ended it."""
    if row.end is None:
        return "at work" if row.running else "no end was written: it was killed, or the machine went down"
    counts = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in row.end.counts.items() if name != "pages")
    told = counts or "nothing was begun"
    if row.end.exit == 1 or row.end.exit > SIGNALLED:
        told += f"; {MEANINGS.get(row.end.exit, '')}"
    stopped = row.end.stopped
    if stopped is None or stopped.get("message") is None:
        return told
    facts = [f"{name.replace('_', ' ')} {stopped[name]}" for name in ("code", "uid", "trace_id") if stopped.get(name)]
    source = f"{stopped['source']}: " if stopped.get("source") else ""
    known = f" ({', '.join(facts)})" if facts else ""
    return f"{told}; stopped: {source}{stopped['message']}{known}"


def go_on(row: RunRow, ledger: str | None = None) -> str:
    """Return what to do about a batch that did not come to a good end; empty for any other.

    `ledger` is the one that was asked for by name; it is put into a command line that has none.
    """
    if row.running or (row.end is not None and row.end.exit == 0):
        return ""
    stopped = row.end.stopped if row.end is not None else None
    advice = ONE_FETCH.sub("run the same command", (stopped or {}).get("advice") or "")
    options = list(row.options) if row.options is not None else []
    where = [] if row.folder == folder_of_work() else [f"in {row.folder or 'its folder'}"]
    if row.options is None:
        options = [*(word for name in row.to for word in ("--to", name)), "--out", row.out]
        where.append("with the other options that it had")
    if ledger is not None and "--ledger" not in options:
        options += "--ledger", ledger
    told = f"To go on with the newest{', ' if where else ''}{' and '.join(where)}:\n  {line_of(row, options)}"
    if "--force" in options:
        told = f"With --force it pays again for what it paid already; without, what is done stays.\n{told}"
    if any(MASK in word for word in (*row.inputs, *options)):
        told = f"{MASK} stands for a user and password, which are not written down.\n{told}"
    return f"{advice}\n{told}" if advice else told


def line_of(row: RunRow, options: Sequence[str]) -> str:
    """Return the command line of a batch; of very many inputs it names the first, and says so behind a #."""
    more = f"  # and the other {row.more_inputs} inputs" if row.more_inputs else ""
    if any(each.startswith("-") for each in row.inputs):
        return command_line(["doc2x", "convert", *options, "--", *row.inputs]) + more
    return command_line(["doc2x", "convert", *row.inputs, *options]) + more
