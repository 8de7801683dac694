"""Failures of the disk become our errors, and nothing stands under its final name before it is whole."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from doc2x_sdk.errors import DiskFull, FileError, OutputError
from doc2x_sdk.open_files import check_open_files

__all__ = ["is_sole", "place", "reading", "sync_file", "sync_folder", "taken", "write_synced", "writing"]

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EXDEV, errno.EMLINK, errno.EINVAL})
"""What a file system without hard links answers; the last is how Windows tells of FAT and of network drives."""


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn an `OSError` from the block into `TooManyOpenFiles` or `FileError` about the input of this name."""
    try:
        yield
    except FileNotFoundError:
        raise FileError("There is no such file", source=name, fault="missing") from None
    except OSError as error:
        check_open_files(error, "The file can't be read", source=name)
        raise FileError(f"The file can't be read: {error.strerror}", source=name, fault="unreadable") from error


@contextmanager
def writing(path: Path, what: str) -> Iterator[None]:
    """Turn an `OSError` from the block into `DiskFull`, `TooManyOpenFiles` or `OutputError` that names the path."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DiskFull(f"{what}: no space is left for {path}", path=path) from error
        check_open_files(error, f"{what}: {path} can't be written")
        raise OutputError(f"{what}: {path} can't be written: {error.strerror or error}", path=path) from error


def write_synced(path: Path, content: bytes) -> str:
    """Write a file that is on the disk afterwards, and return its sha256 in hex."""
    left = memoryview(content)
    with path.open("wb", buffering=0) as file:
        while left:
            left = left[file.write(left) :]
        os.fsync(file.fileno())
    return hashlib.sha256(content).hexdigest()


def sync_file(path: Path) -> None:
    """Put a file's bytes on the disk."""
    try:
        file = path.open("r+b", buffering=0)  # Windows syncs through no handle that only reads
    except PermissionError:  # an exporter may have made it read-only
        file = path.open("rb", buffering=0)
    with file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Put a folder's names on the disk, where the system can (Windows does it by itself)."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def place(staged: Path, final: Path, *, overwrite: bool, within: int | None = None, is_synced: bool = False) -> bool:
    """Give a staged file its final name in one step; False when the name is taken and `overwrite` is not given.

    The bytes are on the disk before the name is: put there now, unless `is_synced` tells that they are. Both paths must
    be on one file system. With `within`, the handle of the folder that `final` was in, it is in that folder, wherever
    the path leads by now.
    """
    if not is_synced:
        sync_file(staged)
    name = final if within is None else final.name
    if overwrite:
        os.replace(staged, name, dst_dir_fd=within)
        return True
    try:
        os.link(staged, name, dst_dir_fd=within, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        return claim(staged, final, within=within)
    with suppress(FileNotFoundError):
        staged.unlink()
    return True


def claim(staged: Path, final: Path, *, within: int | None = None) -> bool:
    """Do the same where the file system has no hard links: an empty file claims the name, then is replaced."""
    name = final if within is None else final.name
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=within))
    except FileExistsError:
        return False
    os.replace(staged, name, dst_dir_fd=within)
    return True


def is_sole(path: Path) -> bool:
    """Tell whether a path is a regular file that has no other name."""
    found = path.lstat()
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def taken(path: Path, copy: Path, *, move: bool) -> Path:
    """Return a file to be placed: itself where it may be moved and nobody else has it, else a copy."""
    if move and is_sole(path):
        return path
    shutil.copyfile(path, copy)
    return copy
