"""`doc2x convert`: documents in, files out."""

from __future__ import annotations

from typing import Any

import click

from doc2x_sdk.cli.exits import MEANINGS
from doc2x_sdk.cli.help import Command, option
from doc2x_sdk.cli.options import (
    export_options,
    given_options,
    json_option,
    output_options,
    plugin_options,
    talk_options,
    to_option,
)

__all__ = ["command"]

ENGINE = "Who converts"


@click.command(
    "convert",
    cls=Command,
    short_help="Convert PDFs and pictures to Markdown, LaTeX, Word and more.",
    examples=(
        ("Markdown, into out/paper.md", "doc2x convert paper.pdf"),
        ("Markdown and Word, on this machine, without an account", "doc2x convert paper.pdf --to md --to docx --local"),
        ("A folder and all below it, with the day in the names", "doc2x convert papers/ --name '{date}-{stem}'"),
        ("A book for a reader, with a table of contents", "doc2x convert paper.pdf --to epub --option epub.toc=true"),
        ("Markdown for a language model", "doc2x convert paper.pdf --clean --tables pipe"),
        ("LaTeX with $ around formulas", "doc2x convert paper.pdf --to tex --formula dollar"),
        ("For a program: what became of each document", "doc2x convert 'scans/*.png' --json --quiet"),
    ),
    notes={"Exit codes": [(str(code), meaning) for code, meaning in MEANINGS.items()]},
)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@to_option
@output_options("{stem}")
@plugin_options
@option(
    "--local",
    is_flag=True,
    section=ENGINE,
    help="Convert on this machine, without an account. This is also done when no key is set.",
)
@option(
    "--model",
    type=click.Choice(["v2", "v3-2026"]),
    section=ENGINE,
    help="Model of the service that parses. Without it the service chooses.",
)
@export_options
@json_option("a list with a row for each document")
@talk_options
@click.pass_context
def command(ctx: click.Context, /, inputs: tuple[str, ...], *, local: bool, **options: Any) -> None:
    """Convert PDFs and pictures (JPG, PNG) to Markdown, LaTeX, Word and more.

    INPUT is a file, a folder (it is searched for documents, with its subfolders; hidden ones are left out), or a
    pattern such as 'scans/*.png'.

    Without a key the conversion runs on this machine. The paths of the files written are printed on standard output,
    one a line; of several documents a terminal shows a table.

    Results of one name: of a/x.pdf and b/x.pdf the first by path becomes x.md, the later one x-1a2b3c4d.md, with the
    first 8 digits of its sha256.
    """
    from doc2x_sdk.cli.inputs import expand
    from doc2x_sdk.cli.opening import open_client
    from doc2x_sdk.cli.run import Run
    from doc2x_sdk.formats.registry import Formats

    formats = Formats.installed()
    # A wrong name ends here, before a server or a connection is begun.
    formats.plan(options["to"], given_options(options))
    items = expand(inputs, options["name"])
    run = Run(items, to=options["to"], out=options["out"], quiet=options["quiet"], as_json=options["as_json"])
    if any(item.error is None for item in items):
        client, run.is_local = open_client(
            formats, local=local, quiet=options["quiet"], exporter_timeout=options["exporter_timeout"]
        )
        with client:
            run.through(client.convert, verbose=options["verbose"], model=options["model"], **wishes(options))
    else:
        run.through(None, verbose=False)
    ctx.exit(run.finish())


def wishes(options: dict[str, Any]) -> dict[str, Any]:
    """Return the library's arguments for the options that `convert` and `fetch` share."""
    level = options["formula_level"]
    return {
        "overwrite": options["overwrite"],
        "formula": options["formula"],
        "formula_level": None if level is None else int(level),
        "merge_tables": True if options["merge_tables"] else None,
        "options": given_options(options),
    }
