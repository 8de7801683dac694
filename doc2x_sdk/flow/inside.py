"""Folders that are held open while they are written to, so that no link that comes in their place leads elsewhere.

Where the system has no handles of folders (Windows), the way is looked at just before it is used.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from doc2x_sdk.errors import OutputError
from doc2x_sdk.flow.disk import place, sync_folder
from doc2x_sdk.open_files import check_open_files

__all__ = ["HELD", "Inside", "empty", "hold", "identity_of", "inside"]

HELD = (
    {os.open, os.stat, os.mkdir, os.link, os.rename, os.unlink, os.rmdir} <= os.supports_dir_fd
    and os.scandir in os.supports_fd
    and hasattr(os, "O_NOFOLLOW")
)
"""Whether the system gives handles of folders, through which names are made and removed."""
A_LINK = frozenset({errno.ELOOP, errno.ENOTDIR})


class Inside:
    """A folder below the results, for placing files in it; see `inside`."""

    def __init__(self, path: Path, handle: int | None) -> None:
        self._path = path
        self._handle = handle
        found = path.stat() if handle is None else os.fstat(handle)
        self.identity = found.st_dev, found.st_ino

    def digest(self, name: str) -> str | None:
        """Return the sha256, in hex, of a file in it; None where there is none, or something else.

        Raises `TooManyOpenFiles` where that can't be told.
        """
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(self._path / name if self._handle is None else name, flags, dir_fd=self._handle)
        except OSError as error:
            check_open_files(error, f"{self._path / name} can't be compared")
            return None
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            return hashlib.file_digest(file, "sha256").hexdigest()

    def place(self, staged: Path, name: str, *, overwrite: bool) -> bool:
        """Give a staged file, whose bytes are on the disk, its name in it; see `disk.place`."""
        return place(staged, self._path / name, overwrite=overwrite, within=self._handle, is_synced=True)

    def sync(self) -> None:
        """Put its names on the disk."""
        if self._handle is None:
            sync_folder(self._path)
        else:
            os.fsync(self._handle)


@contextmanager
def inside(folder: Path, root: Path) -> Iterator[Inside]:
    """Yield a folder below `root`, made where it is missing.

    Raises `OutputError` where a link on the way there would lead elsewhere; `root` itself may be one.
    """
    if not HELD:
        for each in (folder, *folder.parents):
            if each == root:
                break
            if each.is_symlink():
                raise is_a_link(each)
        folder.mkdir(parents=True, exist_ok=True)
        yield Inside(folder, None)
        return
    path, handle = root, os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in folder.relative_to(root).parts:
            path, above = path / name, handle
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=above)
            handle = hold(path, name, within=above)
            os.close(above)
        yield Inside(path, handle)
    finally:
        os.close(handle)


def hold(path: Path, name: str | Path, *, within: int | None = None) -> int:
    """Open a folder that is no link and return its handle, which the caller closes.

    `name` is that of the folder `path` below the folder `within`, or the whole path. Raises `OutputError` for a link.
    """
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=within)
    except OSError as error:
        if error.errno in A_LINK and path.is_symlink():
            raise is_a_link(path) from None
        raise


def identity_of(path: Path) -> tuple[int, int] | None:
    """Return what tells a folder from another that has its name; None where there is none, or a link."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def is_a_link(path: Path) -> OutputError:
    """Build the error of a link in the way."""
    return OutputError(f"Publishing: {path} is a link; results don't follow it", path=path)


def empty(folder: Path, handle: int | None, *, but: str = "") -> None:
    """Remove all in a folder that can be removed, but for the file of one name."""
    with suppress(OSError):
        for entry in list(os.scandir(folder if handle is None else handle)):
            name = entry.path if handle is None else entry.name
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(name, ignore_errors=True, dir_fd=handle)
            elif entry.name != but:
                with suppress(OSError):
                    os.unlink(name, dir_fd=handle)
