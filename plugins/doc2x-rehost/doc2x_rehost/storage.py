"""Where pictures go: any file system of fsspec, under names made of their bytes."""

from __future__ import annotations

import hashlib
import mimetypes
import threading
import uuid
from concurrent.futures import Future
from pathlib import Path
from typing import Any

__all__ = ["Storage", "storage_of"]

NAME_LENGTH = 32
S3_TIMES: dict[str, Any] = {"connect_timeout": 5, "read_timeout": 60, "retries": {"max_attempts": 2}}
_storages: dict[tuple[str, str, str], Storage] = {}
_lock = threading.Lock()


def storage_of(url: str, *, endpoint: str = "", public: str = "") -> Storage:
    """Return the storage at a URL, always the same one for the same arguments, so that it knows what it has.

    Raises `ValueError` or `ImportError` where fsspec has no such file system.
    """
    key = (url, endpoint, public)
    with _lock:
        if key not in _storages:
            _storages[key] = Storage(url, endpoint=endpoint, public=public)
        return _storages[key]


class Storage:
    """A folder on some file system; safe to use from many threads."""

    def __init__(self, url: str, *, endpoint: str = "", public: str = "") -> None:
        from fsspec.core import url_to_fs

        is_s3 = url.startswith(("s3://", "s3a://"))
        options: dict[str, Any] = {}
        if is_s3:
            options = {"use_listings_cache": False, "config_kwargs": S3_TIMES}
            options |= {"client_kwargs": {"endpoint_url": endpoint}} if endpoint else {}
        self._fs, folder = url_to_fs(url, **options)
        self._folder = folder.rstrip("/")
        self._public = public.rstrip("/")
        self._is_s3 = is_s3
        self._is_local = "file" in (self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,))
        self._known: dict[str, Future[str]] = {}
        self._lock = threading.Lock()

    def put(self, picture: Path) -> str:
        """Upload a picture, unless it is there, and return its link. Raises what the file system raises.

        Of several threads with the same picture one sends it and the others wait for it.
        """
        content = picture.read_bytes()
        name = hashlib.sha256(content).hexdigest()[:NAME_LENGTH] + picture.suffix.lower()
        with self._lock:
            mine = name not in self._known
            future = self._known.setdefault(name, Future())
        if not mine:
            return future.result()
        try:
            link = self._send(name, content)
        except BaseException as error:
            with self._lock:
                del self._known[name]  # the next document tries again
            future.set_exception(error)
            raise
        future.set_result(link)
        return link

    def _send(self, name: str, content: bytes) -> str:
        path = f"{self._folder}/{name}" if self._folder else name
        if not self._has(path, len(content)):
            if self._is_local:
                self._place(Path(path), content)
            else:
                kind = mimetypes.guess_type(name)[0]
                if not self._is_s3:
                    self._fs.makedirs(self._folder, exist_ok=True)
                self._fs.pipe_file(path, content, **({"ContentType": kind} if self._is_s3 and kind else {}))
        if self._public:
            return f"{self._public}/{name}"
        return Path(path).absolute().as_uri() if self._is_local else str(self._fs.unstrip_protocol(path))

    def _has(self, path: str, size: int) -> bool:
        try:
            return bool(self._fs.info(path).get("size") == size)
        except FileNotFoundError:
            return False

    def _place(self, path: Path, content: bytes) -> None:
        """Write a local file so that it is there whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            draft.write_bytes(content)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
