"""A disk that keeps what was synced and nothing else, under a real SQLite: what a power cut leaves.

SQLite comes here by apsw, which lets Python stand between it and the file system. `SyncedDisk.connect` takes the place
of `sqlite3.connect` and gives connections with the few methods that the ledger uses.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw

__all__ = ["SyncedDisk"]


class Row:
    """A row whose columns have names."""

    def __init__(self, names: list[str], values: tuple[Any, ...]) -> None:
        self._names = names
        self._values = values

    def __getitem__(self, key: int | str) -> Any:
        return self._values[key if isinstance(key, int) else self._names.index(key)]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def keys(self) -> list[str]:
        return self._names


class Connection:
    """An apsw connection in the manner of sqlite3's. It locks the file for itself: shared memory is not simulated."""

    def __init__(self, path: str, disk: SyncedDisk) -> None:
        self._plain = apsw.Connection(path, vfs=disk.name)
        self._plain.row_trace = lambda cursor, row: Row([each[0] for each in cursor.get_description()], row)
        self._plain.execute("PRAGMA locking_mode=EXCLUSIVE")
        self.row_factory = None

    def execute(self, sql: str, bindings: Any = ()) -> apsw.Cursor:
        return self._plain.execute(sql, bindings)

    def close(self) -> None:
        self._plain.close()


class SyncedFile(apsw.VFSFile):
    """A file that tells the disk when its bytes are synced."""

    def __init__(self, disk: SyncedDisk, name: Any, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._disk = disk
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else name

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        if self._path is not None:
            self._disk.synced(Path(self._path))


class SyncedDisk(apsw.VFS):
    """What would still be there after a power cut: file name -> bytes. Removals are taken to last at once."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "")
        self.name = name
        self.image: dict[str, bytes] = {}

    def xOpen(self, name: Any, flags: list[int]) -> SyncedFile:
        return SyncedFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        self.image.pop(Path(filename).name, None)

    def synced(self, path: Path) -> None:
        """Keep a file as it is now."""
        self.image[path.name] = path.read_bytes()

    def connect(self, path: Path, **_: Any) -> Connection:
        """Open a database on this disk."""
        return Connection(str(path), self)

    def after_a_power_cut(self, folder: Path) -> None:
        """Write what is left into a folder."""
        folder.mkdir()
        for name, content in self.image.items():
            (folder / name).write_bytes(content)
