"""`doc2x formats`: what --to takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from doc2x_sdk.cli.help import Command
from doc2x_sdk.cli.options import json_option

if TYPE_CHECKING:
    from doc2x_sdk.formats.registry import Formats, Offer

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
        ("The options of one", "doc2x formats txt"),
    ),
)
@click.argument("name", metavar="[FORMAT]", required=False)
@json_option("the list")
def command(name: str | None, *, as_json: bool) -> None:
    """List the formats that --to takes, and who makes each.

    The service makes some; the others are derived on this machine from what the service made. With FORMAT, tell about
    that one and its options, which `doc2x convert` takes as --option FORMAT.KEY=VALUE.
    """
    from doc2x_sdk.cli import tables
    from doc2x_sdk.formats.registry import NATIVE_SUFFIX, Formats

    rows = [
        {"name": name, "suffix": NATIVE_SUFFIX[name], "made_by": "service", "needs": None, "about": about}
        for name, about in NATIVE.items()
    ]
    formats = Formats.installed()
    if name is not None and name not in NATIVE:
        show_one(name, formats, as_json=as_json)
        return
    for offer in formats.offers:
        about = described(offer)
        rows.append(
            {"name": offer.name, "suffix": offer.suffix, "made_by": offer.package, "needs": offer.needs, "about": about}
        )
    rows = [row for row in rows if name in (None, row["name"])]
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


def described(offer: Offer) -> str:
    """Return one line about a derived format: its own, or the first of its class."""
    return offer.help or (type(offer.exporter).__doc__ or "").partition("\n")[0].rstrip(".")


def show_one(name: str, formats: Formats, *, as_json: bool) -> None:
    """Print a derived format, or a post-processor, and its options."""
    from doc2x_sdk.cli import tables, terminal

    processor = next((each for each in formats.processors if each.name == name), None)
    if processor is not None:
        about, made_by, needs, suffix, options = processor.help, processor.package, "", "", processor.options
    else:
        offer = formats.offer(name)
        about, made_by, needs, suffix, options = (
            described(offer),
            offer.package,
            offer.needs,
            offer.suffix,
            offer.options,
        )
    rows = [
        {
            "name": option.name,
            "type": option.type.__name__.lower(),
            "default": None if option.default is None else plain(option.default),
            "choices": [str(choice) for choice in option.choices],
            "multiple": option.multiple,
            "help": option.help,
        }
        for option in options
    ]
    if as_json:
        told = {"name": name, "suffix": suffix, "made_by": made_by, "needs": needs or None, "about": about}
        tables.print_json(told | {"options": rows})
        return
    terminal.answer(f"{name}: {about or 'no description'} (by {made_by}{f', from {needs}' if needs else ''})")
    cells = [
        (
            f"{name}.{option.name}",
            "|".join(str(choice) for choice in option.choices)
            or f"{option.type.__name__.lower()}{', repeatable' if option.multiple else ''}",
            "" if option.default in (None, ()) else str(option.default),
            option.help,
        )
        for option in options
    ]
    if cells:
        tables.print_table(("Option", "Value", "Default", "What it does"), cells)
    else:
        terminal.answer("It has no options.")


def plain(value: object) -> object:
    """Return a default as JSON takes it."""
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    return value if isinstance(value, bool | int | float | str) else str(value)
