"""What became of each document of a run: its messages, its row of the table and of the JSON, its exit code."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from typing import Any

from doc2x_sdk.cli import guard, terminal
from doc2x_sdk.cli.exits import exit_of
from doc2x_sdk.errors import Doc2XError
from doc2x_sdk.models import Document

__all__ = ["Interrupted", "NotDone", "Row"]


class NotDone(Doc2XError):
    """The document was not begun, since an error or a signal had stopped the run. `exit` is the code of the stop."""

    advice_by_default = "Run the same command again."

    def __init__(self, code: int, reason: Doc2XError | None = None) -> None:
        told = "Not begun: the run was stopped before"
        super().__init__(f"{told}: {reason.message}" if reason else told, code=reason.code if reason else None)
        self.exit = code


class Interrupted(NotDone):
    """The document was in work when a signal stopped the run; its uid, where there is one, is still good."""

    def __init__(self, code: int, uid: str | None) -> None:
        super().__init__(code)
        self.message = "Interrupted"
        self.uid = uid
        self.advice = f"Run `doc2x fetch {uid}` within 24 hours; it costs nothing." if uid else self.advice


@dataclass(frozen=True, slots=True)
class Row:
    """One document and what became of it.

    Attributes:
        source: the input's name.
        document: the result, where the conversion went through.
        error: why it did not.
        pages: how many the document has; None where nothing was parsed by this run.
        to_fetch: whether, after the error, the parse is paid and at the service; the same command goes on with it.
    """

    source: str
    document: Document | None = None
    error: Doc2XError | None = None
    pages: int | None = None
    to_fetch: bool = False

    @classmethod
    def of(cls, source: str, document: Document) -> Row:
        """Return the row of a result, without its pages: there may be very many rows."""
        return cls(source, replace(document, pages=(), contents={}), pages=len(document.pages) or None)

    @property
    def was_there(self) -> bool:
        """Whether all results were there already, so that nothing was done."""
        return self.document is not None and bool(self.document.files) and self.pages is None

    @property
    def was_archived(self) -> bool:
        """Whether it came from the archive, so that nothing was asked of the service."""
        return self.document is not None and self.document.archived

    @property
    def exit(self) -> int:
        """The exit code that the document has by itself."""
        if isinstance(self.error, NotDone):
            return self.error.exit
        failures = self.document.failures.values() if self.document else ()
        return next((exit_of(each) for each in (self.error, *failures) if each is not None), 0)

    @property
    def written(self) -> list[str]:
        """The paths of the files that this run wrote."""
        if self.document is None:
            return []
        skipped = self.document.skipped
        return [terminal.printable(str(path)) for name, path in self.document.files.items() if name not in skipped]

    @property
    def left(self) -> list[str]:
        """The paths of the files that were there and were left as they are."""
        if self.document is None:
            return []
        files = self.document.files
        return [terminal.printable(str(files[name])) for name in self.document.skipped if name in files]

    def told(self, *, quiet: bool, of_many: bool = False) -> None:
        """Write what the user should know to stderr: what failed and, unless `quiet`, what is odd.

        `of_many` leaves out what the summary of a batch says in one line: that results were there, or in the archive.
        """
        if self.error is not None and not isinstance(self.error, NotDone):
            guard.complain(when(of_many) + str(self.error.about(source=self.source)), self.error.advice)
        if self.document is None:
            return
        for name, failure in self.document.failures.items():
            advice = failure.advice if isinstance(failure, Doc2XError) else ""
            guard.complain(f"{when(of_many)}{name}: {failure}", advice)
        if quiet:
            return
        if self.was_archived and not of_many:
            terminal.say(f"{self.source}: taken from the archive, nothing was sent (--force sends it)")
        for warning in self.document.warnings:
            terminal.warn(f"{self.source}: {warning}")
        if self.left and not (of_many and self.was_there):
            nothing = "nothing to do, " if self.was_there else ""
            terminal.say(f"{self.source}: {nothing}left as it was: {', '.join(self.left)} (--overwrite replaces it)")

    def as_json(self) -> dict[str, Any]:
        """Return the row of --json."""
        document = self.document
        return {
            "source": self.source,
            "uid": document.uid if document else self.error.uid if self.error else None,
            "pages": self.pages,
            "files": {name: str(path) for name, path in document.files.items()} if document else {},
            "skipped": list(document.skipped) if document else [],
            "archived": self.was_archived,
            "warnings": list(document.warnings) if document else [],
            "failures": {name: error_json(each) for name, each in document.failures.items()} if document else {},
            "error": None if self.error is None else error_json(self.error) | {"exit": self.exit},
        }

    def cells(self) -> tuple[str, str, str]:
        """Return the row of the table: source, pages, result."""
        pages = str(self.pages or "")
        lines = [*self.written, *(f"{path} (was there)" for path in self.left)]
        if self.document is not None:
            lines += [f"{name} failed (exit {exit_of(each)})" for name, each in self.document.failures.items()]
        if self.error is not None:
            lines.append(self.error.message)
        return self.source, pages, "\n".join(lines)


def when(of_many: bool) -> str:
    """Return the time before a line that is read as a log the day after; nothing on a terminal, or of one document."""
    return time.strftime("%H:%M:%S ") if of_many and not terminal.is_terminal(sys.stderr) else ""


def error_json(error: BaseException) -> dict[str, Any]:
    """Return an error's facts."""
    known = error if isinstance(error, Doc2XError) else Doc2XError(str(error), advice="")
    return {
        "type": type(error).__name__,
        "code": known.code,
        "message": known.message,
        "advice": known.advice,
        "trace_id": known.trace_id,
        "exit": exit_of(error),
    }
