"""`doc2x fetch`: the results of a document that was sent earlier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doc2x_sdk.cli.arguments import given_options, talk, wishes
from doc2x_sdk.cli.help import Command
from doc2x_sdk.cli.options import (
    api_option,
    archive_option,
    export_options,
    json_option,
    ledger_option,
    output_options,
    plugin_options,
    talk_options,
    to_option,
)

if TYPE_CHECKING:
    from doc2x_sdk.models import Document

__all__ = ["command"]


@click.command(
    "fetch",
    cls=Command,
    short_help="Fetch the results of a document that was sent earlier.",
    examples=(
        ("Markdown and Word", "doc2x fetch 0192d745-5776-7261-abbd-814df4af3449 --to md --to docx"),
        ("Under a name of your choice", "doc2x fetch 0192d745-5776-7261-abbd-814df4af3449 --to tex --name paper"),
    ),
)
@click.argument("uid")
@to_option()
@output_options("{uid}", stem="here the uid too")
@plugin_options
@export_options
@api_option
@ledger_option
@archive_option
@json_option("a list with the document's row")
@talk_options
@click.pass_context
def command(ctx: click.Context, /, uid: str, **options: Any) -> None:
    """Wait until the document UID is ready and fetch its results. This costs no pages.

    It is the way on after a conversion that was interrupted, ran out of time, or is wanted in one more format. The
    uid is known for 24 hours. It needs the key of the account that the document was sent with.
    """
    from pathlib import Path

    from doc2x_sdk.cli.inputs import Item, check_template
    from doc2x_sdk.cli.opening import open_account
    from doc2x_sdk.cli.run import Run
    from doc2x_sdk.formats.registry import Formats

    check_template(options["name"])
    formats = Formats.installed()
    formats.plan(options["to"], given_options(options))
    settings = {name: options[name] for name in ("api", "exporter_timeout", "ledger", "archive")}
    with open_account(formats, **settings) as client:

        def fetch(_: Path, **wanted: Any) -> Document:
            return client.fetch(uid, **wanted)

        run = Run([Item(Path(uid))], **talk(ctx, options))
        run.one(fetch, **wishes(options))
    ctx.exit(run.finish())
