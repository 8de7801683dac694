"""`doc2x config`: the settings, where each comes from, and the key's file."""

from __future__ import annotations

import os
import sys

import click

from doc2x_sdk.cli.help import SETTINGS, Command, Group
from doc2x_sdk.cli.options import json_option

__all__ = ["command"]


@click.group(
    "config",
    cls=Group,
    invoke_without_command=True,
    short_help="Show the settings and where each comes from; store the key.",
    examples=(
        ("All settings", "doc2x config"),
        ("Store the key of your account; you are asked for it", "doc2x config set-key"),
        ("Change a setting for one run", "DOC2X_PARSE_TIMEOUT=600 doc2x convert paper.pdf"),
        ("Where the config file is: lines such as parse_timeout = 600", "doc2x config path"),
    ),
)
@json_option("the settings")
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """Show each setting, its value and where it comes from; nothing is sent.

    A setting comes from the environment (DOC2X_ and its name in capitals), else from the config file, else it has its
    default. Of the key only its origin is shown.
    """
    if ctx.invoked_subcommand is not None:
        return
    from dataclasses import fields

    from doc2x_sdk import config
    from doc2x_sdk.cli import tables, terminal

    loaded = config.load()
    origins = loaded.origins
    values = {
        each.name: (getattr(loaded.settings, each.name), each.metadata["help"]) for each in fields(config.Settings)
    }
    if as_json:
        tables.print_json(
            {
                "apikey": {"set": loaded.key is not None, "origin": origins["apikey"]},
                "config_file": str(config.config_path()),
                "key_file": str(config.key_path()),
                "settings": {
                    name: {"value": value, "origin": origins[name], "help": about}
                    for name, (value, about) in values.items()
                },
            }
        )
        return
    if loaded.settings.ledger is None:
        values["ledger"] = str(config.ledger_path(loaded.settings)), values["ledger"][1]
    key = ("set", origins["apikey"]) if loaded.key is not None else ("not set", "")
    rows = [("apikey", *key, "the account's key; never shown")]
    rows += [(name, shown(value), origins[name], about) for name, (value, about) in values.items()]
    tables.print_table(("Setting", "Value", "From", "What it is"), rows, wide=("What it is",))
    for told in misspelt([f"DOC2X_{name.upper()}" for name in (*values, "apikey", "api_key", "config", "plugins")]):
        terminal.warn(told)


def misspelt(known: list[str]) -> list[str]:
    """Tell of variables of the environment that look like ours and are none: they have no effect."""
    from difflib import get_close_matches

    near = {name: get_close_matches(name, known, 1) for name in sorted(os.environ) if name.startswith("DOC2X_")}
    return [
        f"{name} is no setting. {f'Is {close[0]} meant?' if close else ''}".rstrip()
        for name, close in near.items()
        if name not in known
    ]


def shown(value: object) -> str:
    """Return a value as it is written in the config file, but for lists and what is not set."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(value) if isinstance(value, tuple) else str(value)


@command.command("path", cls=Command, examples=(("Edit it", '"$EDITOR" "$(doc2x config path)"'),))
def path() -> None:
    """Print where the config file is, or would be. The key's file, apikey, is in the same folder."""
    from doc2x_sdk import config
    from doc2x_sdk.cli import terminal

    terminal.answer(str(config.config_path()))


@command.command(
    "set-key",
    cls=Command,
    # What is typed behind the command is taken, so that it can be refused without being repeated on the screen.
    context_settings={**SETTINGS, "ignore_unknown_options": True, "allow_extra_args": True},
    examples=(
        ("Be asked for it; what you type is not shown", "doc2x config set-key"),
        ("From a file or a password manager", "doc2x config set-key < key.txt"),
    ),
)
@click.pass_context
def set_key(ctx: click.Context) -> None:
    """Store the account's key in a file that only you can read.

    It is read from standard input; on a terminal you are asked for it, and it is not shown. It is never an argument,
    since others on the machine can read a command line.
    """
    from doc2x_sdk import config
    from doc2x_sdk.cli import terminal
    from doc2x_sdk.errors import ConfigError

    if ctx.args:
        raise ConfigError(
            "The key is no argument: a command line can be read by others, and stays in the shell's history",
            advice="Run `doc2x config set-key` alone. If that was your key, think about a new one.",
        )
    written = config.set_key(read_key())
    terminal.say(f"The key is stored in {written}; only you can read it.")
    origin = config.load().origins["apikey"]
    if origin != str(written):
        terminal.warn(f"{origin} is set too and goes before the file.")


def read_key() -> str:
    """Ask for the key on a terminal, else read one line of standard input.

    Raises:
        ConfigError: nothing was given, or more than one line.
    """
    from doc2x_sdk.cli import terminal
    from doc2x_sdk.errors import ConfigError

    if terminal.is_terminal(sys.stdin):
        from getpass import getpass

        terminal.say("Copy the key from the Doc2X web page.")
        try:
            return getpass("Key (not shown): ").strip()
        except EOFError:
            raise ConfigError("No key was given", advice="Nothing was stored.") from None
    lines = (sys.stdin.read(65536) if sys.stdin is not None else "").split()
    if len(lines) != 1:
        told = "No key was given on standard input" if not lines else "Standard input holds more than one word"
        raise ConfigError(told, advice="Give the key alone: doc2x config set-key < key.txt. Nothing was stored.")
    return lines[0]
