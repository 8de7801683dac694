"""Private folders beside the results, where everything is made before it gets its name.

Each holds a locked file for as long as its process lives, so that what a killed one left is told from what is in use.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from doc2x_sdk.errors import OutputError
from doc2x_sdk.flow.disk import writing
from doc2x_sdk.ledger.owner import lock

__all__ = ["staging", "sweep"]

PREFIX = ".doc2x-"
MARK = ".lock"


@contextmanager
def staging(out: Path | None) -> Iterator[Path]:
    """Yield a private folder on the file system of the results, and remove it afterwards.

    Raises `OutputError` when `out` is no folder or can't be written; so it is entered before anything is paid.
    """
    folder = Path(tempfile.gettempdir()) if out is None else out
    what = "The output folder"
    with writing(folder, what):
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{what}: {folder} is not a folder", path=folder, advice="Choose another with `out`.")
        folder.mkdir(parents=True, exist_ok=True)
        stage, descriptor = make(folder)
    try:
        yield stage
    finally:
        clear(stage, descriptor)


def make(folder: Path) -> tuple[Path, int]:
    """Make a staging folder with its locked mark; one that a sweep took away in between is made again."""
    while True:
        stage = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
        with suppress(FileNotFoundError):
            mark = stage / MARK
            descriptor = os.open(mark, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                if lock(descriptor) and os.path.samestat(os.fstat(descriptor), mark.stat()):
                    return stage, descriptor
            except OSError:
                os.close(descriptor)
                raise
            os.close(descriptor)


def sweep(folder: Path) -> int:
    """Remove the staging folders that killed processes left, and return how many; those in use stay.

    What has no mark is only removed when it is empty, and what can't be removed stays.
    """
    count = 0
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False):
                count += is_swept(Path(entry.path))
    return count


def is_swept(stage: Path) -> bool:
    """Remove one staging folder unless it is in use."""
    try:
        descriptor = os.open(stage / MARK, os.O_RDWR)
    except FileNotFoundError:
        with suppress(OSError):
            stage.rmdir()
            return True
        return False
    except OSError:
        return False
    if not lock(descriptor):
        os.close(descriptor)
        return False
    clear(stage, descriptor)
    return not stage.exists()


def clear(stage: Path, descriptor: int) -> None:
    """Remove a staging folder, its mark last: what a kill leaves in between can still be told."""
    with suppress(OSError):
        for entry in list(os.scandir(stage)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != MARK:
                with suppress(OSError):
                    Path(entry.path).unlink()
    if os.name == "posix":  # while the lock is held
        remove_mark(stage)
    os.close(descriptor)
    remove_mark(stage)  # Windows keeps a file that is open


def remove_mark(stage: Path) -> None:
    """Remove the mark of an otherwise empty folder, and the folder."""
    with suppress(OSError):
        if [entry.name for entry in os.scandir(stage)] == [MARK]:
            (stage / MARK).unlink()
        stage.rmdir()
