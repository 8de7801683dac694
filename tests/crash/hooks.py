"""Counts the step boundaries of a process, and kills it at one of them.

A boundary is a moment just before or after something that lasts: bytes that leave or arrive by a socket, a commit, a
file or folder that is made, named or removed. They are found by hooking, so that a new step is covered by itself.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["Boundaries"]

AUDITED = ("os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir", "os.truncate")
CHANCE = re.compile(r"(?<=\.doc2x-)\w+|^\d+-[0-9a-f]{8}$|(?<=^tmp)\w+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""What differs from run to run in a name."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Boundaries:
    """The boundaries of this process from `begin` on.

    At number `kill_at`, or at the first of that name, it writes the boundary's name to the file `where` and kills
    itself with SIGKILL; 0 is never.
    """

    def __init__(self, kill_at: int | str, where: str) -> None:
        self.count = 0
        self.names: list[str] = []
        self._kill_at = kill_at
        self._where = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._lock = threading.Lock()
        self._on = False

    def begin(self) -> None:
        """Hook everything and count from here on."""
        self._wrap(socket.socket, "send", before=True, after=True)
        self._wrap(socket.socket, "sendall", before=True, after=True)
        self._wrap(socket.socket, "recv_into", before=False, after=True)
        sys.addaudithook(self._audited)
        self._hook_commits()
        self._on = True

    def end(self) -> None:
        """Count no more."""
        self._on = False

    def pass_one(self, name: str) -> None:
        """Count a boundary."""
        if not self._on:
            return
        with self._lock:
            self.count += 1
            self.names.append(name)
            if self._kill_at in (self.count, name):
                os.write(self._where, name.encode())
                os.kill(os.getpid(), signal.SIGKILL)

    def _audited(self, event: str, args: tuple[Any, ...]) -> None:
        if event in AUDITED:
            named = args[1] if event in ("os.rename", "os.link") else args[0]
            self.pass_one(f"{event} {CHANCE.sub('', Path(str(named)).name)}")
        elif event == "open" and isinstance(args[2], int) and args[2] & WRITING and isinstance(args[0], str):
            self.pass_one("open for writing")

    def _wrap(self, home: type, name: str, *, before: bool, after: bool) -> None:
        plain: Callable[..., Any] = getattr(home, name)

        def wrapped(*args: Any, **options: Any) -> Any:
            if before:
                self.pass_one(f"before {name}")
            result = plain(*args, **options)
            if after:
                self.pass_one(f"after {name}")
            return result

        setattr(home, name, wrapped)

    def _hook_commits(self) -> None:
        passing = self.pass_one

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
                if sql != "COMMIT":
                    return super().execute(sql, *rest)
                passing("before COMMIT")
                cursor = super().execute(sql, *rest)
                passing("after COMMIT")
                return cursor

        plain = sqlite3.connect

        def connect(*args: Any, **options: Any) -> sqlite3.Connection:
            return plain(*args, **{"factory": Connection, **options})

        sqlite3.connect = connect  # type: ignore[assignment]
