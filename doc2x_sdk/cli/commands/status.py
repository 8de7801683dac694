"""`doc2x status`: how far a document is."""

from __future__ import annotations

from typing import Literal

import click

from doc2x_sdk.cli.help import Command, option
from doc2x_sdk.cli.options import api_option, json_option, verbose_option

__all__ = ["command"]

FAILED = 6


@click.command(
    "status",
    cls=Command,
    short_help="Ask how far a document is.",
    examples=(("Ask once", "doc2x status 0192d745-5776-7261-abbd-814df4af3449"),),
)
@click.argument("uid")
@option("--picture", is_flag=True, section="Document", help="The uid is that of a picture (JPG, PNG), not of a PDF.")
@api_option
@json_option("the answer")
@verbose_option
@click.pass_context
def command(
    ctx: click.Context,
    uid: str,
    *,
    picture: bool,
    api: Literal["v1", "v2"],
    as_json: bool,
    verbose: bool,  # noqa: ARG001 - by its callback
) -> None:
    """Ask the service once how far the document UID is.

    The uid is told while a document is converted, and in each error about it. It needs the account's key and is known
    for 24 hours. A document that failed ends with exit code 6.
    """
    from doc2x_sdk.cli import tables, terminal
    from doc2x_sdk.cli.opening import open_account
    from doc2x_sdk.cli.run import fetch_line

    with open_account(api=api) as client:
        status = client.status(uid, picture=picture)
    facts = {
        "uid": status.uid,
        "state": status.state,
        "progress": status.progress,
        "pages": len(status.pages),
        "detail": status.detail,
        "trace_id": status.trace_id,
    }
    if as_json:
        tables.print_json(facts)
    else:
        tables.print_table(
            ("", ""), [(name.replace("_", " "), str(value)) for name, value in facts.items() if value not in {None, ""}]
        )
        if status.done:
            terminal.say(f"Fetch it: {fetch_line(status.uid, ('md',), None, api)}")
    ctx.exit(FAILED if status.state == "failed" else 0)
