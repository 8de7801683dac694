"""The simulated service as a process of its own: `python -m tests.benchmarks.simulator PROFILE-AS-JSON`.

It prints its two ports (API, storage) as JSON. Each line on its standard input names a file, into which it then writes
what happened so far; it ends with its standard input. Round trips and bandwidth are its doing, so a client on loopback
sees them as it would see them on a line: an answer leaves one round trip after its request came, the first one on a
connection three, and an upload is read no faster than its bandwidth.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.account import Account, Reply
from tests.benchmarks.profile import Profile

__all__ = ["main"]

BUFFER = 256 * 1024
HEAD_KEPT = 2048  # bytes of an upload that are looked at
AHEAD = 0.002  # seconds that an upload may be ahead of its bandwidth
CREDIT = 0.05  # seconds of bandwidth that are not lost when this process comes late
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
CALLS = {
    ("POST", "/api/v2/parse/preupload"): "preupload",
    ("GET", "/api/v2/parse/status"): "status",
    ("POST", "/api/v2/convert/parse"): "export",
    ("GET", "/api/v2/convert/parse/result"): "result",
}


class Simulation:
    """What all connections share."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.account = Account(profile)
        self.log: list[tuple[Any, ...]] = []
        self.connections = {"api": 0, "storage": 0}
        self.buffer = memoryview(bytearray(BUFFER))
        self.line_free = 0.0

    def report(self) -> dict[str, Any]:
        """Tell what happened."""
        names = ("what", "host", "connection", "uid", "began", "ended", "bytes_in", "bytes_out", "status", "code")
        return {
            "now": time.monotonic(),
            "cpu": time.process_time(),
            "connections": self.connections,
            "requests": [dict(zip(names, row, strict=True)) for row in self.log],
            "jobs": self.account.report(),
        }


class Connection(asyncio.BufferedProtocol):
    """One connection: requests one after another, answers after their round trip."""

    def __init__(self, simulation: Simulation, host: str) -> None:
        self.simulation = simulation
        self.host = host
        self.loop = asyncio.get_running_loop()
        self.pending = b""
        self.busy = False
        self.left = 0  # bytes of an upload that are still to come
        self.free = 0.0  # when the line of this connection has carried all that was read

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.simulation.connections[self.host] += 1
        self.number = self.simulation.connections[self.host]
        self.handshake = 2 * self.simulation.profile.round_trip

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.simulation.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self.left:
            self._take(bytes(self.simulation.buffer[: min(nbytes, HEAD_KEPT - len(self.head))]), nbytes)
        else:
            self.pending += bytes(self.simulation.buffer[:nbytes])
            self._next()

    def _next(self) -> None:
        """Begin the next request, if a whole one (of an upload: its head) has come."""
        if self.busy:
            return
        end = self.pending.find(b"\r\n\r\n")
        if end < 0:
            return
        found = LENGTH.search(self.pending, 0, end)
        length = int(found[1]) if found else 0
        method, target, _ = self.pending.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        body = self.pending[end + 4 :]
        is_upload = method == "PUT"
        if not is_upload and len(body) < length:
            return
        self.busy = True
        self.began = time.monotonic()
        self.method, self.target, self.length, self.head = method, target, length, b""
        self.pending = b"" if is_upload else body[length:]
        if is_upload and length:
            self.left = length
            if body:
                self._take(body[:HEAD_KEPT], len(body))
        else:
            self._arrive_after(0.0, body[:length])

    def _take(self, head: bytes, count: int) -> None:
        """Take a part of an upload as fast as the bandwidth allows."""
        profile = self.simulation.profile
        now = time.monotonic()
        self.head += head[: HEAD_KEPT - len(self.head)]
        self.left -= count
        if profile.mbit_connection:
            self.free = max(self.free, now - CREDIT) + count * 8 / (profile.mbit_connection * 1e6)
        if profile.mbit_total:
            line = max(self.simulation.line_free, now - CREDIT) + count * 8 / (profile.mbit_total * 1e6)
            self.simulation.line_free = line
            self.free = max(self.free, line)
        behind = self.free - now
        if not self.left:
            self._arrive_after(max(0.0, behind), self.head)
        elif behind > AHEAD:
            self.transport.pause_reading()
            self.loop.call_later(behind, self.transport.resume_reading)

    def _arrive_after(self, seconds: float, body: bytes) -> None:
        delay = seconds + self.handshake + self.simulation.profile.round_trip / 2
        self.handshake = 0.0
        self.loop.call_later(delay, self._arrive, body)

    def _arrive(self, body: bytes) -> None:
        """Find the answer: this is the instant at which the service sees the request."""
        path, _, query = self.target.partition("?")
        account, now = self.simulation.account, time.monotonic()
        what = CALLS.get((self.method, path), "")
        reply: Reply
        if self.host == "api" and what:
            argument = json.loads(body) if what == "export" else query.removeprefix("uid=")
            reply = account.api(what, argument, now)
        elif self.host == "storage" and self.method == "PUT":
            what, reply = "put", account.store(path.rpartition("/")[2], body, now)
        elif self.host == "storage" and self.method == "GET":
            what, reply = "download", account.fetch(path.rpartition("/")[2])
        else:
            what, reply = "unknown", Reply(404, b"", "404")
        self.loop.call_later(self.simulation.profile.round_trip / 2, self._answer, what, reply)

    def _answer(self, what: str, reply: Reply) -> None:
        now = time.monotonic()
        if reply.sent is not None:
            reply.sent(now)
        head = (
            f"HTTP/1.1 {reply.status} X\r\nContent-Type: {reply.kind}\r\nContent-Length: {len(reply.body)}\r\n"
            f"{reply.headers}\r\n"
        )
        self.simulation.log.append(
            (what, self.host, self.number, reply.uid, self.began, now, self.length, len(reply.body), reply.status,
             reply.code)
        )  # fmt: skip
        if not self.transport.is_closing():
            self.transport.write(head.encode() + reply.body)
        self.busy = False
        if self.pending:
            self._next()


async def serve(profile: Profile) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    simulation = Simulation(profile)
    servers = [
        await loop.create_server(lambda host=host: Connection(simulation, host), "127.0.0.1", 0, backlog=512)  # type: ignore[misc]
        for host in ("api", "storage")
    ]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    simulation.account.storage = f"http://127.0.0.1:{ports[1]}"
    print(json.dumps({"api": ports[0], "storage": ports[1]}), flush=True)
    ended = asyncio.Event()

    def listen() -> None:
        for line in sys.stdin:
            done = threading.Event()

            def write(name: str = line.strip(), done: threading.Event = done) -> None:
                Path(name).write_text(json.dumps(simulation.report()), encoding="utf-8")
                done.set()

            loop.call_soon_threadsafe(write)
            done.wait()
            print("written", flush=True)
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=listen, daemon=True).start()
    await ended.wait()
    for server in servers:
        server.close()


def main() -> None:
    """Run the service that the first argument describes."""
    asyncio.run(serve(Profile(**json.loads(sys.argv[1]))))


if __name__ == "__main__":
    main()
