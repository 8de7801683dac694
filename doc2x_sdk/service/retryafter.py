"""The Retry-After header: how long a service that refuses asks to be left alone, in seconds or as a date."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from doc2x_sdk.clock import Clock

__all__ = ["retry_after_seconds"]


def retry_after_seconds(headers: Mapping[str, str], clock: Clock) -> float | None:
    """Return the seconds that a Retry-After header asks for; None without one that can be trusted.

    A date is measured against the answer's own Date header, so that a wrong clock here does not matter.
    """
    value = (headers.get("Retry-After") or "").strip()
    if not value:
        return None
    if value.isascii() and value.isdigit():
        return float(value) if len(value) <= 9 else None
    moment = http_date(value)
    if moment is None:
        return None
    sent = http_date(headers.get("Date") or "")
    seconds = moment - (clock.now() if sent is None else sent)
    return seconds if 0 <= seconds < 1e9 else None


def http_date(value: str) -> float | None:
    """Return an HTTP date as seconds since 1970; None when it is not one."""
    try:
        moment = parsedate_to_datetime(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
