"""What the service answers to one call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from doc2x_sdk.models.pages import Page, TranslatedBlock

__all__ = ["ExportLink", "ExportStatus", "ImageResult", "ParseStatus", "SignedURL", "UploadSlot"]


class SignedURL:
    """A URL whose query is a permission: it prints without the query and does not pickle."""

    __slots__ = ("_url",)

    def __init__(self, url: str) -> None:
        self._url = url

    def reveal(self) -> str:
        """Return the whole URL, for the one request that it is meant for."""
        return self._url

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SignedURL) and other._url == self._url

    def __hash__(self) -> int:
        return hash(self._url)

    def __str__(self) -> str:
        return self._url.partition("?")[0].partition("#")[0].rpartition("@")[2]

    def __repr__(self) -> str:
        return f"SignedURL({str(self)!r})"

    def __reduce__(self) -> Any:
        msg = "a signed URL is a permission and is not written anywhere; ask the service for the link again"
        raise TypeError(msg)


@dataclass(frozen=True, slots=True)
class UploadSlot:
    """A uid and the URL that takes its bytes once; an unused one costs nothing."""

    uid: str
    url: SignedURL = field(repr=False)


@dataclass(frozen=True, slots=True)
class ParseStatus:
    """One answer about a parse.

    `state` is the service's word: "processing", "success", "failed", or a word that this version does not know.
    `progress` is 0 to 100, held within these. `translation` has the blocks of a translation that is done (v1).
    `raw` is the answer's `data` as it came, with the service's own word.
    """

    uid: str
    state: str
    progress: int = 0
    pages: tuple[Page, ...] = field(default=(), repr=False)
    detail: str = ""
    trace_id: str | None = None
    convert_zip: bytes | None = field(default=None, repr=False)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
    translation: tuple[TranslatedBlock, ...] = field(default=(), repr=False)

    @property
    def done(self) -> bool:
        """Whether the pages, or the translation, are there."""
        return self.state == "success"


@dataclass(frozen=True, slots=True)
class ImageResult:
    """What the synchronous picture call answers: the pages, and the zip of Markdown and crops where there is one."""

    uid: str
    pages: tuple[Page, ...] = field(repr=False)
    convert_zip: bytes | None = field(default=None, repr=False)
    trace_id: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ExportLink:
    """Where an export is: a URL, or the bytes themselves (picture zips).

    `format` is one of `NATIVE_FORMATS`. The client that gave the link fetches it: from a storage host, or, in v1, from
    the API with its key.
    """

    uid: str
    format: str
    url: SignedURL | None = None
    content: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ExportStatus:
    """One answer about the export slot of a uid; `url` is there once `state` is "success"."""

    uid: str
    state: str
    url: SignedURL | None = None
    detail: str = ""
    trace_id: str | None = None
