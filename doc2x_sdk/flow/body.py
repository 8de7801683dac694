"""A source as the body of an upload: its bytes as they were checked, block by block, and nothing else."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from types import TracebackType
from typing import Self

from doc2x_sdk.clock import Clock
from doc2x_sdk.errors import FileError, InputChanged
from doc2x_sdk.flow.source import Source
from doc2x_sdk.service.parts import FilePart

__all__ = ["SourceBody"]

BLOCK_LEAST = 64 * 1024  # bytes read and sent at a time, of a body that has just begun or moves slowly,
BLOCK_MOST = 1024 * 1024  # and of one that moves fast
BLOCK_FAST = 0.1  # seconds below which the next block is twice as large;
BLOCK_SLOW = 1.0  # above which it is half as large: a stop is looked at between two blocks, and each has its patience


class SourceBody:
    """A source as a request body: read from disk block by block, exactly as long as it was when it was checked.

    A file that changes while it is sent is noticed: by its stamp, and where that could miss it by hashing what is
    handed out, which costs as much again as the check did. A context manager.
    """

    def __init__(
        self, source: Source, on_progress: Callable[[int], None] | None = None, *, clock: Clock | None = None
    ) -> None:
        self._source = source
        self._on_progress = on_progress
        self._now = (clock or Clock()).monotonic
        self._block, self._given = BLOCK_LEAST, self._now()
        self._file = source.open()
        self._room = memoryview(bytearray())
        self._digest = self._new_digest()
        self._position = 0

    def _new_digest(self) -> hashlib._Hash | None:
        """Return a digest where the file's stamp alone could miss a change."""
        return None if self._source.path is None or self._source.settled else hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._source.size

    def read(self, size: int = -1, /) -> bytes | memoryview:
        """Return the next block; raises `InputChanged` where the file ends too early, `FileError` if it can't be read.

        It has at most `size` bytes, and fewer where those before it went slowly, and is overwritten by the next one;
        with -1 it is all that is left, to keep. An `OSError` must not leave here: it would pass for the connection's.
        """
        left = self._source.size - self._position
        wanted = left if size < 0 else min(size, left, self._next_block())
        block = self._read(wanted, keep=size < 0)
        if self._digest is not None:
            self._digest.update(block)
        self._gave(len(block))
        return block

    def part(self) -> FilePart | None:
        """Return the next block as a part of the file; None at the end, and where the bytes must pass through here.

        They must where a change would show in their digest only. Blocks are as large as those of `read`.
        """
        left = self._source.size - self._position
        if self._source.path is None or self._digest is not None or not left:
            return None
        part = FilePart(self._file.fileno(), self._position, min(left, self._next_block()))
        self._gave(part.size)
        return part

    def read_part(self, part: FilePart) -> bytes:
        """Return the bytes of a part that was given; raises as `read`."""
        self._file.seek(part.start)
        return bytes(self._read(part.size, keep=True))

    def _read(self, wanted: int, *, keep: bool) -> bytes | memoryview:
        try:
            block = self._file.read(wanted) if keep else self._filled(wanted)
        except OSError as error:
            reason = f"The file can't be read any more: {error.strerror}"
            raise FileError(reason, source=self._source.name) from None
        if len(block) < wanted:
            raise InputChanged("The file became shorter while it was sent", source=self._source.name)
        return block

    def _gave(self, count: int) -> None:
        """Note that so many bytes are on their way."""
        self._position += count
        if self._on_progress is not None and count:
            self._on_progress(self._position)
        self._given = self._now()

    def _filled(self, wanted: int) -> memoryview:
        """Return the next bytes of the file, in the one place for them, which grows with the blocks."""
        if len(self._room) < wanted:
            self._room = memoryview(bytearray(wanted))
        return self._room[: self._file.readinto(self._room[:wanted])]

    def _next_block(self) -> int:
        """Return the size of the next block, by how long the one before it took."""
        took = self._now() - self._given
        if took < BLOCK_FAST:
            self._block = min(BLOCK_MOST, 2 * self._block)
        elif took > BLOCK_SLOW:
            self._block = max(BLOCK_LEAST, self._block // 2)
        return self._block

    def seek(self, position: int, /) -> int:
        """Go back to the start, which is all that a resend needs."""
        if position != 0:
            raise io.UnsupportedOperation("a body is read again from its start only")
        self._position = self._file.seek(0)
        self._block, self._given = BLOCK_LEAST, self._now()
        self._digest = self._new_digest()
        return 0

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def check_unchanged(self, uid: str | None = None) -> None:
        """Raise `InputChanged`, with the uid that it was sent under, when what was sent is not what was checked.

        What became of the file's name meanwhile, or of its rights, is nothing to what was sent.
        """
        if not self._source.is_as_checked(self._file):
            raise InputChanged("The file was changed while it was sent", source=self._source.name, uid=uid)
        whole = self._digest is not None and self._position == self._source.size
        if whole and self._digest is not None and self._digest.hexdigest() != self._source.sha256:
            raise InputChanged("The file was changed while it was sent", source=self._source.name, uid=uid)
