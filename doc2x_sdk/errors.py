"""Every error that the package raises, in one tree.

Each class says what *kind* of thing went wrong; the instance carries the facts (`code`, `uid`, `trace_id`, `status`,
`source`) and `advice`, the next step. `str(error)` reads: what happened, the facts, what to do. No error holds a key
or a signed URL, so each may be logged and pickled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self, TypedDict, Unpack

__all__ = [
    "ArchiveError",
    "AuthError",
    "BudgetExceeded",
    "ConfigError",
    "DeadlineExceeded",
    "DiskFull",
    "Doc2XError",
    "DownloadError",
    "ExporterError",
    "FileError",
    "IncompleteResult",
    "InputChanged",
    "LedgerError",
    "Locked",
    "NetworkError",
    "OutcomeUnknown",
    "OutputError",
    "PagesLimitExceeded",
    "ProtocolError",
    "QuotaExceeded",
    "RateLimit",
    "ResponseTooLarge",
    "TaskFailed",
    "TooManyOpenFiles",
    "TruncatedDownload",
    "UnknownStatus",
    "UnsafeArchive",
    "UnsafeURL",
    "WaitTimeout",
]


class Facts(TypedDict, total=False):
    """What any error may carry beside its message; `Doc2XError` explains each."""

    code: str | None
    uid: str | None
    trace_id: str | None
    status: int | None
    source: str | None
    advice: str


class Doc2XError(RuntimeError):
    """The base of all errors here, and the error itself for a service code that this version does not know.

    Attributes:
        message: what happened, one sentence without the facts below.
        code: the service's code, such as `parse_quota_limit`.
        uid: the service's id of the parse, where one is known: the pages paid for are reachable by it for 24 hours.
        trace_id: the `trace-id` header of the answer; the service's support asks for it.
        status: the HTTP status of the answer.
        source: the name of the input that the error belongs to.
        advice: what to do next.
    """

    advice_by_default = "Report it with the uid and the trace id if it comes again."

    def __init__(self, message: str, **facts: Unpack[Facts]) -> None:
        super().__init__(message)
        self.message = message
        self.code = facts.get("code")
        self.uid = facts.get("uid")
        self.trace_id = facts.get("trace_id")
        self.status = facts.get("status")
        self.source = facts.get("source")
        self.advice = facts.get("advice", self.advice_by_default)

    def about(self, *, uid: str | None = None, source: str | None = None) -> Self:
        """Fill in the uid and the input's name where the raiser did not know them, and return the same error."""
        self.uid = self.uid or uid
        self.source = self.source or source
        return self

    def __str__(self) -> str:
        facts = (
            ("code", self.code),
            ("HTTP", self.status),
            ("uid", self.uid),
            ("trace id", self.trace_id),
        )
        known = ", ".join(f"{name} {value}" for name, value in facts if value is not None)
        text = f"{self.source}: {self.message}" if self.source else self.message
        text = text.rstrip(".")
        return " ".join(part for part in (f"{text} ({known})." if known else f"{text}.", self.advice) if part)


class ConfigError(Doc2XError):
    """A setting, a key or an option is missing or unusable; nothing was sent."""

    advice_by_default = "See `doc2x config` for each setting and where it comes from."


class FileError(Doc2XError):
    """The input can't be used: missing, empty, too large, broken, encrypted, or not a PDF or picture.

    `fault` says which in one word: "missing", "empty", "too_large", "broken", "encrypted", "unreadable",
    "unsupported" (another kind of file), "changed", or "unusable" where none of these is known.
    """

    advice_by_default = "Check the file; nothing was paid."

    def __init__(self, message: str, *, fault: str = "unusable", **facts: Unpack[Facts]) -> None:
        super().__init__(message, **facts)
        self.fault = fault


class InputChanged(FileError):
    """The input's bytes changed between the check and the end of the upload."""

    advice_by_default = "Wait until the file is no longer being written, then convert it again."

    def __init__(self, message: str, **facts: Unpack[Facts]) -> None:
        super().__init__(message, fault="changed", **facts)


class AuthError(Doc2XError):
    """The service refused the key."""

    advice_by_default = (
        "Check the key (DOC2X_APIKEY, or `doc2x config set-key`); the service's web page shows and renews it. Receipts "
        "are found by the key: mind the warning that a new one gives."
    )


class QuotaExceeded(Doc2XError):
    """The account has no pages left."""

    advice_by_default = "Top up the account; what was already parsed stays reachable by its uid for 24 hours."


class BudgetExceeded(Doc2XError):
    """The page budget that the caller set would be passed."""

    advice_by_default = "Raise the budget (`max_pages`, --max-pages) to go on."


class RateLimit(Doc2XError):
    """Too many requests, tasks or pages at once.

    `retry_after` is the number of seconds that the service asked for, None where it gave none that can be used.
    """

    advice_by_default = "Wait a little and run it again, or use fewer documents at once."

    def __init__(self, message: str, *, retry_after: float | None = None, **facts: Unpack[Facts]) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after


class NetworkError(Doc2XError):
    """No usable answer came: no connection, a reset, a timeout, or a gateway's 5xx after the last retry.

    `sent` tells how much of the request's body had left this machine when it broke: "nothing", "part" or "all".
    """

    advice_by_default = "Check the connection and the proxy settings, then run it again."

    def __init__(self, message: str, *, sent: str = "nothing", **facts: Unpack[Facts]) -> None:
        super().__init__(message, **facts)
        self.sent = sent


class DeadlineExceeded(NetworkError):
    """One call, its retries included, took longer than its deadline."""

    advice_by_default = "Try again, or raise `call_timeout` on a slow network."


class WaitTimeout(Doc2XError):
    """The service is still at work; the job goes on there and the pages are not lost."""

    advice_by_default = "Do not upload again: `doc2x fetch UID --to FMT` (or `client.wait(uid)`) goes on from here."


class ProtocolError(Doc2XError):
    """The answer is not one of the service's: no JSON, cut off, or without a field that it must have."""

    advice_by_default = "Check that the base URL is the service's and that no proxy or login page answers for it."


class ResponseTooLarge(ProtocolError):
    """The answer is larger than the limit set for it."""

    advice_by_default = "Raise `max_answer_bytes` or `max_download_bytes` if the size is expected."


class UnknownStatus(ProtocolError):
    """A status word that this version does not know."""

    advice_by_default = "Look for a newer version of doc2x-sdk; the uid stays good for 24 hours."


class TaskFailed(Doc2XError):
    """The service took the document and could not convert it, or no longer has the result."""

    advice_by_default = "Try once more; if it fails again, report uid and trace id to the service."


class PagesLimitExceeded(TaskFailed):
    """The document has more pages than the service takes in one parse."""

    advice_by_default = "Split the document and convert the parts."


class IncompleteResult(TaskFailed):
    """The parse succeeded but pages are missing or given twice. `expected` and `got` are numbers of pages."""

    advice_by_default = "Ask again with `doc2x fetch UID`; if pages stay missing, report uid and trace id."

    def __init__(
        self, message: str, *, expected: int | None = None, got: int | None = None, **facts: Unpack[Facts]
    ) -> None:
        super().__init__(message, **facts)
        self.expected = expected
        self.got = got


class OutcomeUnknown(Doc2XError):
    """A request that may cost pages was sent and no trustworthy answer came: it may or may not have been paid."""

    advice_by_default = "Look at the account's page count before you send it again: it may have been paid already."


class DownloadError(Doc2XError):
    """The result could not be fetched; the parse is paid and its uid is still good."""

    advice_by_default = "Run `doc2x fetch UID --to FMT` within 24 hours of the parse; it costs nothing."


class TruncatedDownload(DownloadError):
    """The connection ended before the whole file had come."""


class UnsafeURL(DownloadError):
    """A link that must not be followed: not https, or to a host off the list of storage hosts."""

    advice_by_default = "If the host is the service's storage, add it to the setting `storage_hosts`."


class ArchiveError(Doc2XError):
    """The downloaded file is not the archive that it should be."""

    advice_by_default = "Run `doc2x fetch UID --to FMT` to export it again; it costs nothing."


class UnsafeArchive(ArchiveError):
    """The archive holds something that must not be unpacked; nothing of it was written."""

    advice_by_default = "Nothing was unpacked. Report uid and trace id to the service."


class OutputError(Doc2XError):
    """The result can't be written. `path` is where it should have gone."""

    advice_by_default = "Choose another folder: `out`, or --out."
    advice_when_paid = f"{advice_by_default} The parse is paid and its uid is still good."

    def __init__(self, message: str, *, path: str | Path | None = None, **facts: Unpack[Facts]) -> None:
        super().__init__(message, **facts)
        self.path = str(path) if path is not None else None

    def about(self, *, uid: str | None = None, source: str | None = None) -> Self:
        """As for every error; once the uid is known, the advice says that the pages are paid."""
        super().about(uid=uid, source=source)
        if self.uid is not None and self.advice == self.advice_by_default:
            self.advice = self.advice_when_paid
        return self


class DiskFull(OutputError):
    """No space is left where the result should go."""

    advice_by_default = "Free some space, then run it again."
    advice_when_paid = "Free some space, then `doc2x fetch UID --to FMT`; nothing has to be paid again."


class TooManyOpenFiles(OutputError):
    """No further file can be opened, by this process or on the system; the file that was next is not at fault."""

    advice_by_default = "Raise the limit (`ulimit -n`) or do fewer documents at once (--jobs), then run it again."
    advice_when_paid = f"{advice_by_default} Nothing has to be paid again."


class LedgerError(Doc2XError):
    """The ledger of receipts can't be read or written."""

    advice_by_default = "Nothing further was sent. Check the ledger's file and disk."


class Locked(LedgerError):
    """Another process holds what is needed."""

    advice_by_default = "Wait for the other process, or stop it."


class ExporterError(Doc2XError):
    """An exporter or post-processor failed; the other formats are not affected.

    `plugin` and `version` name the package that offered it.
    """

    advice_by_default = "Report it to the plugin's author (--verbose shows the line); the other formats were written."

    def __init__(
        self, message: str, *, plugin: str | None = None, version: str | None = None, **facts: Unpack[Facts]
    ) -> None:
        super().__init__(message, **facts)
        self.plugin = plugin
        self.version = version
