"""A native format in memory: what nobody but the publisher reads needs no folder."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Loose"]


@dataclass(frozen=True, slots=True)
class Loose:
    """The files of an archive, whole and checked, by their paths in it."""

    main: Path
    files: Mapping[Path, bytes] = field(repr=False)

    @property
    def text(self) -> str:
        """The main file's text, read as a bundle's is."""
        content = io.BytesIO(self.files[self.main])
        with io.TextIOWrapper(content, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()

    @property
    def images(self) -> Iterator[tuple[Path, bytes]]:
        """The other files, sorted."""
        return ((path, self.files[path]) for path in sorted(self.files) if path != self.main)
