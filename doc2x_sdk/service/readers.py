"""From the service's JSON to models, liberally: what has another type than expected is left out, not trusted."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from doc2x_sdk.errors import ConfigError, Doc2XError, IncompleteResult, ProtocolError
from doc2x_sdk.models import ExportStatus, Page, ParseStatus, SignedURL
from doc2x_sdk.service.answers import CODES, Answer, data_of, error_from_code
from doc2x_sdk.service.storage import link_text

__all__ = [
    "check_uid",
    "export_status",
    "failed_parse",
    "known_uid",
    "number_or_none",
    "pages_of",
    "percent",
    "text_or_empty",
    "whole_or_none",
    "zip_of",
]

UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
PAGE_FIELDS = frozenset({"page_idx", "md", "url", "page_width", "page_height", "score", "layout"})


def check_uid(uid: object, what: str, answer: Answer | None = None) -> str:
    """Return a uid that may stand in a query and a file name.

    Raises `ProtocolError`: missing, over 128 characters, or with others than letters, digits, `-`, `_` and dots.
    """
    if isinstance(uid, str) and UID.fullmatch(uid) and ".." not in uid:
        return uid
    told = repr(answer.clean(uid)[:60] if answer else uid[:60]) if isinstance(uid, str) else f"a {type(uid).__name__}"
    uid = None  # what came instead must not stand in a traceback
    raise ProtocolError(
        f"{what}: {told} is not a uid",
        trace_id=answer.trace_id if answer else None,
        status=answer.status if answer else None,
    )


def known_uid(uid: object) -> str:
    """Return a uid that the user gave, or raise `ConfigError` for what can't be one."""
    try:
        return check_uid(uid, "The uid")
    except ProtocolError:
        told = uid[:60] if isinstance(uid, str) else uid
        raise ConfigError(f"{told!r} is not a uid", advice="Copy it from the output of the conversion.") from None


def export_status(answer: Answer, what: str, uid: str) -> ExportStatus:
    """Read an answer about the export slot. A success without a URL counts as still at work."""
    data = data_of(answer, what, uid=uid)
    url = link_text(data.get("url"))
    state = text_or_empty(data.get("status")) or ("success" if url else "processing")
    return ExportStatus(
        uid=uid,
        state="processing" if state == "success" and not url else state,
        url=SignedURL(url) if url and state == "success" else None,
        detail=answer.clean(text_or_empty(data.get("detail"))),
        trace_id=answer.trace_id,
    )


def pages_of(result: object, uid: str, *, numbered: bool) -> tuple[Page, ...]:
    """Read `result.pages`, sorted by index.

    A picture's pages have no index (`numbered` false) and keep the service's order.

    Raises:
        IncompleteResult: no pages, one without a number, a number twice, or one left out between 0 and the last.
        ProtocolError: not a list of objects.
    """
    raw = result.get("pages") if isinstance(result, Mapping) else None
    del result  # an error page in its place may repeat the key, and tracebacks can show what a frame holds
    if raw is not None and not (isinstance(raw, Sequence) and all(isinstance(each, Mapping) for each in raw)):
        raise ProtocolError("The result's pages are not a list of pages", uid=uid)
    if not raw:
        raise IncompleteResult("The parse succeeded but the result has no pages", got=0, uid=uid)
    pages = sorted(
        (page_of(each, None if numbered else at) for at, each in enumerate(raw)), key=lambda page: page.index
    )
    numbers = [page.index for page in pages]
    if numbers[0] < 0 or len(set(numbers)) != len(numbers):
        raise IncompleteResult("The result has pages without a number, or numbers given twice", got=len(raw), uid=uid)
    if numbers[-1] != len(numbers) - 1:
        raise IncompleteResult(
            f"The result has {len(numbers)} pages, but their numbers go up to {numbers[-1]}",
            expected=numbers[-1] + 1,
            got=len(numbers),
            uid=uid,
        )
    return tuple(pages)


def page_of(raw: Mapping[str, Any], position: int | None) -> Page:
    """Read one page; an index that is no number becomes `position`, or -1 without one."""
    index = index_of(raw.get("page_idx"))
    if index is None:
        index = -1 if position is None else position
    layout = raw.get("layout")
    blocks = layout.get("blocks") if isinstance(layout, Mapping) else None
    extra = {name: value for name, value in raw.items() if name not in PAGE_FIELDS}
    if not isinstance(raw.get("md"), str):
        extra["md"] = raw.get("md")  # an empty page has an empty text
    return Page(
        index=index,
        md=text_or_empty(raw.get("md")).encode(errors="replace").decode(),  # no file holds half of a character
        width=whole_or_none(raw.get("page_width")),
        height=whole_or_none(raw.get("page_height")),
        url=link_text(raw.get("url")) or None,
        score=number_or_none(raw.get("score")),
        blocks=tuple(each for each in blocks if isinstance(each, Mapping)) if isinstance(blocks, list) else (),
        extra=extra,
    )


def index_of(value: object) -> int | None:
    """Return a page's number, however it is written; None for what is none."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def zip_of(data: Mapping[str, Any], uid: str) -> bytes | None:
    """Decode `convert_zip`; None where the picture has none."""
    text = data.get("convert_zip")
    if not text:
        return None
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (AttributeError, TypeError, ValueError, binascii.Error):
        raise ProtocolError("The picture's archive is not base64", uid=uid) from None


def failed_parse(status: ParseStatus) -> Doc2XError:
    """Build the error of a parse that the service gave up: by its code where the detail names one."""
    code = status.raw.get("error_code") or status.raw.get("code") or status.detail
    known = (word for word in re.findall(r"\bparse_[a-z_]+\b", str(code)) if word in CODES)
    error = error_from_code(next(known, "parse_error"), status.detail, "The parse")
    error.trace_id = status.trace_id
    return error.about(uid=status.uid)


def text_or_empty(value: object) -> str:
    """Return a text, or an empty one for anything else."""
    return value if isinstance(value, str) else ""


def number_or_none(value: object) -> float | None:
    """Return a finite number, or None."""
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:  # a whole number of more than 308 digits
        return None
    return number if math.isfinite(number) else None


def whole_or_none(value: object) -> int | None:
    """Return a number without its fraction, or None."""
    number = number_or_none(value)
    return None if number is None else int(number)


def percent(value: object) -> int:
    """Return a progress held within 0 and 100; 0 for what is no number."""
    return max(0, min(100, whole_or_none(value) or 0))
