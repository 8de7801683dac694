"""Steps 2 and 3 of one source with their receipt: from a checked source to its pages, paid at most once.

Each state of the receipt says what is safe: see `Parsing.resume` for what is found and `begin` for what is new.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from doc2x_sdk.errors import (
    Doc2XError,
    FileError,
    InputChanged,
    LedgerError,
    NetworkError,
    OutcomeUnknown,
    QuotaExceeded,
    RateLimit,
    TaskFailed,
)
from doc2x_sdk.flow.body import SourceBody
from doc2x_sdk.flow.callbacks import Reporter
from doc2x_sdk.flow.kit import Kit, Stopped
from doc2x_sdk.flow.onestep import pay_once
from doc2x_sdk.flow.receipts import AnyReceipt, check_known, tell_if_paid_by_another
from doc2x_sdk.flow.source import Source
from doc2x_sdk.flow.upload import is_stored, upload
from doc2x_sdk.flow.wait import wait
from doc2x_sdk.flow.wish import Wish
from doc2x_sdk.ledger.rows import LOCAL, RESULT_SECONDS, UNSENT, ParseRow
from doc2x_sdk.models import ImageResult, ParseOptions, ParseStatus
from doc2x_sdk.service.answers import NOT_FOUND
from doc2x_sdk.service.contract import ask_for

__all__ = ["Parsing"]

log = logging.getLogger("doc2x_sdk")

ARRIVES_WITHIN = 30.0
"""Seconds in which the bytes of a run that was killed show up in the status, if they arrived at all."""
SAYS_NOTHING = frozenset({"internal_error"})
"""Codes of a status call that failed by itself: the parse may be well, and its uid stays."""
NEVER_BEGUN = "parse_create_task_error"
"""The code of a parse that was never begun, so that another upload pays for nothing twice."""
HEARD_OF_WITHIN = 3600.0
"""Seconds after which the service has heard of what was sent, so that a first look need not wait."""
KEPT_FOR = RESULT_SECONDS + 3600.0
"""Seconds, with an hour for clocks, after which "not found" is believed at once: until then it contradicts itself."""

MUST_BE_KNOWN = (
    "It was at work on it, and keeps results for 24 hours: run the same command later; `--force` (force=True) pays for "
    "it again."
)


class Parsing:
    """The parse of one source under one receipt. `parse_timeout` runs from here, and anew for what has to be paid."""

    def __init__(
        self,
        source: Source,
        options: ParseOptions,
        kit: Kit,
        report: Reporter,
        receipt: AnyReceipt,
        *,
        direct: bool = False,
    ) -> None:
        self._source = source
        self._options = options
        self._presigned = None if source.is_picture or direct else kit.service.presigned
        translated = options.language is not None
        self._ask = ask_for(kit.service, picture=source.is_picture, translated=translated)
        self._pages = None if translated else source.pages or None
        self._kit = kit
        self._report = report
        self._receipt = receipt
        self._deadline = kit.clock.deadline(kit.settings.parse_timeout)
        self._anew: str | None = None
        self._uid: str | None = None
        self._working = False

    def check(self, wish: Wish) -> None:
        """Raise for a receipt that must not be paid again without the user's word."""
        row = self._receipt.row
        if row is not None and not wish.force:
            check_known(row, wish)

    def resume(self, wish: Wish) -> ParseStatus | None:
        """Go on with what the receipt says; None where there is nothing that was paid and can still be used."""
        row = self._receipt.row
        uid = self.known_uid(wish)
        if uid is None or row is None:
            return None
        self._report.uid = uid
        if row.state == "uploading" and not self.is_stored(uid):
            self._receipt.start_over("its bytes never arrived")
            return None
        log.info("%s: going on with uid %s (%s)", self._source.name, uid, row.state)
        just_sent = row.state == "submitted" and not self._is_old(row, HEARD_OF_WITHIN)
        return self._wait(uid, first=False, fresh=just_sent, young=not self._is_old(row, KEPT_FOR))

    def known_uid(self, wish: Wish) -> str | None:
        """Return the uid that was paid, or may have been; None where there is none that could be used.

        Only the service tells that a uid is over its time: a clock that runs ahead must not cost a second parse. The
        receipt stays as it is until `start_over`.
        """
        row = self._receipt.row
        if row is None or row.state in UNSENT:
            return None
        self.check(wish)
        if wish.force:
            self._anew = "paid again on purpose"
        elif row.uid is None or row.state in ("unknown", "failed"):
            self._anew = "tried again" if row.state == "failed" else "sent again on purpose"
        return row.uid if self._anew is None else None

    def start_over(self) -> None:
        """Let go of what the receipt said, where the user wants it paid again; nothing keeps that from now."""
        if self._anew is not None:
            self._receipt.start_over(self._anew)
            self._anew = None

    def _is_old(self, row: ParseRow, seconds: float) -> bool:
        """Tell whether a uid was given longer ago than that; those of a local server die with it."""
        given = row.uid_at or 0.0
        return self._kit.account == LOCAL or abs(self._kit.clock.now() - given) > seconds

    def begin(self) -> ParseStatus:
        """Pay for the parse with pages that were taken from the budget; those that it does not pay go back there."""
        self._deadline = self._kit.clock.deadline(self._kit.settings.parse_timeout)
        while True:
            status = self._begun()
            if status is not None:
                return status

    def _begun(self) -> ParseStatus | None:
        """Take a slot, upload and wait; None where the service never began, so that a new uid is free of charge."""
        kit, receipt = self._kit, self._receipt
        try:
            kit.check_begin()
            self.start_over()
            if kit.other_keys and kit.ledger is not None and receipt.row is not None:
                tell_if_paid_by_another(kit.ledger, receipt.row, kit.clock.now())
            receipt.wait_for_slot(kit.check_slot)
            kit.check_begin()
            uid = self.send()
            receipt.submitted(uid)
            self._report.uid = self._uid = uid
            self._report("parse", 0, 100)
            return self._wait(uid, first=True, fresh=True, young=True)
        except Stopped:
            if receipt.row is not None and receipt.row.state == "reserving":
                with suppress(LedgerError):  # it may be closed by now
                    receipt.start_over("the run was stopped before it was sent")
            raise
        except Doc2XError as error:
            if isinstance(error, RateLimit):
                receipt.limit_met(error.code)
            if self._is_unpaid(error):
                kit.budget.give_back(self._source.pages)
            raise

    def _is_unpaid(self, error: Doc2XError) -> bool:
        """Tell whether it is certain that nothing was paid."""
        if isinstance(error, OutcomeUnknown | InputChanged):
            return False
        row = self._receipt.row
        return self._uid is None if row is None else row.state in UNSENT

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
                silence=kit.silence,
                on_uid=self._note,
                on_progress=self._sent,
                on_working=self._seen_at_work,
                on_limit=self._receipt.limit_met,
            )
        except Doc2XError as error:
            self._note_failure(error)
            raise

    def _note_failure(self, error: Doc2XError) -> None:
        """Note why nothing was paid, where that is certain."""
        row = self._receipt.row
        if row is None or isinstance(error, LedgerError):
            return
        if row.state in UNSENT:
            self._receipt.unpaid(error)
        elif isinstance(error, NetworkError) and error.sent != "all":
            self._receipt.start_over("the upload broke off")
        elif isinstance(error, InputChanged):
            self._receipt.start_over("the file was changed while it was sent")

    def _note(self, uid: str) -> None:
        self._kit.check_begin()
        self._receipt.uploading(uid)
        self._report.uid = self._uid = uid
        self._working = False

    def _seen_at_work(self) -> None:
        self._working = True
        self._receipt.working()

    def _sent(self, done: int) -> None:
        self._kit.check_stop()
        self._report("upload", done, self._source.size)

    def is_stored(self, uid: str) -> bool:
        """Tell whether the service has the bytes of a uid; those of a run that was killed may still be on their way."""
        row = self._receipt.row
        at_once = row is not None and row.state != "uploading" and self._is_old(row, KEPT_FOR)
        within = 0.0 if at_once or self._kit.account == LOCAL else ARRIVES_WITHIN
        return is_stored(
            self._ask,
            uid,
            settings=self._kit.settings,
            clock=self._kit.clock,
            silence=self._kit.silence,
            within=within,
            on_working=self._seen_at_work,
        )

    def _wait(self, uid: str, *, first: bool, fresh: bool, young: bool) -> ParseStatus | None:
        """Wait for a uid; None where the service does not know it or never began with it, so that nothing is paid."""
        kit, source, receipt = self._kit, self._source, self._receipt
        working = self._working or (receipt.row is not None and receipt.row.working)
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
                young=young,
                working=working,
                early=fresh and kit.in_batch and receipt.probes,
                speed=kit.speed if self._pages is not None else None,
                looks_are_dear=lambda: kit.service.transport.is_paced,
                others=kit.held_up,
                silence=kit.silence,
                on_working=self._seen_at_work,
                on_progress=lambda percent: self._report("parse", percent, 100),
                on_limit=receipt.limit_met,
            )
        except QuotaExceeded:
            if self._was_never_begun():
                receipt.start_over("no pages were left and it was not begun")
            raise
        except RateLimit:
            if self._presigned is None or self._deadline.passed():
                raise
            receipt.start_over("the service stayed full and never began with it")
            log.warning("%s: uid %s was never admitted; uploading under a new one", source.name, uid)
            return None
        except (TaskFailed, FileError) as error:
            if error.code != NOT_FOUND:
                self._note_given_up(error)
                raise
            if first:
                raise
            row = receipt.row
            if row is not None and (row.working or row.state == "parsed") and not self._is_old(row, RESULT_SECONDS):
                error.advice = MUST_BE_KNOWN
                raise
            log.warning("%s: the service no longer knows uid %s; it is paid for again", source.name, uid)
            receipt.start_over("the service no longer knows its uid")
            return None

    def _note_given_up(self, error: Doc2XError) -> None:
        """Note that the service gave the document up, or that it could not begin with it."""
        if error.code == NEVER_BEGUN and self._was_never_begun():
            self._receipt.start_over("the service could not start it")
        elif error.code is not None and error.code not in SAYS_NOTHING:
            self._receipt.failed(error)

    def _was_never_begun(self) -> bool:
        """Tell whether the service was seen at no work on a uid that cost nothing by itself."""
        row = self._receipt.row
        return row is not None and not row.working and self._presigned is not None

    def _post(self) -> str:
        """Upload in one step. The uid comes with the answer of the paid step: a lost answer is an unknown outcome."""
        kit, source = self._kit, self._source

        def post(body: SourceBody) -> str:
            return kit.service.post(body, name=f"{source.stem}.{source.kind}", kind=source.kind, options=self._options)

        return pay_once(post, source, kit, self._receipt, uid_of=str, on_sent=self._sent)

    def picture(self) -> ImageResult:
        """Send a picture in the call that answers with its result."""
        kit, receipt = self._kit, self._receipt
        try:
            return pay_once(
                kit.service.parse_image,
                self._source,
                kit,
                receipt,
                uid_of=lambda result: result.uid,
                on_sent=self._sent,
            )
        except TaskFailed as error:
            if error.uid is None:
                receipt.failed(error)
            raise
