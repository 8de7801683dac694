"""Steps 4 to 6 for one native format: export, download and unpack, until the bundle is the one that was asked for."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from doc2x_sdk.clock import Clock
from doc2x_sdk.config import Settings
from doc2x_sdk.errors import ArchiveError, Doc2XError, DownloadError, RateLimit
from doc2x_sdk.flow.disk import writing
from doc2x_sdk.flow.download import LINK_REFUSED, download
from doc2x_sdk.flow.export import ask_again, export
from doc2x_sdk.flow.loose import Loose
from doc2x_sdk.flow.pace import GrowingPace
from doc2x_sdk.flow.silence import Silence
from doc2x_sdk.flow.unpack import check_whole, main_file, opened, read_small, unpack
from doc2x_sdk.models import NATIVE_FORMATS, Bundle, ExportLink, ExportOptions, ParseStatus, SignedURL
from doc2x_sdk.service.answers import NOT_FOUND
from doc2x_sdk.service.contract import Service

__all__ = ["ExportSlots", "Fetcher", "Natives", "Report", "check_word", "open_archive"]

log = logging.getLogger("doc2x_sdk")

SLOTS_KNOWN = 1000
IN_MEMORY = 1024 * 1024  # bytes of a download that are not written to a file
TRIES = 3  # links or exports taken for one format before its failure is the user's
SUFFIX = {"md": ".md", "md_dollar": ".md", "tex": ".tex", "docx": ".docx"}
WORD_MAIN = "word/document.xml"

Report = Callable[[int, int | None], None]
Unpacked = TypeVar("Unpacked", Bundle, Bundle | Loose)
Keep = Callable[[str, ExportOptions, str, Path | bytes], None]


class Natives(Protocol):
    """Where the native formats of one parsed document come from: exports, a picture's archive, a book's parts."""

    def fetch(self, to: str, options: ExportOptions, stage: Path, on_progress: Report | None = None) -> Bundle:
        """Return a format's bundle in a folder of its own below `stage`."""


class ExportSlots:
    """One lock a uid: the service keeps one export result for each, so formats of a uid go one after another.

    Of the last 1,000 uids it is known what their slot held last: for a moment it may still be there.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}
        self._held: dict[str, tuple[str, ExportOptions, SignedURL | None]] = {}

    def note(self, uid: str, to: str, options: ExportOptions, url: SignedURL | None) -> None:
        """Note what the uid's slot holds, in the time that it is held."""
        with self._guard:
            self._held.pop(uid, None)
            self._held[uid] = to, options, url
            if len(self._held) > SLOTS_KNOWN:
                del self._held[next(iter(self._held))]

    def stale(self, uid: str, to: str, options: ExportOptions) -> SignedURL | None:
        """Return the link that the slot held last, where that was of another format or other options."""
        with self._guard:
            before = self._held.get(uid)
        return None if before is None or before[:2] == (to, options) else before[2]

    @contextmanager
    def of(self, uid: str) -> Iterator[None]:
        """Hold the uid's slot."""
        with self._guard:
            lock, holders = self._locks.get(uid, (threading.Lock(), 0))
            self._locks[uid] = (lock, holders + 1)
        try:
            with lock:
                yield
        finally:
            with self._guard:
                _, holders = self._locks[uid]
                if holders == 1:
                    del self._locks[uid]
                else:
                    self._locks[uid] = (lock, holders - 1)


class Fetcher:
    """Fetches the native formats of one parsed document, one after another.

    `keep` is called with each that is whole, as it was downloaded: format, options, uid and file.
    """

    def __init__(
        self,
        service: Service,
        status: ParseStatus,
        *,
        source: str,
        sha256: str,
        settings: Settings,
        clock: Clock,
        slots: ExportSlots,
        first_look: float,
        keep: Keep | None = None,
        silence: Silence | None = None,
    ) -> None:
        self._service = service
        self._status = status
        self._source = source
        self._sha256 = sha256
        self._settings = settings
        self._clock = clock
        self._slots = slots
        self._first_look = first_look
        self._keep = keep
        self._silence = silence

    @property
    def uid(self) -> str:
        """The uid of the parse."""
        return self._status.uid

    def fetch(self, to: str, options: ExportOptions, stage: Path, on_progress: Report | None = None) -> Bundle:
        """Return the format's bundle, unpacked in a folder of its own below `stage`.

        Raises what `export`, `download` and `unpack` raise, and `ArchiveError` for an archive of something else.
        """
        return self._fetched(to, options, stage, on_progress, self._in_folder)

    def fetch_loose(
        self, to: str, options: ExportOptions, stage: Path, on_progress: Report | None = None
    ) -> Bundle | Loose:
        """Return the format in memory where it is small, else as `fetch` does."""
        return self._fetched(to, options, stage, on_progress, self._in_memory)

    def _fetched(
        self,
        to: str,
        options: ExportOptions,
        stage: Path,
        on_progress: Report | None,
        unpacked: Callable[[Path | bytes, str, Path], Unpacked],
    ) -> Unpacked:
        archive = stage / f"{to}.download"
        with self._slots.of(self._status.uid):
            for left in range(TRIES - 1, -1, -1):
                link = self._link(to, options)
                packed = self._download(link, options, archive, on_progress)
                found = unpacked(packed, to, stage)
                main = found.main
                is_own = not self._service.shares_slot or main.stem not in NATIVE_FORMATS or main.stem == to
                if self._service.shares_slot:
                    self._slots.note(self.uid, to if is_own else main.stem, options, link.url)
                if is_own:
                    if self._keep is not None:
                        self._keep(to, options, self.uid, main if to == "docx" else packed)
                    return found
                log.debug("uid %s: the slot still held the export before; asking again", self._status.uid)
                shutil.rmtree(stage / to, ignore_errors=True)
                archive.unlink(missing_ok=True)
                if left:
                    self._clock.sleep(self._first_look)
        raise ArchiveError(f"The service keeps giving another export than {to}", uid=self._status.uid)

    def _in_folder(self, packed: Path | bytes, to: str, stage: Path) -> Bundle:
        folder = stage / to
        folder.mkdir()
        return self.bundle(to, folder, open_archive(packed, folder, to, self.uid))

    def _in_memory(self, packed: Path | bytes, to: str, stage: Path) -> Bundle | Loose:
        files = read_small(packed, uid=self.uid) if to != "docx" and isinstance(packed, bytes) else None
        if files is None:
            return self._in_folder(packed, to, stage)
        return Loose(main_file(list(files), SUFFIX[to], uid=self.uid), files)

    def bundle(self, to: str, folder: Path, main: Path) -> Bundle:
        """Describe an unpacked format."""
        status = self._status
        return Bundle(to, folder, main, status.pages, self._source, status.uid, self._sha256)

    def _link(self, to: str, options: ExportOptions) -> ExportLink:
        return export(
            self._service,
            self._status.uid,
            to,
            options,
            settings=self._settings,
            clock=self._clock,
            first_look=self._first_look,
            stale=self._slots.stale(self.uid, to, options),
            silence=self._silence,
        )

    def _link_again(self, link: ExportLink, options: ExportOptions) -> ExportLink:
        try:
            return ask_again(self._service, link, settings=self._settings, clock=self._clock, silence=self._silence)
        except Doc2XError as error:
            if error.code != NOT_FOUND:
                raise
            return self._link(link.format, options)

    def _download(
        self, link: ExportLink, options: ExportOptions, archive: Path, on_progress: Report | None
    ) -> Path | bytes:
        """Download; a link that has expired is asked for again. The export is repeated only where its slot is empty."""
        patience, pace = self._clock.deadline(self._settings.patience), GrowingPace(self._clock, first=0.5)
        left = TRIES
        while True:
            left -= 1
            try:
                return download(
                    self._service,
                    link,
                    archive,
                    settings=self._settings,
                    clock=self._clock,
                    on_progress=on_progress,
                    in_memory=IN_MEMORY,
                )
            except RateLimit as error:  # of v1, whose exports are calls of the service
                left += 1
                pause = max(pace.pause(), error.retry_after or 0.0)
                if pause > patience.left():
                    raise
                self._clock.sleep(pause)
            except DownloadError as error:
                if error.status not in LINK_REFUSED or not left:
                    error.about(uid=link.uid)
                    raise
                self._clock.sleep((TRIES - left) * self._first_look)
                link = self._link_again(link, options)


def open_archive(archive: Path | bytes, folder: Path, to: str, uid: str) -> Path:
    """Unpack md and tex, take docx as it is; return the main file.

    Where exports share a slot, the main file was asked to be named after its format: another's name is another's.
    """
    if to == "docx":
        main = folder / "document.docx"
        check_word(archive, uid)
        if isinstance(archive, bytes):
            with writing(main, "Unpacking"):
                main.write_bytes(archive)
        else:
            archive.rename(main)
        return main
    files = unpack(archive, folder, uid=uid)
    return folder / main_file(files, SUFFIX[to], uid=uid)


def check_word(archive: Path | bytes, uid: str) -> None:
    """Raise `ArchiveError` unless the zip is a whole Word file: sizes and checksums are right and it has a document."""
    with opened(archive, uid) as zipped:
        if WORD_MAIN not in zipped.namelist():
            raise ArchiveError("The docx export is no Word file", uid=uid)
        check_whole(zipped, uid)
