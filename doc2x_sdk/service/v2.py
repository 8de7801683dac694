"""The v2 service: one method an endpoint, a request in and a model out (Doc2X API v2)."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Any, NoReturn, Self

import requests

from doc2x_sdk.clock import Deadline
from doc2x_sdk.config import Generation
from doc2x_sdk.errors import ConfigError, Doc2XError, NetworkError, ProtocolError
from doc2x_sdk.models import (
    ExportOptions,
    ExportStatus,
    ImageResult,
    ParseOptions,
    ParseStatus,
    SignedURL,
    UploadSlot,
)
from doc2x_sdk.service.answers import Answer, data_of, error_from_answer
from doc2x_sdk.service.contract import Kind
from doc2x_sdk.service.gate import Turn
from doc2x_sdk.service.options import check_level, check_values
from doc2x_sdk.service.paid import answer_of_paid, uid_of_paid
from doc2x_sdk.service.prepared import Body
from doc2x_sdk.service.readers import check_uid, export_status, pages_of, percent, text_or_empty, zip_of
from doc2x_sdk.service.retry import Resend
from doc2x_sdk.service.storage import link_text
from doc2x_sdk.service.transport import Transport

__all__ = ["ServiceV2"]

TO = {"md": "md", "md_dollar": "md", "tex": "tex", "docx": "docx"}
FILENAME_LIMIT = 50  # characters, Doc2X API v2, convert/parse
REFUSED_NOT_STORED = frozenset({429})
LINK_REFUSED = frozenset({401, 403})
"""What a store answers to a link that is no longer good; it knows no key."""


class ServiceV2:
    """The endpoints of v2. Every method raises what `Transport` and `data_of` raise, besides what it names."""

    generation: Generation = "v2"
    exports_pictures = False
    answers_pictures = True
    shares_slot = True

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def close(self) -> None:
        """Close all connections."""
        self.transport.close()

    @property
    def presigned(self) -> Self:
        """PDFs have a uid before they are paid."""
        return self

    def check(self, parse: ParseOptions | None, export: ExportOptions, natives: Collection[str] = ()) -> None:  # noqa: ARG002 - the contract's
        """Raise `ConfigError` for an option that v2 does not have, or takes otherwise. Nothing is sent."""
        check_values(parse, export)
        if parse is None:
            return
        check_level(parse, export)
        checks = (
            (parse.language is not None or parse.translator is not None, "has no translation"),
            (parse.ocr is not None, "decides about OCR by itself"),
            (parse.formula_only is not None, "has no call for formulas alone"),
            (parse.img_correction is not None, "straightens no pictures"),
        )
        for wrong, reason in checks:
            if wrong:
                raise ConfigError(f"The v2 service {reason}", advice="Leave it out, or use v1: Doc2X(api='v1').")

    def quota(self) -> NoReturn:
        """Raise: v2 has no such call."""
        raise ConfigError(
            "The v2 service tells no quota",
            advice="Ask v1 (Doc2X(api='v1').quota()), or look at the account's page on the web.",
        )

    def translation_status(self, uid: str, *, deadline: Deadline | None = None) -> NoReturn:  # noqa: ARG002 - the contract's
        """Raise: v2 has no such call."""
        raise ConfigError("The v2 service has no translation", uid=uid, advice="Use v1: Doc2X(api='v1').")

    def post(self, body: Body, *, name: str, kind: Kind, options: ParseOptions) -> str:  # noqa: ARG002 - v2 sees bytes only
        """Send a file by `upload_direct` or `upload_image`.

        Raises:
            ConfigError: a model was given; only the presigned way takes one.
            OutcomeUnknown: as they do.
        """
        if options.model is not None:
            raise ConfigError("An upload in one step takes no model", advice="Leave out `direct`, or the model.")
        return self.upload_direct(body) if kind == "pdf" else self.upload_image(body)

    def preupload(self, options: ParseOptions | None = None) -> UploadSlot:
        """Get a uid and the URL that takes the file once. It costs nothing and may be repeated."""
        model = options.model if options else None
        what = "Asking for an upload"
        answer = self.transport.call(
            "POST",
            "/api/v2/parse/preupload",
            what,
            resend=Resend.ALWAYS,
            json={"model": model} if model else None,
            turn=Turn.BEGIN,
        )
        data = data_of(answer, what)
        uid = check_uid(data.get("uid"), what, answer)
        url = link_text(data.get("url"))
        if not url:
            raise ProtocolError(f"{what}: the answer has no URL", uid=uid, trace_id=answer.trace_id)
        return UploadSlot(uid, SignedURL(url))

    def put(self, slot: UploadSlot, body: Body) -> None:
        """Send the raw file to the slot: the paid step of a presigned parse.

        Raises:
            NetworkError: no answer; with `sent` = "all" the file may be stored: ask the status before anything else.
            Doc2XError: the storage host refused it (401, 403: the URL has expired); nothing was stored. A refusal after
                an attempt that sent all of it is a `NetworkError`: that attempt may be what used up the URL.
        """
        what = "The upload"
        answer = self.transport.put(slot.url, body, what)
        if 200 <= answer.status < 300:
            if not answer.whole:
                told = f"{what}: the storage host answered before it had all of it"
                raise NetworkError(told, status=answer.status, uid=slot.uid, sent="part")
            return
        if answer.whole_before or answer.status >= 500:
            trouble = "is in trouble" if answer.status >= 500 else "refused it after an attempt that may have arrived"
            raise NetworkError(
                f"{what}: the storage host {trouble}: {answer.excerpt()!r}",
                status=answer.status,
                uid=slot.uid,
                sent="all",
            )
        if answer.status in LINK_REFUSED:
            raise Doc2XError(
                f"{what}: the storage host refused the link, which may have expired: {answer.excerpt()!r}",
                status=answer.status,
                uid=slot.uid,
                advice="Run it again: a new link costs nothing.",
            )
        raise error_from_answer(answer, what, uid=slot.uid)

    def upload_direct(self, body: Body) -> str:
        """Send a PDF of at most 300 MB in one step and return its uid. It is paid without a uid known before.

        Raises:
            OutcomeUnknown: sent, and no trustworthy answer came.
        """
        return self._paid_post("/api/v2/parse/pdf", body, "The upload")

    def upload_image(self, body: Body) -> str:
        """Send a JPEG or PNG of at most 7 MB for asynchronous layout OCR and return its uid.

        Raises:
            OutcomeUnknown: sent, and no trustworthy answer came.
        """
        return self._paid_post("/api/v2/async/parse/img/layout", body, "The upload of the picture")

    def parse_image(self, body: Body) -> ImageResult:
        """Send a JPEG or PNG of at most 7 MB and wait for its result in the same answer.

        Raises:
            OutcomeUnknown: sent, and no trustworthy answer came.
            ProtocolError: it has a uid, which is in the error, and no result that can be read.
        """
        what = "The parse of the picture"
        answer = self._post_once("/api/v2/parse/img/layout", body, what)
        uid = uid_of_paid(answer, what, "uid")
        data = data_of(answer, what)
        pages = pages_of(data.get("result"), uid, numbered=False)
        return ImageResult(uid, pages, zip_of(data, uid), answer.trace_id, dict(data))

    def status(self, uid: str, *, deadline: Deadline | None = None) -> ParseStatus:
        """Ask how far a PDF's parse is."""
        return self._status("/api/v2/parse/status", uid, deadline, numbered=True)

    def image_status(self, uid: str, *, deadline: Deadline | None = None) -> ParseStatus:
        """Ask how far a picture's parse is."""
        return self._status("/api/v2/parse/img/layout/status", uid, deadline, numbered=False)

    def export(
        self,
        uid: str,
        to: str,
        options: ExportOptions | None = None,
        *,
        filename: str | None = None,
        deadline: Deadline | None = None,
    ) -> ExportStatus:
        """Start an export; it replaces an earlier one of the same uid, so fetch each before the next.

        Args:
            uid: a parse that succeeded.
            to: one of `NATIVE_FORMATS`; md_dollar is md with `$` around formulas.
            options: see `ExportOptions`.
            filename: of the main file in md and tex archives, without extension; cut to 50 characters.
            deadline: the end of the wait that this belongs to.

        Raises:
            NetworkError: no answer; when any of it was `sent`, ask `export_result` before starting it again.
        """
        options = options or ExportOptions()
        request: dict[str, Any] = {
            "uid": uid,
            "to": TO[to],
            "formula_mode": "dollar" if to == "md_dollar" else options.formula,
        }
        if filename and to != "docx":
            request["filename"] = filename[:FILENAME_LIMIT]
        if options.merge_tables is not None:
            request["merge_cross_page_forms"] = options.merge_tables
        if options.formula_level is not None:
            request["formula_level"] = options.formula_level
        what = f"The export to {to}"
        answer = self.transport.call(
            "POST", "/api/v2/convert/parse", what, resend=Resend.BEFORE_BODY, json=request, deadline=deadline,
            statuses=REFUSED_NOT_STORED,
        )  # fmt: skip
        return export_status(answer, what, uid)

    def export_result(self, uid: str, *, deadline: Deadline | None = None) -> ExportStatus:
        """Ask for the uid's one export slot; the answer does not say which format is in it."""
        what = "The result of the export"
        answer = self.transport.call(
            "GET",
            "/api/v2/convert/parse/result",
            what,
            resend=Resend.ALWAYS,
            params={"uid": uid},
            deadline=deadline,
            turn=Turn.END,
        )
        return export_status(answer, what, uid)

    def stream(self, url: SignedURL, what: str) -> AbstractContextManager[requests.Response]:
        """Open a result's URL; see `Transport.stream`."""
        return self.transport.stream(url, what)

    def _status(self, path: str, uid: str, deadline: Deadline | None, *, numbered: bool) -> ParseStatus:
        what = "The status"
        answer = self.transport.call("GET", path, what, resend=Resend.ALWAYS, params={"uid": uid}, deadline=deadline)
        data = data_of(answer, what, uid=uid)
        state = data.get("status")
        if not isinstance(state, str) or not state:
            raise ProtocolError(f"{what}: the answer has no status", uid=uid, trace_id=answer.trace_id)
        return ParseStatus(
            uid=uid,
            state=state,
            progress=100 if state == "success" else percent(data.get("progress")),
            pages=pages_of(data.get("result"), uid, numbered=numbered) if state == "success" else (),
            detail=answer.clean(text_or_empty(data.get("detail"))),
            trace_id=answer.trace_id,
            convert_zip=zip_of(data, uid) if state == "success" else None,
            raw=dict(data),
        )

    def _paid_post(self, path: str, body: Body, what: str) -> str:
        return uid_of_paid(self._post_once(path, body, what), what, "uid")

    def _post_once(self, path: str, body: Body, what: str) -> Answer:
        """Send a paid step that has no uid yet; it goes out again only while no byte of its body has left."""
        return answer_of_paid(
            lambda: self.transport.call(
                "POST",
                path,
                what,
                resend=Resend.BEFORE_BODY,
                statuses=REFUSED_NOT_STORED,
                body=body,
                headers={"Content-Type": "application/octet-stream"},
                turn=Turn.BEGIN,
            ),
            what,
        )
