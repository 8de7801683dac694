"""`doc2x plugins`: what is installed, what it does, and why some of it is not in use."""

from __future__ import annotations

import click

from doc2x_sdk.cli.help import Command
from doc2x_sdk.cli.options import json_option

__all__ = ["command"]


@click.command(
    "plugins",
    cls=Command,
    short_help="List the plugins: what each adds, and why one is not in use.",
    examples=(
        ("All plugins", "doc2x plugins"),
        ("Without plugins, for one command", "DOC2X_PLUGINS= doc2x convert paper.pdf"),
        ("With some of them only", "DOC2X_PLUGINS=doc2x-pandoc,doc2x-rag doc2x formats"),
    ),
    notes={
        "States": [
            ("loaded", "in use"),
            ("broken", "not in use, for the reason given; everything else works"),
            ("blocked", "left out by DOC2X_PLUGINS, and not imported"),
            ("missing", "named by DOC2X_PLUGINS, but not installed"),
        ]
    },
)
@json_option("the list")
def command(*, as_json: bool) -> None:
    """List the plugins: package and version, the hooks they implement, the formats they add, and their state.

    A plugin is a package with an entry point of the group `doc2x`; `pip install` and `pip uninstall` manage it.
    """
    from doc2x_sdk.cli import tables, terminal
    from doc2x_sdk.formats.registry import Formats

    with terminal.unwarned():  # the table has the reasons
        rows = Formats.installed().rows
    if as_json:
        tables.print_json([row.as_json() for row in rows])
        return
    tables.print_table(
        ("Package", "Version", "State", "Formats", "Hooks", "Why"),
        [
            (row.package, row.version, row.state, ", ".join(row.formats), ", ".join(row.hooks), row.reason)
            for row in rows
        ],
        wide=("Hooks",),
    )
