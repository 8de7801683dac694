"""The URLs that the server hands out: uploads, downloads and page pictures.

Upload and download URLs carry their permission in the query and need no key, as at the service's object storage. They
begin with whatever address the caller used, so that they work through a relay as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from doc2x_sdk.local.pages import Box
from doc2x_sdk.local.wire import Signer

__all__ = ["Links", "crop_box"]

_IMAGE = re.compile(r'images/(?P<page>\d+)_(?P<x>\d+)_(?P<y>\d+)_(?P<w>\d+)_(?P<h>\d+)_(?P<r>\d+)\.jpg(?="/>|$)')


class Links:
    """Makes URLs and checks the permissions in them."""

    def __init__(self, signer: Signer, now: Callable[[], float], upload_seconds: float, file_seconds: float) -> None:
        self._signer = signer
        self._now = now
        self._upload_seconds = upload_seconds
        self._file_seconds = file_seconds

    def upload(self, request: Request, uid: str) -> str:
        """Where the bytes of a uid go, for a limited time."""
        permission = self._signer.sign(f"PUT {uid}", self._now() + self._upload_seconds)
        return f"{_base(request)}/upload/{uid}?{urlencode({'signature': permission})}"

    def download(self, request: Request, uid: str, name: str) -> str:
        """Where an export lies."""
        permission = self._signer.sign(f"GET {uid} {name}", self._now() + self._file_seconds)
        return f"{_base(request)}/files/{uid}/{name}?{urlencode({'signature': permission})}"

    def page(self, request: Request, uid: str, index: int) -> str:
        """The picture of a page."""
        return f"{_base(request)}/pages/{uid}_{index}.jpg"

    def with_pictures(self, request: Request, uid: str, text: str) -> str:
        """Text in which the picture names of an export have become the crop URLs that status carries."""
        base = f"{_base(request)}/pages/{uid}"
        return _IMAGE.sub(rf"{base}_\g<page>.jpg?x=\g<x>&y=\g<y>&w=\g<w>&h=\g<h>&r=\g<r>", text)

    def allows_upload(self, request: Request, uid: str) -> bool:
        """Whether the request's URL permits to upload the bytes of this uid."""
        return self._allows(request, f"PUT {uid}")

    def allows_download(self, request: Request, uid: str, name: str) -> bool:
        """Whether the request's URL permits to fetch this file."""
        return self._allows(request, f"GET {uid} {name}")

    def _allows(self, request: Request, subject: str) -> bool:
        return self._signer.allows(subject, request.query_params.get("signature", ""), self._now())


def crop_box(query: Any) -> Box | None:
    """The box that `x`, `y`, `w` and `h` of a picture's query name, or None for the whole page.

    Raises:
        ValueError: they are not whole numbers, or name nothing.
    """
    if "w" not in query:
        return None
    box = Box(*(int(query[name]) for name in ("x", "y", "w", "h")))
    if min(box.x, box.y) < 0 or min(box.width, box.height) < 1:
        raise ValueError("an empty or negative box")
    return box


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")
