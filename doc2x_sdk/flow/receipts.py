"""How a receipt names a document, what it forbids, and what stands for it where there is no ledger."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from doc2x_sdk.errors import Doc2XError, LedgerError, OutcomeUnknown, TaskFailed
from doc2x_sdk.flow.source import Source
from doc2x_sdk.flow.wish import Wish
from doc2x_sdk.ledger.ledger import Ledger, Receipt
from doc2x_sdk.ledger.rows import LOCAL, RESULT_SECONDS, ParseRow, ResultRow
from doc2x_sdk.models import ExportOptions, ParseOptions

__all__ = [
    "AnyReceipt",
    "NoReceipt",
    "canonical",
    "check_known",
    "fields_of",
    "path_text",
    "tell_if_paid_by_another",
    "tell_of_another_key",
    "where_of",
]

log = logging.getLogger("doc2x_sdk")


class NoReceipt:
    """Stands for a receipt where there is no ledger: every slot is free and nothing is remembered."""

    row = None
    probes = False

    def start_over(self, reason: str) -> None:
        """Do nothing."""

    def wait_for_slot(self, check: Callable[[], None]) -> None:
        """Do nothing."""

    def uploading(self, uid: str) -> None:
        """Do nothing."""

    def paying(self) -> None:
        """Do nothing."""

    def submitted(self, uid: str) -> None:
        """Do nothing."""

    def working(self) -> None:
        """Do nothing."""

    def parsed(self, pages: int) -> None:
        """Do nothing."""

    def archived(self, uid: str, pages: int) -> None:
        """Do nothing."""

    def failed(self, error: Doc2XError) -> None:
        """Do nothing."""

    def unknown(self, error: Doc2XError) -> None:
        """Do nothing."""

    def unpaid(self, error: Doc2XError | None = None) -> None:
        """Do nothing."""

    def limit_met(self, code: str | None) -> None:
        """Do nothing."""

    def result(self, result: ResultRow, *, wait: bool) -> None:
        """Do nothing."""


AnyReceipt = Receipt | NoReceipt


SORTED = json.JSONEncoder(sort_keys=True, default=str)


def canonical(options: Mapping[str, Any]) -> str:
    """Return options as JSON that is equal for equal options: sorted, and without what is not set."""
    return SORTED.encode({name: value for name, value in options.items() if value is not None})


def fields_of(options: ParseOptions | ExportOptions) -> dict[str, Any]:
    """Return options by their names; `asdict` would copy each value, for each document, deeply."""
    return {field.name: getattr(options, field.name) for field in fields(options)}


def where_of(source: Source) -> str:
    """Return how a receipt names a source: its whole path, or what bytes were called."""
    is_own_path = source.path is not None and source.stamp is not None and source.path.name.startswith(source.stem)
    return path_text(source.path) if is_own_path and source.path is not None else source.name


def path_text(path: Path) -> str:
    """Return a whole path as a receipt holds it: as it is, or as a file URL where the name's bytes are no UTF-8."""
    whole = path.absolute()
    try:
        str(whole).encode()
    except UnicodeEncodeError:
        return whole.as_uri()
    return str(whole)


def tell_of_another_key(ledger: Ledger, account: str, now: float) -> bool:
    """Tell whether something was paid with another key of late, which may be the same account's.

    Warns where nothing was paid with this key yet.
    """
    try:
        recent = ledger.accounts(now - RESULT_SECONDS)
    except LedgerError:  # told where it is used
        return False
    others = {name: count for name, count in recent.items() if name not in (LOCAL, account)}
    if others and account not in recent:
        name = max(others, key=lambda each: others[each])
        log.warning(
            "Of the last 24 hours the ledger has %d receipts of another key, and none of this one. If both keys are of "
            "one account, say so before you go on, or what was paid is paid again: DOC2X_ACCOUNT=%s, or `account` in "
            "the config file",
            others[name],
            name,
        )
    return bool(others)


def tell_if_paid_by_another(ledger: Ledger, row: ParseRow, now: float) -> None:
    """Warn where a document that is about to be paid was paid for with another key."""
    before = None
    with suppress(LedgerError):  # told where it is used
        before = ledger.paid_by_another(row, now - RESULT_SECONDS)
    if before is not None:
        log.warning(
            "%s: it was paid for with another key (uid %s), and is paid for again with this one; where both are of one "
            "account, DOC2X_ACCOUNT=%s says so",
            row.source,
            before.uid,
            before.account,
        )


def check_known(row: ParseRow, wish: Wish) -> None:
    """Raise for a receipt that must not be paid again without the user's word."""
    if row.state == "unknown" and not wish.retry_unknown:
        raise OutcomeUnknown(
            f"An earlier attempt may have been paid: {row.reason or 'no answer came'}",
            uid=row.uid,
            advice="Look at the account's page count; then `--retry-unknown` (retry_unknown=True) sends it again.",
        )
    if row.state == "failed" and not wish.retry_failed and row.account != LOCAL:  # there nothing is paid
        raise TaskFailed(
            f"Not sent again: the service gave it up earlier: {row.reason or 'no reason given'}",
            uid=row.uid,
            code=row.code,
            trace_id=row.trace_id,
            advice="`--retry-failed` (retry_failed=True) sends it again, and pays for it again.",
        )
