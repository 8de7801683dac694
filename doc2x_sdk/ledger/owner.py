"""Which processes are alive: each holds an OS lock that a kill -9 frees, so a dead owner's rows can be adopted."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from types import ModuleType

__all__ = ["Owner"]

fcntl: ModuleType | None
msvcrt: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
try:
    import msvcrt
except ImportError:  # everywhere else
    msvcrt = None


class Owner:
    """The process's mark in the folder `owners` beside the ledger: a locked file of its own.

    `token` begins with the process id, for people.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.token = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._path = folder / self.token
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        if not lock(self._descriptor):
            raise OSError("a new file is locked already")

    def is_alive(self, token: str) -> bool:
        """Tell whether another process still holds its mark; the mark of a dead one is removed."""
        if token == self.token:
            return True
        path = self._folder / Path(token).name
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return False
        except OSError:
            return True  # on doubt the other lives: nothing is taken from it
        try:
            if not lock(descriptor):
                return True
            with suppress(OSError):
                path.unlink()
            return False
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Give up the mark."""
        with suppress(OSError):
            self._path.unlink()
        with suppress(OSError):
            os.close(self._descriptor)


def lock(descriptor: int) -> bool:
    """Take the lock of an open file without waiting; False when another open file holds it."""
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif msvcrt is not None:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True
