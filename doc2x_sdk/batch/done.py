"""What became of one input of many."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from doc2x_sdk.errors import (
    ArchiveError,
    AuthError,
    BudgetExceeded,
    DiskFull,
    Doc2XError,
    ExporterError,
    FileError,
    LedgerError,
    QuotaExceeded,
    TaskFailed,
    TooManyOpenFiles,
)
from doc2x_sdk.flow.callbacks import CallbackRaised
from doc2x_sdk.ledger.ledger import Ledger
from doc2x_sdk.ledger.rows import ARRIVED, LOCAL, UNSENT, ParseKey
from doc2x_sdk.models import Document

__all__ = ["STOPPING", "Done", "because", "is_not_there", "is_to_fetch", "is_unsent", "unexpected"]

OF_THE_DOCUMENT = (TaskFailed, ArchiveError, ExporterError, FileError)  # the same command meets them again
STOPPING = (AuthError, QuotaExceeded, BudgetExceeded, DiskFull, TooManyOpenFiles, LedgerError)
"""Errors that concern every document to come, and so end a batch."""

GO_ON = "Correct or leave out that one; the same call goes on with the others."
NOT_THERE = UNSENT | {"uploading"}


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one input.

    Attributes:
        source: the path as it was given, in printable characters.
        document: the result; None with an error.
        error: why there is none; None without an error.
        sent: False when the batch had stopped, or an outage, the budget or the quota ended it, before any of this input
            was sent: nothing was paid for it, and the error's `__cause__` is what stopped the batch.
        to_fetch: True with an error after which the parse is paid and at the service, and only results are lacking:
            another run goes on with it and pays nothing. False also where that is not certain.
    """

    source: str
    document: Document | None = None
    error: Doc2XError | None = None
    sent: bool = True
    to_fetch: bool = False

    @property
    def files(self) -> dict[str, Path]:
        """Format to file; empty with an error."""
        return dict(self.document.files) if self.document else {}

    @property
    def was_there(self) -> bool:
        """Whether all that was wanted was there already, so that nothing was done."""
        return self.document is not None and bool(self.document.files) and not self.document.pages


def is_to_fetch(error: Doc2XError, ledger: Ledger | None, key: ParseKey) -> bool:
    """Tell whether a document that ended so is paid and at the service, by its receipts; see `Done.to_fetch`."""
    if error.uid is None or key.account == LOCAL or isinstance(error, OF_THE_DOCUMENT):
        return False
    states = states_of(ledger, key)
    return bool(states) and states <= ARRIVED


def is_unsent(ledger: Ledger | None, key: ParseKey) -> bool:
    """Tell whether it is certain, by its receipts, that nothing was sent of a document that may have been paid."""
    return states_of(ledger, key) <= UNSENT


def is_not_there(ledger: Ledger | None, key: ParseKey) -> bool:
    """Tell whether no upload of a document is known to have arrived: what it waits for is not a parse."""
    return states_of(ledger, key) <= NOT_THERE


def states_of(ledger: Ledger | None, key: ParseKey) -> set[str]:
    """Return the states of a document's receipts; where they can't be read, that nobody knows."""
    if ledger is not None:
        with suppress(LedgerError):
            return ledger.states(key)
    return {"unknown"}


def because(reason: Doc2XError | None, what: str, name: str) -> Doc2XError:
    """Return the error of a document that what stopped the batch kept from something; that is its cause.

    It is of the cause's class, unless that is another document's own, where the first failure stops a batch.
    """
    found = reason or Doc2XError("The batch was stopped", advice="")
    kind, told, advice = type(found), found.message, found.advice
    if found.source is not None and not isinstance(found, STOPPING):
        kind, told, advice = Doc2XError, f"the batch stopped at {found.source}: {told}", GO_ON
    error = kind(f"{what}: {told}", advice=advice, code=found.code, source=name)
    error.__cause__ = reason
    return error


def unexpected(error: Exception, name: str) -> Doc2XError:
    """Turn what should not have happened, or what a callback raised, into an error of one document."""
    error = error.error if isinstance(error, CallbackRaised) else error
    return Doc2XError(f"It failed on this machine: {type(error).__name__}: {error}", source=name)
