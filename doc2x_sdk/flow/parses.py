"""Where a document's parses come from: the archive when all that is wanted is there, else the service."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from doc2x_sdk.flow.callbacks import Reporter
from doc2x_sdk.flow.fetch import Fetcher, Natives
from doc2x_sdk.flow.kept import Kept, KeptNatives, Native, Taken, exports_of
from doc2x_sdk.flow.kit import Kit
from doc2x_sdk.flow.parsed import parse_parts
from doc2x_sdk.flow.process import PictureNatives
from doc2x_sdk.flow.receipts import AnyReceipt
from doc2x_sdk.flow.source import Source
from doc2x_sdk.flow.wish import Wish
from doc2x_sdk.ledger.rows import ParseKey
from doc2x_sdk.models import ParseStatus

__all__ = ["Parses", "Piece", "wanted_of"]

Had = tuple[ParseStatus, Natives]


@dataclass(frozen=True, slots=True)
class Piece:
    """What is sent, under its claim: a document, or the part of one with these `pages`."""

    source: Source
    receipt: AnyReceipt
    pages: str | None = None


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
        self, source: Source, receipt: AnyReceipt, todo: Collection[str], *, identity: str | None = None
    ) -> Had:
        """Return the parse of what is sent, and its native formats; see `of_pieces`."""
        (had,) = self.of_pieces([Piece(source, receipt)], todo, identity=identity)
        return had

    def of_pieces(self, pieces: Sequence[Piece], todo: Collection[str], *, identity: str | None = None) -> list[Had]:
        """Return the parse of each piece, and its native formats; raises what `parse_parts` raises.

        Args:
            pieces: what is sent, the document or its parts.
            todo: the formats to make; none where it is not known yet which are there.
            identity: as for the claim.
        """
        kit, wish = self._kit, self._wish
        kept: list[Kept] = []
        found: list[Taken | None] = []
        for piece in pieces:
            key = None
            if kit.archive is not None:
                key = kit.key_of_source(piece.source, wish.parse, identity=identity, pages=piece.pages)
            is_picture = piece.source.is_picture
            wanted = wanted_of(kit, wish, todo, is_picture=is_picture, parts=len(pieces))
            kept.append(Kept(kit, key, self.warnings))
            found.append(self._taken(kept[-1], wanted, piece.receipt))
        live = [number for number, taken in enumerate(found) if taken is None]
        statuses = {number: taken.status for number, taken in enumerate(found) if taken is not None}

        def on_parsed(number: int, status: ParseStatus) -> None:
            statuses[live[number]] = status
            kept[live[number]].keep(status)

        if live:
            asked = [(pieces[number].source, pieces[number].receipt) for number in live]
            parse_parts(asked, wish, kit, self._report, on_parsed)
        return [
            self._natives(
                statuses[number],
                kept[number],
                found[number],
                is_picture=piece.source.is_picture,
                pages=piece.source.pages,
            )
            for number, piece in enumerate(pieces)
        ]

    def of_uid(self, uid: str, receipt: AnyReceipt, ask: Callable[[], ParseStatus], *, is_picture: bool) -> Had:
        """Return the parse that was made under a uid; without a receipt it is neither in the archive nor kept there."""
        row = receipt.row
        key = None if row is None else ParseKey(row.account, row.sha256, row.options)
        wanted = wanted_of(self._kit, self._wish, (), is_picture=is_picture)
        kept = Kept(self._kit, key, self.warnings)
        taken = self._taken(kept, wanted, receipt, uid)
        if taken is None:
            status = ask()
            kept.keep(status)
        else:
            status = taken.status
        return self._natives(status, kept, taken, is_picture=is_picture, pages=0 if row is None else row.pages)

    def _taken(
        self, kept: Kept, wanted: Collection[Native], receipt: AnyReceipt, uid: str | None = None
    ) -> Taken | None:
        """Return what the archive has of a parse, noted in its receipt; None where it must be asked for."""
        taken = None if self._wish.force else kept.take(wanted, self._stage, uid=uid)
        if taken is None:
            self.archived = False
        else:
            receipt.archived(taken.status.uid, len(taken.status.pages))
        return taken

    def _natives(self, status: ParseStatus, kept: Kept, taken: Taken | None, *, is_picture: bool, pages: int) -> Had:
        self.warnings += oddities(status, pages)
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
            silence=kit.silence,
        )


def wanted_of(
    kit: Kit, wish: Wish, todo: Collection[str], *, is_picture: bool = False, parts: int = 1
) -> tuple[Native, ...]:
    """Return the exports that the formats to do take of each parse; of all formats where none is named."""
    if is_picture and not kit.service.exports_pictures:
        return ()
    natives, _ = wish.plan.needed(todo or wish.plan.wanted)
    return exports_of(natives, wish.export, parts=parts)


def oddities(status: ParseStatus, pages: int) -> Iterator[str]:
    """Say what is odd in a result that is whole: pages without a text, and more pages than were sent (0: not known)."""
    without = [page.index + 1 for page in status.pages if "md" in page.extra]
    if without:
        shown = ", ".join(map(str, without[:8])) + (" ..." if len(without) > 8 else "")
        yield f"The service sent no text for {len(without)} of {len(status.pages)} pages: page {shown}"
    if pages and len(status.pages) > pages:
        yield f"The result has {len(status.pages)} pages, the document {pages}: see whether it is of this document"
