"""Commands and options whose help is in sections, with examples; nothing but click is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click
from click.core import ParameterSource

from doc2x_sdk.cli import terminal

__all__ = ["SETTINGS", "Command", "Group", "Helpful", "Option", "option", "write_examples", "write_options"]

SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
OTHERS = "Options"


class Option(click.Option):
    """An option that stands in a section of the help."""

    def __init__(self, *args: Any, section: str = OTHERS, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.section = section


def option(*names: str, section: str = OTHERS, **settings: Any) -> Callable[[Any], Any]:
    """Add an option to a section; see `click.option`."""
    return click.option(*names, cls=Option, section=section, **settings)


def write_examples(formatter: click.HelpFormatter, examples: Sequence[tuple[str, str]]) -> None:
    """Write each example: what it does, and below it the line to type."""
    if not examples:
        return
    with formatter.section("Examples"):
        for purpose, line in examples:
            formatter.write_text(f"{purpose}:")
            formatter.indent()
            formatter.write(f"{'':{formatter.current_indent}}{line}\n")
            formatter.dedent()


def write_options(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """Write the options by section, in the order of their declaration; the unnamed section comes last."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
        if record is not None:
            sections.setdefault(getattr(parameter, "section", OTHERS), []).append(record)
    for name in sorted(sections, key=lambda name: name == OTHERS):
        with formatter.section(name):
            formatter.write_dl(sections[name])


def write_notes(formatter: click.HelpFormatter, notes: dict[str, list[tuple[str, str]]]) -> None:
    """Write lines of two columns below their headings."""
    for heading, lines in notes.items():
        with formatter.section(heading):
            formatter.write_dl(lines)


def show_help(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: ARG001 - click's
    """Write the help and leave."""
    if value and not ctx.resilient_parsing:
        terminal.answer(ctx.get_help())
        ctx.exit()


class Helpful(click.Command):
    """A command whose --help is written as results are: where it can't be, that is told."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return --help."""
        found = super().get_help_option(ctx)
        if found is not None:
            found.callback = show_help
        return found


class Command(Helpful):
    """A command with sections of options, examples, and notes below them.

    Attributes:
        examples: what each does, and the line to type.
        notes: heading -> lines of two columns.
    """

    def __init__(
        self,
        *args: Any,
        examples: Sequence[tuple[str, str]] = (),
        notes: dict[str, list[tuple[str, str]]] | None = None,
        **settings: Any,
    ) -> None:
        settings.setdefault("context_settings", SETTINGS)
        super().__init__(*args, **settings)
        self.examples = tuple(examples)
        self.notes = notes or {}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options by section."""
        write_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples and notes."""
        write_examples(formatter, self.examples)
        write_notes(formatter, self.notes)
        super().format_epilog(ctx, formatter)


class Group(Command, click.Group):
    """A command with commands of its own, which stand below its options.

    Attributes:
        handed_down: the options of the group that, given before one of its commands, count for that command.
    """

    def __init__(self, *args: Any, handed_down: Sequence[str] = (), **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.handed_down = frozenset(handed_down)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command below, and let no option before it get lost: it is handed down, or an error."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is None or name is None or ctx.resilient_parsing:
            return name, command, rest
        known = {parameter.name for parameter in command.params}
        down: dict[str, Any] = {}
        for parameter in self.params:
            if ctx.get_parameter_source(str(parameter.name)) is not ParameterSource.COMMANDLINE:
                continue
            if parameter.name not in self.handed_down:
                told = f"{parameter.opts[0]} does nothing before {name!r}."
                way = f"Put it behind {name!r}." if parameter.name in known else "Leave it out."
                raise click.UsageError(f"{told} {way}", ctx)
            down[str(parameter.name)] = ctx.params[str(parameter.name)]
        ctx.default_map = {name: down}
        return name, command, rest

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options by section, then the commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)
