"""The archive: results kept in files beside the ledger, for as long and as many as the settings say.

`<ledger>.archive/ab/ab12.../md-34cd...`: a folder for each entry, named by a digest of what was parsed and how, and a
file for each part, see `parts`. The time of change of an entry's folder is that of its last use.

Files are written aside, synced and renamed; entries are renamed before they are removed. So several processes may put,
take and prune at once, and a kill leaves no half file under a final name.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from doc2x_sdk.clock import Clock
from doc2x_sdk.errors import LedgerError
from doc2x_sdk.ledger.owner import lock, make_private_folder
from doc2x_sdk.ledger.parts import HEAD_BYTES, Damaged, Part, open_part, write_part
from doc2x_sdk.open_files import check_open_files

__all__ = ["Archive", "Pruned", "archive_of"]

DAY = 24 * 3600.0
TRIES = 5  # how often a folder is made again that a prune took away in between
SPARE = 1 / 16  # share of the cap that is freed beyond what is needed, so that not every put has to look at all
ENTRY = re.compile(r"[0-9a-f]{64}")
ASIDE, GONE = ".new-", ".gone-"
LARGER = "Raise archive_size to keep it."


class Pruned(NamedTuple):
    """What a prune did: entries removed and the bytes of their files, entries left and theirs."""

    removed: int = 0
    freed: int = 0
    left: int = 0
    size: int = 0


def archive_of(ledger: Path) -> Path:
    """Return the archive's folder of a ledger."""
    return ledger.with_name(f"{ledger.name}.archive")


class Archive:
    """The archive's folder. Safe to use from many threads and processes.

    Args:
        folder: made with mode 0700 when it is missing.
        service: who makes what is kept; entries of one service are never found for another.
        days: entries that were not used for so many are over.
        size: most bytes in all; those that were not used for longest make room.
        clock: tells the time of use.

    Raises `LedgerError` when the folder can't be used, or belongs to another user.
    """

    def __init__(self, folder: Path, *, service: str = "", days: float, size: int, clock: Clock | None = None) -> None:
        self.folder = folder
        self._service = service
        self._days = days
        self._size = size
        self._clock = clock or Clock()
        self._guard = threading.Lock()
        self._used: int | None = None  # bytes in all, as far as this process knows
        self._put = 0  # bytes put since that was counted
        try:
            make_own(folder)
        except OSError as error:
            raise LedgerError(f"The archive {folder} can't be used: {error.strerror or error}") from error
        self._sweep()

    def entry(self, sha256: str, options: str) -> str:
        """Return the name of the entry for a content parsed with these canonical options."""
        return hashlib.sha256(json.dumps([self._service, sha256, options]).encode()).hexdigest()

    @contextmanager
    def opened(self, entry: str, part: str, *, uid: str | None = None) -> Iterator[Part | None]:
        """Yield a part of an entry; None where there is none, it is over, or it came under another uid than this.

        Raises `Damaged` for one that can't be read or is of something else, `TooManyOpenFiles` where it can't be told.
        """
        path = self._path(entry) / part
        if self._is_over(path.parent):
            yield None
            return
        try:
            file = os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb")
        except (FileNotFoundError, NotADirectoryError):
            yield None
            return
        except OSError as error:
            check_open_files(error, "The archive can't be read")  # it may be there, and is not paid for again
            raise Damaged(error.strerror or str(error)) from error
        with file:
            found = open_part(file, entry, part)
            yield found if uid in (None, found.uid) else None

    def touch(self, entry: str) -> None:
        """Note that an entry is used."""
        now = self._clock.now()
        with suppress(OSError):
            os.utime(self._path(entry), (now, now))

    def put(self, entry: str, part: str, uid: str, content: bytes | Path) -> None:
        """Keep a part, in place of an older one; makes room for it first.

        Raises `OSError` when it can't be written, `LedgerError` when it is larger than the archive may be.
        """
        size = HEAD_BYTES + (len(content) if isinstance(content, bytes) else content.stat().st_size)
        if size > self._size:
            raise LedgerError(f"it is larger than the whole archive may be ({self._size} bytes)", advice=LARGER)
        self._make_room(size)
        aside, descriptor = make_aside(self.folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                write_part(file, entry, part, uid, content)
                if os.name == "posix":
                    self._name(aside, entry, part)
            if os.name != "posix":  # Windows renames no open file
                self._name(aside, entry, part)
        except BaseException:
            with suppress(OSError):
                aside.unlink()
            raise
        self.touch(entry)

    def prune(self, *, days: float | None = None, size: int | None = None, everything: bool = False) -> Pruned:
        """Remove entries that were not used for so many days, then the oldest until no more bytes are left than these.

        What is not given is as the archive was made for. It is safe while others use the archive.
        """
        self._sweep()
        most = -1 if everything else self._size if size is None else size
        return self._drop(self._days if days is None else days, most, most)

    def _path(self, entry: str) -> Path:
        return self.folder / entry[:2] / entry

    def _is_over(self, path: Path) -> bool:
        """Tell whether an entry was not used for too long; one that is not there is not over."""
        try:
            return path.stat().st_mtime < self._clock.now() - self._days * DAY
        except OSError:
            return False

    def _name(self, aside: Path, entry: str, part: str) -> None:
        """Give a whole file its name; the folder is made again where a prune takes it away in between."""
        path = self._path(entry) / part
        for left in range(TRIES - 1, -1, -1):
            try:
                make_private_folder(path.parent)
                aside.replace(path)
            except (FileNotFoundError, FileExistsError):  # gone before, or while, it was looked at
                if not left:
                    raise
            else:
                return

    def _make_room(self, size: int) -> None:
        """Drop what is over and, when it would become too much, what was not used for longest.

        It takes a look at every file, so it is done at first, and when a share of the cap was put since.
        """
        spare = int(self._size * SPARE)
        with self._guard:
            if self._used is None or self._used + size > self._size or self._put > spare:
                room = self._size - size
                self._used = self._drop(self._days, room, max(0, room - spare)).size
                self._put = 0
            self._used += size
            self._put += size

    def _drop(self, days: float, most: int, down_to: int) -> Pruned:
        """Remove what was not used for so many days; when more than `most` is left, the oldest down to `down_to`."""
        before = self._clock.now() - days * DAY
        entries = sorted(self._entries())
        left, total = len(entries), sum(size for _, size, _ in entries)
        was, goal = total, most
        for used_at, size, path in entries:
            if used_at >= before and total <= goal:
                break
            if used_at >= before:
                goal = down_to
            if self._remove(path):
                left, total = left - 1, total - size
        return Pruned(len(entries) - left, was - total, left, total)

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        """Yield each entry: its last use, its bytes, its folder."""
        for group in folders(self.folder):
            for entry in folders(group):
                if ENTRY.fullmatch(entry.name):
                    with suppress(OSError):
                        sizes = [each.stat(follow_symlinks=False).st_size for each in list(os.scandir(entry))]
                        yield entry.stat().st_mtime, sum(sizes), entry

    def _remove(self, path: Path) -> bool:
        """Remove an entry: renamed first, so that nobody sees a part of it."""
        gone = self.folder / f"{GONE}{secrets.token_hex(8)}"
        try:
            path.rename(gone)
        except OSError:
            return not path.exists()
        shutil.rmtree(gone, ignore_errors=True)
        with suppress(OSError):
            path.parent.rmdir()
        return True

    def _sweep(self) -> None:
        """Remove what killed processes left: files that were being written, entries that were being removed."""
        with suppress(OSError):
            for entry in list(os.scandir(self.folder)):
                path = Path(entry.path)
                if entry.name.startswith(GONE):
                    shutil.rmtree(path, ignore_errors=True)
                elif entry.name.startswith(ASIDE):
                    remove_left(path)


def make_own(folder: Path) -> None:
    """Make a folder for this user alone; raises `LedgerError` for one of somebody else."""
    make_private_folder(folder)
    if os.name != "posix":
        return
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
        raise LedgerError(f"The archive {folder} is no folder of your own", advice="Remove it, or move the ledger.")
    if stat.S_IMODE(info.st_mode) & 0o077:
        folder.chmod(0o700)


def folders(folder: Path) -> Iterator[Path]:
    """Yield the folders in a folder, as far as it can be read."""
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                yield Path(entry.path)


def make_aside(folder: Path) -> tuple[Path, int]:
    """Make a new file whose lock tells that its writer lives; one that a sweep took away in between is made again."""
    while True:
        aside = folder / f"{ASIDE}{os.getpid()}-{secrets.token_hex(4)}"
        descriptor = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        with suppress(FileNotFoundError):
            if lock(descriptor) and os.path.samestat(os.fstat(descriptor), aside.stat()):
                return aside, descriptor
        os.close(descriptor)


def remove_left(aside: Path) -> None:
    """Remove a file that nobody writes any more."""
    with suppress(OSError):
        descriptor = os.open(aside, os.O_RDWR)
        try:
            if not lock(descriptor):
                return
            if os.name == "posix":  # while the lock is held
                aside.unlink()
        finally:
            os.close(descriptor)
        if os.name != "posix":  # Windows keeps a file that is open
            aside.unlink()
