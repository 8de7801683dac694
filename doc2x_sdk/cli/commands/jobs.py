"""`doc2x jobs`: the receipts on this machine. Nothing is asked of the service, and no key is needed."""

from __future__ import annotations

import io
import itertools
from typing import TYPE_CHECKING, Any

import click

from doc2x_sdk.cli.help import Command, Group, option
from doc2x_sdk.cli.options import json_option, ledger_option

if TYPE_CHECKING:
    from pathlib import Path

    from doc2x_sdk.ledger.rows import ParseRow

__all__ = ["command"]

STATES = {
    "planned": "seen, nothing was sent",
    "reserving": "waits for a free slot, nothing was paid",
    "uploading": "has a uid; paid for as soon as the upload is whole",
    "submitted": "paid for, the service is at work",
    "parsed": "paid for, ready to be fetched for 24 hours",
    "failed": "given up by the service",
    "unknown": "may have been paid for; only --retry-unknown sends it again",
}
FILTERS = "Which"
LAST = 50  # rows that a terminal shows unless told otherwise
UNFINISHED = (
    "The same `doc2x convert` again goes on with them, `doc2x rescue` fetches what is paid for. "
    "`doc2x jobs show N` tells about one."
)
DAY = 24 * 3600.0
RECEIPT_DAYS = 30


@click.group(
    "jobs",
    cls=Group,
    handed_down=["ledger"],
    invoke_without_command=True,
    short_help="Show what was sent and paid for, by the receipts on this machine.",
    examples=(
        ("The newest", "doc2x jobs"),
        ("What is not finished, or may have been paid for nothing", "doc2x jobs --unfinished"),
        ("All about one", "doc2x jobs show 0192d745-5776-7261-abbd-814df4af3449"),
        ("When batches ran, and what ended each", "doc2x jobs runs"),
        ("Everything, for another program", "doc2x jobs --export jsonl > jobs.jsonl"),
    ),
    notes={"States": list(STATES.items())},
)
@option(
    "--state",
    "states",
    type=click.Choice(list(STATES)),
    multiple=True,
    section=FILTERS,
    help="Only documents in this state; give it again for more.",
)
@option("--unfinished", is_flag=True, section=FILTERS, help="Only documents that are not through, or lack a result.")
@option("--source", metavar="TEXT", section=FILTERS, help="Only inputs whose path holds this text.")
@option("--last", type=click.IntRange(1), metavar="N", section=FILTERS, help="Only the newest N; 50 on a terminal.")
@ledger_option
@json_option("a list with a row for each document")
@option(
    "--export",
    type=click.Choice(["jsonl"]),
    section="What is shown",
    help="Print each document and its results as a line of JSON, the oldest first; for very many.",
)
@click.pass_context
def command(
    ctx: click.Context,
    *,
    states: tuple[str, ...],
    unfinished: bool,
    source: str | None,
    last: int | None,
    ledger: str | None,
    as_json: bool,
    export: str | None,
) -> None:
    """Show the documents that were sent from this machine, by their receipts, the newest first.

    Nothing is asked of the service, so the state is the one that was seen last, and no key is needed. A document's
    number, or its uid, leads to more: `doc2x jobs show`.
    """
    from doc2x_sdk.cli import tables, terminal
    from doc2x_sdk.ledger.rows import export_jobs, read_jobs

    if ctx.invoked_subcommand is not None:
        return
    path = ledger_file(ledger)
    filters: dict[str, Any] = {"states": states, "unfinished": unfinished, "source": source}
    if export:
        stream = terminal.stdout()
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8")  # what JSON Lines are, whatever the terminal is
        if stream is not None:
            with terminal.writing():
                export_jobs(path, stream, **filters)
        return
    rows = read_jobs(path, newest_first=True, **filters)
    if as_json:
        tables.print_json([row.as_dict() for row in itertools.islice(rows, last)])
        return
    is_shown = terminal.is_terminal(terminal.stdout())
    shown = list(itertools.islice(rows, last or (LAST if is_shown else None)))
    if not shown:
        none = "Nothing is unfinished" if unfinished and not states and not source else "No such document"
        terminal.say(f"{none} in {path}." if path.exists() else f"Nothing was sent yet: there is no {path}.")
        return
    print_rows(shown)
    if is_shown and last is None and next(rows, None) is not None:
        terminal.say(f"The newest {LAST}; --last N shows more.")
    if unfinished:
        terminal.say(UNFINISHED)


def print_rows(rows: list[ParseRow]) -> None:
    """Print the table; a terminal of 80 columns leaves out what only a program needs."""
    from doc2x_sdk.cli import tables
    from doc2x_sdk.cli.receipts import brief

    columns = ("No.", "State", "Pages", "Sent", "Results", "Document", "Uid")
    tables.print_table(columns, (brief(row) for row in rows), right=("No.", "Pages"), wide=("Uid",))


@command.command(
    "show",
    cls=Command,
    short_help="Show all about one document.",
    examples=(
        ("By its uid", "doc2x jobs show 0192d745-5776-7261-abbd-814df4af3449"),
        ("By its number in `doc2x jobs`", "doc2x jobs show 12"),
    ),
)
@click.argument("uid")
@ledger_option
@json_option("the receipt")
def show(*, uid: str, ledger: str | None, as_json: bool) -> None:
    """Show the receipt of one document: what was paid, where its results are, and what to do next.

    UID is the document's uid, also an earlier one of it, or its number in `doc2x jobs`.
    """
    from doc2x_sdk.cli import tables, terminal
    from doc2x_sdk.cli.receipts import facts, next_step, results
    from doc2x_sdk.errors import ConfigError
    from doc2x_sdk.ledger.rows import read_jobs

    path = ledger_file(ledger)
    if uid.isdecimal():
        row = next((row for row in read_jobs(path) if str(row.id) == uid), None)
    else:
        row = next(read_jobs(path, uid=uid), None)
    if row is None:
        raise ConfigError(f"There is no receipt of {uid} in {path}", advice="`doc2x jobs` lists them.")
    if as_json:
        tables.print_json(row.as_dict())
        return
    tables.print_table(("", ""), facts(row))
    if row.results:
        tables.print_table(("Format", "State", "File"), results(row))
    terminal.say(next_step(row))


@command.command(
    "runs",
    cls=Command,
    short_help="Show when batches ran, and what ended each.",
    examples=(("The newest ten", "doc2x jobs runs"), ("For a program", "doc2x jobs runs --json")),
)
@option(
    "--last", type=click.IntRange(1), metavar="N", default=10, show_default=True, section=FILTERS, help="The newest N."
)
@ledger_option
@json_option("a list with a row for each batch")
def runs(*, last: int, ledger: str | None, as_json: bool) -> None:
    """Show the batches of `doc2x convert` that ran here, the newest first, and what ended each.

    It tells when, how many documents became what, the exit code and what stopped it. It is written down beside the
    receipts, so it is there when terminal and log are gone. A batch that was killed is known by the lack of an end.
    """
    from doc2x_sdk.cli import tables, terminal
    from doc2x_sdk.cli.record import read_runs
    from doc2x_sdk.cli.runs import cells, go_on

    path = ledger_file(ledger)
    rows = read_runs(path)
    if as_json:
        tables.print_json([row.as_dict() for row in rows[:last]])
        return
    if not rows:
        terminal.say(f"No batch is written down beside {path}.")
        return
    columns = ("Began", "Took", "Documents", "Exit", "What became of it")
    tables.print_table(columns, map(cells, rows[:last]), right=("Documents", "Exit"))
    if advice := go_on(rows[0], None if ledger is None else str(path.absolute())):
        terminal.say(advice)


@command.command(
    "prune",
    cls=Command,
    short_help="Forget old receipts, and remove old results from the archive.",
    examples=(
        ("What is older than a month", "doc2x jobs prune"),
        ("Than a week; and no more than 2 GB of the archive is left", "doc2x jobs prune --days 7 --max-size 2GB"),
        ("Nothing stays in the archive", "doc2x jobs prune --all"),
    ),
)
@option(
    "--days",
    type=click.IntRange(1),
    metavar="N",
    section=FILTERS,
    help="Forget receipts that were not touched, and archived documents that were not used, for so many days. Without "
    "it receipts go after 30 days, archived documents after archive_days (`doc2x config`).",
)
@option(
    "--max-size",
    metavar="SIZE",
    section=FILTERS,
    help="Leave no more than this in the archive, such as 500MB or 2GB; those that were not used for longest go. "
    "archive_size unless given.",
)
@option("--all", "everything", is_flag=True, section=FILTERS, help="Empty the archive. Receipts go by their days.")
@ledger_option
@json_option("what was removed and what is left")
def prune(*, days: int | None, max_size: str | None, everything: bool, ledger: str | None, as_json: bool) -> None:
    """Forget the receipts of documents that are through, and remove old results from the archive.

    Results that were written where you wanted them stay. A receipt that is in work, may have been paid for, or is held
    by a running process is kept. A document without receipt that is converted again is paid for again, as it would be
    anyway: the service keeps it for 24 hours. The archive is the folder beside the receipts that --archive fills; it
    may be in use meanwhile.
    """
    from doc2x_sdk import config
    from doc2x_sdk.cli import tables, terminal
    from doc2x_sdk.cli.receipts import bytes_text
    from doc2x_sdk.ledger.archive import Archive, Pruned, archive_of
    from doc2x_sdk.ledger.ledger import Ledger

    size = None if max_size is None else config.bytes_of(max_size)
    if max_size is not None and size is None:
        raise click.BadParameter(f"{max_size!r} is no size such as 500MB or 2GB.", param_hint="--max-size")
    settings = config.load(ledger=ledger).settings
    path = config.ledger_path(settings)
    gone, pruned = 0, Pruned()
    if path.exists():
        book = Ledger(path)
        try:
            gone = book.prune((days or RECEIPT_DAYS) * DAY)
        finally:
            book.close()
    has_archive = archive_of(path).is_dir()
    if has_archive:
        archive = Archive(archive_of(path), days=days or settings.archive_days, size=settings.archive_size)
        pruned = archive.prune(size=size, everything=everything)
    if as_json:
        tables.print_json({"receipts": gone, "archive": pruned._asdict()})
        return
    terminal.say(f"{gone} receipts were forgotten.")
    if has_archive:
        freed, left = bytes_text(pruned.freed), bytes_text(pruned.size)
        terminal.say(f"Archive: {pruned.removed} documents removed, {freed} freed; {pruned.left} left, {left}.")


def ledger_file(given: str | None) -> Path:
    """Return the ledger that is meant."""
    from doc2x_sdk import config

    return config.ledger_path(config.load(ledger=given).settings)
