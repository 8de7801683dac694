"""Options of exporters and post-processors: from the user's words to typed values, before anything is sent."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from doc2x_sdk.errors import ConfigError
from doc2x_sdk.hookspecs import Option

__all__ = ["GUIDE", "check_declared", "parse_options", "typed_options"]

GUIDE = 'The guide "Write a plugin" tells what an exporter must have.'

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
TYPE_NAMES: Mapping[type, str] = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def parse_options(given: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Take `FORMAT.KEY=VALUE` texts apart; a key that is given more than once gets a list of its values.

    Raises `ConfigError` for a text of another shape.
    """
    found: dict[str, dict[str, Any]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        form, dot, key = name.partition(".")
        if not (equals and dot and form and key):
            raise ConfigError(
                f"The option {text[:60]!r} is not of the shape FORMAT.KEY=VALUE",
                advice="For example: --option epub.toc=true",
            )
        values = found.setdefault(form, {})
        if key in values:
            older = values[key]
            values[key] = [*older, value] if isinstance(older, list) else [older, value]
        else:
            values[key] = value
    return found


def check_declared(name: str, options: object) -> tuple[Option, ...]:
    """Return what an exporter declares as its options; raises `ConfigError` when that is no sequence of `Option`."""
    if not isinstance(options, Sequence) or not all(isinstance(option, Option) for option in options):
        raise ConfigError(f"The options of {name} are not a sequence of doc2x_sdk.Option", advice=GUIDE)
    names = [option.name for option in options]
    wrong = [option.name for option in options if option.type not in (*TYPE_NAMES, Path)]
    if wrong or len(set(names)) < len(names) or not all(NAME.fullmatch(each) for each in names):
        rule = "each needs a name of its own in lower case, and one of the types str, int, float, bool and Path"
        raise ConfigError(f"The options of {name} can't be used: {rule}", advice=GUIDE)
    return tuple(options)


def typed_options(name: str, declared: Sequence[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for each declared option: the given one in its type, or the default.

    Raises `ConfigError` for an option that is not declared or a value that can't be of its type.
    """
    known = {option.name: option for option in declared}
    for key in given:
        if key not in known:
            listed = ", ".join(known) or "none"
            raise ConfigError(
                f"{name} has no option {str(key)[:60]!r}", advice=f"It takes: {listed}. See `doc2x formats {name}`."
            )
    return {
        key: typed(f"{name}.{key}", option, given[key]) if key in given else option.default
        for key, option in known.items()
    }


def typed(label: str, option: Option, value: Any) -> Any:
    """Return one option's value in its type."""
    if not option.multiple:
        if isinstance(value, list | tuple):
            raise ConfigError(f"The option {label} takes one value, not {len(value)}", advice="Give it once.")
        return one(label, option, value)
    values = value if isinstance(value, list | tuple) else [value]
    return tuple(one(label, option, each) for each in values)


def one(label: str, option: Option, value: Any) -> Any:
    """Return a single value in its type, and of the allowed ones."""
    result = CONVERTERS[option.type](value)
    if result is None:
        wanted = TYPE_NAMES.get(option.type, "the path of a file or folder that exists")
        raise ConfigError(f"The option {label} must be {wanted}, not {shown(value)}", advice=option.help)
    if option.choices and result not in option.choices:
        raise ConfigError(
            f"The option {label} can't be {shown(value)}",
            advice=f"Choose from: {', '.join(str(choice) for choice in option.choices)}.",
        )
    return result


def shown(value: Any) -> str:
    """Return a value short enough for a message."""
    return repr(value[:60] if isinstance(value, str) else value)[:80]


def as_text(value: Any) -> str | None:
    """Take a text."""
    return value if isinstance(value, str) else None


def as_int(value: Any) -> int | None:
    """Take a whole number, or its text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", value.strip()) else None


def as_float(value: Any) -> float | None:
    """Take a finite number, or its text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def as_bool(value: Any) -> bool | None:
    """Take a truth value, or a word for it."""
    return value if isinstance(value, bool) else WORDS.get(value.strip().lower()) if isinstance(value, str) else None


def as_path(value: Any) -> Path | None:
    """Take the path of something that exists, and make it absolute: an exporter may run elsewhere."""
    if not isinstance(value, str | Path) or not str(value):
        return None
    try:
        path = Path(value).expanduser().absolute()
        return path if path.exists() else None
    except (OSError, ValueError, RuntimeError):
        return None


CONVERTERS: Mapping[type, Callable[[Any], Any]] = {
    str: as_text,
    int: as_int,
    float: as_float,
    bool: as_bool,
    Path: as_path,
}
