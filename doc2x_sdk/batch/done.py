"""What became of one input of many."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from doc2x_sdk.errors import Doc2XError
from doc2x_sdk.models import Document

__all__ = ["Done"]


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one input.

    Attributes:
        source: the path as it was given, in printable characters.
        document: the result; None with an error.
        error: why there is none; None without an error.
        sent: False when the batch had stopped before this input was begun: nothing was paid for it, and the error's
            `__cause__` is what stopped the batch.
    """

    source: str
    document: Document | None = None
    error: Doc2XError | None = None
    sent: bool = True

    @property
    def files(self) -> dict[str, Path]:
        """Format to file; empty with an error."""
        return dict(self.document.files) if self.document else {}

    @property
    def was_there(self) -> bool:
        """Whether all that was wanted was there already, so that nothing was done."""
        return self.document is not None and bool(self.document.files) and not self.document.pages
