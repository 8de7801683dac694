"""One document's way through the house: the steps in their order. No HTTP and no SQL of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from doc2x_sdk.errors import (
    ArchiveError,
    Doc2XError,
    DownloadError,
    ExporterError,
    FileError,
    ResponseTooLarge,
    TaskFailed,
    WaitTimeout,
)
from doc2x_sdk.flow.book import BookNatives, Part, check_formats, cut, joined, parts_of
from doc2x_sdk.flow.callbacks import Reporter, own_errors
from doc2x_sdk.flow.derive import Exporters, announce, is_processed, post_process
from doc2x_sdk.flow.fetch import Natives
from doc2x_sdk.flow.filenames import result_name
from doc2x_sdk.flow.kept import KeptNatives
from doc2x_sdk.flow.kit import Kit, Stopped
from doc2x_sdk.flow.loose import Loose
from doc2x_sdk.flow.naming import settled
from doc2x_sdk.flow.parsed import parse
from doc2x_sdk.flow.parses import Parses, Piece
from doc2x_sdk.flow.picture import as_pdf
from doc2x_sdk.flow.process import parse_bundle
from doc2x_sdk.flow.publish import Publisher
from doc2x_sdk.flow.receipts import AnyReceipt
from doc2x_sdk.flow.results import Results, what_is_there
from doc2x_sdk.flow.source import Input, Source, open_source
from doc2x_sdk.flow.wait import wait
from doc2x_sdk.flow.wish import Wish
from doc2x_sdk.formats.offers import Offer
from doc2x_sdk.formats.plan import PARSE
from doc2x_sdk.hookspecs import Context
from doc2x_sdk.models import Bundle, Document, ParseStatus, ProgressCallback, Translation
from doc2x_sdk.service.contract import ask_for

__all__ = ["convert", "convert_source", "fetch", "translate"]

OF_ONE_FORMAT = (TaskFailed, ArchiveError, DownloadError, ResponseTooLarge, WaitTimeout)
"""Errors of an export, where they carry no code: others may be had."""


def convert(
    given: Input,
    wish: Wish,
    kit: Kit,
    *,
    name: str | None = None,
    on_progress: ProgressCallback | None = None,
) -> Document:
    """Convert one document.

    Raises `Doc2XError` with the input's name, and with the uid once there is one.
    """
    with open_source(given, kit.settings, name=name) as source:
        return convert_source(source, settled(wish, source, kit), kit, on_progress=on_progress)


@own_errors
def convert_source(source: Source, wish: Wish, kit: Kit, *, on_progress: ProgressCallback | None = None) -> Document:
    """Convert one checked source. Raises as `convert`."""
    report = Reporter(source.name, on_progress)
    report("check", 1, 1)
    try:
        kit.sweep(wish.out)
        done = what_is_there(source, wish, kit)
        if done is not None:
            return done
        with kit.staging.folder(wish.out) as stage:
            return Conversion(source, wish, kit, stage, report).run()
    except (Doc2XError, Stopped) as error:
        error.about(uid=report.uid, source=source.name)
        raise


@own_errors
def fetch(uid: str, wish: Wish, kit: Kit, *, on_progress: ProgressCallback | None = None) -> Document:
    """Export what was parsed earlier, once it is ready. Raises as `convert`."""
    with kit.claim_uid(uid) as receipt:
        row = receipt.row
        source = Source(
            f"uid {uid}", uid, "pdf", size=0, sha256=row.sha256 if row else "", pages=row.pages if row else 0
        )
        is_picture = row is not None and '"as": "picture"' in row.options
        report = Reporter(source.name, on_progress)
        report.uid = uid
        try:
            with kit.staging.folder(wish.out) as stage:

                def waited() -> ParseStatus:
                    status = wait(
                        ask_for(kit.service, picture=is_picture),
                        uid,
                        settings=kit.settings,
                        clock=kit.clock,
                        deadline=kit.clock.deadline(kit.settings.parse_timeout),
                        floor=kit.floor,
                        pages=source.pages or None,
                        silence=kit.silence,
                        on_progress=lambda percent: report("parse", percent, 100),
                    )
                    receipt.parsed(len(status.pages))
                    return status

                conversion = Conversion(source, wish, kit, stage, report)
                status, natives = conversion.parses.of_uid(uid, receipt, waited, is_picture=is_picture)
                return conversion.export(status, receipt, natives)
        except (Doc2XError, Stopped) as error:
            error.about(uid=uid)
            raise


@own_errors
def translate(
    given: Input, wish: Wish, kit: Kit, *, name: str | None = None, on_progress: ProgressCallback | None = None
) -> Translation:
    """Upload a document for translation and wait for its blocks. Raises as `convert`."""
    with open_source(given, kit.settings, name=name) as source:
        if source.is_picture:
            raise FileError("The service translates PDFs only", source=source.name, advice="Print it to PDF first.")
        report = Reporter(source.name, on_progress)
        report("check", 1, 1)
        try:
            with kit.claim(source, wish.parse) as receipt:
                status = parse(source, wish, kit, report, receipt)
            return Translation(source.name, status.uid, status.translation)
        except (Doc2XError, Stopped) as error:
            error.about(uid=report.uid, source=source.name)
            if isinstance(error, WaitTimeout):
                error.advice = "Do not upload again: `client.translation(uid)` goes on from here."
            raise


class Conversion:
    """The steps of one document after its input was checked."""

    def __init__(self, source: Source, wish: Wish, kit: Kit, stage: Path, report: Reporter) -> None:
        self.source = source
        self.wish = wish
        self.kit = kit
        self.stage = stage
        self.report = report
        self.results = Results(source, wish, kit)
        self.failures: dict[str, Exception] = {}
        self.parses = Parses(source, wish, kit, stage, report)

    def run(self) -> Document:
        """Parse, export, process and publish what is not there yet."""
        wish, plan = self.wish, self.wish.plan
        todo: list[str] = []
        if "{uid" in wish.name:
            result_name(wish.name, self.source, uid="0", clock=self.kit.clock)  # told before anything is sent
        else:
            todo = self.results.todo(self.publisher(None))
        source, identity = self.source, None
        if self.kit.goes_as(source, plan.natives) == "pdf":
            source, identity = as_pdf(source, self.stage, self.kit.settings), source.sha256
            self.source.check_unchanged()  # what is sent goes by the digest of what it was made of
        parts = () if source.is_picture else parts_of(source, self.kit.settings, wish.pages)
        if parts:
            return self.run_parts(source, parts, todo)
        with self.kit.claim(source, wish.parse, identity=identity) as receipt:
            self.results.begin(receipt, todo)
            status, natives = self.parses.of_source(source, receipt, todo, identity=identity)
            return self.export(status, receipt, natives)

    def run_parts(self, source: Source, parts: Sequence[Part], todo: list[str]) -> Document:
        """Do the same part by part, each under a receipt of its own, and join what comes."""
        check_formats(parts, self.wish.plan.natives)
        pieces: list[Piece] = []
        with ExitStack() as held:
            for number, part in enumerate(parts, 1):
                piece = cut(source, part, self.stage / f"part-{number}.pdf", self.kit.settings)
                source.check_unchanged()  # it goes by the digest of the whole
                claim = self.kit.claim(piece, self.wish.parse, identity=source.sha256, pages=part.label)
                pieces.append(Piece(piece, held.enter_context(claim), part.label))
            receipt = pieces[0].receipt
            self.results.begin(receipt, todo)
            statuses, natives = zip(*self.parses.of_pieces(pieces, todo, identity=source.sha256), strict=True)
            found = natives[0] if len(parts) == 1 else BookNatives(natives)
            return self.export(joined(parts, statuses), receipt, found)

    def export(self, status: ParseStatus, receipt: AnyReceipt, natives: Natives) -> Document:
        """Export, process and publish a parse that has succeeded."""
        publisher = self.publisher(status.uid)
        todo = self.results.todo(publisher)
        self.results.begin(receipt, todo)
        self.make(todo, status, publisher, natives)
        return announce(self.document(status, publisher), self.kit.formats)

    def publisher(self, uid: str | None) -> Publisher:
        """Return the publisher of this document."""
        wish = self.wish
        name = result_name(wish.name, self.source, uid=uid, clock=self.kit.clock)
        folder = wish.out
        if folder is None:
            folder = self.stage / "results"
            folder.mkdir(exist_ok=True)
        before_place = self.results.before_place
        return Publisher(folder, name, overwrite=wish.overwrite, before_place=before_place, told=wish.told)

    def make(self, todo: list[str], status: ParseStatus, publisher: Publisher, natives: Natives) -> None:
        """Fetch the native formats that are needed, then derive the others; each is published when it is ready.

        One that can't be had is a failure beside the others; where there are no others, a native's error is raised.
        """
        plan = self.wish.plan
        needed, offers = plan.needed(todo)
        bundles: dict[str, Bundle] = {}
        if any(offer.needs == PARSE for offer in offers):
            bundles[PARSE] = parse_bundle(status, self.source, self.stage)
        alone = not offers and not is_processed(self.kit.formats, plan)
        for to in needed:
            with self.apart(to, status):
                bundle = self.native(to, natives, alone=alone and to in todo)
                if isinstance(bundle, Loose):
                    self.note(to, placed=publisher.publish_loose(bundle, plan.suffix_of(to), self.stage))
                    continue
                post_process(bundle, self.kit.formats, Context(plan.wanted, plan.options))
                publisher.warnings += bundle.warnings
                bundles[to] = bundle
                if to in todo:
                    self.note(to, placed=publisher.publish(bundle, plan.suffix_of(to), self.stage, last=not offers))
        exporters = Exporters(self.stage, time_limit=self.kit.settings.exporter_timeout)
        for offer in offers:
            with self.apart(offer.name, status, offer):
                self.derive(offer, bundles, exporters, publisher)
        if not self.results.files:
            for failure in self.failures.values():
                if isinstance(failure, OF_ONE_FORMAT):
                    raise failure

    @contextmanager
    def apart(self, name: str, status: ParseStatus, offer: Offer | None = None) -> Iterator[None]:
        """Record the error of one format, from a plugin or from the service; the others go on."""
        try:
            yield
        except (ExporterError, *OF_ONE_FORMAT) as error:
            if error.code is not None:
                raise
            if offer is not None and isinstance(error, ExporterError):
                error.plugin, error.version = error.plugin or offer.package, error.version or offer.version
            self.failures[name] = error.about(uid=status.uid, source=self.source.name)
            if name in self.results.files:
                self.results.failed(name, error.message)

    def derive(self, offer: Offer, bundles: dict[str, Bundle], exporters: Exporters, publisher: Publisher) -> None:
        """Make a derived format, and publish it if it is wanted. Raises `ExporterError`."""
        plan = self.wish.plan
        parent = bundles.get(offer.needs)
        if parent is None:
            cause = self.failures[offer.needs]
            raise ExporterError(f"The format {offer.name} needs {offer.needs}, which failed: {cause}") from cause
        derived = exporters.run(offer, parent, plan.options[offer.name])
        publisher.warnings += derived.warnings
        if any(later.needs == offer.name for later in plan.offers):
            bundles[offer.name] = derived.as_bundle(offer.name, parent, self.stage)
        if offer.name in plan.wanted and offer.name not in self.results.skipped:
            pictures = parent if offer.linked_images else None
            placed = publisher.publish_derived(
                derived.folder,
                derived.files,
                plan.suffix_of(offer.name),
                self.stage,
                pictures=pictures,
                escape=offer.linked_images == "url",
            )
            self.note(offer.name, placed=placed)

    def native(self, to: str, natives: Natives, *, alone: bool) -> Bundle | Loose:
        """Return a native format's bundle; it may be in memory where the publisher `alone` reads it."""
        if not self.parses.archived:
            self.report("export", 0, 1, to)
        self.results.exporting(to)
        fetch = natives.fetch_loose if alone and isinstance(natives, KeptNatives) else natives.fetch
        return fetch(to, self.wish.export, self.stage, lambda done, total: self.report("download", done, total, to))

    def note(self, name: str, *, placed: bool) -> None:
        """Record a format as published, or as taken by somebody else meanwhile."""
        self.results.done(name, placed=placed)
        self.report("publish", 1, 1, name)

    def document(self, status: ParseStatus | None, publisher: Publisher | None = None) -> Document:
        """Describe what was done; without an output folder, with the bytes of all files."""
        in_memory = self.wish.out is None
        return Document(
            source=self.source.name,
            uid=status.uid if status else None,
            pages=status.pages if status else (),
            files={} if in_memory else self.results.files_told,
            contents=contents_of(publisher.folder) if in_memory and publisher else {},
            skipped=tuple(self.results.skipped),
            warnings=(*self.parses.warnings, *self.results.warnings, *(publisher.warnings if publisher else ())),
            failures=self.failures,
            archived=self.parses.archived,
        )


def contents_of(folder: Path) -> dict[str, bytes]:
    """Read a folder's files into memory, by relative name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
