"""Which results are there already, whose they are, and the ledger's row of each."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from doc2x_sdk.errors import InputChanged
from doc2x_sdk.flow.kit import AnyReceipt, Kit, NoReceipt, Wish, canonical, where_of
from doc2x_sdk.flow.publish import Publisher, digest_of
from doc2x_sdk.flow.source import Source
from doc2x_sdk.ledger.rows import ResultRow

__all__ = ["Results"]


class Results:
    """The wanted formats of one document: where each goes, what is done, and what the ledger is told about it."""

    def __init__(self, source: Source, wish: Wish, kit: Kit) -> None:
        self._source = source
        self._wish = wish
        self._kit = kit
        self._options = canonical(asdict(wish.export))
        self._receipt: AnyReceipt = NoReceipt()
        self._formats: dict[Path, str] = {}
        self._digest = ""
        self.files: dict[str, Path] = {}
        self.skipped: list[str] = []

    def todo(self, publisher: Publisher) -> list[str]:
        """Return the wanted formats that are not there; the others are left as they are and reported.

        Raises `InputChanged` for a result that was made here of an earlier content of the same input.
        """
        self.files, self.skipped = {}, []
        missing = []
        for name in self._wish.plan.wanted:
            suffix = self._wish.plan.suffix_of(name)
            self.files[name] = publisher.target(suffix)
            self._formats[self.files[name]] = name
            if not publisher.is_taken(suffix):
                missing.append(name)
                continue
            self.skipped.append(name)
            self._check_same_content(self.files[name], name)
        return missing

    def _check_same_content(self, target: Path, name: str) -> None:
        """Raise when the ledger knows that the file came from other bytes of the same input."""
        if self._kit.ledger is None or self._wish.out is None:
            return
        known = self._kit.ledger.target_of(str(target.absolute()), name)
        if known is None:
            return
        if known.state == "publishing" and known.sha256 == digest_of(target):
            self._kit.ledger.finish(known)
        if known.source == where_of(self._source) and known.source_sha256 != self._source.sha256:
            raise InputChanged(
                f"{target} was made of an earlier content of this file",
                advice="Use --overwrite to replace it, or another name or folder.",
            )

    def begin(self, receipt: AnyReceipt, todo: list[str]) -> None:
        """Write down what is wanted under a receipt, so that it can be fetched after any stop."""
        self._receipt = receipt
        for name in todo:
            self._tell(name, "wanted", wait=False)

    def before_place(self, target: Path, digest: str) -> None:
        """Write down, on the disk, what is about to get its final name."""
        name = self._formats.get(target)
        if name is not None:
            self._tell(name, "publishing", wait=True, sha256=digest)
            self._digest = digest

    def done(self, name: str, *, placed: bool) -> None:
        """Write down that a format is there; `placed` is false when somebody else's file came in between."""
        if placed:
            self._tell(name, "done", wait=False, sha256=self._digest)
        else:
            self.skipped.append(name)

    def failed(self, name: str, reason: str) -> None:
        """Write down that a format could not be made."""
        self._tell(name, "failed", wait=False, reason=reason)
        del self.files[name]

    def _tell(self, name: str, state: str, *, wait: bool, sha256: str | None = None, reason: str | None = None) -> None:
        if self._wish.out is not None:
            target = str(self.files[name].absolute())
            self._receipt.result(ResultRow(name, self._options, target, state, sha256, reason), wait=wait)
