"""Step 6, unpack: a downloaded archive into a staging folder, all of it or nothing.

The archive is not trusted: names, kinds, counts and sizes are checked before the first byte is written, and sizes are
counted again while inflating, since headers can lie.
"""

from __future__ import annotations

import io
import lzma
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from doc2x_sdk.errors import ArchiveError, Doc2XError, TruncatedDownload, UnsafeArchive
from doc2x_sdk.flow.disk import writing
from doc2x_sdk.service.answers import one_line

__all__ = ["RESERVED", "check_archive", "check_whole", "fault_in", "main_file", "opened", "read_small", "unpack"]

IN_MEMORY = 4 * 1024 * 1024
MEMBERS = 10_000
TOTAL_BYTES = 2 * 1024**3
RATIO = 200
RATIO_FROM = 1024 * 1024  # bytes unpacked below which the ratio says nothing
NAME_BYTES = 255
PATH_LENGTH = 200  # characters, so that the whole path stays below the 260 of Windows
BLOCK = 256 * 1024
EXCERPT = 2000  # bytes of an error page that are looked at; an error quotes 200 characters
END_RECORD = b"PK\x05\x06"
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)( *\..*)?")
BROKEN = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, RuntimeError, ValueError, struct.error)
"""What zipfile raises for archives that it can't read; RuntimeError is its word for encrypted ones."""
FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')


def check_archive(archive: Path | bytes, what: str) -> None:
    """Raise unless an archive is a whole zip.

    Raises:
        ArchiveError: it does not begin as a zip; the error quotes its beginning.
        TruncatedDownload: it begins as one and does not end as one.
    """
    fault = fault_in(archive, what)
    if fault is not None:
        raise fault


def fault_in(archive: Path | bytes, what: str) -> ArchiveError | TruncatedDownload | None:
    """Return the error of what is not a whole zip; see `check_archive`.

    For who holds the bytes: they must not stand in a frame of the error, since an error page repeats signatures.
    """
    with file_of(archive) as file:
        excerpt, is_whole = what_else(file), has_end(file)
    if excerpt is not None:
        return ArchiveError(f"{what}: what came is no archive: {excerpt!r}")
    if not is_whole:
        return TruncatedDownload(f"{what}: the archive has no end")
    return None


def file_of(archive: Path | bytes) -> IO[bytes]:
    """Open an archive for reading."""
    return io.BytesIO(archive) if isinstance(archive, bytes) else archive.open("rb")


def what_else(file: IO[bytes]) -> str | None:
    """Return the beginning of a file that does not begin as a zip, without signatures; None when it does."""
    head = file.read(EXCERPT)
    return None if head.startswith((b"PK\x03\x04", END_RECORD)) else one_line(head.decode("utf-8", "replace"))


def has_end(file: IO[bytes]) -> bool:
    """Tell whether a file ends with a zip's end record, of which nothing is missing and behind which nothing stands."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 65_557))
    tail = file.read()
    at = tail.rfind(END_RECORD)
    return 0 <= at <= len(tail) - 22 and at + 22 + struct.unpack_from("<H", tail, at + 20)[0] == len(tail)


def unpack(archive: Path | bytes, folder: Path, *, uid: str | None = None) -> list[Path]:
    """Unpack a zip into a new folder and return the files, relative to it. On failure the folder's files stay unused.

    Args:
        archive: the zip.
        folder: exists and is empty.
        uid: for the errors.

    Raises:
        UnsafeArchive: a member that must not be written, see `check_members`, or more bytes than its header says.
        ArchiveError: broken, encrypted or empty.
    """
    with opened(archive, uid) as zipped:
        packed = len(archive) if isinstance(archive, bytes) else archive.stat().st_size
        members = files_of(zipped, packed, uid)
        made = {folder}
        for info in members:
            target = folder / info.filename
            with writing(target, "Unpacking"):
                if target.parent not in made:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    made.add(target.parent)
                inflate(zipped, info, target, uid)
    return [Path(info.filename) for info in members]


def read_small(archive: bytes, *, uid: str | None = None) -> dict[Path, bytes] | None:
    """Return the files of a zip by their paths in it, all of them whole; None where they are over 4 MB.

    Raises as `unpack`.
    """
    with opened(archive, uid) as zipped:
        members = files_of(zipped, len(archive), uid)
        if sum(info.file_size for info in members) > IN_MEMORY:
            return None
        return {Path(info.filename): b"".join(blocks_of(zipped, info, uid)) for info in members}


def files_of(zipped: zipfile.ZipFile, packed: int, uid: str | None) -> list[zipfile.ZipInfo]:
    """Return the members that are files, once all are checked. Raises `ArchiveError` where there are none."""
    check_members(zipped.infolist(), packed, uid)
    members = [info for info in zipped.infolist() if not info.is_dir()]
    if not members:
        raise ArchiveError("The archive is empty", uid=uid)
    return members


@contextmanager
def opened(archive: Path | bytes, uid: str | None) -> Iterator[zipfile.ZipFile]:
    """Open a zip; whatever is broken in it, here or while it is read, becomes `ArchiveError`."""
    try:
        with file_of(archive) as file, zipfile.ZipFile(file) as zipped:
            yield zipped
    except Doc2XError:
        raise
    except BROKEN as error:
        raise ArchiveError(f"The archive is broken: {error}", uid=uid) from error


def check_members(members: list[zipfile.ZipInfo], packed: int, uid: str | None) -> None:
    """Raise `UnsafeArchive` for what must not be unpacked.

    Refused: more than 10,000 members, 2 GB, or a ratio over 200; absolute and drive paths, `..`, backslashes, links
    and other special files; names that Windows reserves or can't write; two names that some system takes for one.
    """
    if len(members) > MEMBERS:
        raise UnsafeArchive(f"The archive has {len(members)} members; {MEMBERS} are allowed", uid=uid)
    total = check_total(members, uid)
    if total > RATIO_FROM and total > RATIO * packed:
        raise UnsafeArchive(f"The archive unpacks to more than {RATIO} times its size", uid=uid)
    files: set[str] = set()
    folders: set[str] = set()
    for info in members:
        reason = fault_of(info)
        if reason:
            raise UnsafeArchive(f"The archive has a member {info.orig_filename[:80]!r} that {reason}", uid=uid)
        parts = [unicodedata.normalize("NFC", part).casefold() for part in info.filename.rstrip("/").split("/")]
        above = {"/".join(parts[:depth]) for depth in range(1, len(parts))}
        key = "/".join(parts)
        if info.is_dir():
            folders |= above | {key}
            continue
        if key in files:
            raise UnsafeArchive(f"The archive has two members named {info.filename[:80]!r}", uid=uid)
        files.add(key)
        folders |= above
    if files & folders:
        raise UnsafeArchive(f"The archive has a file and a folder named {min(files & folders)!r}", uid=uid)


def check_total(members: list[zipfile.ZipInfo], uid: str | None) -> int:
    """Return how many bytes the members unpack to; raises `UnsafeArchive` for too many."""
    total = sum(info.file_size for info in members)
    if total > TOTAL_BYTES:
        raise UnsafeArchive(f"The archive unpacks to {total} bytes; {TOTAL_BYTES} are allowed", uid=uid)
    return total


def fault_of(info: zipfile.ZipInfo) -> str | None:
    """Say why a member must not be written; None when it may."""
    name = info.orig_filename
    mode = info.external_attr >> 16
    parts = name.rstrip("/").split("/")
    checks = (
        (not name or name.startswith("/") or re.match(r"[A-Za-z]:", name), "is absolute or has no name"),
        (any(part in ("", ".", "..") for part in parts), "leads out of its folder"),
        (FORBIDDEN.search(name), "has characters that no file name may have"),
        (
            any(RESERVED.fullmatch(part) or part.endswith((" ", ".")) for part in parts),
            "has a name that Windows reserves",
        ),
        (
            len(name) > PATH_LENGTH or any(len(os_bytes(part)) > NAME_BYTES for part in parts),
            "has a name that is too long",
        ),
        (stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR), "is a link or a special file"),
        (mode & (stat.S_ISUID | stat.S_ISGID), "sets the user or group id"),
        (info.flag_bits & 0x1, "is encrypted"),
    )
    return next((reason for wrong, reason in checks if wrong), None)


def os_bytes(name: str) -> bytes:
    """Return a name as most file systems store it."""
    return name.encode("utf-8", "surrogatepass")


def inflate(zipped: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, uid: str | None) -> None:
    """Write one member."""
    with target.open("xb") as out:
        for block in blocks_of(zipped, info, uid):
            out.write(block)


def blocks_of(zipped: zipfile.ZipFile, info: zipfile.ZipInfo, uid: str | None) -> Iterator[bytes]:
    """Yield a member's bytes, counting: a header may promise less than what comes. zipfile checks the CRC at the end.

    Raises `UnsafeArchive` before a byte over the promise is yielded, `ArchiveError` for too few.
    """
    done = 0
    with roomy(zipped, info) as packed:
        while block := unpacked(packed, info, uid):
            done += len(block)
            if done > info.file_size:
                raise UnsafeArchive(f"The member {info.filename[:80]!r} is larger than its header says", uid=uid)
            yield block
    if done != info.file_size:
        raise ArchiveError(f"The member {info.filename[:80]!r} is shorter than its header says", uid=uid)


def roomy(zipped: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    """Open a member as if it were larger than it says: zipfile cuts there in silence, and checks that part's CRC."""
    size = info.file_size
    info.file_size += 2 * BLOCK
    try:
        return zipped.open(info)
    finally:
        info.file_size = size


def unpacked(packed: IO[bytes], info: zipfile.ZipInfo, uid: str | None) -> bytes:
    """Return the next block of a member; raises `ArchiveError` for what bzip2 and LZMA can't read."""
    try:
        return packed.read(BLOCK)
    except (OSError, lzma.LZMAError) as error:
        raise ArchiveError(f"The member {info.filename[:80]!r} is broken: {error}", uid=uid) from error


def check_whole(zipped: zipfile.ZipFile, uid: str | None) -> None:
    """Raise unless every member has the size and the CRC that its header says; nothing is written."""
    check_total(zipped.infolist(), uid)
    for info in zipped.infolist():
        for _ in blocks_of(zipped, info, uid):
            pass


def main_file(files: list[Path], suffix: str, *, uid: str | None = None) -> Path:
    """Return the archive's one file with this suffix; raises `ArchiveError` when there is none or more than one."""
    found = [path for path in files if path.suffix.lower() == suffix]
    if len(found) != 1:
        raise ArchiveError(f"The archive has {len(found)} {suffix} files where one was expected", uid=uid)
    return found[0]
