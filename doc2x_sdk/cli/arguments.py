"""What the options of several commands become: arguments of the library and of a run, words of another command line."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Collection, Sequence
from typing import Any

import click
from click.core import ParameterSource

__all__ = ["MASK", "command_line", "given_options", "given_words", "masked", "talk", "wishes"]

USERINFO = re.compile(r"(?<=://)[^/?#\s]*@")  # of a URL, up to its host
MASK = "***@"  # in its place


OF_FETCH = (
    *("overwrite", "given", "exporter_timeout", "formula", "formula_level", "merge_tables", "tables", "clean"),
    *("ledger", "archive"),
)
"""Options of `doc2x fetch` that are passed on to it as they were given."""


def talk(ctx: click.Context, options: dict[str, Any]) -> dict[str, Any]:
    """Return what a run must know to report, and to tell how a document is fetched."""
    told = {name: options[name] for name in ("to", "out", "quiet", "as_json", "verbose", "api")}
    return told | {"name": options.get("name"), "of_fetch": given_words(ctx, OF_FETCH)}


def wishes(options: dict[str, Any]) -> dict[str, Any]:
    """Return the library's arguments about the results."""
    level = options["formula_level"]
    return {
        "result_name": options["name"],
        "overwrite": options["overwrite"],
        "formula": options["formula"],
        "formula_level": None if level is None else int(level),
        "merge_tables": True if options["merge_tables"] else None,
        "options": given_options(options),
    }


def given_options(options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what `--option`, `--clean` and `--tables` say, as the library's argument `options`.

    Raises `ConfigError` for an option that is not of the shape FORMAT.KEY=VALUE.
    """
    from doc2x_sdk.formats.options import parse_options

    given = parse_options(options["given"])
    wanted: dict[str, Any] = {"comments": False} if options["clean"] else {}
    wanted |= {"tables": options["tables"]} if options["tables"] else {}
    if wanted:
        given["clean"] = given.get("clean", {}) | wanted
    return given


def given_words(ctx: click.Context, names: Collection[str] | None = None) -> list[str]:
    """Return the options that stood on the command line, or those of these `names`, by their long names, `masked`.

    Those of the environment and of the config file are not among them.
    """
    words: list[str] = []
    for parameter in ctx.command.params:
        name = parameter.name or ""
        if not isinstance(parameter, click.Option) or name not in (ctx.params if names is None else names):
            continue
        if ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value, called = ctx.params[name], max(parameter.opts, key=len)
        if parameter.is_flag:
            words.append(called if value else parameter.secondary_opts[0])
        else:
            for each in value if parameter.multiple else (value,):
                words += called, masked(str(each))
    return words


def masked(word: str) -> str:
    """Return a word of a command line, with `***` for user and password where it holds a URL that has them."""
    return USERINFO.sub(MASK, word)


def command_line(words: Sequence[str]) -> str:
    """Return words as a line to be copied into the system's shell."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
