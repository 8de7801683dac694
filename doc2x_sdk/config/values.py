"""A setting's value, out of the text of the environment or the value of the config file."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import Any

from doc2x_sdk.errors import ConfigError

__all__ = ["bytes_of", "coerce"]

WHOLE = frozenset({"retries", "connections", "archive_days", "archive_size"})
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def coerce(name: str, value: Any, origin: str) -> Any:
    """Turn text into the setting's type, or raise `ConfigError` that names setting and origin."""
    if name == "storage_hosts":
        parts = value.replace(",", " ").split() if isinstance(value, str) else value
        if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
            msg = f"storage_hosts must be a list of host names, but {origin} gives {value!r}"
            raise ConfigError(msg)
        return tuple(part.lower() for part in parts)
    if name in {"base_url", "v1_base_url"}:
        return str(value).rstrip("/")
    if name in {"ledger", "account"}:
        if not isinstance(value, str | os.PathLike):
            raise ConfigError(
                f"{name} must be a {'path' if name == 'ledger' else 'name'}, but {origin} gives {value!r}"
            )
        return str(value)
    if name in {"archive", "one_processor"}:
        return truth(value, origin)
    if name == "archive_size" and isinstance(value, str):
        value = bytes_of(value) or value
    kind: type[int] | type[float] = int if name in WHOLE or name.startswith("max_") else float
    word = "whole number" if kind is int else "number"
    with suppress(TypeError, ValueError, OverflowError):
        number = kind(value)
        if not isinstance(value, bool) and (isinstance(value, str) or number == value):
            return number
    msg = f"{name} must be a {word}, but {origin} gives {value!r}"
    raise ConfigError(msg)


def truth(value: Any, origin: str) -> bool:
    """Read the setting `archive`: true, yes, on, 1 and their opposites."""
    found = value if isinstance(value, bool) else WORDS.get(str(value).strip().lower())
    if found is None:
        raise ConfigError(f"archive must be true or false, but {origin} gives {value!r}")
    return found


def bytes_of(text: str) -> int | None:
    """Read a size such as 500MB, 1.5 GiB or 1000000 (bytes), in units of 1024; None for what is none."""
    found = SIZE.fullmatch(text.strip())
    return None if found is None else int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))
