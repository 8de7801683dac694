"""Telling v1's results from its refusals: texts, codes and JSON where a file should be."""

from __future__ import annotations

import re
from typing import Any

import requests

from doc2x_sdk.config import APIKey
from doc2x_sdk.errors import ArchiveError, Doc2XError
from doc2x_sdk.service.answers import CODES, Answer, envelope_of, error_from_answer, error_from_code
from doc2x_sdk.service.reading import ERROR_BODY, read_capped
from doc2x_sdk.service.retryafter import retry_after_seconds
from doc2x_sdk.service.transport import Transport

__all__ = ["export_error", "is_refused", "other_than_archive", "plain"]

ARCHIVE = b"PK"


def is_refused(answer: Answer) -> bool:
    """Tell whether the service did not take the token."""
    envelope = envelope_of(answer)
    return answer.status == 401 or (envelope is not None and envelope.get("code") == "unauthorized")


def plain(answer: Answer, what: str, uid: str | None = None) -> Answer:
    """Return an answer as it is; raise for a bad request, HTTP 400 with a text, that begins with one of the codes."""
    word = re.match(r"\s*\"?([a-z]+(?:_[a-z]+)+)\b", answer.body[:200].decode("utf-8", "replace"))
    if answer.status == 400 and word and word[1] in CODES:
        error = error_from_code(word[1], answer.excerpt(), what)
        error.status, error.trace_id = answer.status, answer.trace_id
        raise error.about(uid=uid)
    return answer


class Resumed:
    """A response's body whose first bytes have been read: they come once more."""

    def __init__(self, raw: Any, head: bytes) -> None:
        self._raw = raw
        self._head = head

    def read(self, amount: int, *, decode_content: bool) -> Any:
        """Return the next bytes."""
        head, self._head = self._head, b""
        return head or self._raw.read(amount, decode_content=decode_content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


def other_than_archive(response: requests.Response, token: APIKey, transport: Transport) -> Answer | None:
    """Return what came instead of an archive, cut to 64 KB; None for an archive, which stays to be read."""
    head = b""
    if response.status_code == 200:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            return None  # the reader refuses it: it would be stored as it came
        head = response.raw.read(len(ARCHIVE), decode_content=False)
        if head == ARCHIVE:
            response.raw = Resumed(response.raw, head)
            return None
    rest = read_capped(response, ERROR_BODY, cut=True) or b""
    after = retry_after_seconds(response.headers, transport.clock)
    return Answer(response.status_code, response.headers, head + rest, token, after)


def export_error(answer: Answer, what: str, uid: str | None) -> Doc2XError:
    """Build the error of an answer that is no archive."""
    plain(answer, what, uid)
    envelope = envelope_of(answer)
    if answer.status == 200 and (envelope is None or envelope.get("code") in (None, "success", "ok")):
        return ArchiveError(
            f"{what}: what came is no archive: {answer.excerpt()!r}", uid=uid, status=200, trace_id=answer.trace_id
        )
    return error_from_answer(answer, what, uid=uid)
