"""The checked way to fetch a link that stood in a document, for plugins. Nothing here is called unless a plugin does.

A document is untrusted: its links may name files of this machine, or services that only this machine reaches. Only
http and https are fetched, and only from public addresses, which is decided by the address that was really connected
to, at every redirect; so neither a name that resolves to a private address nor one that changes its mind gets through.
No proxy is used, since behind one the address would not be known, and no credentials or cookies are sent.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from socket import socket
from typing import Any, cast
from urllib.parse import urljoin

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import parse_url

from doc2x_sdk.clock import Clock, Deadline
from doc2x_sdk.errors import DeadlineExceeded, DownloadError, NetworkError, ResponseTooLarge, UnsafeURL

__all__ = ["Address", "Fetched", "fetch", "is_public"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_BYTES = 32 * 1024 * 1024
TIMEOUT = 60.0
CONNECT_TIMEOUT = 5.0
SILENCE = 15.0
HOPS = 5
BLOCK = 64 * 1024
REDIRECTS = frozenset({301, 302, 303, 307, 308})
NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
ADVICE = "The link stood in the document; it is left as it is."


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a link led to. `url` is where it ended, `media_type` what the server calls it, in lower case."""

    content: bytes = field(repr=False)
    media_type: str
    url: str


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the public internet: none of this machine, a private network or a special one.

    IPv6 addresses that stand for an IPv4 one (mapped, NAT64) are judged by that one; 6to4 and Teredo are refused.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in NAT64[0]:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address in NAT64[1] or address.sixtofour is not None or address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def fetch(
    url: str,
    *,
    max_bytes: int = MAX_BYTES,
    timeout: float = TIMEOUT,
    allowed: Callable[[Address], bool] = is_public,
    clock: Clock | None = None,
) -> Fetched:
    """Fetch a link that stood in a document.

    Args:
        url: http or https, without a user.
        max_bytes: the largest body.
        timeout: seconds for everything, redirects included; 15 s of silence end it as well.
        allowed: decides about the address connected to. Another than `is_public` opens a private network to whoever
            wrote the document.
        clock: time, for tests.

    Raises:
        UnsafeURL: another scheme, not a plain URL, or an address that is not allowed; also behind a redirect.
        ResponseTooLarge: over `max_bytes`.
        DeadlineExceeded: over `timeout`.
        DownloadError: another status than 200, or too many redirects.
        NetworkError: no connection, or it broke.
    """
    deadline = (clock or Clock()).deadline(timeout)
    with checked_pools(allowed) as pools:
        for _ in range(HOPS + 1):
            check(url)
            patience = urllib3.Timeout(connect=bounded(CONNECT_TIMEOUT, deadline), read=bounded(SILENCE, deadline))
            try:
                answer = pools.request(
                    "GET",
                    url,
                    headers={"Accept-Encoding": "identity", "User-Agent": "doc2x-sdk"},
                    redirect=False,
                    retries=False,
                    preload_content=False,
                    timeout=patience,
                )
                with answer:
                    if answer.status not in REDIRECTS:
                        return Fetched(body(answer, max_bytes, deadline), media_type(answer), url)
                    target = urljoin(url, answer.headers.get("Location", ""))
            except HTTPError as error:
                raise NetworkError(f"{host_of(url)} gave no answer: {type(error).__name__}", advice=ADVICE) from error
            if url.lower().startswith("https:") and not target.lower().startswith("https:"):
                raise UnsafeURL(f"{host_of(url)} leads from https to something else", advice=ADVICE)
            url = target
    raise DownloadError(f"{host_of(url)}: more than {HOPS} redirects", advice=ADVICE)


def check(url: str) -> None:
    """Raise `UnsafeURL` for what is not a plain http or https URL."""
    try:
        parts = parse_url(url)
    except LocationParseError:
        parts = None
    if parts is None or not parts.host or re.search(r"[\\\x00-\x20\x7f]", url):
        raise UnsafeURL("A link in the document is not a plain URL", advice=ADVICE)
    if parts.scheme not in ("http", "https"):
        raise UnsafeURL("A link in the document is neither http nor https", advice=ADVICE)
    if parts.auth is not None:
        raise UnsafeURL(f"A link in the document, to {parts.host}, has a user in it", advice=ADVICE)


def body(answer: urllib3.BaseHTTPResponse, max_bytes: int, deadline: Deadline) -> bytes:
    """Read a body, not decoded, up to the limits."""
    if answer.status != 200:
        raise DownloadError("A link in the document leads nowhere", status=answer.status, advice=ADVICE)
    if answer.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        raise DownloadError("What a link in the document leads to came encoded", advice=ADVICE)
    too_large = ResponseTooLarge(f"What a link in the document leads to is over {max_bytes} bytes", advice=ADVICE)
    length = answer.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and int(length[:19]) > max_bytes:
        raise too_large
    content = bytearray()
    while block := answer.read1(BLOCK, decode_content=False):
        content += block
        if len(content) > max_bytes:
            raise too_large
        bounded(SILENCE, deadline)
    return bytes(content)


def bounded(seconds: float, deadline: Deadline) -> float:
    """Return the seconds, or what the deadline leaves; raises `DeadlineExceeded` when that is nothing."""
    if deadline.passed():
        raise DeadlineExceeded("A link in the document took too long", advice=ADVICE)
    return min(seconds, deadline.left())


def media_type(answer: urllib3.BaseHTTPResponse) -> str:
    """Return the content type without its parameters."""
    return answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def host_of(url: str) -> str:
    """Return the host for a message; the query may hold secrets."""
    try:
        return parse_url(url).host or "the link"
    except LocationParseError:
        return "the link"


def checked_pools(allowed: Callable[[Address], bool]) -> urllib3.PoolManager:
    """Return pools whose connections look at their peer before a byte is sent."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket:
            return with_checked_peer(super()._new_conn(), self.host, allowed)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket:
            return with_checked_peer(super()._new_conn(), self.host, allowed)

    pools = urllib3.PoolManager(num_pools=HOPS + 1)
    pools.pool_classes_by_scheme = {
        "http": type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": Plain}),
        "https": type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": Secure}),
    }
    return pools


def with_checked_peer(connected: socket, host: str, allowed: Callable[[Address], bool]) -> socket:
    """Return the socket if its other end may be talked to; else close it and raise `UnsafeURL`."""
    peer = cast(Any, connected.getpeername())[0]
    if allowed(ipaddress.ip_address(peer.partition("%")[0])):
        return connected
    connected.close()
    raise UnsafeURL(f"A link in the document, to {host}, leads to an address that is not public", advice=ADVICE)
