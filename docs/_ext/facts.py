"""Tables that come from the code, so that they can't drift: settings, errors with their exit codes, native formats."""

import re
from dataclasses import MISSING, fields
from typing import Any, ClassVar

import click
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from doc2x_sdk import errors
from doc2x_sdk.cli.exits import exit_of
from doc2x_sdk.config import Settings


def cell(value: object) -> str:
    """One cell of a table in Markdown, which the pages are written in."""
    return " ".join(str(value).split()).replace("|", "\\|")


def shown(value: object) -> str:
    """A default as people write it."""
    if isinstance(value, tuple):
        return ", ".join(str(part) for part in value)
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int) and value % (1024 * 1024) == 0 and value:
        return f"{value // (1024 * 1024)} MiB"
    return "" if value is None or value is MISSING else f"{value:g}" if isinstance(value, float) else str(value)


class Table(SphinxDirective):
    """A table of rows that a subclass gives."""

    header: ClassVar[tuple[str, ...]] = ()

    def rows(self) -> list[tuple[str, ...]]:
        """The rows, in Markdown."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Render the rows."""
        lines = [f"| {' | '.join(map(cell, row))} |" for row in (self.header, *self.rows())]
        lines.insert(1, f"|{'---|' * len(self.header)}")
        inside: Any = nodes.container()
        self.state.nested_parse(StringList(lines, "facts"), self.content_offset, inside)
        children: list[nodes.Node] = inside.children
        return children


class SettingsTable(Table):
    """Each setting with its meaning and its default."""

    header = ("setting", "meaning", "default")

    def rows(self) -> list[tuple[str, ...]]:
        return [(f"`{each.name}`", each.metadata["help"], shown(each.default)) for each in fields(Settings)]


class ErrorsTable(Table):
    """Each error, what it means, and the command's exit code."""

    header = ("error", "what happened", "what to do", "exit code")

    def rows(self) -> list[tuple[str, ...]]:
        found = []
        for name in errors.__all__:
            kind = getattr(errors, name)
            text = (kind.__doc__ or "").partition("\n")[0]
            found.append((f"`{name}`", text, kind.advice_by_default, str(exit_of(kind("x")))))
        return found


def plain(_: Sphinx, __: object, lines: list[str]) -> None:
    """Keep help texts from being read as markup: patterns such as scans/*.png, DOC2X_..., and `commands`."""
    text = [re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", line) for line in lines]
    lines[:] = [re.sub(r"(``.*?``)|([*_])", lambda found: found[1] or f"\\{found[2]}", line) for line in text]


def code_in_docstrings(_: Sphinx, __: str, ___: str, ____: object, _____: object, lines: list[str]) -> None:
    """Docstrings write code in single backticks, as Markdown does."""
    lines[:] = [re.sub(r"(?<![`:])`([^`]+)`(?!`)", r"``\1``", line) for line in lines]


def with_examples(_: Sphinx, context: click.Context, lines: list[str]) -> None:
    """Put a command's examples behind its options."""
    examples = getattr(context.command, "examples", ())
    if examples:
        lines += ["", ".. code-block:: sh", ""]
        for text, command in examples:
            lines += [f"   # {text}", f"   {command}"]
        lines += [""]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("settings-table", SettingsTable)
    app.add_directive("errors-table", ErrorsTable)
    app.connect("sphinx-click-process-description", plain)
    app.connect("sphinx-click-process-options", plain)
    app.connect("autodoc-process-docstring", code_in_docstrings, priority=100)
    app.connect("sphinx-click-process-epilog", with_examples)
    return {"parallel_read_safe": True}
