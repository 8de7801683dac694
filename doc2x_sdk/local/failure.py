"""Why a document failed: a code of the service and a sentence. Crosses process borders."""

from __future__ import annotations

__all__ = ["DocumentFailure"]


class DocumentFailure(Exception):
    """The document cannot be parsed.

    Attributes:
        code: one of the codes of the Doc2X API, such as `parse_file_invalid`.
        detail: a sentence for the user.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)  # both as arguments, so that it pickles
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"
