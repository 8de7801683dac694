"""The v1 service: one method an endpoint, a request in and a model out (Doc2X API v1)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn
from urllib.parse import parse_qsl, urlencode

import requests

from doc2x_sdk.clock import Deadline
from doc2x_sdk.config import APIKey, Generation, key_fault
from doc2x_sdk.errors import (
    AuthError,
    ConfigError,
    Doc2XError,
    ProtocolError,
    QuotaExceeded,
    UnsafeURL,
)
from doc2x_sdk.models import ExportOptions, ExportStatus, ParseOptions, ParseStatus, SignedURL
from doc2x_sdk.service.access import Access
from doc2x_sdk.service.answers import Answer, data_of
from doc2x_sdk.service.contract import Kind
from doc2x_sdk.service.gate import Turn
from doc2x_sdk.service.multipart import MultipartBody
from doc2x_sdk.service.options import check_values
from doc2x_sdk.service.paid import answer_of_paid, uid_of_paid
from doc2x_sdk.service.prepared import Body
from doc2x_sdk.service.readers import pages_of, percent, text_or_empty, whole_or_none
from doc2x_sdk.service.refusals import export_error, is_refused, other_than_archive, plain
from doc2x_sdk.service.retry import Resend
from doc2x_sdk.service.translations import blocks_of
from doc2x_sdk.service.transport import Transport

__all__ = ["TO", "ServiceV1"]

REFRESH = "/api/token/refresh"
EXPORT = "/api/export"
TO = {"md": "md", "md_dollar": "md_dollar", "tex": "latex", "docx": "docx"}
CONTENT_TYPES: Mapping[Kind, str] = {"pdf": "application/pdf", "jpg": "image/jpeg", "png": "image/png"}
STATES = {
    "ready": "processing",
    "processing": "processing",
    "translate_processing": "processing",
    "success": "success",
    "translate_success": "success",
}
"""v1's words in those of v2, which the flow goes by; other words stay as they are."""
QUOTA_USED_UP = "pages limit exceeded"
TOP_UP = (
    "Top up the account, then run it again. Where it says the same although `doc2x quota` shows enough pages, --force "
    "(force=True) sends it anew."
)
TROUBLE = frozenset({500, 502, 503, 504})
"""Statuses after which a free request goes out again; to a 429 the caller decides."""


class ServiceV1:
    """The endpoints of v1, for one key.

    A key that begins with `sk-` is its own access token and calls `/api/v1`; any other is exchanged for a token, which
    calls `/api/platform` and is exchanged anew when the service refuses it. With `exchange` false the key is taken to
    be such a token itself. Every method raises what `Transport` and `data_of` raise, besides what it names.
    """

    generation: Generation = "v1"
    exports_pictures = True
    answers_pictures = False
    shares_slot = False
    presigned = None

    def __init__(self, transport: Transport, key: APIKey, *, exchange: bool = True) -> None:
        self.transport = transport
        self._key = key
        self._access = Access(key, transport.clock, None if key.is_access_token or not exchange else self.refresh)
        self._prefix = "/api/v1" if key.is_access_token else "/api/platform"

    def close(self) -> None:
        """Close all connections."""
        self.transport.close()

    def check(self, parse: ParseOptions | None, export: ExportOptions, natives: Collection[str] = ()) -> None:
        """Raise `ConfigError` for an option that v1 does not have, or takes otherwise. Nothing is sent."""
        check_values(parse, export)
        parse = parse or ParseOptions()
        checks = (
            (parse.model is not None, "has no choice of models for the parse"),
            (not is_word(parse.language), "takes a language of 1 to 64 printable characters, such as zh"),
            (not is_word(parse.translator), "takes a translating model of 1 to 64 printable characters"),
            (export.formula_level is not None, "can't flatten formulas"),
            (export.merge_tables is not None, "can't join tables"),
            (export.formula == "dollar" and "tex" in natives, "has no LaTeX with dollar delimiters"),
        )
        for wrong, reason in checks:
            if wrong:
                raise ConfigError(f"The v1 service {reason}", advice="Change the option, or use v2: Doc2X(api='v2').")

    def refresh(self) -> APIKey:
        """Exchange the key for an access token. It costs nothing and may be repeated.

        Raises:
            AuthError: the key can't be verified.
        """
        what = "The exchange of the key"
        answer = self.transport.call("POST", REFRESH, what, resend=Resend.ALWAYS, statuses=TROUBLE, token=self._key)
        try:
            token = data_of(answer, what).get("token")
        except Doc2XError as error:
            if type(error) is Doc2XError:  # a refusal that names no reason which this version knows
                raise AuthError(error.message, code=error.code, status=error.status, trace_id=error.trace_id) from None
            raise
        if not isinstance(token, str) or key_fault(token):
            raise ProtocolError(f"{what}: the answer has no usable token", trace_id=answer.trace_id)
        return APIKey(token, "the service")

    def quota(self) -> int:
        """Return the pages left."""
        what = "The quota"
        answer = self._get("/limit", what)
        told = data_of(plain(answer, what), what).get("remain")
        remain = int(told) if isinstance(told, str) and re.fullmatch("[0-9]{1,15}", told) else whole_or_none(told)
        if remain is None:
            raise ProtocolError(f"{what}: the answer has no number of pages", trace_id=answer.trace_id)
        return remain

    def upload_pdf(
        self,
        body: Body,
        name: str,
        *,
        ocr: bool = True,
        language: str | None = None,
        translator: str | None = None,
    ) -> str:
        """Send a PDF of at most 100 MB and return its uuid. It is paid without a uuid known before.

        Args:
            body: the file.
            name: its file name, which is sent along.
            ocr: read scanned pages.
            language: also translate into it.
            translator: by this model.

        Raises:
            OutcomeUnknown: sent, and no trustworthy answer came.
        """
        fields = {"ocr": str(int(ocr)), "parse_to": "1"}
        if language is not None:
            fields |= {"parse_to": "2", "lang": language, "model": translator or "deepseek"}
        return self._upload("/async/pdf", MultipartBody(fields, body, name, CONTENT_TYPES["pdf"]), "The upload")

    def upload_img(
        self, body: Body, name: str, kind: Kind, *, formula_only: bool = False, img_correction: bool = False
    ) -> str:
        """Send a JPEG or PNG of at most 10 MB and return its uuid. It is paid without a uuid known before.

        Args:
            body: the file.
            name: its file name, which is sent along.
            kind: "jpg" or "png".
            formula_only: it shows one formula and nothing else.
            img_correction: straighten it first.

        Raises:
            OutcomeUnknown: sent, and no trustworthy answer came.
        """
        fields = {"equation": str(int(formula_only)), "img_correction": str(int(img_correction))}
        form = MultipartBody(fields, body, name, CONTENT_TYPES[kind])
        return self._upload("/async/img", form, "The upload of the picture")

    def post(self, body: Body, *, name: str, kind: Kind, options: ParseOptions) -> str:
        """Send a file by `upload_pdf` or `upload_img`.

        Raises:
            ConfigError: an option of pictures for a PDF, or a translation of a picture; nothing was sent.
            OutcomeUnknown: as they do.
        """
        if kind == "pdf":
            if options.formula_only is not None or options.img_correction is not None:
                raise ConfigError("formula_only and img_correction are for pictures", advice="Leave them out.")
            ocr = True if options.ocr is None else options.ocr
            return self.upload_pdf(body, name, ocr=ocr, language=options.language, translator=options.translator)
        if options.language is not None:
            raise ConfigError("The service translates PDFs only", advice="Convert the picture to a PDF first.")
        return self.upload_img(
            body, name, kind, formula_only=bool(options.formula_only), img_correction=bool(options.img_correction)
        )

    def parse_image(self, body: Body) -> NoReturn:  # noqa: ARG002 - the contract's
        """Raise: v1 has no such call."""
        raise ConfigError("The v1 service has no call that answers with a picture's result", advice="Use `convert`.")

    def status(self, uid: str, *, deadline: Deadline | None = None) -> ParseStatus:
        """Ask how far a parse is.

        Raises:
            QuotaExceeded: the account's pages are used up.
        """
        return self._status(uid, deadline, translated=False)

    image_status = status

    def translation_status(self, uid: str, *, deadline: Deadline | None = None) -> ParseStatus:
        """Ask how far a translation is: parsed but not translated counts as being at work.

        Raises:
            QuotaExceeded: the account's pages are used up.
        """
        return self._status(uid, deadline, translated=True)

    def export(
        self,
        uid: str,
        to: str,
        options: ExportOptions | None = None,
        *,
        filename: str | None = None,  # noqa: ARG002 - the contract's
        deadline: Deadline | None = None,  # noqa: ARG002 - the contract's
    ) -> ExportStatus:
        """Tell where an export is. Nothing is sent: the GET that fetches it also makes it."""
        dollar = to == "md" and options is not None and options.formula == "dollar"
        query = urlencode({"request_id": uid, "to": TO["md_dollar" if dollar else to]})
        return ExportStatus(uid, "success", SignedURL(f"{self.transport.base_url}{EXPORT}?{query}"))

    def export_result(self, uid: str, *, deadline: Deadline | None = None) -> NoReturn:  # noqa: ARG002 - the contract's
        """Raise: v1 keeps no exports; each GET makes its own."""
        raise Doc2XError("The v1 service keeps no export", uid=uid, advice="Export it again; it costs nothing.")

    @contextmanager
    def stream(self, url: SignedURL, what: str) -> Iterator[requests.Response]:
        """Open an export, and yield it only when its body is an archive.

        Raises:
            UnsafeURL: the link is not one of `export`'s; the key goes nowhere else.
            ArchiveError: what came is no archive.
            Doc2XError: the service's error, whatever its status.
        """
        own = f"{self.transport.base_url}{EXPORT}?"
        if not url.reveal().startswith(own):
            raise UnsafeURL(f"{what}: the link is not one of this client's exports", advice="Export it again.")
        params = dict(parse_qsl(url.reveal().removeprefix(own)))
        token = self._access.token()
        for may_renew in (True, False):
            with self.transport.stream_api(EXPORT, what, params=params, token=token) as response:
                answer = other_than_archive(response, token, self.transport)
                if answer is None:
                    yield response
                    return
            renewed = self._access.renew(token) if may_renew and is_refused(answer) else None
            if renewed is None:
                raise export_error(answer, what, params.get("request_id"))
            token = renewed

    def _status(self, uid: str, deadline: Deadline | None, *, translated: bool) -> ParseStatus:
        what = "The status"
        params = {"uuid": uid} | ({"parse_to": "2"} if translated else {})
        answer = self._get("/async/status", what, params, deadline)
        data = data_of(plain(answer, what, uid), what, uid=uid)
        word = data.get("status")
        if not isinstance(word, str) or not word:
            raise ProtocolError(f"{what}: the answer has no status", uid=uid, trace_id=answer.trace_id)
        if word == QUOTA_USED_UP:
            told = f"No pages are left on this account ({word})"
            raise QuotaExceeded(told, uid=uid, trace_id=answer.trace_id, advice=TOP_UP)
        state = "processing" if translated and word == "success" else STATES.get(word, word)
        return ParseStatus(
            uid=uid,
            state=state,
            progress=100 if state == "success" else percent(data.get("progress")),
            pages=pages_of(data.get("result"), uid, numbered=False) if word == state == "success" else (),
            detail=answer.clean(text_or_empty(data.get("detail"))),
            trace_id=answer.trace_id,
            raw=dict(data),
            translation=blocks_of(data.get("result"), uid) if word == "translate_success" else (),
        )

    def _get(
        self, path: str, what: str, params: Mapping[str, str] | None = None, deadline: Deadline | None = None
    ) -> Answer:
        def send(token: APIKey) -> Answer:
            return self.transport.call(
                "GET", self._prefix + path, what, resend=Resend.ALWAYS, statuses=TROUBLE, params=params,
                deadline=deadline, token=token,
            )  # fmt: skip

        return self._access.send(send)

    def _try_token(self) -> None:
        """Make a call that costs nothing. Raises for a refused token, and where it is not the service that answers."""
        what = "The quota"
        answer = self._get("/limit", what)
        if is_refused(answer) or not answer.is_envelope():
            data_of(plain(answer, what), what)

    def _upload(self, path: str, form: MultipartBody, what: str) -> str:
        """Send a form. A token that could have ended is tried first: in mid-body its refusal may never be read."""

        def send(token: APIKey) -> Answer:
            answer = self.transport.call(
                "POST", self._prefix + path, what, resend=Resend.BEFORE_BODY, statuses=frozenset(), body=form,
                headers={"Content-Type": form.content_type}, token=token, turn=Turn.BEGIN,
            )  # fmt: skip
            if is_refused(answer):  # nothing was taken: back to where nothing has been sent
                form.seek(0)
            return answer

        if self._access.may_have_ended:
            self._try_token()
        answer = answer_of_paid(lambda: self._access.send(send), what)
        return uid_of_paid(plain(answer, what), what, "uuid")


def is_word(value: object) -> bool:
    """Tell whether a value may be sent as a field: not set, or a short text."""
    return value is None or (isinstance(value, str) and 1 <= len(value) <= 64 and value.isprintable())
