"""The endpoints of Doc2X API v1: tokens, the page counter, multipart uploads, status and the one-step export."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from doc2x_sdk.errors import Doc2XError
from doc2x_sdk.local import exports, translation
from doc2x_sdk.local.desk import PDF, PICTURE, Desk
from doc2x_sdk.local.failure import DocumentFailure
from doc2x_sdk.local.keys import REFRESH, Keys
from doc2x_sdk.local.store import Task
from doc2x_sdk.local.wire import Refusal, envelope

__all__ = ["V1"]

FORMATS: dict[str, exports.ExportRequest] = {
    "md": exports.ExportRequest("md"),
    "md_dollar": exports.ExportRequest("md", dollars=True),
    "latex": exports.ExportRequest("tex"),
    "docx": exports.ExportRequest("docx"),
}
LIMITS = {"parse_task_limit_exceeded", "parse_concurrency_limit"}
QUOTA_USED_UP = "pages limit exceeded"
STREAM_SECONDS = 0.2


class V1:
    """The endpoints of the first generation, under both of its prefixes."""

    def __init__(self, desk: Desk, keys: Keys) -> None:
        self._desk = desk
        self._keys = keys
        self._exporting: dict[tuple[str, str], asyncio.Lock] = {}

    def routes(self) -> list[Route]:
        """The routes of these endpoints."""
        routes = [
            Route(REFRESH, self.refresh, methods=["POST"]),
            Route("/api/export", self.export, methods=["GET"]),
            Route("/api/v1/pdf", self.stream_pdf, methods=["POST"]),
            Route("/api/v1/img", self.stream_image, methods=["POST"]),
        ]
        for prefix in ("/api/v1", "/api/platform"):
            routes += [
                Route(f"{prefix}/limit", self.limit, methods=["GET"]),
                Route(f"{prefix}/async/pdf", self.pdf, methods=["POST"]),
                Route(f"{prefix}/async/img", self.image, methods=["POST"]),
                Route(f"{prefix}/async/status", self.status, methods=["GET"]),
            ]
        return routes

    async def refresh(self, _: Request) -> Response:
        """Exchange a personal key for an access token."""
        return envelope(self._keys.tokens())

    async def limit(self, _: Request) -> Response:
        """Say how many pages are left."""
        return envelope({"remain": self._desk.jobs.pages_left})

    async def pdf(self, request: Request) -> Response:
        """Take a PDF."""
        return await self._answer(self._take(request, "pdf"))

    async def image(self, request: Request) -> Response:
        """Take a picture. `equation` (or `option`) is accepted; a formula is read like other text."""
        return await self._answer(self._take(request, "image"))

    async def status(self, request: Request) -> Response:
        """Say how far a job is, or its pages, or its translation."""
        task = self._desk.known(request.query_params.get("uuid"))
        await self._desk.jobs.decided(task)
        return envelope({"uuid": task.uid, **await self._state(request, task)})

    async def export(self, request: Request) -> Response:
        """Answer with the file itself."""
        task = self._desk.known(request.query_params.get("request_id"))
        to = request.query_params.get("to", "")
        if to not in FORMATS:
            return PlainTextResponse(f"to is one of {', '.join(FORMATS)}", status_code=400)
        if task.state != "success":
            return PlainTextResponse("the job has no result (yet)", status_code=400)
        target = task.folder / f"v1_{to}.{FORMATS[to].suffix}"
        try:
            async with self._exporting.setdefault((task.uid, to), asyncio.Lock()):
                if not target.exists():
                    await self._write(task, FORMATS[to], target.name)
        except (Doc2XError, DocumentFailure) as error:
            raise Refusal("internal_error", str(error)) from error
        finally:
            self._exporting.pop((task.uid, to), None)
        kind = "application/zip" if target.suffix == ".zip" else "application/octet-stream"
        return FileResponse(target, media_type=kind)

    async def stream_pdf(self, request: Request) -> Response:
        """Take a PDF and answer with its states, one `data:` line each."""
        return await self._stream(request, "pdf")

    async def stream_image(self, request: Request) -> Response:
        """Take a picture and answer with its states, one `data:` line each."""
        return await self._stream(request, "image")

    async def _write(self, task: Task, wanted: exports.ExportRequest, name: str) -> None:
        part = task.folder / f"part_{name}"
        await self._desk.export(task, wanted, part)
        part.replace(task.folder / name)

    async def _answer(self, taking: Any) -> Response:
        try:
            task: Task = await taking
        except Refusal as refused:
            if refused.code in LIMITS:
                raise
            # Doc2X API v1: a bad request is HTTP 400 with a text
            return PlainTextResponse(f"{refused.code}: {refused.message}", status_code=400)
        return envelope({"uuid": task.uid})

    async def _take(self, request: Request, kind: Literal["pdf", "image"]) -> Task:
        """Store an upload and submit it; the text fields may stand before or after the file.

        Raises:
            Refusal: no file, too large, of the wrong kind, a bad field, or too many tasks.
        """
        if not self._desk.jobs.accepts_more():
            raise Refusal("parse_task_limit_exceeded", "too many tasks at once")
        settings = self._desk.settings
        task = self._desk.store.new(kind)
        received = await self._desk.take(
            request,
            task,
            limit=settings.max_v1_pdf_bytes if kind == "pdf" else settings.max_v1_image_bytes,
            kinds=PDF if kind == "pdf" else PICTURE,
            wrong_kind="parse_file_not_pdf" if kind == "pdf" else "parse_file_not_image",
        )
        try:
            fields = received.fields
            for name in ("ocr", "equation"):
                _switch(fields, name)
            task.correct = _switch(fields, "img_correction")
            if fields.get("parse_to", "1") == "2":
                task.translate = [fields.get("lang", "zh"), fields.get("model", "deepseek")]
        except Refusal:
            self._desk.store.forget(task)
            raise
        self._desk.jobs.submit(task)
        return task

    async def _state(self, request: Request, task: Task) -> dict[str, Any]:
        if task.state != "success":
            return _unfinished(task)
        if task.translate is None:
            result = await self._desk.result(request, task, version="v1")
            return {"status": "success", "progress": 100, "result": result}
        if task.translation == "success":
            text = await asyncio.to_thread(translation.read_translation, task)
            return {"status": "translate_success", "progress": 100, "result": text}
        return {"status": "translate_processing", "progress": 0}

    async def _stream(self, request: Request, kind: Literal["pdf", "image"]) -> Response:
        try:
            task = await self._take(request, kind)
        except Refusal as refused:
            return PlainTextResponse(f"{refused.code}: {refused.message}", status_code=400)
        return StreamingResponse(self._states(request, task), media_type="text/event-stream")

    async def _states(self, request: Request, task: Task) -> AsyncIterator[str]:
        while True:
            await self._desk.jobs.decided(task)
            state = await self._state(request, task)
            row = {"uuid": task.uid, **state}
            if "result" in state:
                row |= {"data": state["result"]}
                del row["result"]
            yield f"data: {json.dumps(row, ensure_ascii=False)}\n\n"
            if state["status"] not in {"ready", "processing", "translate_processing"}:
                return
            await asyncio.sleep(STREAM_SECONDS)


def _unfinished(task: Task) -> dict[str, Any]:
    """The state of a job without a result, in v1's words."""
    if task.state in {"failed", "refused"}:
        return {"status": "failed", "progress": 0, "detail": f"{task.code}: {task.detail}"}
    if task.state == "processing":
        return {"status": "processing", "progress": task.progress}
    return {"status": QUOTA_USED_UP if task.code == "parse_quota_limit" else "ready", "progress": 0}


def _switch(fields: dict[str, str], name: str) -> bool:
    """A field that is on or off: `1`, `0`, `true` or `false`; absent is off.

    Raises:
        Refusal: another value.
    """
    value = fields.get(name, "0").strip().lower()
    if value not in {"1", "0", "true", "false"}:
        raise Refusal("invalid_request", f"{name} is 1 or 0", status=400)
    return value in {"1", "true"}
