"""Private folders beside the results, where everything is made before it gets its name.

Each holds a locked file for as long as its process lives, so that what a killed one left is told from what is in use.
Documents that are at work at the same time share one, and have folders in it. An empty one goes on to the next
document: ext4 looks again and again at each place that was freed in the last minute, so that a folder made and removed
for each of thousands of documents makes every file that comes after it dearer.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from doc2x_sdk.errors import OutputError
from doc2x_sdk.flow.disk import writing
from doc2x_sdk.flow.inside import HELD, empty, hold, identity_of
from doc2x_sdk.ledger.owner import lock

__all__ = ["SharedStaging", "staging", "sweep"]

PREFIX = ".doc2x-"
MARK = ".lock"


@contextmanager
def staging(out: Path | None, *, told: Path | None = None) -> Iterator[Path]:
    """Yield a private folder on the file system of the results, and remove it afterwards.

    Raises `OutputError` when `out` is no folder or can't be written; so it is entered before anything is paid. It names
    the folder as `told`, where that is given.
    """
    folder = place_of(out)
    told, what = told or folder, "The output folder"
    with writing(told, what):
        try:
            stage, held, descriptor = make(folder)
        except (FileNotFoundError, NotADirectoryError):
            if folder.exists() and not folder.is_dir():
                raise OutputError(f"{what}: {told} is not a folder", path=told) from None
            folder.mkdir(parents=True, exist_ok=True)
            stage, held, descriptor = make(folder)
    try:
        yield stage
    finally:
        clear(stage, held, descriptor)


def place_of(out: Path | None) -> Path:
    """Return the folder that a staging folder is made in: that of the results, or the system's for what is not kept."""
    return Path(tempfile.gettempdir()) if out is None else out


class Folder(NamedTuple):
    """A document's folder, and its handle where the system has such."""

    path: Path
    held: int | None

    def is_there(self) -> bool:
        """Tell whether nobody has taken it away."""
        if self.held is None:
            return False
        found = os.fstat(self.held)
        return identity_of(self.path) == (found.st_dev, found.st_ino)

    def is_empty(self) -> bool:
        """Tell whether nothing is in it; False where that can't be found out."""
        if self.held is None:
            return False
        with suppress(OSError), os.scandir(self.held) as entries:
            return next(entries, None) is None
        return False

    def remove(self) -> None:
        """Remove it with all that is in it, and close its handle."""
        empty(self.path, self.held)
        close(self.held)
        with suppress(OSError):
            self.path.rmdir()


@dataclass(slots=True, eq=False)
class Shared:
    """A staging folder that documents have theirs in; `leave` removes it."""

    path: Path
    leave: ExitStack = field(default_factory=ExitStack)
    users: int = 0
    made: int = 0
    spare: list[Folder] = field(default_factory=list)
    """Empty ones that documents have left."""

    def folder(self) -> Folder | None:
        """Return a folder for one more document; None where somebody has taken the shared one away."""
        while self.spare:
            folder = self.spare.pop()
            if folder.is_there():
                self.users += 1
                return folder
            close(folder.held)
        self.made += 1
        stage = self.path / str(self.made)
        try:
            stage.mkdir(mode=0o700)
            with removed_on_failure(stage):
                folder = Folder(stage, held_open(stage))
        except FileNotFoundError:
            return None
        self.users += 1
        return folder

    def take_back(self, folder: Folder) -> None:
        """Keep a document's folder for another if it is empty, which most are by now; else remove it."""
        self.users -= 1
        if folder.is_empty():
            self.spare.append(folder)
        else:
            folder.remove()

    def end(self) -> None:
        """Remove it."""
        for folder in self.spare:
            folder.remove()
        self.leave.close()


class SharedStaging:
    """The staging folders of one client's documents. Safe to use from many threads.

    A locked file costs more than a folder, and so those that are at work on one place at the same time share it.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._shared: dict[Path, Shared] = {}

    @contextmanager
    def folder(self, out: Path | None) -> Iterator[Path]:
        """Yield a private folder for one document, which is empty or gone afterwards. Raises as `staging`.

        Its path is absolute: plugins start programs in other folders with paths below it.
        """
        place = place_of(out).absolute()
        with ExitStack() as undo:
            with writing(place, "The output folder"), self._guard:
                shared = self._shared.get(place)
                folder = None if shared is None else shared.folder()
                if shared is None or folder is None:
                    shared, folder = self._begun(place)
            undo.callback(self._leave, place, shared, folder)
            yield folder.path

    def _begun(self, place: Path) -> tuple[Shared, Folder]:
        while True:
            with ExitStack() as leave:
                shared = Shared(leave.enter_context(staging(place)))
                folder = shared.folder()
                if folder is not None:
                    shared.leave = leave.pop_all()
                    self._shared[place] = shared
                    return shared, folder

    def _leave(self, place: Path, shared: Shared, folder: Folder) -> None:
        with self._guard:
            shared.take_back(folder)
            if shared.users:
                return
            if self._shared.get(place) is shared:
                del self._shared[place]
        shared.end()


def make(folder: Path) -> tuple[Path, int | None, int]:
    """Make a staging folder with its locked mark; one that a sweep took away in between is made again.

    Returns its path, its handle where there are such, and the open mark.
    """
    while True:
        stage = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
        with suppress(FileNotFoundError), removed_on_failure(stage), ExitStack() as undo:
            held = held_open(stage)
            if held is not None:
                undo.callback(os.close, held)
            descriptor = open_mark(stage, held, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            undo.callback(os.close, descriptor)
            if lock(descriptor) and os.path.samestat(os.fstat(descriptor), (stage / MARK).stat()):
                undo.pop_all()
                return stage, held, descriptor


@contextmanager
def removed_on_failure(folder: Path) -> Iterator[None]:
    """Remove a folder that is still empty when the block can't open what it needs."""
    try:
        yield
    except OSError:
        with suppress(OSError):
            folder.rmdir()
        raise


def held_open(stage: Path) -> int | None:
    """Return a staging folder's handle; None where the system has none. Raises `OutputError` for a link."""
    return hold(stage, stage) if HELD else None


def open_mark(stage: Path, held: int | None, flags: int) -> int:
    """Open the mark in a staging folder."""
    return os.open(stage / MARK if held is None else MARK, flags | getattr(os, "O_NOFOLLOW", 0), 0o600, dir_fd=held)


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
    held: int | None = None
    try:
        held = held_open(stage)
        descriptor = open_mark(stage, held, os.O_RDWR)
    except FileNotFoundError:
        close(held)
        with suppress(OSError):
            stage.rmdir()
            return True
        return False
    except (OSError, OutputError):
        close(held)
        return False
    if not lock(descriptor):
        os.close(descriptor)
        close(held)
        return False
    clear(stage, held, descriptor)
    return not stage.exists()


def clear(stage: Path, held: int | None, descriptor: int) -> None:
    """Remove a staging folder, its mark last: what a kill leaves in between can still be told. Closes both handles."""
    empty(stage, held, but=MARK)
    if os.name == "posix":  # while the lock is held
        remove_mark(stage, held)
    os.close(descriptor)
    remove_mark(stage, held)  # Windows keeps a file that is open
    close(held)


def close(held: int | None) -> None:
    """Close a folder's handle, if there is one."""
    if held is not None:
        os.close(held)


def remove_mark(stage: Path, held: int | None) -> None:
    """Remove the mark of an otherwise empty folder, and the folder."""
    with suppress(OSError):
        if [entry.name for entry in os.scandir(stage if held is None else held)] == [MARK]:
            os.unlink(stage / MARK if held is None else MARK, dir_fd=held)
        stage.rmdir()
