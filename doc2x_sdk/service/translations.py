"""Translations: their blocks, which v1 sends as JSON inside of JSON (Doc2X API v1, status), and a warning."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

from doc2x_sdk.errors import ProtocolError
from doc2x_sdk.models import TranslatedBlock
from doc2x_sdk.service.answers import reject_constant
from doc2x_sdk.service.readers import number_or_none, text_or_empty, whole_or_none

__all__ = ["blocks_of", "warn_about_translation"]

FIELDS = frozenset({"raw", "translated", "page_idx", "page_width", "page_height", "x", "y"})

_warned = False


def blocks_of(result: object, uid: str) -> tuple[TranslatedBlock, ...]:
    """Read the result of a translation: a list of objects, or a text that is one in JSON.

    Raises `ProtocolError` for anything else: a block that is left out would be a gap in the text.
    """
    try:
        rows = json.loads(result, parse_constant=reject_constant) if isinstance(result, str) else result
    except (ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise ProtocolError("The translation is not a list of blocks", uid=uid)
    return tuple(block_of(row) for row in rows)


def block_of(row: Mapping[str, Any]) -> TranslatedBlock:
    """Read one block."""
    return TranslatedBlock(
        raw=text_or_empty(row.get("raw")),
        translated=text_or_empty(row.get("translated")),
        page=whole_or_none(row.get("page_idx")) or 0,
        x=number_or_none(row.get("x")),
        y=number_or_none(row.get("y")),
        page_width=whole_or_none(row.get("page_width")),
        page_height=whole_or_none(row.get("page_height")),
        extra={name: value for name, value in row.items() if name not in FIELDS},
    )


def warn_about_translation(stacklevel: int) -> None:
    """Warn, once in a process, that translation is no documented part of the service."""
    global _warned  # noqa: PLW0603 - once in a process is what it says
    if not _warned:
        _warned = True
        text = "Doc2X does not document translation: it was seen on its web page and may stop working at any time."
        warnings.warn(text, UserWarning, stacklevel=stacklevel + 1)
