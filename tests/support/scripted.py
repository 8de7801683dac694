"""An HTTP server that misbehaves by script, on a real socket of 127.0.0.1.

A script is a list of `Step`s. Each request that arrives, on whatever connection, takes the next step; the last one is
used for all that follow. A step may act as soon as a connection is there (`at="connect"`), once the head and some
bytes of the body have come (`at=100`), or when the whole request has been read (the default).

    with ScriptedServer(reply(503), reply(json={"code": "success", "data": {}})) as server:
        ...
    assert [r.method for r in server.requests] == ["GET", "GET"]

Nothing in here sleeps: a stall lasts until the client hangs up or the server is closed.
"""

from __future__ import annotations

import json as jsonlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, Self

__all__ = [
    "Conversation",
    "Request",
    "ScriptedServer",
    "Step",
    "close",
    "drip",
    "envelope",
    "flood",
    "raw",
    "reply",
    "reset",
    "stall",
]

Then = Literal["keep", "close", "reset", "stall"]
Headers = Iterable[tuple[str, str]]
JOIN_LIMIT = 10.0  # seconds for a connection's thread to notice that the server is being closed


@dataclass
class Request:
    """One request as it came in."""

    method: str
    target: str
    head: bytes = field(repr=False)
    headers: dict[str, str] = field(repr=False)  # by lower-case name; a repeated header is joined by ", "
    connection: int  # 1 for the first connection that the server accepted
    body: bytes = field(default=b"", repr=False)
    whole: bool = False  # the body came to its announced end


class HungUpError(Exception):
    """The client closed the connection in the middle of a request."""


class Conversation:
    """The server's side of one connection."""

    def __init__(self, server: ScriptedServer, sock: socket.socket, number: int) -> None:
        self.server = server
        self.sock = sock
        self.number = number
        self._pending = b""
        self._gone = False

    # reading

    def _receive(self, most: int = 65536) -> bytes:
        block = self.sock.recv(most)
        if not block:
            raise HungUpError
        return block

    def read_head(self) -> Request | None:
        """Read up to the blank line; None when the client closed between two requests."""
        data = self._pending
        while b"\r\n\r\n" not in data:
            try:
                data += self._receive()
            except HungUpError:
                if not data:
                    return None
                raise
        head, _, self._pending = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            name, value = name.strip().lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        method, target, _ = first.split(" ")
        request = Request(method, target, head + b"\r\n\r\n", headers, self.number)
        self.server.add(request)
        return request

    def take(self, most: int) -> bytes:
        """Read some bytes of a body that the step does not want to keep."""
        if self._pending:
            block, self._pending = self._pending[:most], self._pending[most:]
            return block
        return self._receive(most)

    def read_body(self, request: Request, most: int | None = None) -> None:
        """Read the body into the request: all of it, or until `most` bytes of it are there. It may be called again."""
        if "chunked" in request.headers.get("transfer-encoding", ""):
            self._read_chunks(request)
            return
        length = int(request.headers.get("content-length", "0"))
        wanted = length if most is None else min(most, length)
        body = bytearray(request.body)  # a step may have read some of it before
        room = max(0, wanted - len(body))
        body += self._pending[:room]
        self._pending = self._pending[room:]
        try:
            while len(body) < wanted:
                body += self._receive(min(65536, wanted - len(body)))
        finally:
            request.body = bytes(body)
        request.whole = len(body) == length

    def _read_chunks(self, request: Request) -> None:
        while True:
            while b"\r\n" not in self._pending:
                self._pending += self._receive()
            size, _, self._pending = self._pending.partition(b"\r\n")
            length = int(size.partition(b";")[0], 16)
            while len(self._pending) < length + 2:
                self._pending += self._receive()
            request.body += self._pending[:length]
            self._pending = self._pending[length + 2 :]
            if not length:
                request.whole = True
                return

    # writing and ending

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self.sock.sendall(data)

    def close(self) -> None:
        """Close in order (FIN)."""
        self._gone = True
        self.sock.close()

    def reset(self) -> None:
        """Close with a reset (RST): what the client has not read yet is lost to it."""
        self._gone = True
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def stall(self) -> None:
        """Say nothing more until the client hangs up or the server is closed; what comes in is thrown away."""
        while self.sock.recv(65536):
            pass
        self._gone = True

    def pause(self, seconds: float) -> bool:
        """Let time pass for a drip; False when the server is being closed meanwhile."""
        return not self.server.over.wait(seconds)

    def end(self, then: Then) -> None:
        """Go on with the connection, or end it."""
        {"keep": lambda: None, "close": self.close, "reset": self.reset, "stall": self.stall}[then]()

    def secure(self, context: ssl.SSLContext) -> None:
        """Begin TLS on the connection."""
        self.sock = self.server.replace(self.sock, lambda old: context.wrap_socket(old, server_side=True))

    @property
    def gone(self) -> bool:
        """Whether a step has ended the connection."""
        return self._gone


Action = Callable[[Conversation, Request], None]


@dataclass(frozen=True)
class Step:
    """What is done about one request.

    `at`: "connect" acts before anything is read (the `Request` is empty then), a number once that many bytes of the
    body are there, None when the request is whole.
    """

    action: Action
    at: Literal["connect"] | int | None = None


def envelope(data: object = None, code: str = "success", **more: object) -> dict[str, object]:
    """The service's JSON object."""
    return {"code": code, "msg": code, "data": {} if data is None else data, **more}


def head_of(status: int, headers: Headers) -> bytes:
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def reply(
    status: int = 200,
    body: bytes = b"",
    *,
    json: object = None,
    headers: Headers = (),
    length: int | None = -1,
    cut: int | None = None,
    then: Then = "keep",
    at: Literal["connect"] | int | None = None,
) -> Step:
    """Answer.

    Args:
        status: the HTTP status.
        body: the bytes after the head.
        json: a value to send as JSON, instead of `body`.
        headers: more headers.
        length: the Content-Length to claim; -1 for the true one, None for no such header.
        cut: send that many bytes of the body only.
        then: what happens to the connection.
        at: see `Step`.
    """
    body = jsonlib.dumps(json).encode() if json is not None else body
    kind = [("Content-Type", "application/json")] if json is not None else []
    claim = [] if length is None else [("Content-Length", str(len(body) if length == -1 else length))]
    data = head_of(status, [*kind, *claim, *headers]) + body[:cut]
    return raw(data, then=then, at=at)


def raw(data: bytes, *, then: Then = "keep", at: Literal["connect"] | int | None = None) -> Step:
    """Send these bytes as they are."""

    def act(conversation: Conversation, request: Request) -> None:
        conversation.send(data)
        conversation.end(then)

    return Step(act, at)


def reset(*, at: Literal["connect"] | int | None = None) -> Step:
    """Break the connection off with a reset."""
    return raw(b"", then="reset", at=at)


def close(*, at: Literal["connect"] | int | None = None) -> Step:
    """Close the connection without an answer."""
    return raw(b"", then="close", at=at)


def stall(first: bytes = b"", *, at: Literal["connect"] | int | None = None) -> Step:
    """Send `first`, then nothing more, and keep the connection."""
    return raw(first, then="stall", at=at)


def drip(data: bytes, *, every: float = 0.05, first: bytes = b"", at: Literal["connect"] | int | None = None) -> Step:
    """Send `first`, then `data` one byte at a time, over and over until the client has had enough."""

    def act(conversation: Conversation, request: Request) -> None:
        conversation.send(first)
        while True:
            for position in range(len(data)):
                if not conversation.pause(every):
                    return
                conversation.send(data[position : position + 1])

    return Step(act, at)


def flood(first: bytes, block: bytes, *, at: Literal["connect"] | int | None = None) -> Step:
    """Send `first`, then `block` over and over until the client hangs up."""

    def act(conversation: Conversation, request: Request) -> None:
        conversation.send(first)
        while not conversation.server.over.is_set():
            conversation.send(block)
            conversation.server.flooded += len(block)

    return Step(act, at)


class ScriptedServer:
    """Serves a script; see the module. Every socket and thread is gone when the context ends.

    Args:
        script: the steps.
        tls: speak TLS from the first byte.
        proxy_to: be an HTTP proxy: answer CONNECT and go on as the origin, in TLS by this context.
        host, port: where to listen; port 0 takes any.
        receive_buffer: bytes that the kernel takes for a connection before it is read; its own choice by default.

    A step that raises something else than a broken connection fails the test when the context ends.
    """

    def __init__(
        self,
        *script: Step,
        tls: ssl.SSLContext | None = None,
        proxy_to: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        receive_buffer: int | None = None,
    ) -> None:
        self.script = list(script)
        self.requests: list[Request] = []
        self.tunnels: list[Request] = []  # CONNECT requests to a proxy
        self.connections = 0
        self.flooded = 0  # bytes that `flood` could send
        self.refused: list[ssl.SSLError | OSError] = []  # TLS handshakes that failed
        self.over = threading.Event()
        self._tls = tls
        self._proxy_to = proxy_to
        self._taken = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []
        self._ended = threading.Condition()
        self.ended = 0  # connections that are closed on this side
        self._listener = socket.create_server((host, port), backlog=128)
        if receive_buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]

    @property
    def origin(self) -> str:
        """The URL of this server without a path."""
        return f"{'https' if self._tls else 'http'}://{self.address[0]}:{self.address[1]}"

    def start(self) -> Self:
        """Begin to accept."""
        thread = threading.Thread(target=self._accept, name="scripted-accept")
        self._threads.append(thread)
        thread.start()
        return self

    def stop(self) -> None:
        """Close everything and wait for the threads."""
        self.over.set()
        try:
            socket.create_connection(self.address, timeout=1).close()  # wakes accept on every system
        finally:
            self._threads[0].join(JOIN_LIMIT)
            self._listener.close()
        with self._lock:
            for sock in self._open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue
        for thread in self._threads:
            thread.join(JOIN_LIMIT)
            assert not thread.is_alive(), f"{thread.name} did not end"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop()
        if kind is None and self._failures:
            msg = "a scripted step failed"
            raise AssertionError(msg) from self._failures[0]

    # what tests ask

    @property
    def bodies(self) -> list[bytes]:
        """The body of each request."""
        return [request.body for request in self.requests]

    def said(self, text: str) -> bool:
        """Whether any request's head or body held this text."""
        return any(text.encode() in request.head + request.body for request in [*self.requests, *self.tunnels])

    def wait_ended(self, connections: int) -> None:
        """Wait until that many connections have ended, by either side."""
        with self._ended:
            assert self._ended.wait_for(lambda: self.ended >= connections, JOIN_LIMIT)

    # for Conversation

    def add(self, request: Request) -> None:
        """Record a request at the moment its head is known."""
        with self._lock:
            (self.tunnels if request.method == "CONNECT" else self.requests).append(request)

    def replace(self, old: socket.socket, make: Callable[[socket.socket], socket.socket]) -> socket.socket:
        """Swap a connection's socket for one made from it."""
        new = make(old)
        with self._lock:
            self._open.discard(old)
            self._open.add(new)
        return new

    # the threads

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            if self.over.is_set():
                sock.close()
                return
            with self._lock:
                self._open.add(sock)
                self.connections += 1
                number = self.connections
                thread = threading.Thread(target=self._serve, args=(sock, number), name=f"scripted-{number}")
                self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        conversation = Conversation(self, sock, number)
        try:
            if not self._at_connect(conversation) and self._secured(conversation, self._tls):
                self._converse(conversation)
        except (OSError, HungUpError):
            pass  # the client, or the end of the test, broke the connection off
        except BaseException as error:  # noqa: BLE001 - shown when the context ends
            self._failures.append(error)
        finally:
            conversation.sock.close()
            sock.close()
            with self._lock:
                self._open -= {sock, conversation.sock}
            with self._ended:
                self.ended += 1
                self._ended.notify_all()

    def _secured(self, conversation: Conversation, context: ssl.SSLContext | None) -> bool:
        if context is not None:
            try:
                conversation.secure(context)
            except OSError as error:
                self.refused.append(error)
                return False
        return True

    def _take(self, *, at_connect: bool) -> Step | None:
        """Take the next step; with `at_connect` only one that acts then."""
        with self._lock:
            step = self.script[min(self._taken, len(self.script) - 1)]
            if at_connect and step.at != "connect":
                return None
            self._taken += 1
            return step

    def _at_connect(self, conversation: Conversation) -> bool:
        step = self._take(at_connect=True)
        if step is not None:
            step.action(conversation, Request("", "", b"", {}, conversation.number))
        return step is not None

    def _converse(self, conversation: Conversation) -> None:
        while not conversation.gone:
            request = conversation.read_head()
            if request is None:
                return
            if request.method == "CONNECT" and self._proxy_to is not None:
                conversation.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
                if not self._secured(conversation, self._proxy_to):
                    return
                continue
            step = self._take(at_connect=False)
            assert step is not None
            conversation.read_body(request, step.at if isinstance(step.at, int) else None)
            step.action(conversation, request)
            if not request.whole and not conversation.gone:
                conversation.close()
