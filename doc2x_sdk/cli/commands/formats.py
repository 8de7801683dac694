"""`doc2x formats`: what --to takes."""

from __future__ import annotations

import click

from doc2x_sdk.cli.help import Command
from doc2x_sdk.cli.options import json_option

__all__ = ["command"]

NATIVE = {
    "md": "Markdown; formulas between \\( \\) and \\[ \\]",
    "md_dollar": "Markdown; formulas between $ and $$",
    "tex": "LaTeX",
    "docx": "Word",
}


@click.command(
    "formats",
    cls=Command,
    short_help="List the formats that --to takes, and who makes each.",
    examples=(
        ("All formats", "doc2x formats"),
        ("Their names alone", "doc2x formats | cut -f1"),
    ),
)
@json_option("the list")
def command(*, as_json: bool) -> None:
    """List the formats that --to takes, and who makes each.

    The service makes some; the others are derived on this machine from what the service made.
    """
    from doc2x_sdk.cli import tables
    from doc2x_sdk.formats.registry import NATIVE_SUFFIX, Formats

    rows = [
        {"name": name, "suffix": NATIVE_SUFFIX[name], "made_by": "service", "needs": None, "about": about}
        for name, about in NATIVE.items()
    ]
    for offer in Formats().offers:
        about = (type(offer.exporter).__doc__ or "").partition("\n")[0].rstrip(".")
        rows.append(
            {"name": offer.name, "suffix": offer.suffix, "made_by": offer.package, "needs": offer.needs, "about": about}
        )
    if as_json:
        tables.print_json(rows)
        return
    tables.print_table(
        ("Format", "File", "Made by", "From", "What it is"),
        [
            (str(row["name"]), str(row["suffix"]), str(row["made_by"]), str(row["needs"] or ""), str(row["about"]))
            for row in rows
        ],
    )
