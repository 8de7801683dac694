"""Where a document's parses come from: the archive when all that is wanted is there, else the service."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from doc2x_sdk.flow.fetch import Fetcher, Natives
from doc2x_sdk.flow.kept import Kept, KeptNatives, Native, exports_of
from doc2x_sdk.flow.kit import AnyReceipt, Kit, Reporter, Wish
from doc2x_sdk.flow.parse import parse
from doc2x_sdk.flow.process import PictureNatives
from doc2x_sdk.flow.source import Source
from doc2x_sdk.ledger.rows import ParseKey
from doc2x_sdk.models import ParseStatus

__all__ = ["Parses"]

Had = tuple[ParseStatus, Natives]


class Parses:
    """The parses of one document: one, or one a part.

    Attributes:
        warnings: what the archive could not keep or give back.
        archived: whether all of them came from there.
    """

    def __init__(self, source: Source, wish: Wish, kit: Kit, stage: Path, report: Reporter) -> None:
        self._source = source
        self._wish = wish
        self._kit = kit
        self._stage = stage
        self._report = report
        self.warnings: list[str] = []
        self.archived = True

    def of_source(
        self,
        source: Source,
        receipt: AnyReceipt,
        todo: Collection[str],
        *,
        identity: str | None = None,
        pages: str | None = None,
        parts: int = 1,
    ) -> Had:
        """Return the parse of what is sent, and its native formats; raises what `parse` raises.

        Args:
            source: what is sent, the document or a part of it.
            receipt: its claim.
            todo: the formats to make; none where it is not known yet which are there.
            identity: as for the claim.
            pages: as for the claim.
            parts: of how many the document is made.
        """
        key = self._kit.key_of_source(source, self._wish.parse, identity=identity, pages=pages)
        wanted = wanted_of(self._kit, self._wish, todo, is_picture=source.is_picture, parts=parts)

        def ask() -> ParseStatus:
            return parse(source, self._wish, self._kit, self._report, receipt)

        return self._had(key, wanted, receipt, ask, is_picture=source.is_picture)

    def of_uid(self, uid: str, receipt: AnyReceipt, ask: Callable[[], ParseStatus], *, is_picture: bool) -> Had:
        """Return the parse that was made under a uid; without a receipt it is neither in the archive nor kept there."""
        row = receipt.row
        key = None if row is None else ParseKey(row.account, row.sha256, row.options)
        wanted = wanted_of(self._kit, self._wish, (), is_picture=is_picture)
        return self._had(key, wanted, receipt, ask, is_picture=is_picture, uid=uid)

    def _had(
        self,
        key: ParseKey | None,
        wanted: Collection[Native],
        receipt: AnyReceipt,
        ask: Callable[[], ParseStatus],
        *,
        is_picture: bool,
        uid: str | None = None,
    ) -> Had:
        kept = Kept(self._kit, key, self.warnings)
        taken = None if self._wish.force else kept.take(wanted, self._stage, uid=uid)
        if taken is None:
            self.archived = False
            status = ask()
            kept.keep(status)
        else:
            status = taken.status
            receipt.archived(status.uid, len(status.pages))
        if is_picture and not self._kit.service.exports_pictures:
            return status, PictureNatives(status, self._source)
        files = {} if taken is None else taken.files
        return status, KeptNatives(self._fetcher(status, kept), kept, files, anew=self._wish.force)

    def _fetcher(self, status: ParseStatus, kept: Kept) -> Fetcher:
        """Return what fetches the exports of a parse."""
        kit = self._kit
        return Fetcher(
            kit.service,
            status,
            source=self._source.name,
            sha256=self._source.sha256,
            settings=kit.settings,
            clock=kit.clock,
            slots=kit.slots,
            first_look=kit.first_look,
            keep=kept.keep_native,
        )


def wanted_of(
    kit: Kit, wish: Wish, todo: Collection[str], *, is_picture: bool = False, parts: int = 1
) -> tuple[Native, ...]:
    """Return the exports that the formats to do take of each parse; of all formats where none is named."""
    if is_picture and not kit.service.exports_pictures:
        return ()
    natives, _ = wish.plan.needed(todo or wish.plan.wanted)
    return exports_of(natives, wish.export, parts=parts)
