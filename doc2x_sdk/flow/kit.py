"""What every document of one client shares."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from doc2x_sdk.clock import Clock
from doc2x_sdk.config import Settings
from doc2x_sdk.flow.budget import Budget
from doc2x_sdk.flow.fetch import ExportSlots
from doc2x_sdk.flow.heldup import HeldUp
from doc2x_sdk.flow.pace import ParseSpeed
from doc2x_sdk.flow.receipts import AnyReceipt, NoReceipt, canonical, fields_of, where_of
from doc2x_sdk.flow.silence import Silence
from doc2x_sdk.flow.source import Source
from doc2x_sdk.flow.staging import SharedStaging, sweep
from doc2x_sdk.flow.wait import FAST, poll_floor
from doc2x_sdk.formats.registry import Formats
from doc2x_sdk.ledger.ledger import Ledger, Receipt
from doc2x_sdk.ledger.rows import ParseKey
from doc2x_sdk.models import ParseOptions
from doc2x_sdk.service.contract import Service

if TYPE_CHECKING:
    from doc2x_sdk.ledger.archive import Archive

__all__ = ["Kit", "Stopped"]

PICTURE_FORMATS = frozenset({"md", "md_dollar"})
"""What v2 gives of a picture; for the others it is sent as a PDF."""
BATCH_FLOOR = 0.4  # seconds between two looks at one of many documents


def nothing() -> None:
    """Do nothing."""


class Stopped(Exception):
    """The work was asked to stop; what was paid is in the ledger and goes on with the same command.

    Attributes:
        uid, source: as those of an error.
        states: of the receipts that were held; empty where there were none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.uid: str | None = None
        self.source: str | None = None
        self.states: set[str] = set()

    def about(self, *, uid: str | None = None, source: str | None = None) -> Self:
        """Fill in what is not known yet, as errors do."""
        self.uid, self.source = self.uid or uid, self.source or source
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Kit:
    """What every document of one client shares.

    `account` names whose pages are spent; `stop`, once set, ends the work at the next safe moment, and `hold` lets what
    was paid go on but nothing new begin; `budget` is asked before each paid step; `in_batch` looks at the service less
    often, since many documents do. `aside` is called while a document waits for another, and not for the service.
    """

    service: Service
    settings: Settings
    clock: Clock
    formats: Formats
    slots: ExportSlots
    ledger: Ledger | None = None
    account: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    hold: threading.Event = field(default_factory=threading.Event)
    budget: Budget = field(default_factory=Budget)
    in_batch: bool = False
    held_up: HeldUp = field(default_factory=HeldUp, repr=False)
    silence: Silence = field(default_factory=Silence, repr=False)
    speed: ParseSpeed = field(default_factory=ParseSpeed, repr=False)
    swept: set[Path] = field(default_factory=set, repr=False)
    staging: SharedStaging = field(default_factory=SharedStaging, repr=False)
    archive: Archive | None = None
    other_keys: bool = False
    aside: Callable[[], None] = nothing

    @property
    def floor(self) -> float:
        """The shortest pause between two looks, in seconds."""
        floor = poll_floor(self.settings, on_loopback=self.service.transport.on_loopback)
        is_chosen = self.settings.poll_floor is not None or floor < FAST
        return max(floor, BATCH_FLOOR) if self.in_batch and not is_chosen else floor

    @property
    def first_look(self) -> float:
        """Seconds until the first look at an export."""
        return 0.05 if self.floor < FAST else 1.0 if self.in_batch else 0.5

    def stoppable(self, stop: threading.Event) -> Kit:
        """Return the kit of work that ends when `stop` is set: its clock's sleep does, and then raises `Stopped`."""
        plain = self.clock.sleep

        def sleep(seconds: float) -> None:
            if plain is time.sleep:
                stop.wait(seconds)
            else:
                plain(seconds)
            if stop.is_set():
                raise Stopped

        return replace(self, stop=stop, clock=self.clock._replace(sleep=sleep))

    def check_stop(self) -> None:
        """Raise `Stopped` once the work was asked to stop."""
        if self.stop.is_set():
            raise Stopped

    def check_claim(self) -> None:
        """Step aside in the wait for who holds a receipt; raises as `check_stop`."""
        self.aside()
        self.check_stop()

    def check_slot(self) -> None:
        """Step aside in the wait for a slot; raises as `check_begin`."""
        self.aside()
        self.check_begin()

    def sweep(self, out: Path | None) -> None:
        """Remove what killed processes left in a folder of results, once a client."""
        if out is not None and out not in self.swept:
            self.swept.add(out)
            sweep(out)

    def check_begin(self) -> None:
        """Raise `Stopped` once nothing new is to be paid for."""
        if self.stop.is_set() or self.hold.is_set():
            raise Stopped

    @contextmanager
    def claim(
        self, source: Source, options: ParseOptions, *, identity: str | None = None, pages: str | None = None
    ) -> Iterator[AnyReceipt]:
        """Yield the receipt of a source's parse, held by this thread alone.

        Args:
            source: what is sent.
            options: of the parse.
            identity: the sha256 that the parse is known by, where it is not that of the bytes sent.
            pages: the label of a part.
        """
        if self.ledger is None:
            yield NoReceipt()
            return
        key = self.key_of_source(source, options, identity=identity, pages=pages)
        with (
            self.ledger.claim(
                key, source=where_of(source), size=source.size, pages=source.pages, check=self.check_claim
            ) as receipt,
            noting(receipt),
        ):
            yield receipt

    def key_of_source(
        self, source: Source, options: ParseOptions, *, identity: str | None = None, pages: str | None = None
    ) -> ParseKey:
        """Return the identity of a source's parse; the arguments are those of `claim`."""
        sent_as = "picture" if source.is_picture else "pdf" if identity and not pages else None
        return self.key_of(identity or source.sha256, options, sent_as=sent_as, pages=pages)

    def key_of(
        self, sha256: str, options: ParseOptions, *, sent_as: str | None = None, pages: str | None = None
    ) -> ParseKey:
        """Return the identity of a parse; `sent_as` of a picture tells how it goes, as itself or as a "pdf"."""
        # the uids of one generation mean nothing to the other
        api = self.service.generation if self.service.generation != "v2" else None
        return ParseKey(
            self.account, sha256, canonical(fields_of(options) | {"as": sent_as, "pages": pages, "api": api})
        )

    def goes_as(self, source: Source, natives: Collection[str]) -> str | None:
        """Return how a picture is sent: as itself, or as a "pdf" where its exports are wanted; None for a PDF."""
        if not source.is_picture:
            return None
        return "picture" if self.service.exports_pictures or set(natives) <= PICTURE_FORMATS else "pdf"

    def last_uid(self, source: Source, options: ParseOptions) -> str | None:
        """Return the uid that the source has in the ledger; None where there is none, or it was parsed in parts."""
        for sent_as in ("picture", "pdf") if source.is_picture else (None,):
            key = self.key_of(source.sha256, options, sent_as=sent_as)
            row = None if self.ledger is None else self.ledger.find(key)
            if row is not None and row.uid is not None:
                return row.uid
        return None

    @contextmanager
    def claim_uid(self, uid: str) -> Iterator[AnyReceipt]:
        """Yield the receipt of the parse that got this uid; without a ledger or a row of it, one that does nothing."""
        rows = () if self.ledger is None else self.ledger.jobs(uid=uid)
        row = next((row for row in rows if row.uid == uid), None)
        if row is None or self.ledger is None:
            yield NoReceipt()
            return
        key = ParseKey(row.account, row.sha256, row.options)
        with (
            self.ledger.claim(
                key, source=row.source, size=row.size, pages=row.pages, check=self.check_claim
            ) as receipt,
            noting(receipt),
        ):
            yield receipt if receipt.row.uid == uid else NoReceipt()


@contextmanager
def noting(receipt: Receipt) -> Iterator[None]:
    """Note on a `Stopped` from the block how far the receipt was."""
    try:
        yield
    except Stopped as stopped:
        stopped.states.add(receipt.row.state)
        raise
