"""`doc2x quota`: the pages left on the account."""

from __future__ import annotations

import click

from doc2x_sdk.cli.help import Command
from doc2x_sdk.cli.options import json_option, verbose_option

__all__ = ["command"]


@click.command(
    "quota",
    cls=Command,
    short_help="Tell how many pages the account has left.",
    examples=(("The number alone", "doc2x quota"), ("For a program", "doc2x quota --json")),
)
@json_option("the number")
@verbose_option
def command(*, as_json: bool, verbose: bool) -> None:  # noqa: ARG001 - by its callback
    """Ask the service how many pages the account has left. It needs the account's key.

    Only the first generation of the service (v1) tells it, so that one is asked.
    """
    from doc2x_sdk.cli import tables, terminal
    from doc2x_sdk.cli.opening import open_account

    with open_account(api="v1") as client:
        pages = client.quota()
    if as_json:
        tables.print_json({"pages": pages})
    else:
        terminal.answer(f"{pages} pages left" if terminal.is_terminal(terminal.stdout()) else str(pages))
