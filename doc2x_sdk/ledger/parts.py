"""A part of the archive: a file that begins with a line of JSON which says whose it is and what the rest hashes to."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

__all__ = ["HEAD_BYTES", "Damaged", "Part", "open_part", "write_part"]

VERSION = 1
BLOCK = 1024 * 1024
HEAD_BYTES = 4096  # more than a head has
NO_DIGEST = "0" * 64


class Damaged(Exception):
    """A part of the archive is not what was written."""


class Part(NamedTuple):
    """An open part: the uid that it was fetched under, and its bytes."""

    uid: str
    head: dict[str, Any]
    file: IO[bytes]

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes; raises `Damaged`, at their end, when they are not those that were put."""
        digest = hashlib.sha256(line_of(self.head | {"sha256": NO_DIGEST}))
        while block := read(self.file, BLOCK):
            digest.update(block)
            yield block
        if digest.hexdigest() != self.head.get("sha256"):
            raise Damaged("its bytes are not those that were written")


def open_part(file: IO[bytes], entry: str, name: str) -> Part:
    """Read the head of a part. Raises `Damaged` for what is none, or is that of another entry."""
    try:
        head = json.loads(file.readline(HEAD_BYTES))
    except OSError as error:
        raise Damaged(error.strerror or str(error)) from error
    except (ValueError, RecursionError):
        head = None
    if not isinstance(head, dict):
        raise Damaged("it does not begin as a part of the archive")
    if (head.get("version"), head.get("entry"), head.get("part")) != (VERSION, entry, name):
        raise Damaged("it is of something else")
    return Part(str(head.get("uid")), head, file)


def write_part(file: IO[bytes], entry: str, name: str, uid: str, content: bytes | Path) -> None:
    """Write a part and sync it. Its digest, which the head is part of, is filled in when it is known, at the end."""
    head = {"version": VERSION, "entry": entry, "part": name, "uid": uid}
    first = line_of(head | {"sha256": NO_DIGEST})
    digest = hashlib.sha256(first)
    file.write(first)
    for block in blocks_of(content):
        digest.update(block)
        file.write(block)
    file.seek(0)
    file.write(line_of(head | {"sha256": digest.hexdigest()}))
    file.flush()
    os.fsync(file.fileno())


def line_of(head: dict[str, Any]) -> bytes:
    """Return a head as its line."""
    return json.dumps(head).encode() + b"\n"


def blocks_of(content: bytes | Path) -> Iterator[bytes]:
    """Yield bytes, or those of a file."""
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def read(file: IO[bytes], count: int) -> bytes:
    """Read from a part; raises `Damaged` where the disk can't."""
    try:
        return file.read(count)
    except OSError as error:
        raise Damaged(error.strerror or str(error)) from error
