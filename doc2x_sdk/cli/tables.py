"""Tables on stdout: drawn on a terminal, tab-separated lines elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from doc2x_sdk.cli import terminal

__all__ = ["print_json", "print_table"]


def print_json(value: Any) -> None:
    """Print one JSON document; in ASCII, so that every locale and odd file name survives."""
    terminal.answer(json.dumps(value, indent=2))


WIDE = 110  # characters; a narrower terminal leaves out what only explains


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = (), wide: Sequence[str] = ()
) -> None:
    """Print rows under their columns; those named in `right` are numbers, those in `wide` need a wide terminal."""
    if not terminal.is_terminal(terminal.stdout()):
        for row in rows:
            terminal.answer("\t".join(terminal.printable(cell) for cell in row))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_header=any(columns))
    shown = [at for at, column in enumerate(columns) if column not in wide or console.width >= WIDE]
    for at in shown:
        table.add_column(columns[at], justify="right" if columns[at] in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text("\n".join(map(terminal.printable, row[at].split("\n")))) for at in shown))
    console.print(table)
