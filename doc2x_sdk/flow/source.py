"""Step 1, source: the checked input. Everything that is wrong with a file is told here, before anything is sent."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Literal

from doc2x_sdk.arguments import text, whole
from doc2x_sdk.config import Settings
from doc2x_sdk.errors import FileError, InputChanged
from doc2x_sdk.flow.disk import reading, writing
from doc2x_sdk.flow.pdfium import count_pages
from doc2x_sdk.open_files import check_open_files

__all__ = ["Input", "Source", "checked", "copy_to", "open_source", "printable"]

log = logging.getLogger("doc2x_sdk")

Input = str | os.PathLike[str] | bytes | BinaryIO
"""What may be converted: a path, the bytes of a file, or a file open for reading bytes."""

Stamp = tuple[int, int, int, int]
SETTLED_NS = 2_000_000_000  # the coarsest clock of a file system ticks once in 2 s
SETTLED_FINE_NS = 100_000_000  # ten ticks of the kernel's clock, where the file system keeps all that it says
COARSE_NS = 1_000_000
BLOCK = 1024 * 1024
MANY = "For several documents there is `convert_many`, which takes their paths."
PDF_HEADER_WITHIN = 1024  # bytes; readers accept a PDF whose header does not stand at the very start


@dataclass(frozen=True, slots=True)
class Source:
    """A checked input.

    Attributes:
        name: what the user called it; for messages.
        stem: the file name without extension; the default name of the results.
        kind: by content, not by extension.
        size: in bytes.
        sha256: of the bytes, in hex.
        pages: of a PDF; 1 for a picture.
        path: where the bytes are: the user's file, or a private copy of what came as an open file.
        content: the bytes, where they came as bytes.
        stamp: size, both times of change and inode of `path` when it was checked.
        settled: whether every change of the file since the check began must show in its stamp: see `is_settled`.
    """

    name: str
    stem: str
    kind: Literal["pdf", "jpg", "png"]
    size: int
    sha256: str = field(repr=False)
    pages: int
    path: Path | None = field(default=None, repr=False)
    content: bytes | None = field(default=None, repr=False)
    stamp: Stamp | None = field(default=None, repr=False)
    settled: bool = field(default=False, repr=False)

    @property
    def is_picture(self) -> bool:
        """Whether it is a JPEG or PNG."""
        return self.kind != "pdf"

    def check_unchanged(self) -> None:
        """Raise `InputChanged` unless the file under its name has the bytes that were checked."""
        if self.path is None or self.stamp is None:
            return
        try:
            same = stamp_of(self.path) == self.stamp
        except OSError as error:
            reason = f"The file is gone since it was checked: {error.strerror}"
            raise InputChanged(reason, source=self.name) from error
        if not same:
            with self.open() as file:
                same = self.is_as_checked(file)
        if not same:
            raise InputChanged("The file was changed after it was checked", source=self.name)

    def is_as_checked(self, file: io.BufferedIOBase) -> bool:
        """Tell whether the open file has the bytes that were checked: by its stamp, else by its bytes.

        A link, a change of rights, or a backup that sets its time change the stamp, and no byte.
        """
        if self.path is None or self.stamp is None:
            return True
        stamp = stamp_from(os.fstat(file.fileno()))
        if stamp == self.stamp:
            return True
        if stamp[0] != self.stamp[0]:
            return False
        try:
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256
        except OSError:
            return False

    def open(self) -> io.BufferedIOBase:
        """Open the bytes for reading."""
        if self.path is None:
            return io.BytesIO(self.content or b"")
        try:
            return self.path.open("rb")
        except OSError as error:
            check_open_files(error, "The file can't be read", source=self.name)
            raise InputChanged(f"The file is gone since it was checked: {error.strerror}", source=self.name) from error


@contextmanager
def open_source(given: Input, settings: Settings, *, name: str | None = None) -> Iterator[Source]:
    """Check an input and yield it; a private copy is removed afterwards.

    Args:
        given: path, bytes, or a file open in binary mode (read from where it stands, copied to disk).
        settings: the limits of size.
        name: what to call bytes or an open file; its stem names the results.

    Raises:
        ConfigError: `name` is no text.
        FileError: missing, not a regular file, empty, too large, not a PDF or picture, broken, encrypted.
        TooManyOpenFiles: it can't be opened for now.
    """
    text(name, "name")
    if isinstance(given, bytes | bytearray | memoryview):
        yield checked(bytes(given), name or "document.pdf", settings)
    elif isinstance(given, str) and not given:
        raise FileError("The path of the input is empty", source=name, fault="missing", advice="Name a file.")
    elif isinstance(given, str | os.PathLike):
        yield checked(whole(Path(given)), name or os.fspath(given), settings)
    elif hasattr(given, "read"):
        with copied(given, settings, name) as (path, called):
            yield checked(path, called, settings)
    else:
        told = f"An input must be a path, bytes, or a file open in binary mode, not {type(given).__name__}"
        advice = MANY if isinstance(given, Iterable) else FileError.advice_by_default
        raise FileError(told, source=name, advice=advice)


@contextmanager
def copied(stream: BinaryIO, settings: Settings, name: str | None) -> Iterator[tuple[Path, str]]:
    """Copy an open file to a private one, so that it can be sent again; stops one byte over the largest size."""
    own = getattr(stream, "name", None)
    called = name or (Path(own).name if isinstance(own, str) else "document.pdf")
    with tempfile.TemporaryDirectory(prefix="doc2x-") as folder:
        path = Path(folder) / "source"
        left = settings.max_pdf_bytes + 1
        with writing(path, "The copy of the input"), path.open("wb") as out:
            while left > 0:
                block = read_from(stream, min(BLOCK, left), called)
                if not block:
                    break
                left -= out.write(block)
        yield path, called


def read_from(stream: BinaryIO, size: int, called: str) -> bytes:
    """Read a block of the caller's stream, or raise `FileError`."""
    try:
        block: object = stream.read(size)
    except (OSError, ValueError) as error:
        raise FileError(f"The file can't be read: {error}", source=printable(called)) from error
    if not isinstance(block, bytes | bytearray):
        raise FileError("The file is open in text mode; open it in binary mode, 'rb'", source=printable(called))
    return bytes(block)


def checked(given: Path | bytes, name: str, settings: Settings) -> Source:
    """Run all checks and return the source, whose name is made printable."""
    stem = Path(name).stem or "document"
    name = printable(name)
    if isinstance(given, Path):
        began = time.time_ns()
        stamp, head, digest = read_file(given, name, settings)
        size, where = stamp[0], {"path": given, "stamp": stamp, "settled": is_settled(stamp, began)}
    else:
        size, head, digest = len(given), given[:PDF_HEADER_WITHIN], hashlib.sha256(given).hexdigest()
        where = {"content": given}
        check_size(size, kind_of(head), name, settings)
    kind = kind_of(head)
    if kind is None:
        raise FileError("This is neither a PDF nor a JPEG or PNG picture", source=name, fault="unsupported")
    pages = count_pages(given, name) if kind == "pdf" else 1
    source = Source(name, stem, kind, size, digest, pages)
    log.debug("checked %s: %s, %d bytes, %d pages", name, kind, size, pages)
    return replace(source, **where)  # type: ignore[arg-type] # one of the two homes of the bytes


def read_file(path: Path, name: str, settings: Settings) -> tuple[Stamp, bytes, str]:
    """Return stamp, first bytes and sha256 of a file; a FIFO or a device is never opened."""
    try:
        with reading(name):
            mode = path.stat().st_mode
            if not stat.S_ISREG(mode):
                is_folder = stat.S_ISDIR(mode)
                kind, advice = ("a folder", MANY) if is_folder else ("not a regular file", FileError.advice_by_default)
                raise FileError(f"This is {kind}", source=name, fault="unsupported", advice=advice)
            stamp = stamp_of(path)
            with path.open("rb") as file:
                head = file.read(PDF_HEADER_WITHIN)
                check_size(stamp[0], kind_of(head), name, settings)
                file.seek(0)
                digest = hashlib.file_digest(file, "sha256").hexdigest()
    except ValueError as error:  # a NUL in the path
        raise FileError(f"The file can't be read: {error}", source=name, fault="unreadable") from error
    if stamp_of(path) != stamp:
        raise InputChanged("The file was changed while it was read", source=name)
    return stamp, head, digest


def check_size(size: int, kind: str | None, name: str, settings: Settings) -> None:
    """Raise `FileError` for an empty file and for one over the service's limit."""
    if size == 0:
        raise FileError("The file is empty", source=name, fault="empty")
    limit = settings.max_pdf_bytes if kind == "pdf" else settings.max_image_bytes
    if kind is not None and size > limit:
        raise FileError(
            f"The file has {size / 1e6:.1f} MB; the service takes {limit / 1e6:.1f} MB",
            source=name,
            advice="Split the document, or compress its pictures.",
            fault="too_large",
        )


def stamp_of(path: Path) -> Stamp:
    """Return the stamp of the file that has a path now."""
    return stamp_from(path.stat())


def stamp_from(state: os.stat_result) -> Stamp:
    """Return size, time of change and of status change in ns, and inode."""
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino


def is_settled(stamp: Stamp, now: int) -> bool:
    """Tell whether a change from `now` on, in ns since 1970, can't have the same stamp: the file was left alone.

    Clocks of file systems tick coarsely: for as long as a tick may last, 2 s, or 0.1 s where the time of status change
    has digits below the millisecond, so that the file system rounds no kernel's clock. Only where the system keeps that
    time, which nobody can set back; Windows has none.
    """
    tick = SETTLED_FINE_NS if stamp[2] % COARSE_NS else SETTLED_NS
    return os.name == "posix" and now - max(stamp[1], stamp[2]) > tick


def kind_of(head: bytes) -> Literal["pdf", "jpg", "png"] | None:
    """Tell the kind by the first bytes."""
    if head.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    return "pdf" if b"%PDF-" in head[:PDF_HEADER_WITHIN] else None


def printable(name: str) -> str:
    """Return a name that any terminal and log takes: what is not printable is escaped."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in name)


def copy_to(source: Source, target: Path) -> None:
    """Copy the source's bytes to a file."""
    if source.path is not None:
        shutil.copyfile(source.path, target)
    else:
        target.write_bytes(source.content or b"")
