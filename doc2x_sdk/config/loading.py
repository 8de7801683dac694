"""Gathers the settings and the key from all places."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, NamedTuple

from doc2x_sdk.config.key import APIKey, find_key
from doc2x_sdk.config.paths import config_path
from doc2x_sdk.config.settings import MEGABYTE, Settings
from doc2x_sdk.config.values import coerce
from doc2x_sdk.errors import ConfigError

__all__ = ["Configuration", "Generation", "load"]

Generation = Literal["v1", "v2"]
"""The two generations of the service (Doc2X API, "Two generations")."""
ARGUMENT = "argument"
V1_LIMITS = {"max_pdf_bytes": 100 * MEGABYTE, "max_image_bytes": 10 * MEGABYTE}
"""Where v1 takes other sizes than the defaults below, which are v2's (Doc2X API v1, upload)."""


class Configuration(NamedTuple):
    """The settings, the key where there is one, and the origin of each by name."""

    settings: Settings
    key: APIKey | None
    origins: Mapping[str, str]


def load(
    *,
    apikey: str | None = None,
    environ: Mapping[str, str] | None = None,
    api: Generation = "v2",
    only: Collection[str] | None = None,
    **given: Any,
) -> Configuration:
    """Gather the settings and the key. Nothing is sent; a missing key is None.

    Args:
        apikey: the key as an argument, before all other places.
        environ: the environment; the process's own by default.
        api: whose limits are the defaults.
        only: the settings that environment and config file decide about; all of them by default.
        given: settings by name; None means not given.

    Raises:
        ConfigError: an unknown setting, a value of the wrong kind, a key file that others can read.
    """
    environ = os.environ if environ is None else environ
    path = config_path(environ)
    written = read_config_file(path)
    known = {each.name: each for each in fields(Settings)}
    for origin, names in ((ARGUMENT, given), (str(path), written)):
        for name in names:
            if name not in known:
                msg = f"Unknown setting {name!r} ({origin})"
                raise ConfigError(msg, advice=unknown_advice(name, origin, known))
    values: dict[str, Any] = dict(V1_LIMITS) if api == "v1" else {}
    origins: dict[str, str] = {}
    for name in known:
        variable, is_open = f"DOC2X_{name.upper()}", only is None or name in only
        if given.get(name) is not None:
            value, origins[name] = given[name], ARGUMENT
        elif is_open and environ.get(variable):
            value, origins[name] = environ[variable], variable
        elif is_open and name in written:
            value, origins[name] = written[name], str(path)
        else:
            origins[name] = "default"
            continue
        values[name] = checked(name, value, origins[name])
    key = find_key(apikey, environ)
    origins["apikey"] = key.origin if key else "not set"
    return Configuration(Settings(**values), key, origins)


def checked(name: str, value: Any, origin: str) -> Any:
    """Return a setting's value in its type, or raise `ConfigError` whose advice leads to where it stands."""
    try:
        value = coerce(name, value, "the argument" if origin == ARGUMENT else origin)
        Settings(**{name: value})
    except ConfigError as error:
        if origin != ARGUMENT:  # `doc2x config`, the usual advice, ends with the same error
            way = f"Correct {origin}, or unset it." if origin.startswith("DOC2X_") else f"Correct {name} in {origin}."
            error.advice = way if error.advice == error.advice_by_default else f"{error.advice} {way}"
        raise
    return value


def unknown_advice(name: str, origin: str, known: Collection[str]) -> str:
    """Return what to do about a setting that there is not."""
    if origin == ARGUMENT:
        return ConfigError.advice_by_default
    from difflib import get_close_matches  # noqa: PLC0415 - only for a mistake

    near = get_close_matches(name, known, 1)
    return f"Correct or remove that line of the file.{f' Is {near[0]} meant?' if near else ''}"


def read_config_file(path: Path) -> dict[str, Any]:
    """Read the TOML file; a missing one is empty."""
    try:
        text = path.read_text(encoding="utf-8")
        import tomllib  # noqa: PLC0415 - many have no such file

        return tomllib.loads(text)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:  # not to be read, not UTF-8, not TOML
        msg = f"The config file {path} can't be read: {error}"
        raise ConfigError(msg, advice="Correct or remove the file, or name another by DOC2X_CONFIG.") from error
