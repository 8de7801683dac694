"""From a library's exception to our own, by its kind: the libraries' words quote URLs, and those may be signed."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from types import TracebackType

import requests
import urllib3
from urllib3.util import parse_url

from doc2x_sdk.errors import DeadlineExceeded, NetworkError, TooManyOpenFiles
from doc2x_sdk.open_files import is_lack
from doc2x_sdk.service.retry import Call

__all__ = ["LIBRARY_ERRORS", "failure_from", "without_libraries"]

LIBRARY_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
BETWEEN_LIBRARIES = frozenset({f"{__package__}.{name}" for name in ("adapter", "connections")})
"""Our modules that the libraries call, and that hold what they hold."""


def failure_from(error: Exception, call: Call, what: str, request: requests.PreparedRequest) -> NetworkError:
    """Say what broke, by its kind: the libraries' own words quote URLs, which may be signed."""
    host = parse_url(request.url or "").host or "the host"
    kind = DeadlineExceeded if call.late() else NetworkError
    told, advice = f"{reason_of(error)} ({host}, {times_sent(call.attempts)})", kind.advice_by_default
    if kind is DeadlineExceeded:
        told = f"no complete answer within the time limit: {told}"
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in causes(error)):
        advice = "Behind a proxy that replaces certificates, name its CA file in REQUESTS_CA_BUNDLE."
    if any(is_lack(each) for each in causes(error)):
        advice = TooManyOpenFiles.advice_by_default
    return kind(f"{what}: {told}", sent=call.how_much_sent(), advice=advice)


def times_sent(attempts: int) -> str:
    """Say how often a request has left."""
    return "nothing was sent" if not attempts else "1 attempt" if attempts == 1 else f"{attempts} attempts"


def reason_of(error: BaseException) -> str:
    """Name the kind of a library's error in a few words."""
    chain = list(causes(error))
    kinds: tuple[tuple[type[BaseException], str], ...] = (
        (ssl.SSLCertVerificationError, "the host's certificate was not accepted"),
        (ssl.SSLEOFError, "the TLS connection broke off"),
        (urllib3.exceptions.SSLError, "the TLS connection was not accepted"),
        (urllib3.exceptions.NameResolutionError, "the host's name is not known"),
        (ConnectionRefusedError, "the connection was refused"),
        (urllib3.exceptions.ProxyError, "the proxy can't be used"),
        (requests.exceptions.InvalidProxyURL, "the proxy's URL is not one"),
        (urllib3.exceptions.NewConnectionError, f"no connection{words_of_system(chain)}"),  # is a timeout to urllib3
        (urllib3.exceptions.ConnectTimeoutError, "no connection in time"),
        (urllib3.exceptions.ReadTimeoutError, "no answer in time"),
        (TimeoutError, "the connection stood still"),
        (urllib3.exceptions.DecodeError, "the answer could not be decompressed"),
        (urllib3.exceptions.IncompleteRead, "the answer broke off"),
        (ConnectionError, "the connection was reset"),
    )
    for kind, text in kinds:
        if any(isinstance(each, kind) for each in chain):
            return text
    return "the connection broke"


def words_of_system(chain: Iterable[BaseException]) -> str:
    """Return what the system says of a connection that was not made, after a colon: it knows no URL."""
    return next((f": {each.strerror}" for each in chain if type(each) is OSError and each.strerror), "")


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it wraps."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop()
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [*each.args, getattr(each, "reason", None), each.__cause__, each.__context__]


def without_libraries(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of libraries and those between them: they hold whole URLs and headers."""
    kept: list[TracebackType] = []
    while trace is not None:
        name = trace.tb_frame.f_globals.get("__name__", "")
        if name not in BETWEEN_LIBRARIES and name.partition(".")[0] not in ("requests", "urllib3", "http"):
            kept.append(trace)
        trace = trace.tb_next
    for frame, following in zip(kept, [*kept[1:], None], strict=True):
        frame.tb_next = following
    return kept[0] if kept else None
