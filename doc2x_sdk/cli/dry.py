"""What `doc2x convert --dry-run` shows: each document's verdict, and the pages that would be paid for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from doc2x_sdk.batch.quote import VERDICTS, Quote, Quoted
from doc2x_sdk.cli import guard, tables, terminal
from doc2x_sdk.cli.exits import ERRORS, FAILED, UNKNOWN, exit_of, exit_of_many
from doc2x_sdk.cli.run import TABLE_MOST
from doc2x_sdk.errors import BudgetExceeded

if TYPE_CHECKING:
    from doc2x_sdk.cli.inputs import Item

__all__ = ["show_quote"]

GIVEN_UP = {"unknown": UNKNOWN, "failed": FAILED}


def show_quote(
    items: Sequence[Item], quote: Quote | None, *, max_pages: int | None, as_json: bool, quiet: bool, is_local: bool
) -> int:
    """Print the quote and return the exit code that the conversion would have, as far as that is known before.

    Without a quote no input can be converted. A terminal gets of very many documents only what can't be converted.
    """
    rows = [Quoted(item.name, "unusable", error=item.error) for item in items if item.error is not None]
    rows += quote or ()
    pages, to_pay = (quote.pages, quote.to_pay) if quote is not None else (0, 0)
    counts = {verdict: sum(row.verdict == verdict for row in rows) for verdict in VERDICTS}
    counts = {verdict: count for verdict, count in counts.items() if count}
    over = max_pages is not None and to_pay > max_pages
    if as_json:
        tables.print_json(
            {
                "files": len(rows),
                "pages": pages,
                "to_pay": to_pay,
                "over_budget": over,
                "counts": counts,
                "documents": [as_dict(row) for row in rows],
            }
        )
    elif not quiet:
        print_rows(rows, is_local=is_local)
        terminal.say(told(len(rows), pages, to_pay, counts, is_local=is_local))
    if over:
        guard.complain(f"{to_pay} pages are over the budget of {max_pages}", "Raise --max-pages to convert all.")
        return ERRORS[BudgetExceeded]
    return exit_of_many(GIVEN_UP.get(row.verdict, 0) if row.error is None else exit_of(row.error) for row in rows)


def as_dict(row: Quoted) -> dict[str, object]:
    """Return a row of --json."""
    return {
        "source": row.source,
        "verdict": row.verdict,
        "pages": row.pages or None,
        "to_pay": row.to_pay,
        "error": row.error.message if row.error is not None else None,
    }


def print_rows(rows: Sequence[Quoted], *, is_local: bool) -> None:
    """Print the table of the documents; on this machine nothing is paid, so there is nothing about that."""
    shown = rows
    if len(rows) > TABLE_MOST and terminal.is_terminal(terminal.stdout()):
        shown = [row for row in rows if row.error is not None or row.verdict in GIVEN_UP]
    words = VERDICTS | ({"new": "would be converted", "paid": "converted earlier"} if is_local else {})
    cells = [
        (
            row.source,
            str(row.pages or ""),
            "" if row.error is not None or is_local else str(row.to_pay),
            row.verdict.replace("_", " "),
            row.error.message if row.error is not None else words[row.verdict],
        )
        for row in shown
    ]
    if cells:
        columns = ("Document", "Pages", "" if is_local else "To pay", "Verdict", "Why")
        tables.print_table(columns, cells, right=("Pages", "To pay"))


def told(files: int, pages: int, to_pay: int, counts: dict[str, int], *, is_local: bool) -> str:
    """Return the sums in two lines."""
    kinds = ", ".join(f"{count} {verdict.replace('_', ' ')}" for verdict, count in counts.items())
    cost = "nothing, since this machine converts" if is_local else f"{to_pay} pages at most"
    return f"{files} document{'s' * (files != 1)}, {pages} pages: {kinds}.\nCost: {cost}. Nothing was sent."
