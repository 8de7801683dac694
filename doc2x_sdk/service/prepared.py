"""Requests as `requests` sends them, put together without what ours never have: forms, cookies, hooks, chunks.

`requests` prepares for all that may be asked of it, which costs as much as the rest of its work on a request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from json import dumps
from typing import Any, Protocol, cast, runtime_checkable
from urllib.parse import quote_plus

import requests

from doc2x_sdk.config import APIKey
from doc2x_sdk.errors import FileError
from doc2x_sdk.models import SignedURL

__all__ = [
    "Body",
    "HasSeek",
    "bearer",
    "check_body",
    "path_at",
    "prepared",
    "url_as_sent",
    "with_json",
    "with_query",
]


QUOTED = "%(?:[0189A-F][0-9A-F]|2[0-9A-CF]|3[A-F]|[46]0|5[B-E]|7[BCDF])"
AS_SENT = re.compile(
    r"https?://[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*(?::[1-9][0-9]{0,3}|:[1-5][0-9]{4})?"
    rf"/(?:[A-Za-z0-9_~!$&'()*+,;=:@/-]++|(?<!/)\.|{QUOTED})*+(?:\?(?:[A-Za-z0-9_.~!$&'()*+,;=:@/?-]++|{QUOTED})++)?"
)
"""A URL in which requests finds nothing to put right: its host in small letters, its path without dots that lead
elsewhere, quoted where it must be and nowhere else. To look at it so costs a tenth of taking it apart."""


class Body(Protocol):
    """A request body that can be read again from its start: its length is known before it is sent."""

    def __len__(self) -> int: ...
    def read(self, size: int = -1, /) -> bytes | memoryview:
        """Return the next bytes, which another read may overwrite; with -1 all that is left, to keep."""

    def seek(self, position: int, /) -> int:
        """Go to a position."""

    def tell(self) -> int:
        """Return the position."""


@runtime_checkable
class HasSeek(Protocol):
    """A body that was read and must be read again."""

    def seek(self, position: int, /) -> int:
        """Go to a position."""


class Masked(str):
    """A header value that does not show itself where headers are printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def bearer(token: APIKey) -> dict[str, str]:
    """Return the header that carries a key."""
    return {"Authorization": Masked(f"Bearer {token.reveal()}")}


def url_as_sent(url: SignedURL | str) -> str | None:
    """Return a URL as requests would send it: its host in ASCII, its path quoted; None for what it can't send."""
    text = url.reveal() if isinstance(url, SignedURL) else url
    if AS_SENT.fullmatch(text):
        return text
    draft = requests.PreparedRequest()
    with suppress(requests.RequestException):
        draft.prepare_url(text, None)
    return draft.url


def path_at(url: str) -> int:
    """Return where the path begins in a whole URL, as one is sent."""
    return url.find("/", len("https://"))


def with_query(url: str, params: Mapping[str, str] | None) -> str:
    """Return a URL without a query with this one, whose names need no quotes."""
    return f"{url}?{'&'.join(f'{name}={quote_plus(value)}' for name, value in params.items())}" if params else url


def with_json(value: Mapping[str, Any] | None) -> tuple[bytes | None, dict[str, str]]:
    """Return a JSON body and its header; neither for None."""
    return (
        (None, {}) if value is None else (dumps(value, allow_nan=False).encode(), {"Content-Type": "application/json"})
    )


def prepared(
    method: str, url: str, headers: Mapping[str, str], body: Body | bytes | None = None
) -> requests.PreparedRequest:
    """Put a request together.

    Args:
        method: the HTTP method.
        url: the whole URL, as it is sent.
        headers: each written as HTTP writes it; without those of the body's length.
        body: see `check_body`.
    """
    request = requests.PreparedRequest()
    request.method, request.url = method, url
    request.headers = cast(Any, dict(headers))  # without requests' search for names in other letters
    request.hooks = {"response": []}
    if body is not None or method != "GET":
        request.headers["Content-Length"] = str(0 if body is None else len(body))
        request.body = cast(Any, body)
    return request


def check_body(body: object) -> None:
    """Raise `FileError` for a body that is empty or can't be sent a second time.

    requests would send either as chunks: without a length, and on a resend without content.
    """
    if body is None:
        return
    replayable = isinstance(body, bytes) or all(hasattr(body, name) for name in ("__len__", "read", "seek", "tell"))
    if not replayable:
        raise FileError("The upload can't be read twice: it needs a length, read, seek and tell")
    if len(cast(Body, body)) == 0:
        raise FileError("The upload is empty")
