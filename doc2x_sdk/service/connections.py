"""Connections that keep a call's deadline.

A socket timeout bounds one read, so a server that sends a byte now and then is never timed out by it. Here each read
and each write gets what is left of the call, header lines included.
"""

from __future__ import annotations

import functools
import http
import http.client
import io
import logging
import socket
import ssl
from typing import Any, cast

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import HTTPResponse

from doc2x_sdk.service.parts import FilePart, PartedBody, send_part
from doc2x_sdk.service.retry import Call, current_call

__all__ = ["BoundedHTTPConnection", "BoundedHTTPPool", "BoundedHTTPSConnection", "BoundedHTTPSPool"]


class QuietURLs(logging.Filter):
    """Takes query strings out of urllib3's own log lines while one of our calls is under way: some are permissions."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place; every record passes."""
        if current_call.get() is not None and isinstance(record.args, tuple):
            record.args = tuple(self.bare(argument) for argument in record.args)
            record.exc_info = None  # its frames hold the URL
        return True

    @staticmethod
    def bare(argument: object) -> object:
        """Cut a text at its query; an exception or retry object may quote a URL, so only its kind is told."""
        if isinstance(argument, str):
            return argument.partition("?")[0]
        return argument if isinstance(argument, int) or argument is None else type(argument).__name__


for _name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(QuietURLs())


def be_patient(sock: socket.socket, seconds: float) -> None:
    """Let the next read or write take so long; to tell the socket what it knows would be a call of the system."""
    if sock.gettimeout() != seconds:
        sock.settimeout(seconds)


class BoundedReader(io.RawIOBase):
    """The receiving side of a socket, where each read gets what the call has left."""

    def __init__(self, sock: socket.socket, call: Call) -> None:
        super().__init__()
        self._sock = sock
        self._call = call
        self._raw = cast(io.RawIOBase, sock.makefile("rb", buffering=0))

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what has come, waiting no longer than the call may."""
        be_patient(self._sock, self._call.patience())
        return self._sock.recv_into(buffer)

    def close(self) -> None:
        """Let go of the socket."""
        self._raw.close()
        super().close()


class BoundedSource:
    """Stands for the socket where http.client opens its reader."""

    def __init__(self, sock: socket.socket, call: Call) -> None:
        self._sock = sock
        self._call = call

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return the bounded reader, buffered; http.client only asks for "rb"."""
        if mode != "rb":
            raise ValueError(mode)
        return io.BufferedReader(BoundedReader(self._sock, self._call))


class FinalResponse(http.client.HTTPResponse):
    """An answer, past all that only announce it: http.client knows of 100 alone (RFC 9110, section 15.2).

    Taken for the answer, a 102 or 103 would leave the real one to the next request on the connection.
    """

    def begin(self) -> None:
        """Read heads up to the final one; after a 101, which nobody asked for, the connection is of no more use."""
        super().begin()
        while 100 < self.status < 200 and self.status != http.HTTPStatus.SWITCHING_PROTOCOLS:
            self.headers = self.msg = None  # type: ignore[assignment] # as before the first head
            super().begin()
        if self.status == http.HTTPStatus.SWITCHING_PROTOCOLS:
            self.will_close = True


def bounded_response(call: Call, sock: socket.socket, **options: Any) -> http.client.HTTPResponse:
    """Build http.client's response upon a bounded reader."""
    return FinalResponse(cast(socket.socket, BoundedSource(sock, call)), **options)


class BoundedHTTPConnection(HTTPConnection):
    """A plain connection that counts body bytes and keeps the call's deadline in both directions."""

    _call: Call | None = None
    _in_body = False

    def connect(self) -> None:
        """Connect within the connect timeout and what the call has left."""
        self._serve(current_call.get())
        if self._call is not None and isinstance(self.timeout, int | float):
            self.timeout = min(self.timeout, self._call.patience())
        super().connect()

    def _serve(self, call: Call | None) -> None:
        """Belong to a call until another takes the connection over."""
        self._call = call
        self._in_body = False
        if call is not None:
            self.response_class = functools.partial(bounded_response, call)  # type: ignore[assignment]

    def putrequest(self, method: str, url: str, skip_host: bool = False, skip_accept_encoding: bool = False) -> None:
        """Begin an attempt of the current call."""
        self._serve(current_call.get())
        if self._call is not None:
            self._call.begin_attempt()
        super().putrequest(method, url, skip_host, skip_accept_encoding)

    def endheaders(self, message_body: Any = None, *, encode_chunked: bool = False) -> None:
        """Send the head; what follows is body."""
        super().endheaders(message_body, encode_chunked=encode_chunked)
        self._in_body = True

    def send(self, data: Any) -> None:
        """Send a block; a connection that does not take all of it within the call's patience is given up."""
        if self._call is not None:
            if self.sock is not None:
                be_patient(self.sock, self._call.patience())
            if self._in_body:
                self._call.count_body(len(data))
        super().send(data)

    def request(self, method: str, url: str, body: Any = None, *args: Any, **options: Any) -> None:
        """Send a request; over a plain connection the system itself sends the parts of a file that a body gives."""
        if not hasattr(body, "part"):  # a check of the protocol would cost more than the rest of this
            super().request(method, url, body, *args, **options)
            return
        super().request(method, url, None, *args, **options)  # its length stands in the headers
        while self._is_plain() and (part := body.part()) is not None:
            self._send_part(part, body)
        while block := body.read(self.blocksize):
            self.send(block)

    def _is_plain(self) -> bool:
        """Tell whether what is written to the socket is what is sent."""
        return isinstance(self.sock, socket.socket) and not isinstance(self.sock, ssl.SSLSocket)

    def _send_part(self, part: FilePart, body: PartedBody) -> None:
        """Send a part of a file; what the system does not send by itself is read, which tells why."""
        call = self._call
        if call is not None:
            call.count_body(part.size)
        sent = send_part(self.sock, part, call.patience if call is not None else self.sock.gettimeout)
        if sent < part.size:
            self.sock.sendall(body.read_part(part.after(sent)))

    def getresponse(self) -> HTTPResponse:  # type: ignore[override] # as urllib3's own
        """Wait for the answer, which is due from now on."""
        if self._call is not None:
            self._call.await_answer()
        return super().getresponse()


class BoundedHTTPSConnection(BoundedHTTPConnection, HTTPSConnection):
    """The same over TLS."""


class BoundedHTTPPool(HTTPConnectionPool):
    """A pool of plain connections."""

    ConnectionCls: type[BoundedHTTPConnection] = BoundedHTTPConnection


class BoundedHTTPSPool(HTTPSConnectionPool):
    """A pool of TLS connections."""

    ConnectionCls: type[BoundedHTTPSConnection] = BoundedHTTPSConnection
