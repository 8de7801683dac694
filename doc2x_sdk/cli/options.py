"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from doc2x_sdk.cli.help import option

__all__ = [
    "api_option",
    "archive_option",
    "complete_files",
    "export_options",
    "json_option",
    "ledger_option",
    "not_empty",
    "out_option",
    "output_options",
    "plugin_options",
    "talk_options",
    "to_option",
    "verbose_option",
]

RESULTS = "Results"
FORMULAS = "Formulas and tables"
TALK = "What is shown"
SERVICE = "Service and receipts"
FORMATS = "A format to make; give it again for more: md, md_dollar, tex, docx, json, txt. See `doc2x formats`."

Decorator = Callable[[Any], Any]


def together(*decorators: Decorator) -> Decorator:
    """Return one decorator for several, so that the help keeps their order."""

    def decorate(function: Any) -> Any:
        for each in reversed(decorators):
            function = each(function)
        return function

    return decorate


def complete_formats(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - click's
    """Return the formats that begin like this, for the shell."""
    from doc2x_sdk.formats.registry import Formats

    return [name for name in Formats.installed().names if name.startswith(incomplete)]


def complete_files(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:  # noqa: ARG001 - click's
    """Let the shell complete the name of a file."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def complete_folders(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:  # noqa: ARG001 - click's
    """Let the shell complete the name of a folder."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="dir")]


def not_empty(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Refuse the empty word that a shell makes of "$VARIABLE" without a value: as a path it is the current folder."""
    if "" in (value if isinstance(value, tuple) else (value,)):
        raise click.BadParameter("it is empty. Is a variable of the shell not set?", ctx, parameter)
    return value


def to_option(help_text: str = FORMATS) -> Decorator:
    """Return --to; `help_text` says what it is for."""
    return option(
        "--to",
        "-t",
        "to",
        metavar="FORMAT",
        multiple=True,
        default=("md",),
        show_default=True,
        shell_complete=complete_formats,
        section=RESULTS,
        help=help_text,
    )


def out_option(help_text: str, *, default: str | None = None) -> Decorator:
    """Return --out; `help_text` says what goes there."""
    return option(
        "--out",
        "-o",
        metavar="DIR",
        callback=not_empty,
        shell_complete=complete_folders,
        default=default,
        show_default=default is not None,
        section=RESULTS,
        help=help_text,
    )


def output_options(default_name: str, *, stem: str = "the input's name") -> Decorator:
    """Return the options that say where results go; `stem` is what {stem} stands for."""
    return together(
        out_option("Folder of the results.", default="out"),
        option(
            "--name",
            metavar="TEMPLATE",
            default=default_name,
            show_default=True,
            section=RESULTS,
            help=f"Name of the results, with {{stem}} ({stem}), {{uid}} and {{date}}.",
        ),
        option(
            "--overwrite",
            is_flag=True,
            section=RESULTS,
            help="Replace results that are there. Without it they are left as they are, and not paid for again.",
        ),
    )


export_options = together(
    option(
        "--formula",
        type=click.Choice(["normal", "dollar"]),
        default="normal",
        show_default=True,
        section=FORMULAS,
        help=r"Delimiters in md and tex: normal for \( \) and \[ \], dollar for $ and $$.",
    ),
    option(
        "--formula-level",
        type=click.Choice(["0", "1", "2"]),
        section=FORMULAS,
        help="0 keeps formulas, 1 turns inline ones into plain text, 2 all of them. For documents parsed by v3-2026.",
    ),
    option("--merge-tables", is_flag=True, section=FORMULAS, help="Join tables that run over a page's end."),
    option(
        "--tables",
        type=click.Choice(["html", "pipe"]),
        section=FORMULAS,
        help="Tables of Markdown: html as the service writes them, pipe where no cells are merged. html unless given.",
    ),
    option(
        "--clean",
        is_flag=True,
        section=FORMULAS,
        help="Markdown without the service's comments: running headers, marks and words of figures, footnote marks.",
    ),
)


plugin_options = together(
    option(
        "--option",
        "given",
        metavar="FORMAT.KEY=VALUE",
        multiple=True,
        section=RESULTS,
        help="An option of a derived format or of a post-processor, such as epub.toc=true; give it again for more. "
        "See `doc2x formats FORMAT`.",
    ),
    option(
        "--exporter-timeout",
        type=click.FloatRange(min=0, min_open=True),
        metavar="S",
        section=RESULTS,
        help="Seconds that a plugin may take for a format. It then runs as a process of its own, which is ended at the "
        "limit and can't bring down the others.",
    ),
)


api_option = option(
    "--api",
    type=click.Choice(["v1", "v2"]),
    default="v2",
    show_default=True,
    section=SERVICE,
    help="Generation of the service. A document of one is not known to the other.",
)
ledger_option = option(
    "--ledger",
    metavar="FILE",
    callback=not_empty,
    shell_complete=complete_files,
    section=SERVICE,
    help="File of the receipts; DOC2X_LEDGER sets it for all commands. One file a user unless given.",
)
archive_option = option(
    "--archive/--no-archive",
    default=None,
    section=SERVICE,
    help="Keep results in files beside the receipts, and take from there what was kept: then nothing is sent or paid. "
    "They are your documents' contents; `doc2x jobs prune` removes them. DOC2X_ARCHIVE=1 sets it for all commands.",
)


def json_option(what: str) -> Decorator:
    """Return --json; `what` says what is printed."""
    return option("--json", "as_json", is_flag=True, section=TALK, help=f"Print {what} as JSON on standard output.")


def be_verbose(ctx: click.Context, parameter: click.Parameter, value: bool) -> bool:  # noqa: ARG001 - click's
    """Send the library's log to stderr. It holds no key and no signed link."""
    if value and not ctx.resilient_parsing:
        import logging

        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S"))
        log = logging.getLogger("doc2x_sdk")
        log.addHandler(handler)
        log.setLevel(logging.DEBUG)
        ctx.call_on_close(lambda: log.removeHandler(handler))
    return value


verbose_option = option(
    "--verbose",
    "-v",
    is_flag=True,
    callback=be_verbose,
    section=TALK,
    help="Show on stderr what is done, request by request; of a bug, the traceback.",
)
quiet_option = option("--quiet", "-q", is_flag=True, section=TALK, help="Show errors only.")
talk_options = together(quiet_option, verbose_option)
