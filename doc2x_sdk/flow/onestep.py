"""Step 2 in one step: uploads whose uid comes with the answer to the paid step, and pictures with their result."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from doc2x_sdk.errors import Doc2XError, InputChanged, LedgerError, OutcomeUnknown, ProtocolError
from doc2x_sdk.flow.body import SourceBody
from doc2x_sdk.flow.callbacks import CallbackRaised
from doc2x_sdk.flow.kit import Kit, Stopped
from doc2x_sdk.flow.polling import Forgiving
from doc2x_sdk.flow.receipts import AnyReceipt
from doc2x_sdk.flow.source import Source

__all__ = ["pay_once"]

log = logging.getLogger("doc2x_sdk")

T = TypeVar("T")


def pay_once(
    send: Callable[[SourceBody], T],
    source: Source,
    kit: Kit,
    receipt: AnyReceipt,
    *,
    uid_of: Callable[[T], str],
    on_sent: Callable[[int], None],
) -> T:
    """Send a paid step that has no uid before its answer, and return the answer, its uid on the disk.

    A full service is asked again for `patience` seconds. A crash from the first byte on, and a lost answer, leave the
    receipt `unknown`.

    Raises:
        OutcomeUnknown: no trustworthy answer came.
        LedgerError: the uid can't be written down; it is in the error and in the log.
        InputChanged: what was sent, and paid, is not what was checked; with the uid. Or the input is gone: unpaid.
        Doc2XError: as the service's method.
    """
    patience = kit.settings.patience
    asking = Forgiving(
        kit.clock, kit.clock.deadline(patience), patience=patience, retries=kit.settings.retries, network=False
    )
    while True:
        kit.check_begin()
        with opened(source, kit, receipt, on_sent) as body:
            receipt.paying()  # now that the bytes are there to be sent
            try:
                answer = asking.ask(lambda body=body: send(body))  # type: ignore[misc]
            except Doc2XError as error:
                note_failure(error, source, kit, receipt, began=body.tell() > 0)
                raise
            except CallbackRaised:  # while the body was read: it was not sent to its end
                receipt.unpaid()
                raise
            except Stopped as stopped:
                if body.tell() < len(body):
                    receipt.unpaid()
                else:
                    stopped.states.add("unknown")  # also where there is no receipt
                raise
            if answer is not None:
                uid = uid_of(answer)
                note_uid(uid, source, kit, receipt)
                check_sent(body, uid, receipt)
                return answer
        receipt.unpaid()
        asking.pause_after_failure()


def opened(source: Source, kit: Kit, receipt: AnyReceipt, on_sent: Callable[[int], None]) -> SourceBody:
    """Open what is to be sent. Where it can't be, nothing was paid."""
    try:
        return SourceBody(source, on_sent, clock=kit.clock)
    except Doc2XError as error:
        receipt.unpaid(error)
        raise


def note_uid(uid: str, source: Source, kit: Kit, receipt: AnyReceipt) -> None:
    """Note the uid of what was paid. Where the disk does not take it, it is told and logged: nothing else has it."""
    try:
        receipt.submitted(uid)
    except LedgerError as error:
        log.warning("%s: it is paid, under uid %s, which can't be written down: %s", source.name, uid, error.message)
        by_command = not source.is_picture or kit.service.exports_pictures
        way = f"`doc2x fetch {uid} --to FMT`" if by_command else f"`client.wait({uid!r}, picture=True)` in Python"
        advice = f"It is paid: {way} fetches it within 24 hours. Check the ledger's file and disk before the next run."
        raise type(error)(error.message, uid=uid, source=source.name, advice=advice) from error


def note_failure(error: Doc2XError, source: Source, kit: Kit, receipt: AnyReceipt, *, began: bool) -> None:
    """Note what an answer says that can't be used: a uid is paid, whatever came with it; a refusal costs nothing.

    Nor does what failed before the body `began` to leave, such as the exchange of a key.
    """
    if error.uid is not None:
        note_uid(error.uid, source, kit, receipt)
    elif began and isinstance(error, OutcomeUnknown | ProtocolError):
        receipt.unknown(error)
    else:
        receipt.unpaid(error)


def check_sent(body: SourceBody, uid: str, receipt: AnyReceipt) -> None:
    """Raise `InputChanged` with the uid when what was sent, and paid, is not what was checked."""
    try:
        body.check_unchanged(uid)
    except InputChanged:
        receipt.start_over("the file was changed while it was sent")
        raise
