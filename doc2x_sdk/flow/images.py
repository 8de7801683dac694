"""Pictures on their way from an archive to the folder beside a result."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from doc2x_sdk.flow.disk import sync_file, taken, write_synced

__all__ = ["Picture", "below_images", "digest_of"]

IMAGES = "images"


class Picture(NamedTuple):
    """A picture, its file in a bundle or its bytes, and where a copy of it would be."""

    content: Path | bytes
    copy: Path
    move: bool

    def digest(self) -> str:
        """Return its sha256 in hex."""
        if isinstance(self.content, bytes):
            return hashlib.sha256(self.content).hexdigest()
        return digest_of(self.content)

    def staged(self) -> Path:
        """Return the file that is to get the picture's final name, its bytes on the disk."""
        if isinstance(self.content, bytes):
            write_synced(self.copy, self.content)
            return self.copy
        staged = taken(self.content, self.copy, move=self.move)
        sync_file(staged)
        return staged


def below_images(inside: Path) -> Path:
    """Return a picture's path in the archive without the folder that most of them are in."""
    named = inside.parts[0] == IMAGES and len(inside.parts) > 1
    return Path(*inside.parts[1:]) if named else inside


def digest_of(path: Path) -> str:
    """Return a file's sha256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
