"""Commands that plugins add; they are looked for when the user names one that is not in the table."""

from __future__ import annotations

import click

from doc2x_sdk.cli import guard, terminal
from doc2x_sdk.formats.guard import PluginRaised
from doc2x_sdk.formats.registry import Formats

__all__ = ["find_command"]


def find_command(name: str, formats: Formats | None = None) -> click.Command | None:
    """Return the command of this name that a plugin adds, to be run; each plugin is asked in a guard of its own.

    Raises `click.UsageError` when two plugins add it; the message names both packages.
    """
    found: dict[str, click.Command] = {}
    version = ""
    plugins = (formats or Formats.installed()).plugins
    for row, hook in plugins.calls("doc2x_register_commands"):
        group = click.Group()
        try:
            hook(cli=group)
        except PluginRaised as error:
            terminal.say(f"{row.package} {row.version} can't add its commands: {error}", label="Note:", colour="cyan")
            continue
        if name in group.commands:
            found[row.package], version = group.commands[name], row.version
    if len(found) > 1:
        raise click.UsageError(f"The command {name!r} is added twice: by {' and by '.join(sorted(found))}")
    for package, command in found.items():
        guard.blame(package, version)
        return command
    return None
