"""`doc2x convert`: documents in, files out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from doc2x_sdk.cli.arguments import given_options, given_words, talk, wishes
from doc2x_sdk.cli.exits import MEANINGS
from doc2x_sdk.cli.help import Command, option
from doc2x_sdk.cli.options import (
    api_option,
    archive_option,
    complete_files,
    export_options,
    json_option,
    ledger_option,
    not_empty,
    output_options,
    plugin_options,
    talk_options,
    to_option,
)

if TYPE_CHECKING:
    from pathlib import Path

    from doc2x_sdk.cli.inputs import Item
    from doc2x_sdk.cli.run import Run
    from doc2x_sdk.client import Doc2X

    Opened = Callable[[], tuple[Doc2X | None, bool]]

__all__ = ["command"]

COST = "What is paid for"
MANY = "Many documents"
ENGINE = "Who converts"


@click.command(
    "convert",
    cls=Command,
    short_help="Convert PDFs and pictures to Markdown, LaTeX, Word and more.",
    examples=(
        ("Markdown, into out/paper.md", "doc2x convert paper.pdf"),
        ("Markdown and Word, on this machine, without an account", "doc2x convert paper.pdf --to md --to docx --local"),
        ("A folder and all below it, with an ending to the names", "doc2x convert papers/ --name '{stem}-doc2x'"),
        ("A book for a reader, with a table of contents", "doc2x convert paper.pdf --to epub --option epub.toc=true"),
        ("Markdown for a language model", "doc2x convert paper.pdf --clean --tables pipe"),
        ("LaTeX with $ around formulas", "doc2x convert paper.pdf --to tex --formula dollar"),
        ("What a folder would cost; nothing is sent", "doc2x convert papers/ --dry-run"),
        ("At most 500 pages; later, the same line goes on", "doc2x convert papers/ --max-pages 500"),
        ("Some pages only", "doc2x convert paper.pdf --pages 1-10,15"),
        ("Keep the results, so that no account pays for them again", "doc2x convert papers/ --archive"),
        ("For a program: what became of each document", "doc2x convert 'scans/*.png' --json --quiet"),
    ),
    notes={"Exit codes": [(str(code), meaning) for code, meaning in MEANINGS.items()]},
)
@click.argument(
    "inputs", metavar="INPUT...", nargs=-1, required=True, callback=not_empty, shell_complete=complete_files
)
@to_option()
@output_options("{stem}")
@plugin_options
@option(
    "--dry-run",
    is_flag=True,
    section=COST,
    help="Look at the documents and tell what would be paid for; send nothing. The exit code is the one to expect.",
)
@option(
    "--max-pages",
    type=click.IntRange(1),
    metavar="N",
    section=COST,
    help="Stop before more pages than these are paid for.",
)
@option(
    "--pages",
    metavar="RANGES",
    section=COST,
    help="The only pages to be sent and paid for, such as 1-10,15 or 20-; of one document. They keep their numbers.",
)
@option("--force", is_flag=True, section=COST, help="Pay again for what was paid before, or is in the archive.")
@option(
    "--retry-unknown",
    is_flag=True,
    section=COST,
    help="Pay again where nobody can tell whether an earlier attempt was paid.",
)
@option(
    "--retry-failed",
    is_flag=True,
    section=COST,
    help="Pay again for what the service gave up earlier.",
)
@option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    section=MANY,
    help="Most documents at a time. Without it the account's limits decide.",
)
@option("--fail-fast", is_flag=True, section=MANY, help="Begin nothing more once a document has failed.")
@option(
    "--local",
    is_flag=True,
    section=ENGINE,
    help="Convert on this machine, without an account. This is also done when no key is set.",
)
@option(
    "--dask",
    metavar="ADDRESS",
    section=ENGINE,
    help="With --local, convert on a Dask cluster, such as tcp://scheduler:8786.",
)
@option(
    "--model",
    type=click.Choice(["v2", "v3-2026"]),
    section=ENGINE,
    help="Model of the service that parses. Without it the service chooses.",
)
@api_option
@ledger_option
@archive_option
@export_options
@json_option("what became of each input, or what --dry-run found,")
@talk_options
@click.pass_context
def command(ctx: click.Context, /, inputs: tuple[str, ...], **options: Any) -> None:
    """Convert PDFs and pictures (JPG, PNG) to Markdown, LaTeX, Word and more.

    INPUT is a file, a folder (it is searched for documents, with its subfolders; hidden ones and the pictures of
    results are left out), or a pattern such as 'scans/*.png'.

    Without a key the conversion runs on this machine. The paths of the files written are printed on standard output,
    one a line; of several documents a terminal shows a table.

    Each step that can cost pages has a receipt on this machine. So after Ctrl-C, a crash or a failure the same command
    goes on: what is there is not touched, and what was paid is not paid again.

    Results of one name: of a/x.pdf and b/x.pdf the first by path becomes x.md, the later one x-1a2b3c4d.md, with the
    first 8 digits of its sha256.
    """
    from doc2x_sdk.cli.inputs import check_template, expand
    from doc2x_sdk.formats.registry import Formats

    formats = Formats.installed()
    # A wrong name ends here, before a server or a connection is begun.
    formats.plan(options["to"], given_options(options))
    check_template(options["name"])
    if options["pages"] is not None:
        from doc2x_sdk.flow.book import ranges_of

        ranges_of(options["pages"])  # the results may be there, and nobody look at it
    if options["dask"] and not options["local"]:
        raise click.UsageError("--dask goes with --local: the cluster takes the place of this machine.")
    pictures: list[Path] = []
    items = expand(inputs, formats.names, pictures)
    if pictures and not options["quiet"]:
        left_out(pictures)
    if options["pages"] is not None and len(items) != 1:
        raise click.UsageError(f"--pages is of one document, but these are {len(items)}.")

    def opened() -> tuple[Doc2X | None, bool]:
        """Return the client, and whether it is on this machine; None when no input can be converted."""
        from doc2x_sdk.cli.opening import open_client

        if all(item.error is not None for item in items):
            return None, options["local"]
        names = ("local", "dask", "api", "quiet", "exporter_timeout", "ledger", "archive")
        return open_client(formats, **{name: options[name] for name in names})

    if options["dry_run"]:
        ctx.exit(quote(items, opened, options))
    if len(items) > 1:
        ctx.exit(many(ctx, items, opened, inputs))
    ctx.exit(one(ctx, items, opened).finish())


def left_out(folders: Sequence[Path]) -> None:
    """Say which pictures were not taken for documents."""
    from doc2x_sdk.cli import terminal

    which = terminal.printable(str(folders[0])) + (f" and {len(folders) - 1} more" if len(folders) > 1 else "")
    told = f"The pictures of results are left out: {which}. To convert some, name their folder."
    terminal.say(told, label="Note:", colour="cyan")


def one(ctx: click.Context, items: Sequence[Item], opened: Opened) -> Run:
    """Convert one document."""
    from doc2x_sdk.cli.rows import Row
    from doc2x_sdk.cli.run import Run

    options = ctx.params
    run = Run(items, **talk(ctx, options))
    client, run.is_local = opened()
    if client is None:
        for item in items:
            run.add(Row(item.name, error=item.error))
        return run
    with client:
        run.one(client.convert, **costs(options), **wishes(options), pages=options["pages"])
    return run


def many(ctx: click.Context, items: Sequence[Item], opened: Opened, inputs: Sequence[str]) -> int:
    """Convert several documents in a batch and return the exit code.

    Its command line is written down, and how it and its report ended.
    """
    from doc2x_sdk import config
    from doc2x_sdk.cli.many import Many
    from doc2x_sdk.cli.record import Ended, facts_of, recorded
    from doc2x_sdk.cli.stopping import Stopping

    options = ctx.params
    run = Many(items, **talk(ctx, options))
    client, run.is_local = opened()
    with ExitStack() as record:
        with Stopping() as stopping, ExitStack() as stack:
            if client is not None:
                stack.enter_context(client)
                ledger, told = config.ledger_path(client.settings), {name: options[name] for name in ("to", "out")}
                record.enter_context(
                    recorded(
                        ledger,
                        inputs,
                        documents=len(items),
                        options=given_words(ctx),
                        end=lambda: Ended(run.code, run.counts, facts_of(run.stopped)),
                        **told,
                    )
                )
            chosen = {name: options[name] for name in ("jobs", "fail_fast")}
            run.through(client, stopping, **costs(options), **wishes(options), **chosen)
        return run.finish()


def quote(items: Sequence[Item], opened: Opened, options: dict[str, Any]) -> int:
    """Show what it would cost, and return the exit code to expect."""
    from doc2x_sdk.cli.dry import show_quote

    names = ("to", "out", "model", "pages", "force", "retry_unknown", "retry_failed")
    wanted = {name: options[name] for name in names}
    wanted |= {name: value for name, value in wishes(options).items() if name != "options"}
    client, is_local = opened()
    shown = {name: options[name] for name in ("max_pages", "as_json", "quiet")}
    if client is None:
        return show_quote(items, None, is_local=is_local, **shown)
    paths = [item.path for item in sorted(items, key=lambda item: item.name) if item.error is None]
    with client:
        return show_quote(items, client.quote(paths, **wanted), is_local=is_local, **shown)


def costs(options: dict[str, Any]) -> dict[str, Any]:
    """Return the library's arguments about the parse and what is paid for it."""
    return {name: options[name] for name in ("model", "force", "retry_unknown", "retry_failed", "max_pages")}
