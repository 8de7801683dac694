"""Archives that no honest writer makes, byte by byte."""

from __future__ import annotations

import stat
import struct
import zlib
from dataclasses import dataclass

__all__ = ["Member", "pack"]


@dataclass(frozen=True)
class Member:
    """A member of an archive.

    Attributes:
        name: as bytes, so that it may be anything.
        data: what is in it.
        declared: the size that the directory claims; by default the true one.
        crc: the checksum that the directory claims; by default the true one.
        mode: Unix mode of the member.
        flags: general purpose flags; 0x800 says that the name is UTF-8, 0x1 that it is encrypted.
        local_name: the name in the member's own header, where it shall differ from the directory's.
    """

    name: bytes
    data: bytes = b"x"
    declared: int | None = None
    crc: int | None = None
    mode: int = stat.S_IFREG | 0o644
    flags: int = 0x800
    local_name: bytes | None = None


def pack(*members: Member, comment: bytes = b"") -> bytes:
    """Return a zip of these members, deflated."""
    body, directory = b"", b""
    for member in members:
        engine = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = engine.compress(member.data) + engine.flush()
        size = len(member.data) if member.declared is None else member.declared
        crc = zlib.crc32(member.data) if member.crc is None else member.crc
        local = member.name if member.local_name is None else member.local_name
        facts = struct.pack("<HHHHIII", member.flags, 8, 0, 0x21, crc, len(packed), size)
        where = len(body)
        body += b"PK\x03\x04" + struct.pack("<H", 20) + facts + struct.pack("<HH", len(local), 0) + local + packed
        directory += b"PK\x01\x02" + struct.pack("<HH", 3 << 8 | 20, 20) + facts
        directory += struct.pack("<HHHHHII", len(member.name), 0, 0, 0, 0, member.mode << 16, where) + member.name
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(body), len(comment))
    return body + directory + b"PK\x05\x06" + end + comment
