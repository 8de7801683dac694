"""Exit codes: what each means, and which errors lead to it. The one table of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from doc2x_sdk import errors

__all__ = ["BUG", "CLOSED", "ERRORS", "FAILED", "MEANINGS", "STOPS", "UNKNOWN", "exit_of", "exit_of_many"]

BUG = 1
FAILED = 6
SOME_FAILED = 8
UNKNOWN = 9
CLOSED = 141

MEANINGS: Mapping[int, str] = {
    0: "done",
    1: "a bug in doc2x itself",
    2: "usage or configuration: nothing was sent",
    3: "the key was refused",
    4: "no pages left, or over the budget",
    5: "the input file can't be used",
    6: "the service failed the document",
    7: "the export, the download or an exporter failed",
    8: "some documents of many failed",
    9: "unknown whether the document was paid for",
    10: "network, or the wait ran out",
    11: "disk, output folder, ledger or lock",
    129: "stopped by SIGHUP",
    130: "stopped by Ctrl-C",
    141: "the reader of the output went away",
    143: "stopped by SIGTERM",
}

ERRORS: Mapping[type[errors.Doc2XError], int] = {
    errors.ConfigError: 2,
    errors.AuthError: 3,
    errors.QuotaExceeded: 4,
    errors.BudgetExceeded: 4,
    errors.FileError: 5,
    errors.PagesLimitExceeded: 5,  # the document has to be split, whoever counted its pages
    errors.TaskFailed: FAILED,
    errors.Doc2XError: FAILED,  # a code of the service that this version does not know
    errors.DownloadError: 7,
    errors.ArchiveError: 7,
    errors.ExporterError: 7,
    errors.OutcomeUnknown: UNKNOWN,
    errors.NetworkError: 10,
    errors.ProtocolError: 10,
    errors.RateLimit: 10,
    errors.WaitTimeout: 10,
    errors.OutputError: 11,
    errors.LedgerError: 11,
}
"""By the nearest class: a subclass that is not here counts as its base."""

STOPS = frozenset({3, 4, 10, 11})
"""What concerns every document of a run, and so is the run's own code."""


def exit_of(error: BaseException) -> int:
    """Return the code of one error."""
    return next((ERRORS[kind] for kind in type(error).__mro__ if kind in ERRORS), BUG)


def exit_of_many(codes: Iterable[int]) -> int:
    """Return the code of a run: one document's own; of many a stop, then an unknown outcome, then "some failed"."""
    each = list(codes)
    if len(each) == 1:
        return each[0]
    stop = next((code for code in each if code in STOPS), None)
    if stop is not None:
        return stop
    if UNKNOWN in each:
        return UNKNOWN
    return SOME_FAILED if any(each) else 0
