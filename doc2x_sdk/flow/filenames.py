"""The names of results as files: from a template to a name that every system takes, and the picture folder's name."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from datetime import UTC, datetime
from functools import lru_cache

from doc2x_sdk.clock import Clock
from doc2x_sdk.errors import ConfigError
from doc2x_sdk.flow.source import Source
from doc2x_sdk.flow.unpack import RESERVED

__all__ = ["NAME_BYTES", "PICTURES", "pictures_of", "result_name", "safe_name"]

NAME_BYTES = 120  # of a result's name, so that `_images/<picture>` still fits a path
LATEX_SIGNS = re.compile(r"[%#&$^~{}]")
"""Signs that no path in \\includegraphics may have; the picture folder's name does without them."""
PICTURES = "_images"  # how the name of a result's picture folder ends


def result_name(template: str, source: Source, *, uid: str | None, clock: Clock) -> str:
    """Fill in a name template and make it a file name that every system takes.

    Args:
        template: with {stem}, {uid} and {date} (today, UTC, as 2026-01-31).
        source: gives the stem.
        uid: None while it is not known.
        clock: gives the date.

    Raises `ConfigError` for an empty template, another field, or {uid} before there is one.
    """
    if not template:
        raise ConfigError("The name template is empty", advice="It takes {stem}, {uid} and {date}.")
    fields = {"stem": source.stem} | ({"uid": uid} if uid else {})
    if "{date" in template:
        fields["date"] = datetime.fromtimestamp(clock.now(), UTC).date().isoformat()
    try:
        filled = template.format_map(fields)
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        raise ConfigError(
            f"The name template {template!r} can't be filled in: {error}", advice="It takes {stem}, {uid} and {date}."
        ) from error
    return safe_name(filled)


@lru_cache(maxsize=256)
def safe_name(text: str) -> str:
    """Return a text as a file name: what some system refuses is replaced, what is too long is cut and numbered."""
    name = "".join(portable(c) for c in text).lstrip(" -").rstrip(" .") or "document"
    if RESERVED.fullmatch(name):
        name = f"_{name}"
    if len(name.encode()) > NAME_BYTES:
        mark = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = name.encode()[: NAME_BYTES - 9].decode("utf-8", "ignore").rstrip(". ") + f"-{mark}"
    return name


def portable(character: str) -> str:
    """Return a character as every system takes it in a file name."""
    if unicodedata.category(character) == "Zs":
        return " "
    return "_" if character in '<>:"/\\|?*' or not character.isprintable() else character


def pictures_of(name: str) -> str:
    """Return what the folder with the pictures of the results of this name is called."""
    return LATEX_SIGNS.sub("_", name) + PICTURES
