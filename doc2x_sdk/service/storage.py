"""Links to the service's storage: which of them may be followed. Uploads and downloads ask here, each hop anew."""

from __future__ import annotations

import re
from typing import NamedTuple

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from doc2x_sdk.config import is_loopback
from doc2x_sdk.errors import UnsafeURL
from doc2x_sdk.models import SignedURL

__all__ = ["check_storage_url", "link_text"]


def link_text(value: object) -> str:
    r"""Return a link as it is meant: the service sends a literal `\u0026` for `&` at times (Doc2X API v2, export)."""
    return re.sub(r"\\u0026", "&", value, flags=re.IGNORECASE) if isinstance(value, str) else ""


class Link(NamedTuple):
    """What decides about a link, without the parts of it that are a permission."""

    scheme: str
    host: str
    has_user: bool


def dissect(url: SignedURL) -> Link | None:
    """Take a link apart with the parser that also connects; None where parsers could disagree about it."""
    try:
        parts = parse_url(url.reveal())
    except LocationParseError:
        return None
    if re.search(r"[\\\x00-\x20\x7f]", url.reveal()) or not parts.host:
        return None
    has_user = parts.auth is not None or re.match(r"[^/?#]*//[^/?#]*@", url.reveal()) is not None
    return Link(parts.scheme or "", parts.host.lower().rstrip("."), has_user)


def check_storage_url(url: SignedURL, allowed: tuple[str, ...], *, loopback: bool) -> None:
    """Raise unless a storage link may be followed.

    Args:
        url: the whole link; it is checked as it came, and again where requests would send it otherwise.
        allowed: host names, or suffixes that begin with a dot.
        loopback: whether plain http to this machine is right, as it is for an API on loopback.

    Raises:
        UnsafeURL: not https, with a user, with a host off the list, or not a URL. The error names host and setting.
    """
    link = dissect(url)
    if link is None:
        raise UnsafeURL("The service gave a link that is not a plain URL")
    if link.has_user:
        raise UnsafeURL(f"The service gave a link to {link.host} with a user in it")
    if is_loopback(link.host):
        if loopback and link.scheme in ("http", "https"):
            return
        raise UnsafeURL(f"The service gave a link to this machine ({link.host}), which only an API on loopback may")
    if link.scheme != "https":
        raise UnsafeURL(f"The service gave a link to {link.host} that is not https")
    if not any(link.host == entry or (entry.startswith(".") and link.host.endswith(entry)) for entry in allowed):
        hosts = ", ".join(allowed)
        raise UnsafeURL(f"The service gave a link to {link.host}, which is not among storage_hosts ({hosts})")
