"""Taking a request's body to disk, a block at a time: raw bytes, or the part `file` of a multipart form.

pdfdeal sends its presigned PUT as a multipart form, which is unwrapped here; v1 uploads are forms by contract, with
their text fields before or after the file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from doc2x_sdk.local.wire import Refusal

__all__ = ["MAX_FIELD_BYTES", "Received", "receive"]

MAX_FIELD_BYTES = 64 * 1024


@dataclass(slots=True)
class Received:
    """What came: the size and sha256 of the file, the text fields of a form, and whether the file broke the limit.

    Bytes beyond the limit are read and dropped, so that the sender gets an answer instead of a reset.
    """

    size: int = 0
    digest: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    too_large: bool = False


class _Sink:
    """Writes the file up to the limit, and hashes it."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._hash = hashlib.sha256()
        self.received = Received()

    def write(self, data: bytes) -> None:
        self.received.size += len(data)
        if self.received.size > self._limit:
            self.received.too_large = True
            return
        self._hash.update(data)
        self._stream.write(data)

    def finish(self) -> Received:
        self.received.digest = self._hash.hexdigest()
        return self.received


class _Form:
    """Feeds a multipart body to a sink: the first part named `file` is the file, the others are text."""

    def __init__(self, boundary: bytes, sink: _Sink) -> None:
        self._sink = sink
        self._header = b""
        self._value = b""
        self._disposition = b""
        self._name = ""
        self._text = b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._part_data,
                "on_part_end": self._part_end,
            },
        )

    def write(self, data: bytes) -> None:
        try:
            self._parser.write(data)
        except MultipartParseError as error:
            raise Refusal("parse_file_invalid", "the form cannot be read", status=400) from error

    def finish(self) -> Received:
        return self._sink.finish()

    def _part_begin(self) -> None:
        self._header = self._value = self._disposition = self._text = b""
        self._name = ""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _headers_finished(self) -> None:
        options = parse_options_header(self._disposition)[1]
        self._name = options.get(b"name", b"").decode("utf-8", "replace")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == "file":
            self._sink.write(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > MAX_FIELD_BYTES:
            raise Refusal("parse_file_invalid", "a field of the form is too long", status=400)

    def _part_end(self) -> None:
        if self._name != "file":
            self._sink.received.fields[self._name] = self._text.decode("utf-8", "replace")


async def receive(request: Request, target: Path, limit: int) -> Received:
    """Write the body to `target`, at most `limit` bytes of it.

    Raises:
        Refusal: a form that cannot be read.
        ClientDisconnect: the sender broke off; `target` is incomplete.
        OSError: the disk does not take it.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    with target.open("wb") as stream:
        sink = _Sink(stream, limit)
        body: _Sink | _Form = sink
        if kind == b"multipart/form-data":
            body = _Form(options.get(b"boundary", b""), sink)
        async for block in request.stream():
            body.write(block)
    return sink.finish()
