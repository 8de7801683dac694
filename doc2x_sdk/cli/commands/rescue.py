"""`doc2x rescue`: everything that was paid for, fetched while the service still has it."""

from __future__ import annotations

from typing import Any

import click

from doc2x_sdk.cli.arguments import talk
from doc2x_sdk.cli.help import Command, option
from doc2x_sdk.cli.options import (
    api_option,
    archive_option,
    json_option,
    ledger_option,
    out_option,
    talk_options,
    to_option,
)

__all__ = ["command"]


@click.command(
    "rescue",
    cls=Command,
    short_help="Fetch everything that was paid for and is not there yet.",
    examples=(
        ("To where each result was meant to go", "doc2x rescue"),
        ("All into one folder", "doc2x rescue --out rescued"),
        ("What there is to rescue", "doc2x jobs --unfinished"),
    ),
)
@out_option("One folder for all. Without it each result goes to where it was meant to go.")
@to_option("Format of a document whose receipt names none; all others get the formats that were asked for.")
@option(
    "--jobs",
    metavar="N",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    section="Results",
    help="Most documents at a time.",
)
@api_option
@ledger_option
@archive_option
@json_option("a list with a row for each document")
@talk_options
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Fetch everything that was paid for in the last 24 hours and is not there yet. This costs no pages.

    The receipts on this machine say what that is: documents of a run that was stopped or killed, that took too long,
    or whose results could not be written. Those that the service will forget first are fetched first. What another
    process works on is left to it. It needs the key of the account that they were sent with. Ctrl-C stops it and tells
    what was fetched and what remains.
    """
    from doc2x_sdk.cli import terminal
    from doc2x_sdk.cli.opening import open_account
    from doc2x_sdk.cli.rescued import Rescued
    from doc2x_sdk.cli.stopping import Stopping
    from doc2x_sdk.formats.registry import Formats

    formats = Formats.installed()
    formats.plan(options["to"])
    run = Rescued((), **talk(ctx, options))
    with (
        Stopping() as stopping,
        open_account(formats, **{name: options[name] for name in ("api", "ledger", "archive")}) as client,
    ):
        count = run.through(client, stopping, jobs=options["jobs"])
    if not count and not options["quiet"]:
        terminal.say("Nothing to rescue: all that the account of this key paid for in the last 24 hours was written.")
    if not options["quiet"]:
        held, over = run.passed_over
        if held:
            terminal.say(f"Left to another process, which works on them: {held}. `doc2x jobs --unfinished` lists them.")
        if over:
            terminal.say(
                f"Sent more than 24 hours ago by this machine's clock, and not fetched: {over}. The service may have "
                "forgotten them; `doc2x fetch UID --to FORMAT` asks, and `doc2x jobs --unfinished` has the uids."
            )
    ctx.exit(run.finish())
