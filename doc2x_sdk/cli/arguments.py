"""What the options of several commands become: arguments of the library and of a run."""

from __future__ import annotations

from typing import Any

__all__ = ["given_options", "talk", "wishes"]


def talk(options: dict[str, Any]) -> dict[str, Any]:
    """Return what a run must know to report."""
    return {name: options[name] for name in ("to", "out", "quiet", "as_json", "verbose", "api")}


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
