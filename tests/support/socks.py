"""A SOCKS 5 proxy on loopback (RFC 1928, RFC 1929) that leads every name to one address."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

__all__ = ["REFUSED", "SocksProxy"]

Read = Callable[[int], bytes | None]
JOIN_LIMIT = 10.0
REFUSED = 2  # "connection not allowed by ruleset"


@dataclass
class SocksProxy:
    """The proxy, from entering the context to leaving it.

    Attributes:
        target: where all connections lead.
        reply: its answer to a connect; 0 lets it pass, None is silence.
        asked: host and port of each connect; a host that was looked up before is an address.
        logins: user and password of each connection, where they were given.
        outside: all bytes that were for the proxy itself.
    """

    target: tuple[str, int]
    reply: int | None = 0
    asked: list[tuple[str, int]] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    outside: bytes = b""

    def __enter__(self) -> Self:
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self._over = threading.Event()
        self._begin(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        socket.create_connection(self.address, timeout=1).close()
        self._threads[0].join(JOIN_LIMIT)
        self._listener.close()
        for each in self._open:
            hang_up(each)
        for thread in self._threads:
            thread.join(JOIN_LIMIT)
            assert not thread.is_alive()
        for each in self._open:
            each.close()

    def _begin(self, work: Callable[..., None], *args: socket.socket) -> None:
        thread = threading.Thread(target=work, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            self._open.append(sock)
            if self._over.is_set():
                return
            self._begin(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        try:
            with sock.makefile("rb", buffering=0) as said:
                passed = self._greet(sock, said.read) and self._connect(sock, said.read)
        except (OSError, IndexError, struct.error):
            passed = False  # the client has gone
        if not passed:
            if self.reply is not None:
                hang_up(sock)
            return
        onward = socket.create_connection(self.target)
        self._open.append(onward)
        self._begin(pump, sock, onward)
        pump(onward, sock)

    def _heard(self, data: bytes | None) -> bytes:
        self.outside += data or b""
        return data or b""

    def _greet(self, sock: socket.socket, read: Read) -> bool:
        count = self._heard(read(2))[1]
        methods = self._heard(read(count))
        if 2 not in methods:
            sock.sendall(b"\x05\x00")
            return True
        sock.sendall(b"\x05\x02")
        self._heard(read(1))
        user, word = (self._heard(read(self._heard(read(1))[0])).decode() for _ in range(2))
        self.logins.append((user, word))
        sock.sendall(b"\x01\x00")
        return True

    def _connect(self, sock: socket.socket, read: Read) -> bool:
        kind = self._heard(read(4))[3]
        if kind == 3:
            host = self._heard(read(self._heard(read(1))[0])).decode()
        else:
            host = socket.inet_ntoa(self._heard(read(4)))
        (port,) = struct.unpack(">H", self._heard(read(2)))
        self.asked.append((host, port))
        if self.reply is None:
            return False
        sock.sendall(bytes([5, self.reply, 0, 1, 0, 0, 0, 0, 0, 0]))
        return self.reply == 0


def pump(source: socket.socket, target: socket.socket) -> None:
    """Pass bytes on until one side ends."""
    try:
        while block := source.recv(65536):
            target.sendall(block)
    except OSError:
        pass
    hang_up(target)


def hang_up(sock: socket.socket) -> None:
    """End both directions."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
