"""Which processes are alive: each holds an OS lock that a kill -9 frees, so a dead owner's rows can be adopted."""

from __future__ import annotations

import os
import secrets
import weakref
from contextlib import suppress
from pathlib import Path
from types import ModuleType

__all__ = ["Owner", "lock", "make_private_folder"]

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
    """The process's mark: a locked file of its own in a folder beside the ledger.

    `token` begins with the process id, for people. Raises `OSError` when the folder can't be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = os.getpid()
        make_private_folder(folder)
        self.token, self._descriptor = make_mark(folder)
        if hasattr(os, "register_at_fork"):
            # A child would keep the lock, and so this owner alive, after a kill of this process.
            itself = weakref.ref(self)
            os.register_at_fork(after_in_child=lambda: let_go(itself()))
        self._sweep()

    def is_alive(self, token: str) -> bool:
        """Tell whether a process still holds its mark; the mark of a dead one is removed."""
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
            if os.name == "posix":  # while the lock is held: who makes a mark looks whether it is still there
                remove(path)
        finally:
            os.close(descriptor)
        if os.name != "posix":  # Windows keeps a file that is open
            remove(path)
        return False

    def close(self) -> None:
        """Give up the mark; in a forked child it is its parent's, and stays."""
        if os.getpid() != self._process:
            return
        self.let_go()  # first: Windows keeps a file that is open
        remove(self._folder / self.token)

    def let_go(self) -> None:
        """Close this process's handle of the mark."""
        with suppress(OSError):
            os.close(self._descriptor)
        self._descriptor = -1

    def _sweep(self) -> None:
        """Remove the marks of processes that were killed."""
        with suppress(OSError):
            for entry in list(os.scandir(self._folder)):
                self.is_alive(entry.name)


def let_go(owner: Owner | None) -> None:
    """Close a forked child's handle of its parent's mark."""
    if owner is not None:
        owner.let_go()


def remove(path: Path) -> None:
    """Remove a mark, unless another process has just done so."""
    with suppress(OSError):
        path.unlink()


def make_mark(folder: Path) -> tuple[str, int]:
    """Create and lock a new mark; another process that sweeps may remove it in between, then one more is made."""
    while True:
        token = f"{os.getpid()}-{secrets.token_hex(4)}"
        path = folder / token
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if lock(descriptor) and os.path.samestat(os.fstat(descriptor), path.stat()):
                return token, descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)


def make_private_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, all for this user alone (0700) whatever the umask."""
    missing = [folder, *folder.parents]
    missing = missing[: next((at for at, each in enumerate(missing) if each.exists()), len(missing))]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


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
