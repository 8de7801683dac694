"""One document's way through the house: the steps in their order. No HTTP and no SQL of its own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from doc2x_sdk.clock import Clock
from doc2x_sdk.config import Settings
from doc2x_sdk.errors import Doc2XError, ExporterError, RateLimit
from doc2x_sdk.flow.fetch import ExportSlots, Fetcher
from doc2x_sdk.flow.picture import as_pdf
from doc2x_sdk.flow.polling import Forgiving
from doc2x_sdk.flow.process import parse_bundle, picture_bundle, run_exporter
from doc2x_sdk.flow.publish import Publisher, result_name, staging
from doc2x_sdk.flow.source import Input, Source, open_source
from doc2x_sdk.flow.upload import SourceBody, upload
from doc2x_sdk.flow.wait import poll_floor, wait
from doc2x_sdk.formats.registry import Formats, Plan
from doc2x_sdk.models import (
    Bundle,
    Document,
    ExportOptions,
    ParseOptions,
    ParseStatus,
    Progress,
    ProgressCallback,
)
from doc2x_sdk.service.v2 import ServiceV2

__all__ = ["Kit", "Reporter", "Wish", "convert", "fetch", "send"]

log = logging.getLogger("doc2x_sdk")

PICTURE_FORMATS = frozenset({"md", "md_dollar"})
Stage = Literal["check", "upload", "parse", "export", "download", "publish"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to become of a document.

    Attributes:
        plan: the formats, already resolved.
        parse, export: the service's options.
        out: the folder of the results; None keeps them in memory.
        name: template of the results' name.
        overwrite: replace results that are there.
        options: format -> the exporter's options.
    """

    plan: Plan
    parse: ParseOptions = field(default_factory=ParseOptions)
    export: ExportOptions = field(default_factory=ExportOptions)
    out: Path | None = None
    name: str = "{stem}"
    overwrite: bool = False
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kit:
    """What every document of one client shares."""

    service: ServiceV2
    settings: Settings
    clock: Clock
    formats: Formats
    slots: ExportSlots

    @property
    def floor(self) -> float:
        """The shortest pause between two looks, in seconds."""
        return poll_floor(self.settings, on_loopback=self.service.transport.on_loopback)

    @property
    def first_look(self) -> float:
        """Seconds until the first look at an export."""
        return 0.05 if self.service.transport.on_loopback else 0.5


class Reporter:
    """Turns steps into `Progress` for the caller's callback."""

    def __init__(self, source: str, callback: ProgressCallback | None) -> None:
        self._source = source
        self._callback = callback
        self.uid: str | None = None

    def __call__(self, stage: Stage, done: int, total: int | None, format: str | None = None) -> None:  # noqa: A002 - the field's word
        """Report a step."""
        if self._callback is not None:
            self._callback(Progress(stage, done, total, self._source, self.uid, format))


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
    with staging(wish.out) as stage, open_source(given, kit.settings, name=name) as source:
        report = Reporter(source.name, on_progress)
        report("check", 1, 1)
        try:
            return Conversion(source, wish, kit, stage, report).run()
        except Doc2XError as error:
            error.about(uid=report.uid, source=source.name)
            raise


def fetch(uid: str, wish: Wish, kit: Kit, *, on_progress: ProgressCallback | None = None) -> Document:
    """Export what was parsed earlier, once it is ready. Raises as `convert`."""
    source = Source(f"uid {uid}", uid, "pdf", size=0, sha256="", pages=0)
    report = Reporter(source.name, on_progress)
    report.uid = uid
    with staging(wish.out) as stage:
        try:
            return Conversion(source, wish, kit, stage, report).run_parsed(
                wait(
                    kit.service.status,
                    uid,
                    settings=kit.settings,
                    clock=kit.clock,
                    deadline=kit.clock.deadline(kit.settings.parse_timeout),
                    floor=kit.floor,
                    on_progress=lambda percent: report("parse", percent, 100),
                )
            )
        except Doc2XError as error:
            error.about(uid=uid)
            raise


def parse(source: Source, options: ParseOptions, kit: Kit, report: Reporter) -> ParseStatus:
    """Upload a source and wait for its pages.

    A service that stays full never began with the uid and billed nothing, so a new one is taken until `parse_timeout`.
    """
    deadline = kit.clock.deadline(kit.settings.parse_timeout)
    while True:
        uid = send(source, options, kit, report)
        report.uid = uid
        report("parse", 0, 100)
        try:
            return wait(
                kit.service.image_status if source.is_picture else kit.service.status,
                uid,
                settings=kit.settings,
                clock=kit.clock,
                deadline=deadline,
                floor=kit.floor,
                pages=source.pages,
                fresh=True,
                on_progress=lambda percent: report("parse", percent, 100),
            )
        except RateLimit:
            if source.is_picture or deadline.passed():
                raise
            log.warning("%s: uid %s was never admitted; uploading under a new one", source.name, uid)


def send(source: Source, options: ParseOptions, kit: Kit, report: Reporter) -> str:
    """Upload a source and return its uid."""

    def sent(done: int) -> None:
        report("upload", done, source.size)

    def note(uid: str) -> None:
        report.uid = uid

    if not source.is_picture:
        return upload(
            kit.service, source, options, settings=kit.settings, clock=kit.clock, on_uid=note, on_progress=sent
        )
    patience = kit.settings.patience
    asking = Forgiving(
        kit.clock, kit.clock.deadline(patience), patience=patience, retries=kit.settings.retries, network=False
    )
    while True:
        with SourceBody(source, sent) as body:
            uid = asking.ask(lambda body=body: kit.service.upload_image(body))  # type: ignore[misc]
            body.check_unchanged()
        if uid is not None:
            return uid
        asking.pause_after_failure()


class Conversion:
    """The steps of one document after its input was checked."""

    def __init__(self, source: Source, wish: Wish, kit: Kit, stage: Path, report: Reporter) -> None:
        self.source = source
        self.wish = wish
        self.kit = kit
        self.stage = stage
        self.report = report
        self.files: dict[str, Path] = {}
        self.skipped: list[str] = []
        self.failures: dict[str, Exception] = {}

    def run(self) -> Document:
        """Parse, export, process and publish what is not there yet."""
        plan = self.wish.plan
        early = None if "{uid" in self.wish.name else self.publisher(None)
        if early is not None and plan.wanted and not self.todo(early):
            return self.document(early, None)
        source = self.source
        if source.is_picture and not set(plan.natives) <= PICTURE_FORMATS:
            source = as_pdf(source, self.stage, self.kit.settings)
        status = parse(source, self.wish.parse, self.kit, self.report)
        publisher = early or self.publisher(status.uid)
        self.make(self.todo(publisher), status, publisher, is_picture=source.is_picture)
        return self.document(publisher, status)

    def run_parsed(self, status: ParseStatus) -> Document:
        """Export, process and publish a parse that has succeeded."""
        publisher = self.publisher(status.uid)
        self.make(self.todo(publisher), status, publisher, is_picture=False)
        return self.document(publisher, status)

    def publisher(self, uid: str | None) -> Publisher:
        """Return the publisher of this document."""
        name = result_name(self.wish.name, self.source, uid=uid, clock=self.kit.clock)
        folder = self.wish.out
        if folder is None:
            folder = self.stage / "results"
            folder.mkdir(exist_ok=True)
        return Publisher(folder, name, overwrite=self.wish.overwrite)

    def todo(self, publisher: Publisher) -> list[str]:
        """Return the wanted formats that are not there yet; the others are skipped."""
        suffixes = {name: self.wish.plan.suffix_of(name) for name in self.wish.plan.wanted}
        self.skipped = [name for name, suffix in suffixes.items() if publisher.is_taken(suffix)]
        self.files = {name: publisher.target(suffixes[name]) for name in self.skipped}
        return [name for name in suffixes if name not in self.skipped]

    def make(self, todo: list[str], status: ParseStatus, publisher: Publisher, *, is_picture: bool) -> None:
        """Fetch the native formats that are needed, then derive the others; each is published when it is ready."""
        plan = self.wish.plan
        offers = [offer for offer in plan.offers if offer.name in todo]
        needed = {name for name in plan.natives if name in todo} | {offer.needs for offer in offers}
        bundles: dict[str, Bundle] = {}
        if "parse" in needed:
            bundles["parse"] = parse_bundle(status, self.source, self.stage)
        fetcher = self.fetcher(status)
        for to in (name for name in plan.natives if name in needed):
            bundle = self.native(to, status, fetcher, is_picture=is_picture)
            self.kit.formats.process(bundle)
            bundles[to] = bundle
            if to in todo:
                done = publisher.publish(bundle, plan.suffix_of(to), self.stage)
                self.note(to, publisher, done=done)
        for offer in offers:
            try:
                options = self.wish.options.get(offer.name, {})
                files = run_exporter(offer, bundles[offer.needs], self.stage, options)
                self.note(offer.name, publisher, done=publisher.publish_files(files, offer.suffix))
            except ExporterError as error:
                self.failures[offer.name] = error.about(uid=status.uid, source=self.source.name)

    def fetcher(self, status: ParseStatus) -> Fetcher:
        """Return what fetches this document's exports."""
        kit = self.kit
        return Fetcher(
            kit.service,
            status,
            source=self.source.name,
            sha256=self.source.sha256,
            settings=kit.settings,
            clock=kit.clock,
            slots=kit.slots,
            first_look=kit.first_look,
        )

    def native(self, to: str, status: ParseStatus, fetcher: Fetcher, *, is_picture: bool) -> Bundle:
        """Return a native format's bundle."""
        if is_picture:
            return picture_bundle(status, self.source, to, self.stage)
        self.report("export", 0, 1, to)
        return fetcher.fetch(
            to, self.wish.export, self.stage, lambda done, total: self.report("download", done, total, to)
        )

    def note(self, name: str, publisher: Publisher, *, done: bool) -> None:
        """Record a format as published, or as taken by somebody else meanwhile."""
        self.files[name] = publisher.target(self.wish.plan.suffix_of(name))
        if not done:
            self.skipped.append(name)
        self.report("publish", 1, 1, name)

    def document(self, publisher: Publisher, status: ParseStatus | None) -> Document:
        """Describe what was done; without an output folder, with the bytes of all files."""
        in_memory = self.wish.out is None
        return Document(
            source=self.source.name,
            uid=status.uid if status else None,
            pages=status.pages if status else (),
            files={} if in_memory else {name: self.files[name] for name in self.wish.plan.wanted if name in self.files},
            contents=contents_of(publisher.folder) if in_memory else {},
            skipped=tuple(self.skipped),
            warnings=tuple(publisher.warnings),
            failures=self.failures,
        )


def contents_of(folder: Path) -> dict[str, bytes]:
    """Read a folder's files into memory, by relative name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
