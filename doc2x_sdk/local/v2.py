"""The endpoints of Doc2X API v2 that parse: PDF documents and pictures."""

from __future__ import annotations

import asyncio
import base64
import json
import tempfile
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from doc2x_sdk.local import exports
from doc2x_sdk.local.desk import PDF, PICTURE, Desk
from doc2x_sdk.local.store import Task
from doc2x_sdk.local.wire import Refusal, envelope

__all__ = ["V2", "json_body"]

MODELS = ("v2", "v3-2026")
MAX_JSON_BYTES = 1024 * 1024


class V2:
    """preupload, the one-step parse, status, and image layout."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        """The routes of these endpoints."""
        return [
            Route("/api/v2/parse/preupload", self.preupload, methods=["POST"]),
            Route("/api/v2/parse/pdf", self.direct, methods=["POST"]),
            Route("/api/v2/parse/status", self.status, methods=["GET"]),
            Route("/api/v2/parse/img/layout", self.image, methods=["POST"]),
            Route("/api/v2/async/parse/img/layout", self.image_async, methods=["POST"]),
            Route("/api/v2/parse/img/layout/status", self.image_status, methods=["GET"]),
        ]

    async def preupload(self, request: Request) -> Response:
        """Hand out a uid and a URL for its bytes. A `file_name` in the body says nothing and is not looked at."""
        model = (await json_body(request)).get("model") or "v2"
        if model not in MODELS:
            raise Refusal("invalid_request", f"model is one of {', '.join(MODELS)}", status=400)
        task = self._desk.store.new("pdf", model=model)
        return envelope({"uid": task.uid, "url": self._desk.links.upload(request, task.uid)})

    async def direct(self, request: Request) -> Response:
        """The one-step form: body in, uid out, refused at once when a limit or the file says so."""
        task = self._desk.store.new("pdf")
        limit = self._desk.settings.max_direct_bytes
        await self._desk.take(request, task, limit=limit, kinds=PDF, wrong_kind="parse_file_not_pdf")
        await self._desk.admit(task)
        return envelope({"uid": task.uid})

    async def status(self, request: Request) -> Response:
        """Say how far a parse is, or its pages."""
        task = self._desk.known(request.query_params.get("uid"))
        if await self._is_processing(task):
            return envelope({"status": "processing", "progress": task.progress})
        self._desk.raise_unfinished(task)
        return envelope(
            {"status": "success", "progress": 100, "detail": "", "result": await self._desk.result(request, task)}
        )

    async def image(self, request: Request) -> Response:
        """Parse a picture and answer with its page."""
        task = await self._take_image(request)
        await self._desk.jobs.finished(task)
        if task.state == "failed":
            raise Refusal(task.code, task.detail, data={"uid": task.uid})
        self._desk.raise_unfinished(task)
        return envelope({"uid": task.uid, **await self._image_data(request, task)})

    async def image_async(self, request: Request) -> Response:
        """Take a picture and answer with its uid."""
        task = await self._take_image(request)
        return envelope({"uid": task.uid})

    async def image_status(self, request: Request) -> Response:
        """Say how far a picture is, or its page."""
        task = self._desk.known(request.query_params.get("uid"))
        if await self._is_processing(task):
            return envelope({"status": "processing", "progress": task.progress})
        self._desk.raise_unfinished(task)
        return envelope({"status": "success", "progress": 100, **await self._image_data(request, task)})

    async def _is_processing(self, task: Task) -> bool:
        """Whether that is still the answer after a moment's wait for another."""
        await self._desk.jobs.decided(task)
        if self._desk.jobs.shows_processing(task):
            await self._desk.jobs.hold(task)
        return self._desk.jobs.shows_processing(task)

    async def _take_image(self, request: Request) -> Task:
        task = self._desk.store.new("image")
        limit = self._desk.settings.max_image_bytes
        await self._desk.take(request, task, limit=limit, kinds=PICTURE, wrong_kind="parse_file_not_image")
        await self._desk.admit(task)
        return task

    async def _image_data(self, request: Request, task: Task) -> dict[str, Any]:
        return {
            "result": await self._desk.result(request, task),
            "convert_zip": await asyncio.to_thread(_convert_zip, task),
        }


async def json_body(request: Request) -> dict[str, Any]:
    """The JSON object of a body; an empty body is an empty object, whatever its type.

    Raises:
        Refusal: the body is too long or not a JSON object.
    """
    if int(request.headers.get("content-length", "0")) > MAX_JSON_BYTES:
        raise Refusal("invalid_request", "the body is too long", status=400)
    try:
        body = await request.body()
    except ClientDisconnect as error:
        raise Refusal("invalid_request", "the caller hung up", status=400) from error
    try:
        content = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError) as error:
        raise Refusal("invalid_request", "the body is not JSON", status=400) from error
    if not isinstance(content, dict):
        raise Refusal("invalid_request", "the body is not a JSON object", status=400)
    return content


def _convert_zip(task: Task) -> str:
    """The page's Markdown and its pictures as a zip in base64 (Doc2X API v2, img/layout)."""
    with tempfile.TemporaryDirectory(dir=task.folder) as folder:
        target = Path(folder) / "image.zip"
        exports.write_export(task, exports.ExportRequest("md"), target)
        return base64.b64encode(target.read_bytes()).decode()
