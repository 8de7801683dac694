"""What the flow needs of a service, whichever generation it is: the differences are here, and nowhere else."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Literal, Protocol

import requests

from doc2x_sdk.clock import Deadline
from doc2x_sdk.config import Generation
from doc2x_sdk.models import (
    ExportOptions,
    ExportStatus,
    ImageResult,
    ParseOptions,
    ParseStatus,
    SignedURL,
    UploadSlot,
)
from doc2x_sdk.service.prepared import Body
from doc2x_sdk.service.transport import Transport

__all__ = ["Ask", "Exports", "Kind", "Presigned", "Service", "Streams", "ask_for"]

Kind = Literal["pdf", "jpg", "png"]


class Ask(Protocol):
    """A service's status method."""

    def __call__(self, uid: str, *, deadline: Deadline | None = None) -> ParseStatus:
        """Return one answer about the parse."""


class Presigned(Protocol):
    """Uploads whose uid is known before the paid step."""

    def preupload(self, options: ParseOptions | None = None) -> UploadSlot:
        """Return a uid and where its bytes go."""

    def put(self, slot: UploadSlot, body: Body) -> None:
        """Send the bytes."""

    def status(self, uid: str) -> ParseStatus:
        """Return one answer about the parse."""


class Exports(Protocol):
    """Exports as jobs; one that is over at once answers with its URL."""

    def export(
        self,
        uid: str,
        to: str,
        options: ExportOptions | None = None,
        *,
        filename: str | None = None,
        deadline: Deadline | None = None,
    ) -> ExportStatus:
        """Start an export."""

    def export_result(self, uid: str, *, deadline: Deadline | None = None) -> ExportStatus:
        """Ask for the uid's export slot."""


class Streams(Protocol):
    """Downloads. The service knows which session fetches its links, and whether its key goes along."""

    def stream(self, url: SignedURL, what: str) -> AbstractContextManager[requests.Response]:
        """Open a result's URL."""


class Service(Exports, Streams, Protocol):
    """A generation of the service.

    Attributes:
        generation: which.
        exports_pictures: parsed pictures can be exported; otherwise their Markdown comes with the status alone.
        answers_pictures: there is a call that answers a picture with its result.
        shares_slot: the exports of a uid replace each other, so that an archive may be that of another format.
    """

    generation: Generation
    exports_pictures: bool
    answers_pictures: bool
    shares_slot: bool
    transport: Transport

    @property
    def presigned(self) -> Presigned | None:
        """The way in which a PDF has a uid before it is paid; None where there is only `post`."""

    def check(self, parse: ParseOptions | None, export: ExportOptions, natives: Collection[str] = ()) -> None:
        """Raise `ConfigError` for an option that this generation does not have, or takes otherwise. Nothing is sent.

        `parse` is None for one that was paid earlier, of whose options only its uid is known.
        """

    def post(self, body: Body, *, name: str, kind: Kind, options: ParseOptions) -> str:
        """Send a file in one step and return its uid; it is paid without a uid known before."""

    def status(self, uid: str, *, deadline: Deadline | None = None) -> ParseStatus:
        """Ask how far a PDF's parse is."""

    def image_status(self, uid: str, *, deadline: Deadline | None = None) -> ParseStatus:
        """Ask how far a picture's parse is."""

    def translation_status(self, uid: str, *, deadline: Deadline | None = None) -> ParseStatus:
        """Ask how far a translation is."""

    def parse_image(self, body: Body) -> ImageResult:
        """Send a picture and wait for its result in the same answer."""

    def quota(self) -> int:
        """Return the pages left."""

    def close(self) -> None:
        """Close all connections."""


def ask_for(service: Service, *, picture: bool, translated: bool = False) -> Ask:
    """Return the status call of a kind of document."""
    if translated:
        return service.translation_status
    return service.image_status if picture else service.status
