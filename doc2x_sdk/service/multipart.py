"""A multipart form as a request body: the file is read while it is sent, and the length is known before."""

from __future__ import annotations

import io
import re
import secrets
from collections.abc import Mapping
from urllib.parse import quote

from doc2x_sdk.service.prepared import Body

__all__ = ["MultipartBody"]

NAME_BYTES = 120  # of the file name that is sent along


class MultipartBody:
    """Text fields, then one file, as `multipart/form-data` (RFC 7578).

    `content_type` belongs into the request's header. Reading holds no more in memory than the block asked for.
    """

    def __init__(self, fields: Mapping[str, str], file: Body, filename: str, content_type: str) -> None:
        boundary = secrets.token_hex(16)
        texts = [f'{opening(boundary)}name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
        described = f'name="file"; {filename_parameter(filename)}\r\nContent-Type: {content_type}'
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._file = file
        self._head = f"{''.join(texts)}{opening(boundary)}{described}\r\n\r\n".encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._position = 0

    def __len__(self) -> int:
        return len(self._head) + len(self._file) + len(self._tail)

    def read(self, size: int = -1, /) -> bytes | memoryview:
        """Return the next bytes, up to the end of the head, the file or the tail; with -1 all that is left."""
        if size < 0:
            return b"".join(map(bytes, iter(lambda: self.read(1024 * 1024), b"")))
        after_file = self._position - len(self._head) - len(self._file)
        block: bytes | memoryview
        if self._position < len(self._head):
            block = self._head[self._position : self._position + size]
        elif after_file < 0:
            block = self._file.read(min(size, -after_file))
        else:
            block = self._tail[after_file : after_file + size]
        self._position += len(block)
        return block

    def seek(self, position: int, /) -> int:
        """Go back to the start, which is all that a resend needs."""
        if position != 0:
            raise io.UnsupportedOperation("a form is read again from its start only")
        self._file.seek(0)
        self._position = 0
        return 0

    def tell(self) -> int:
        """Return the position."""
        return self._position


def opening(boundary: str) -> str:
    """Return how a part begins, up to its name."""
    return f"--{boundary}\r\nContent-Disposition: form-data; "


def filename_parameter(name: str) -> str:
    """Return a file name for Content-Disposition: in ASCII, and once more in full (RFC 5987) where that differs.

    No name can end the line or the quotes: what is not plain becomes `_`, or `%XX` in the full form.
    """
    name = name.encode("utf-8", "replace")[-NAME_BYTES:].decode("utf-8", "ignore")
    plain = re.sub(r"[^A-Za-z0-9 ._()+,=@-]", "_", name).strip() or "file"
    if plain == name:
        return f'filename="{plain}"'
    return f"filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
