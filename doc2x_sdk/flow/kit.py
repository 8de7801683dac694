"""What every document of one client shares, and what one document is to become."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from doc2x_sdk.clock import Clock
from doc2x_sdk.config import Settings
from doc2x_sdk.errors import BudgetExceeded, Doc2XError
from doc2x_sdk.flow.callbacks import call_back
from doc2x_sdk.flow.fetch import ExportSlots
from doc2x_sdk.flow.pace import ParseSpeed
from doc2x_sdk.flow.source import Source
from doc2x_sdk.flow.staging import sweep
from doc2x_sdk.flow.wait import FAST, poll_floor
from doc2x_sdk.formats.registry import Formats, Plan
from doc2x_sdk.ledger.archive import Archive
from doc2x_sdk.ledger.ledger import Ledger, Receipt
from doc2x_sdk.ledger.rows import ParseKey, ResultRow
from doc2x_sdk.models import ExportOptions, ParseOptions, Progress, ProgressCallback
from doc2x_sdk.service.contract import Service

__all__ = [
    "LOCAL",
    "AnyReceipt",
    "Budget",
    "Kit",
    "NoReceipt",
    "Reporter",
    "Stopped",
    "Wish",
    "canonical",
    "path_text",
    "where_of",
]

LOCAL = "local"
"""The account of the servers that `Doc2X.local` starts, whose uids die with them."""
PICTURE_FORMATS = frozenset({"md", "md_dollar"})
"""What v2 gives of a picture; for the others it is sent as a PDF."""
BATCH_FLOOR = 0.4  # seconds between two looks at one of many documents

Stage = Literal["check", "upload", "parse", "export", "download", "publish"]


class Stopped(Exception):
    """The work was asked to stop; what was paid is in the ledger and goes on with the same command."""


class Budget:
    """Pages that may be paid for in one batch; None is no limit. Safe to use from many threads."""

    def __init__(self, pages: int | None = None) -> None:
        self._left = pages
        self._lock = threading.Lock()

    def take(self, pages: int) -> None:
        """Take a document's pages; raises `BudgetExceeded` when fewer are left, and takes none."""
        with self._lock:
            if self._left is None:
                return
            if pages > self._left:
                raise BudgetExceeded(f"Its {pages} pages are over the {self._left} that the budget has left")
            self._left -= pages

    def give_back(self, pages: int) -> None:
        """Return the pages of a document that was not paid after all."""
        with self._lock:
            if self._left is not None:
                self._left += pages


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to become of a document.

    Attributes:
        plan: the formats, already resolved.
        parse, export: the service's options.
        out: the folder of the results; None keeps them in memory.
        name: template of the results' name.
        overwrite: replace results that are there.
        force: pay for the parse again, on purpose.
        retry_unknown: pay again where nobody can tell whether it was paid.
        retry_failed: parse again what the service gave up earlier.
        pages: the only pages to be parsed, such as "1-10,15"; None for all.
    """

    plan: Plan
    parse: ParseOptions = field(default_factory=ParseOptions)
    export: ExportOptions = field(default_factory=ExportOptions)
    out: Path | None = None
    name: str = "{stem}"
    overwrite: bool = False
    force: bool = False
    retry_unknown: bool = False
    retry_failed: bool = True
    pages: str | None = None


class NoReceipt:
    """Stands for a receipt where there is no ledger: every slot is free and nothing is remembered."""

    row = None
    probes = False

    def start_over(self, reason: str) -> None:
        """Do nothing."""

    def wait_for_slot(self, check: Callable[[], None]) -> None:
        """Do nothing."""

    def uploading(self, uid: str) -> None:
        """Do nothing."""

    def paying(self) -> None:
        """Do nothing."""

    def submitted(self, uid: str) -> None:
        """Do nothing."""

    def working(self) -> None:
        """Do nothing."""

    def parsed(self, pages: int) -> None:
        """Do nothing."""

    def archived(self, uid: str, pages: int) -> None:
        """Do nothing."""

    def failed(self, error: Doc2XError) -> None:
        """Do nothing."""

    def unknown(self, error: Doc2XError) -> None:
        """Do nothing."""

    def unpaid(self) -> None:
        """Do nothing."""

    def limit_met(self, code: str | None) -> None:
        """Do nothing."""

    def result(self, result: ResultRow, *, wait: bool) -> None:
        """Do nothing."""


AnyReceipt = Receipt | NoReceipt


@dataclass(frozen=True, slots=True)
class Kit:
    """What every document of one client shares.

    `account` names whose pages are spent; `stop`, once set, ends the work at the next safe moment, and `hold` lets what
    was paid go on but nothing new begin; `budget` is asked before each paid step; `in_batch` looks at the service less
    often, since many documents do.
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
    speed: ParseSpeed = field(default_factory=ParseSpeed, repr=False)
    swept: set[Path] = field(default_factory=set, repr=False)
    archive: Archive | None = None

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

    def check_stop(self) -> None:
        """Raise `Stopped` once the work was asked to stop."""
        if self.stop.is_set():
            raise Stopped

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
        with self.ledger.claim(
            key, source=where_of(source), size=source.size, pages=source.pages, check=self.check_stop
        ) as receipt:
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
        return ParseKey(self.account, sha256, canonical(asdict(options) | {"as": sent_as, "pages": pages, "api": api}))

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
        with self.ledger.claim(
            key, source=row.source, size=row.size, pages=row.pages, check=self.check_stop
        ) as receipt:
            yield receipt if receipt.row.uid == uid else NoReceipt()


def canonical(options: Mapping[str, Any]) -> str:
    """Return options as JSON that is equal for equal options: sorted, and without what is not set."""
    return json.dumps(
        {name: value for name, value in options.items() if value is not None}, sort_keys=True, default=str
    )


def where_of(source: Source) -> str:
    """Return how a receipt names a source: its whole path, or what bytes were called."""
    is_own_path = source.path is not None and source.stamp is not None and source.path.name.startswith(source.stem)
    return path_text(source.path) if is_own_path and source.path is not None else source.name


def path_text(path: Path) -> str:
    """Return a whole path as a receipt holds it: as it is, or as a file URL where the name's bytes are no UTF-8."""
    whole = path.absolute()
    try:
        str(whole).encode()
    except UnicodeEncodeError:
        return whole.as_uri()
    return str(whole)


class Reporter:
    """Turns steps into `Progress` for the caller's callback."""

    def __init__(self, source: str, callback: ProgressCallback | None) -> None:
        self._source = source
        self._callback = callback
        self.uid: str | None = None

    def __call__(self, stage: Stage, done: int, total: int | None, format: str | None = None) -> None:  # noqa: A002 - the field's word
        """Report a step."""
        if self._callback is not None:
            call_back(self._callback, Progress(stage, done, total, self._source, self.uid, format))
