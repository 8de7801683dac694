"""The format csv: a file for each table."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from doc2x_sdk.hookspecs import Option
from doc2x_sdk.markdown import Table
from doc2x_sdk.models import Bundle
from doc2x_tables.found import BREAK, tables_of

__all__ = ["Csv"]

COMPUTED = re.compile(r"[=@\t\r]|[+-](?![0-9.,]*\Z)")


class Csv:
    """The first table under the document's name, the others beside it with their numbers."""

    name = "csv"
    suffix = ".csv"
    needs = "md"
    help = "the tables as CSV, a file for each"
    options = (
        Option("fill", bool, default=False, help="repeat a merged cell's text at all its places"),
        Option("bom", bool, default=False, help="begin with a byte order mark, for Excel"),
        Option("guard", bool, default=False, help="put ' before text that a spreadsheet would compute"),
    )

    def export(self, bundle: Bundle, out: Path, options: Mapping[str, Any]) -> list[Path]:
        """Write the files; one that is empty when there are no tables."""
        grids = [grid_of(found.table, fill=options["fill"]) for found in tables_of(bundle)] or [[]]
        files: list[Path] = []
        for number, grid in enumerate(grids, 1):
            target = out / f"table-{number}.csv"
            with target.open(
                "w", encoding="utf-8-sig" if options["bom"] else "utf-8", newline="", errors="replace"
            ) as file:
                writer = csv.writer(file)
                writer.writerows([guarded(text) for text in row] if options["guard"] else row for row in grid)
            files.append(target)
        return files


def grid_of(table: Table, *, fill: bool) -> list[list[str]]:
    """Return a table's texts by row and column."""
    grid = table.grid()
    if fill:
        for cell in table.cells:
            for row in range(cell.row, cell.row + cell.rowspan):
                grid[row][cell.column : cell.column + cell.colspan] = [cell.text] * cell.colspan
    return grid if table.is_html else [[BREAK.sub("\n", text) for text in row] for row in grid]


def guarded(text: str) -> str:
    """Return a text that no spreadsheet computes."""
    return f"'{text}" if COMPUTED.match(text) else text
