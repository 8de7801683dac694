"""Parts of a file that the system itself sends over a plain connection: their bytes don't pass through this process.

Over TLS each byte is encrypted here, so that there is nothing to save.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from typing import NamedTuple, Protocol

from urllib3.util.wait import wait_for_write

__all__ = ["FilePart", "PartedBody", "send_part"]


class FilePart(NamedTuple):
    """So many bytes (`size`) of an open file, from the byte `start` on."""

    descriptor: int
    start: int
    size: int

    def after(self, done: int) -> FilePart:
        """Return what is left once so many bytes are done."""
        return FilePart(self.descriptor, self.start + done, self.size - done)


class PartedBody(Protocol):
    """A body, or what is left of one, that may come as parts of a file instead of by `read`."""

    def part(self) -> FilePart | None:
        """Return the next part; None at the end, and where the bytes must be read."""

    def read(self, size: int = -1, /) -> bytes | memoryview:
        """Return the next bytes, as `Body.read`."""

    def read_part(self, part: FilePart) -> bytes:
        """Return the bytes of a part, all of them; raises one of our own errors where they can't be had."""


def send_part(sock: socket.socket, part: FilePart, patience: Callable[[], float | None]) -> int:
    """Send a part of a file and return how many of its bytes went.

    Fewer than all where the system can't: it has no such call, or not for this file system, the disk failed, or the
    file became shorter. `patience` is asked before each wait for room and gives its seconds.

    Raises:
        ConnectionError: of the connection.
        TimeoutError: there was no room for so long.
    """
    done = 0
    if sys.platform == "win32":
        return done
    while done < part.size:
        try:
            sent = os.sendfile(sock.fileno(), part.descriptor, part.start + done, part.size - done)
        except BlockingIOError:
            if not wait_for_write(sock, patience()):
                raise TimeoutError("the server takes nothing any more") from None
        except ConnectionError:
            raise
        except OSError:
            break
        else:
            if not sent:
                break
            done += sent
    return done
