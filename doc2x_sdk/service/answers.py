"""From an HTTP answer to the service's data, or to an exception: the one place where the two are told apart."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, cast
from urllib.parse import quote

from doc2x_sdk.config import APIKey
from doc2x_sdk.errors import (
    AuthError,
    Doc2XError,
    FileError,
    NetworkError,
    PagesLimitExceeded,
    ProtocolError,
    QuotaExceeded,
    RateLimit,
    TaskFailed,
)

__all__ = [
    "CODES",
    "LIMIT_CODES",
    "NOT_FOUND",
    "Answer",
    "data_of",
    "envelope_of",
    "error_from_answer",
    "error_from_code",
    "one_line",
    "reject_constant",
]

EXCERPT = 200  # characters of an answer that an error quotes
URL_QUERY = re.compile(r"(?i)(https?:[^\s?\"'<>]*)\?[^\s\"'<>]*")
BARE_QUERY = re.compile(r"\?[^\s\"'<>?=]*=[^\s\"'<>]*")
SIGNATURE = re.compile(r"(?i)((?:signature|token|accesskey|credential)[\w-]*[\s\"']*(?:[=:>]|%3d)[\s\"']*)[^\s\"'<>&]+")
NOT_FOUND = "parse_status_not_found"
LIMIT_CODES = frozenset({"parse_task_limit_exceeded", "parse_concurrency_limit"})
"""The service is full: the same step is asked again later (Doc2X API v2, codes)."""

CODES: Mapping[str, tuple[type[Doc2XError], str, str]] = {
    "parse_task_limit_exceeded": (RateLimit, "Too many documents are in work on this account", ""),
    "parse_concurrency_limit": (RateLimit, "Too many pages are in work on this account", ""),
    "parse_create_task_error": (TaskFailed, "The service could not start the parse", ""),
    "parse_error": (TaskFailed, "The service could not parse the document", ""),
    "internal_error": (TaskFailed, "The service had an internal error", ""),
    NOT_FOUND: (
        TaskFailed,
        "The service does not know this uid, or no longer: results are kept for 24 hours",
        "Check the uid; after 24 hours the document has to be parsed again.",
    ),
    "parse_quota_limit": (QuotaExceeded, "No pages are left on this account", ""),
    "parse_file_too_large": (FileError, "The service says that the file is too large", "Split it, or compress it."),
    "parse_page_limit_exceeded": (PagesLimitExceeded, "The document has too many pages for one parse", ""),
    "parse_file_page_limit": (PagesLimitExceeded, "The document has too many pages for one parse", ""),
    "parse_file_not_pdf": (FileError, "The service says that the file is not a PDF", "Print it to PDF anew."),
    "parse_pdf_invalid": (FileError, "The service could not read the PDF", "Print it to PDF anew."),
    "parse_file_invalid": (FileError, "The service could not read the file", "Print it to PDF anew."),
    "parse_file_not_image": (FileError, "The service says that the file is not a JPEG or PNG picture", "Convert it."),
    "parse_file_lock": (
        TaskFailed,
        "The service has locked this file after repeated failures",
        "Wait a day, or print the document to a new PDF.",
    ),
    "parse_timeout": (TaskFailed, "The parse took the service more than 15 minutes", "Split the document."),
    "unauthorized": (AuthError, "The service refused the key", ""),
}


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A whole answer: status, headers, and a body already held to its size limit.

    `whole_before` tells whether the request's body had left whole in an attempt before the one that this answers,
    `whole` whether it had in this one: a server may answer, and hang up, before it has read all of it.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    key: APIKey | None = field(default=None, repr=False)
    retry_after: float | None = None
    whole_before: bool = False
    whole: bool = True

    @property
    def trace_id(self) -> str | None:
        """The trace id that the service's support asks for."""
        value = self.headers.get("trace-id") or self.headers.get("x-trace-id")
        return re.sub(r"[^\x21-\x7e]", "", value)[:128] or None if value else None

    def excerpt(self) -> str:
        """Return the body's first 200 characters as one line, without the key and without query strings."""
        return self.clean(self.body[: EXCERPT * 20].decode("utf-8", "replace"))

    def clean(self, text: str) -> str:
        """Return at most 200 characters of a text from the service, without what `excerpt` leaves out."""
        if not text:
            return ""
        text = text[: EXCERPT * 20]
        if self.key is not None:
            key = self.key.reveal()
            for written in (key, json.dumps(key)[1:-1], quote(key, safe="")):
                text = text.replace(written, "***")
        return one_line(text)

    def is_envelope(self) -> bool:
        """Tell whether the body is the service's JSON object with a code."""
        envelope = envelope_of(self)
        return envelope is not None and isinstance(envelope.get("code"), str)


class Sealed(dict[str, Any]):
    """A JSON object that prints the names of its fields only: a value may be a permission."""

    def __repr__(self) -> str:
        return f"<fields: {', '.join(self)[:EXCERPT]}>"


def one_line(text: str) -> str:
    """Return at most 200 printable characters of a text, without query strings and signatures."""
    text = URL_QUERY.sub(r"\1?...", text)
    text = BARE_QUERY.sub("?...", text)
    text = SIGNATURE.sub(r"\1...", text)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:EXCERPT]


def reject_constant(name: str) -> NoReturn:
    """Refuse NaN and the infinities, which are not JSON."""
    raise ValueError(name)


def finite(text: str) -> float | None:
    """Return a number, or None for one like 1e999, which Python reads as infinity and no JSON can hold."""
    number = float(text)
    return number if math.isfinite(number) else None


DECODER = json.JSONDecoder(parse_constant=reject_constant, parse_float=finite)


def envelope_of(answer: Answer) -> Sealed | None:
    """Return the JSON object of an answer, with `data` sealed as well; None when the body is not one."""
    try:
        value = DECODER.decode(answer.body.decode(json.detect_encoding(answer.body), "surrogatepass"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("data"), dict):
        value["data"] = Sealed(value["data"])
    return Sealed(value)


def data_of(answer: Answer, what: str, *, uid: str | None = None) -> Mapping[str, Any]:
    """Return the `data` of a successful answer.

    Args:
        answer: the answer.
        what: what was asked for, as the subject of an error message.
        uid: the parse that it was about.

    Raises:
        Doc2XError: by HTTP status and the service's code, see `error_from_answer`.
        ProtocolError: not the service's JSON, or success without an object in `data`.
    """
    envelope = envelope_of(answer) if 200 <= answer.status < 300 else None
    if envelope is None or envelope.get("code") not in ("success", "ok"):
        raise error_from_answer(answer, what, uid=uid)
    if not isinstance(envelope.get("data"), Sealed):
        raise ProtocolError(
            f"{what}: the answer has no data: {answer.excerpt()!r}",
            uid=uid,
            trace_id=answer.trace_id,
            status=answer.status,
        )
    return cast(Sealed, envelope["data"])


def error_from_answer(answer: Answer, what: str, *, uid: str | None = None) -> Doc2XError:
    """Turn an answer that is not a success into the error that the caller should see; nothing is raised here."""
    envelope = envelope_of(answer)
    code = envelope.get("code") if envelope else None
    if isinstance(code, str) and code not in ("success", "ok"):
        message = envelope.get("msg") if envelope else None
        code = answer.clean(code)
        error = error_from_code(code, answer.clean(message) if isinstance(message, str) else "", what)
        if type(error) is Doc2XError:
            error = error_from_status(answer, what, code) or error
    else:
        error = error_from_status(answer, what, None) or ProtocolError(
            f"{what}: the answer is not the service's JSON: {answer.excerpt()!r}"
        )
    error.status, error.trace_id = answer.status, answer.trace_id
    if isinstance(error, RateLimit):
        error.retry_after = answer.retry_after
    return error.about(uid=uid)


def error_from_code(code: str, message: str, what: str) -> Doc2XError:
    """Build the error of one of the service's codes; an unknown code gives a plain `Doc2XError` that carries it."""
    message = one_line(message)
    known = CODES.get(code)
    if known is None:
        return Doc2XError(f"{what}: the service answered {code!r}: {message!r}", code=one_line(code))
    kind, text, advice = known
    told = f"{text} ({message})" if message and message not in (code, "success") else text
    return kind(told, code=code, advice=advice or kind.advice_by_default)


def error_from_status(answer: Answer, what: str, code: str | None) -> Doc2XError | None:
    """Build the error of an HTTP status; None for one that says nothing by itself."""
    status, told = answer.status, answer.excerpt()
    error: Doc2XError | None = None
    if status in (401, 403):
        error = AuthError(f"{what}: the service refused the key: {told!r}", code=code)
    elif status == 429 or (status == 503 and answer.retry_after is not None):
        error = RateLimit(f"{what}: the service asks to wait: {told!r}", code=code)
    elif status == 413:
        error = FileError(f"{what}: the service says that the file is too large", code=code)
    elif status >= 500:
        advice = "Wait a little and run it again; if it goes on, report the trace id to the service."
        error = NetworkError(f"{what}: the service is in trouble: {told!r}", code=code, sent="all", advice=advice)
    elif status >= 400:
        error = Doc2XError(f"{what}: the service refused the request: {told!r}", code=code)
    elif status >= 300:
        error = ProtocolError(f"{what}: the answer is a redirect; it is not followed, since the key would travel on")
    return error
