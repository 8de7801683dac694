"""Reads an answer's body, no further than a limit."""

from __future__ import annotations

from typing import cast

import requests

__all__ = ["ERROR_BODY", "read_capped"]

READ_BLOCK = 64 * 1024
ERROR_BODY = 64 * 1024  # bytes kept of an error page


def read_capped(response: requests.Response, limit: int, *, cut: bool = False) -> bytes | None:
    """Read a body's decoded bytes up to a limit; None when it is longer. With `cut` the rest is left unread."""
    raw = response.raw
    if raw.length_remaining is not None and raw.length_remaining <= limit and "Content-Encoding" not in raw.headers:
        return cast(bytes, raw.read())  # in one go: no more can come
    parts: list[bytes] = []
    room = limit
    while room >= 0:
        block = raw.read(min(READ_BLOCK, room + 1), decode_content=True)
        if not block:
            return b"".join(parts)
        parts.append(block)
        room -= len(block)
    return b"".join(parts)[:limit] if cut else None
