"""The format xlsx: a sheet for each table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from doc2x_sdk.hookspecs import Option
from doc2x_sdk.models import Bundle
from doc2x_tables.found import BREAK, Found, tables_of

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

__all__ = ["Xlsx"]

NUMBER = re.compile(r"[-−]?(?:0|[1-9][0-9]{0,14})(?:\.([0-9]{1,10}))?")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
NOT_IN_NAMES = re.compile(r"[\[\]:*?/\\']")
CELL_LENGTH, ROWS, COLUMNS = 32_767, 1_048_576, 16_384  # the limits of Excel
HEADING_ROWS = 3
WIDEST = 60


class Xlsx:
    """A workbook with a sheet for each table; merged cells are merged, formulas are text."""

    name = "xlsx"
    suffix = ".xlsx"
    needs = "md"
    help = "an Excel workbook, a sheet for each table"
    options = (
        Option("heading", bool, default=True, help="caption and origin above each table"),
        Option("numbers", bool, default=True, help="numbers as numbers; false leaves all as text"),
    )

    def export(self, bundle: Bundle, out: Path, options: Mapping[str, Any]) -> list[Path]:
        """Write the workbook."""
        from openpyxl import Workbook

        book = Workbook()
        tables = tables_of(bundle)
        sheet = book.active
        sheet.title = "No tables"
        if tables:
            book.remove(sheet)
        else:
            put(sheet, 1, 1, f"{bundle.source} has no tables")
        for found in tables:
            caption = NOT_IN_NAMES.sub(" ", CONTROL.sub("", found.caption))
            sheet = book.create_sheet(f"{found.number} p{found.page} {caption}"[:31].strip())
            first = heading(sheet, found, bundle.source) if options["heading"] else 1
            cut = fill(sheet, found, first, numbers=options["numbers"])
            if cut:
                bundle.warn(f"table {found.number} is larger than a sheet can hold; {cut} cells were cut or left out")
        target = out / "tables.xlsx"
        book.save(target)
        book.close()
        return [target]


def heading(sheet: Worksheet, found: Found, source: str) -> int:
    """Write what stands above a table, and return the row in which it begins."""
    from openpyxl.styles import Font

    put(sheet, 1, 1, found.caption)
    sheet.cell(1, 1).font = Font(bold=True)
    put(sheet, 2, 1, f"Page {found.page} of {PurePath(source).name}")
    return HEADING_ROWS + 1


def fill(sheet: Worksheet, found: Found, first: int, *, numbers: bool) -> int:
    """Write a table's cells from a row on, and return how many did not fit."""
    from openpyxl.styles import Alignment, Font

    cut = 0
    widths: dict[int, int] = {}
    for cell in found.table.cells:
        row, column = cell.row + first, cell.column + 1
        last_row, last_column = row + cell.rowspan - 1, column + cell.colspan - 1
        if last_row > ROWS or last_column > COLUMNS:
            cut += 1
            continue
        text = cell.text if found.table.is_html else BREAK.sub("\n", cell.text)
        cut += put(sheet, row, column, text, number=numbers)
        target = sheet.cell(row, column)
        target.alignment = Alignment(wrap_text="\n" in text, vertical="top")
        if cell.is_header:
            target.font = Font(bold=True)
        if (last_row, last_column) != (row, column):
            sheet.merge_cells(start_row=row, start_column=column, end_row=last_row, end_column=last_column)
        if cell.colspan == 1:
            widths[column] = max(widths.get(column, 8), *(len(line) for line in text.split("\n")))
    for column, width in widths.items():
        sheet.column_dimensions[sheet.cell(1, column).column_letter].width = min(width + 2, WIDEST)
    return cut


def put(sheet: Worksheet, row: int, column: int, text: str, *, number: bool = False) -> bool:
    """Write one cell and tell whether its text had to be cut."""
    cell = sheet.cell(row, column)
    match = NUMBER.fullmatch(text) if number else None
    digits = sum(letter.isdigit() for letter in text)
    if match and digits <= 15:  # more are not kept by a spreadsheet
        places = len(match[1] or "")
        plain = text.replace("−", "-")
        cell.value = float(plain) if places else int(plain)
        cell.number_format = f"0.{'0' * places}" if places else "0"
        return False
    clean = CONTROL.sub("", text)
    if clean:
        cell.value = clean[:CELL_LENGTH]
        cell.data_type = "s"  # also what begins with `=`
    return len(clean) > CELL_LENGTH
