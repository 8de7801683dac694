"""Commands and options whose help is in sections, with examples; nothing but click is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

__all__ = ["SETTINGS", "Command", "Group", "Option", "option", "write_examples", "write_options"]

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


class Command(click.Command):
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
    """A command with commands of its own, which stand below its options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options by section, then the commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)
