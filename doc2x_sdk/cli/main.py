"""The command `doc2x`: a table of commands, each imported when it is called, so that `--help` is quick."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

import click

from doc2x_sdk.cli import guard, terminal
from doc2x_sdk.cli.help import SETTINGS, Helpful, Option, write_examples, write_options
from doc2x_sdk.version import __version__

__all__ = ["COMMANDS", "app", "main"]


class Entry(NamedTuple):
    """Where a command lives, its line in the overview, and the section that it stands in."""

    module: str
    short_help: str
    section: str


CONVERT = "Convert documents"
ACCOUNT = "What the service has of you"
SETUP = "Set up"
HERE = "doc2x_sdk.cli.commands"

COMMANDS = {
    "convert": Entry(f"{HERE}.convert", "Convert PDFs and pictures to Markdown, LaTeX, Word and more.", CONVERT),
    "formats": Entry(f"{HERE}.formats", "List the formats that --to takes, and who makes each.", CONVERT),
    "jobs": Entry(f"{HERE}.jobs", "Show what was sent and paid for, by the receipts on this machine.", ACCOUNT),
    "rescue": Entry(f"{HERE}.rescue", "Fetch everything that was paid for and is not there yet.", ACCOUNT),
    "status": Entry(f"{HERE}.status", "Ask how far a document is.", ACCOUNT),
    "fetch": Entry(f"{HERE}.fetch", "Fetch the results of a document that was sent earlier.", ACCOUNT),
    "quota": Entry(f"{HERE}.quota", "Tell how many pages the account has left.", ACCOUNT),
    "plugins": Entry(f"{HERE}.plugins", "List the plugins: what each adds, and why one is not in use.", SETUP),
    "config": Entry(f"{HERE}.config", "Show the settings and where each comes from; store the key.", SETUP),
    "serve": Entry(f"{HERE}.serve", "Run Doc2X on this machine, for other programs.", SETUP),
}

EXAMPLES = (
    ("Convert a PDF on this machine, without an account", "doc2x convert paper.pdf --to md --to docx --local"),
    ("Store the key of your Doc2X account, then use the service", "doc2x config set-key"),
    ("Convert a folder; the results go to out/", "doc2x convert papers/ --out out"),
    ("What that would cost, before", "doc2x convert papers/ --dry-run"),
)
COMPLETION = (
    ("bash", 'eval "$(_DOC2X_COMPLETE=bash_source doc2x)"'),
    ("zsh", 'eval "$(_DOC2X_COMPLETE=zsh_source doc2x)"'),
    ("fish", "_DOC2X_COMPLETE=fish_source doc2x | source"),
)


class App(Helpful, click.Group):
    """The group of all commands; it imports the one that is called, and guards it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; one that is not in the table may be a plugin's."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            from doc2x_sdk.cli.extension import find_command

            return find_command(cmd_name)
        command: click.Command = import_module(entry.module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say what may have been meant."""
        name = args[0]
        if name in COMMANDS:
            ctx.call_on_close(terminal.keep_stdout())
        if name in COMMANDS or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        command = self.get_command(ctx, name)
        if command is None:
            raise click.UsageError(f"There is no command {name!r}.{self.suggestion(name)}", ctx)
        return name, command, args[1:]

    def suggestion(self, name: str) -> str:
        """Return a sentence about what may have been meant, with a space before it; empty when nothing comes near."""
        from difflib import get_close_matches
        from pathlib import Path

        near = get_close_matches(name, COMMANDS, n=2, cutoff=0.6)
        if near:
            return f" Did you mean {' or '.join(near)}?"
        if "." in name or Path(name).exists():
            return f" To convert a file: doc2x convert {name}"
        return ""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; `doc2x` alone shows the help, on stderr, since nothing was done."""
        if not args and not ctx.resilient_parsing:
            terminal.say(ctx.get_help())
            ctx.exit(2)
        return super().parse_args(ctx, args)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the options before the command, guarded."""
        with guard.guard():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, guarded; before it what `main` handed in, which belongs to a process of its own."""
        with guard.guard():
            if ctx.obj is not None:
                ctx.obj()
            ctx.call_on_close(terminal.show_warnings())
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the overview out of the table; no command is imported."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, entry in COMMANDS.items():
            sections.setdefault(entry.section, []).append((name, entry.short_help))
        width = max(map(len, COMMANDS))
        for section, lines in sections.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(width), text) for name, text in lines])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, then the options."""
        self.format_commands(ctx, formatter)
        write_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the examples and how a shell completes."""
        write_examples(formatter, EXAMPLES)
        with formatter.section("Completion in your shell: put this line into its start file"):
            formatter.write_dl(COMPLETION)


def show_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: ARG001 - click's
    """Write the version and leave."""
    if value and not ctx.resilient_parsing:
        terminal.answer(f"doc2x {__version__}")
        ctx.exit()


app = App(
    "doc2x",
    params=[
        Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=show_version,
            help="Show the version and exit.",
        )
    ],
    context_settings=SETTINGS,
    subcommand_metavar="COMMAND ...",
    help="Turn PDFs and pictures into Markdown, LaTeX, Word and more: by the Doc2X service with your account's key, or "
    "on this machine without one. `doc2x COMMAND --help` explains a command.",
)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; `args` are the process's own by default."""
    terminal.prepare()
    sys.excepthook = guard.report_bug(verbose=lambda: "--verbose" in sys.argv or "-v" in sys.argv)
    try:
        code = app.main(args, prog_name="doc2x", standalone_mode=False, windows_expand_args=False, obj=guard.listen)
    finally:
        terminal.give_up()
    return code if isinstance(code, int) else 0
