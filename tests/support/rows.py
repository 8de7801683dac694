"""The rows of the fault matrix that the suite must hold, and which tests hold each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

__all__ = ["WANTED", "check_rows", "table"]

ROW = re.compile(r"(TR|AP|UP|PO|DL|AR|FS|JR|PL|SE|CL)-\d\d")
NUMBERS = {
    "TR": [*range(1, 19)],
    "AP": [*range(1, 11)],
    "UP": [*range(1, 13)],
    "PO": [*range(1, 10)],
    "DL": [1, 2, 3, *range(7, 17)],
    "AR": [*range(1, 9)],
    "FS": [*range(1, 11)],
    "JR": [*range(1, 13)],
    "PL": [*range(1, 11)],
    "SE": [*range(1, 8)],
    "CL": [*range(1, 9)],
}
WANTED = tuple(f"{room}-{number:02}" for room, numbers in NUMBERS.items() for number in numbers)
ORDER = ("TR", "AP", "UP", "PO", "DL", "AR", "FS", "JR", "PL", "SE", "CL")


def check_rows(rows: Iterable[str], where: str) -> tuple[str, ...]:
    """Return the rows as they are; a name that is none is a mistake in the test."""
    found = tuple(rows)
    wrong = [row for row in found if not ROW.fullmatch(row)]
    if wrong or not found:
        msg = f"{where}: the marker faults(...) names no row of the matrix: {wrong}"
        raise ValueError(msg)
    return found


def place(row: str) -> tuple[int, str]:
    """Where a row stands in the matrix."""
    return ORDER.index(row[:2]), row


def table(held: Mapping[str, Iterable[str]]) -> tuple[list[str], list[str]]:
    """Return the lines "row  test" in the matrix's order, and the wanted rows that no test holds."""
    lines = [
        f"{row if at == 0 else '':7}{test}"
        for row in sorted(held, key=place)
        for at, test in enumerate(sorted(set(held[row])))
    ]
    return lines, [row for row in WANTED if row not in held]
