"""Steps 2 and 3 with their receipt: from a checked source to its pages, paid at most once.

Each state of the receipt says what is safe: see `Parsing.resume` for what is found and `begin` for what is new.
"""

from __future__ import annotations

import logging

from doc2x_sdk.errors import (
    Doc2XError,
    FileError,
    InputChanged,
    NetworkError,
    OutcomeUnknown,
    ProtocolError,
    RateLimit,
    TaskFailed,
)
from doc2x_sdk.flow.kit import AnyReceipt, Kit, Reporter, Wish
from doc2x_sdk.flow.polling import Forgiving
from doc2x_sdk.flow.source import Source
from doc2x_sdk.flow.upload import SourceBody, is_stored, upload
from doc2x_sdk.flow.wait import Ask, wait
from doc2x_sdk.ledger.ledger import LOOK_AGAIN
from doc2x_sdk.ledger.rows import ParseRow
from doc2x_sdk.models import ParseOptions, ParseStatus
from doc2x_sdk.service.answers import NOT_FOUND
from doc2x_sdk.service.contract import Service

__all__ = ["ask_for", "parse", "send"]

log = logging.getLogger("doc2x_sdk")


def parse(source: Source, wish: Wish, kit: Kit, report: Reporter, receipt: AnyReceipt) -> ParseStatus:
    """Return the pages of a source: from the uid that was paid earlier where it is still good, else by a new parse.

    Raises:
        OutcomeUnknown: an earlier attempt may have been paid, and the wish does not say to risk paying again.
        TaskFailed: the service gave it up, now or, without `retry_failed`, earlier.
        Doc2XError: as the steps; a uid that was paid stays in the receipt.
    """
    parsing = Parsing(source, wish.parse, kit, report, receipt)
    status = parsing.resume(wish)
    while status is None:
        status = parsing.begin()
    receipt.parsed(len(status.pages) or source.pages)
    return status


def send(source: Source, options: ParseOptions, kit: Kit, report: Reporter, receipt: AnyReceipt) -> str:
    """Upload a source and return its uid, without waiting for the parse."""
    return Parsing(source, options, kit, report, receipt).send()


def ask_for(service: Service, *, picture: bool, translated: bool = False) -> Ask:
    """Return the status call of a kind of document."""
    if translated:
        return service.translation_status
    return service.image_status if picture else service.status


class Parsing:
    """The parse of one source under one receipt. `parse_timeout` runs from here."""

    def __init__(self, source: Source, options: ParseOptions, kit: Kit, report: Reporter, receipt: AnyReceipt) -> None:
        self._source = source
        self._options = options
        self._presigned = None if source.is_picture else kit.service.presigned
        translated = options.language is not None
        self._ask = ask_for(kit.service, picture=source.is_picture, translated=translated)
        self._pages = None if translated else source.pages or None
        self._kit = kit
        self._report = report
        self._receipt = receipt
        self._deadline = kit.clock.deadline(kit.settings.parse_timeout)

    def resume(self, wish: Wish) -> ParseStatus | None:
        """Go on with what the receipt says; None where there is nothing that was paid and can still be used."""
        row = self._receipt.row
        if row is None or row.state in ("planned", "reserving"):
            return None
        if wish.force:
            self._receipt.start_over("paid again on purpose")
            return None
        check_known(row, wish)
        expires = row.expires_at()
        if row.uid is None or row.state in ("unknown", "failed") or expires is None or expires <= self._kit.clock.now():
            self._receipt.start_over("its uid can't be used any more")
            return None
        self._report.uid = row.uid
        if row.state == "uploading" and not self._is_stored(row.uid):
            self._receipt.start_over("its bytes never arrived")
            return None
        log.info("%s: going on with uid %s (%s)", self._source.name, row.uid, row.state)
        return self._wait(row.uid, fresh=False)

    def begin(self) -> ParseStatus | None:
        """Take a slot, upload and wait; None where the service never began, so that a new uid is free of charge."""
        kit, receipt = self._kit, self._receipt
        while not receipt.admit():
            kit.check_stop()
            kit.clock.sleep(LOOK_AGAIN)
        kit.check_stop()
        kit.budget.take(self._source.pages)
        try:
            uid = self.send()
        except Doc2XError as error:
            unpaid = not isinstance(error, OutcomeUnknown)
            if unpaid and receipt.row is not None and receipt.row.uid is None:
                kit.budget.give_back(self._source.pages)
            if isinstance(error, RateLimit):
                receipt.limit_met(error.code)
            raise
        receipt.submitted(uid)
        self._report.uid = uid
        self._report("parse", 0, 100)
        return self._wait(uid, fresh=True)

    def send(self) -> str:
        """Upload the source and return its uid."""
        if self._presigned is None:
            return self._post()
        kit = self._kit
        try:
            return upload(
                self._presigned,
                self._source,
                self._options,
                settings=kit.settings,
                clock=kit.clock,
                on_uid=self._note,
                on_progress=self._sent,
            )
        except NetworkError as error:
            if error.sent != "all":
                self._receipt.start_over("the upload broke off")
            raise
        except InputChanged:
            self._receipt.start_over("the file was changed while it was sent")
            raise

    def _note(self, uid: str) -> None:
        self._report.uid = uid
        self._kit.check_stop()
        self._receipt.uploading(uid)

    def _check_sent(self, body: SourceBody, uid: str) -> None:
        """Raise `InputChanged` with the uid when what was sent, and paid, is not what was checked."""
        try:
            body.check_unchanged(uid)
        except InputChanged:
            self._receipt.start_over("the file was changed while it was sent")
            raise

    def _sent(self, done: int) -> None:
        self._kit.check_stop()
        self._report("upload", done, self._source.size)

    def _is_stored(self, uid: str) -> bool:
        way = self._presigned
        return way is None or is_stored(way, uid, settings=self._kit.settings, clock=self._kit.clock)

    def _wait(self, uid: str, *, fresh: bool) -> ParseStatus | None:
        """Wait for a uid; None where the service does not know it or never began with it, so that nothing is paid."""
        kit, source, receipt = self._kit, self._source, self._receipt
        try:
            return wait(
                self._ask,
                uid,
                settings=kit.settings,
                clock=kit.clock,
                deadline=self._deadline,
                floor=kit.floor,
                pages=self._pages,
                fresh=fresh,
                on_progress=lambda percent: self._report("parse", percent, 100),
                on_limit=receipt.limit_met,
            )
        except RateLimit:
            if self._presigned is None or self._deadline.passed():
                raise
            receipt.start_over("the service stayed full and never began with it")
            log.warning("%s: uid %s was never admitted; uploading under a new one", source.name, uid)
            return None
        except (TaskFailed, FileError) as error:
            if error.code != NOT_FOUND:
                if error.code is not None:
                    receipt.failed(error)
                raise
            if fresh:
                raise
            receipt.start_over("the service no longer knows its uid")
            return None

    def _post(self) -> str:
        """Upload in one step. The uid comes with the answer of the paid step: a lost answer is an unknown outcome."""
        kit, receipt, source = self._kit, self._receipt, self._source

        def post(body: SourceBody) -> str:
            return kit.service.post(body, name=f"{source.stem}.{source.kind}", kind=source.kind, options=self._options)

        patience = kit.settings.patience
        asking = Forgiving(
            kit.clock, kit.clock.deadline(patience), patience=patience, retries=kit.settings.retries, network=False
        )
        while True:
            kit.check_stop()
            receipt.paying()
            with SourceBody(self._source, self._sent) as body:
                try:
                    uid = asking.ask(lambda body=body: post(body))  # type: ignore[misc]
                except (OutcomeUnknown, ProtocolError) as error:
                    receipt.unknown(error)
                    raise
                except Doc2XError:
                    receipt.unpaid()
                    raise
                if uid is not None:
                    self._check_sent(body, uid)
                    return uid
            receipt.unpaid()
            asking.pause_after_failure()


def check_known(row: ParseRow, wish: Wish) -> None:
    """Raise for a receipt that must not be paid again without the user's word."""
    if row.state == "unknown" and not wish.retry_unknown:
        raise OutcomeUnknown(
            f"An earlier attempt may have been paid: {row.reason or 'no answer came'}",
            uid=row.uid,
            advice="Look at the account's page count; then `--retry-unknown` (retry_unknown=True) sends it again.",
        )
    if row.state == "failed" and not wish.retry_failed:
        raise TaskFailed(
            f"The service gave it up earlier: {row.reason or 'no reason given'}",
            uid=row.uid,
            code=row.code,
            trace_id=row.trace_id,
            advice="`--retry-failed` (retry_failed=True) parses it again.",
        )
