"""What a progress callback is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Progress", "ProgressCallback"]


@dataclass(frozen=True, slots=True)
class Progress:
    """A step of one document, given to the progress callback in the thread that does the work.

    Attributes:
        stage: "check", "upload", "parse", "export", "download" or "publish".
        done, total: bytes for upload and download, percent for parse, 0 and 1 else; total None where unknown.
        source: the input's name.
        uid: the service's id, once there is one.
        format: the format in work, for export and download.
    """

    stage: Literal["check", "upload", "parse", "export", "download", "publish"]
    done: int
    total: int | None
    source: str
    uid: str | None = None
    format: str | None = None


ProgressCallback = Callable[[Progress], None]
