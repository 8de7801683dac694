"""Builds the transport and the service on a scripted server, with a clock that does not sleep."""

from __future__ import annotations

import io
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import trustme

from doc2x_sdk.config import APIKey, Settings
from doc2x_sdk.models import SignedURL
from doc2x_sdk.service.transport import Transport
from doc2x_sdk.service.v2 import ServiceV2
from tests.support.clocks import StillClock
from tests.support.scripted import ScriptedServer

__all__ = ["KEY", "SIGNATURE", "Authority", "Blob", "open_service", "open_transport", "signed", "uid_data"]

KEY = "sk-canary4a7f19c2d8e6b305canary"
"""The account's key in tests: it must turn up on the API's wire and nowhere else."""

SIGNATURE = "canarySIGNATURE9f3b2e1d"
"""Stands in the query of presigned URLs: it must turn up in the request to that URL and nowhere else."""


class Blob:
    """Bytes as a request body: a length, read, seek and tell, as little as a body needs."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def __len__(self) -> int:
        return len(self._file.getbuffer())

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(size)

    def seek(self, position: int, /) -> int:
        return self._file.seek(position)

    def tell(self) -> int:
        return self._file.tell()


def signed(origin: str, path: str = "/bucket/object") -> SignedURL:
    """A presigned URL at a server."""
    return SignedURL(f"{origin}{path}?Expires=1700000000&Signature={SIGNATURE}")


def uid_data(uid: str = "0192d745-5776-7261-abbd-814df4af3449") -> dict[str, object]:
    """The `data` of an answer that gives a uid."""
    return {"uid": uid}


@contextmanager
def open_transport(
    server: ScriptedServer | str,
    clock: StillClock | None = None,
    *,
    key: str | None = KEY,
    environ: Mapping[str, str] | None = None,
    **settings: Any,
) -> Iterator[Transport]:
    """A transport to a server or an origin; `read_timeout` is 5 s unless given, and the clock is a `StillClock`."""
    origin = server if isinstance(server, str) else server.origin
    settings = {"connect_timeout": 5.0, "read_timeout": 5.0, "stall_timeout": 5.0, **settings}
    transport = Transport(
        origin,
        Settings(base_url=origin, **settings),
        APIKey(key, "the test") if key is not None else None,
        clock=(clock or StillClock()).clock,
        environ=environ or {},
    )
    try:
        yield transport
    finally:
        transport.close()


@contextmanager
def open_service(server: ScriptedServer | str, clock: StillClock | None = None, **options: Any) -> Iterator[ServiceV2]:
    """The v2 service upon `open_transport`."""
    with open_transport(server, clock, **options) as transport:
        yield ServiceV2(transport)


class Authority:
    """A certificate authority of the test's own making."""

    def __init__(self) -> None:
        self._ca = trustme.CA()

    def server_context(self, *names: str) -> ssl.SSLContext:
        """TLS for a server that is these names, 127.0.0.1 by default."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*(names or ("127.0.0.1",))).configure_cert(context)
        return context

    def write(self, path: Any) -> str:
        """Write the authority's own certificate to a file and return its name."""
        self._ca.cert_pem.write_to_path(str(path))
        return str(path)
