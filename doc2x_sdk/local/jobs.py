"""From stored bytes to parsed pages: admission by the limits, then the pages in chunks through the workers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from doc2x_sdk.local import engine, ocr
from doc2x_sdk.local.failure import DocumentFailure
from doc2x_sdk.local.pages import Box, Page
from doc2x_sdk.local.settings import ServerSettings, Stats, Tools
from doc2x_sdk.local.store import Store, Task
from doc2x_sdk.local.translation import translate
from doc2x_sdk.local.work import Workers

__all__ = ["Jobs"]

log = logging.getLogger("doc2x_sdk.local")

OPEN_QUOTA = 1_000_000  # pages that v1's counter shows at the start when no quota is set
FAILURES_UNTIL_LOCK = 3
LOCK_SECONDS = 24 * 3600.0
DECISION_SECONDS = 5.0


class Jobs:
    """The parses of a server. Lives in the server's event loop, so what has no `await` in it is atomic."""

    def __init__(self, settings: ServerSettings, tools: Tools, store: Store, workers: Workers) -> None:
        self._settings = settings
        self._store = store
        self._workers = workers
        self._clock = tools.clock
        self._translator = tools.translator
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._failures: dict[str, list[float]] = {}
        self.stats = Stats()

    @property
    def pages_left(self) -> int:
        """The quota less the pages of the parses that were started."""
        quota = OPEN_QUOTA if self._settings.pages_quota is None else self._settings.pages_quota
        return max(0, quota - self.stats.pages_parsed)

    def count(self, **more: int) -> None:
        """Add to the counters."""
        self.stats = replace(self.stats, **{name: getattr(self.stats, name) + n for name, n in more.items()})

    def resume(self) -> None:
        """Go on with the parses that an earlier server of the same data folder left unfinished; they are paid."""
        for task in self._store:
            if task.state == "processing":
                task.done = 0
                self._start(task, self._parse(task))
            elif task.state == "stored":
                self._start(task, self._admit(task))
            elif task.state == "success" and task.translate and task.translation != "success":
                self._start(task, translate(task, self._translator))

    def submit(self, task: Task) -> None:
        """Begin with a task whose bytes are stored."""
        task.end("stored")
        self._start(task, self._admit(task))

    async def decided(self, task: Task) -> None:
        """Ask for admission again when a limit keeps the task waiting, and wait a moment for the decision."""
        if task.state == "limited":
            self._decide(task)
        elif task.state == "stored" and self._has_limits:
            under_way = self._under_way.get(task.uid)
            if under_way is not None:
                await asyncio.wait([under_way], timeout=DECISION_SECONDS)

    async def admitted(self, task: Task) -> None:
        """Wait until a submitted task is started, waiting for a limit, or refused."""
        while task.state == "stored" and (under_way := self._under_way.get(task.uid)):
            await asyncio.wait([under_way])

    async def finished(self, task: Task) -> None:
        """Wait until nothing is being done for a task."""
        while under_way := self._under_way.get(task.uid):
            await asyncio.wait([under_way])

    async def hold(self, task: Task) -> None:
        """Wait a moment until nothing is being done for a task, so that who asks about it hears of its end at once."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.hold_seconds):
                await self.finished(task)

    def shows_processing(self, task: Task) -> bool:
        """Whether status may already say `processing`: not while a limit may still refuse the task."""
        return task.state == "processing" or (task.state == "stored" and not self._has_limits)

    def accepts_more(self) -> bool:
        """Whether there is a free place for a task."""
        limit = self._settings.task_limit
        return limit is None or sum(task.state == "processing" for task in self._store) < limit

    async def picture(self, task: Task, index: int, box: Box | None) -> bytes:
        """A page of a task as a JPEG, or a part of it.

        Raises:
            DocumentFailure: there is no such page or part.
        """
        source = self._source(task)
        if task.kind == "image":
            return await self._workers.run("parse", engine.picture_as_jpeg, source, box)
        return await self._workers.run("parse", engine.render, source, index, box)

    async def cut_pictures(self, task: Task) -> None:
        """Cut the pictures of a parsed task out of its pages, those that are not there yet.

        Raises:
            DocumentFailure: a page cannot be drawn.
        """
        wanted = await asyncio.to_thread(task.uncut_pictures)
        share = math.ceil(len(wanted) / max(1, self._settings.workers)) or 1
        parts = (wanted[a : z + 1] for a, z in _chunks(len(wanted), min(share, self._settings.chunk_pages)))

        async def lane() -> None:
            for part in parts:
                crops = await self._workers.run("parse", engine.cut_pictures, self._source(task), part)
                await asyncio.to_thread(task.write_pictures, crops)

        await self._in_lanes(lane)

    async def close(self) -> None:
        """Stop all parses."""
        under_way = list(self._under_way.values())
        for job in under_way:
            job.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    @property
    def _has_limits(self) -> bool:
        settings = self._settings
        return (settings.task_limit, settings.page_limit, settings.pages_quota) != (None, None, None)

    def _start(self, task: Task, work: Coroutine[Any, Any, None]) -> None:
        job = asyncio.create_task(work, name=task.uid)
        self._under_way[task.uid] = job
        job.add_done_callback(lambda done: self._forget(task.uid, done))

    def _forget(self, uid: str, job: asyncio.Task[None]) -> None:
        if self._under_way.get(uid) is job:
            del self._under_way[uid]
        if not job.cancelled() and (error := job.exception()) is not None:
            log.error("the work on %s ended with %r", uid, error)
            task = self._store.get(uid)
            if task is not None:
                task.end("failed", "internal_error", "the server failed; its log says why")

    async def _admit(self, task: Task) -> None:
        try:
            self._refuse_locked(task)
            if task.kind == "pdf":
                task.pages = await self._workers.run("parse", engine.count_pages, self._source(task))
            else:
                task.pages = 1
        except DocumentFailure as failure:
            task.end("refused", failure.code, failure.detail)
            return
        if task.pages > self._settings.max_file_pages:
            detail = f"the file has {task.pages} pages; at most {self._settings.max_file_pages} are taken"
            task.end("refused", "parse_page_limit_exceeded", detail)
            return
        self._decide(task)

    def _decide(self, task: Task) -> None:
        """Start the parse, or say which limit keeps it waiting. Nothing is counted before it starts."""
        pages = task.pages or 1
        in_parse = sum(other.pages or 0 for other in self._store if other.state == "processing")
        limit = self._settings.page_limit
        quota = self._settings.pages_quota
        if quota is not None and pages > self.pages_left:
            task.end("limited", "parse_quota_limit", f"{self.pages_left} pages are left, the file has {pages}")
        elif not self.accepts_more():
            task.end("limited", "parse_task_limit_exceeded", "too many tasks at once")
        elif limit is not None and in_parse and in_parse + pages > limit:
            task.end("limited", "parse_concurrency_limit", "too many pages in parse at once")
        else:
            task.end("processing")
            self.count(pages_parsed=pages, parses=1)
            self._start(task, self._parse(task))

    async def _parse(self, task: Task) -> None:
        try:
            async with asyncio.timeout(self._settings.parse_seconds):
                if task.kind == "image":
                    await self._read_image(task)
                else:
                    await self._parse_document(task)
        except DocumentFailure as failure:
            self._failed(task, failure.code, failure.detail)
        except TimeoutError:
            self._failed(task, "parse_timeout", f"not parsed within {self._settings.parse_seconds:g} s")
        else:
            task.end("success")
            await translate(task, self._translator)

    async def _read_image(self, task: Task) -> None:
        page = await self._workers.run("ocr", _read_image, self._source(task), task.correct)
        task.write_pages([page])
        task.done = 1

    async def _parse_document(self, task: Task) -> None:
        chunks = _chunks(task.pages or 0, self._settings.chunk_pages)

        async def lane() -> None:
            for first, last in chunks:
                await self._parse_chunk(task, first, last)

        await self._in_lanes(lane)

    async def _in_lanes(self, lane: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Work off what lanes share; as many as there are workers, so that a long document leaves room for others."""
        lanes = [asyncio.create_task(lane()) for _ in range(max(1, self._settings.workers))]
        try:
            await asyncio.gather(*lanes)
        finally:
            for one in lanes:
                one.cancel()

    async def _parse_chunk(self, task: Task, first: int, last: int) -> None:
        source = self._source(task)
        pages = await self._workers.run("parse", engine.parse_pages, source, first, last)
        task.done += sum(not page.needs_ocr for page in pages)

        async def read(parsed: Page) -> Page:
            page: Page = await self._workers.run("ocr", engine.read_scanned_page, source, parsed.index)
            task.done += 1
            return page

        scanned = [asyncio.create_task(read(parsed)) for parsed in pages if parsed.needs_ocr]
        try:
            await asyncio.gather(*scanned)
        finally:
            for one in scanned:
                one.cancel()
        ready = [page for page in pages if not page.needs_ocr] + [one.result() for one in scanned]
        await asyncio.to_thread(task.write_pages, ready)

    def _source(self, task: Task) -> str | bytes:
        return Path(task.source).read_bytes() if self._settings.sends_files else str(task.source)

    def _failed(self, task: Task, code: str, detail: str) -> None:
        if task.digest and detail != ocr.MISSING:
            self._failures.setdefault(task.digest, []).append(self._clock.now())
        task.end("failed", code, detail)

    def _refuse_locked(self, task: Task) -> None:
        """Repeated failures lock a file for a day (Doc2X API, `parse_file_lock`)."""
        times = self._failures.get(task.digest, [])
        recent = [moment for moment in times if self._clock.now() - moment < LOCK_SECONDS]
        if len(recent) >= FAILURES_UNTIL_LOCK:
            raise DocumentFailure("parse_file_lock", "the file failed repeatedly and is locked for a day")


def _chunks(pages: int, size: int) -> Iterator[tuple[int, int]]:
    for first in range(0, pages, size):
        yield first, min(first + size, pages) - 1


def _read_image(source: engine.Source, correct: bool) -> Page:
    return engine.read_image(source, correct=correct)
