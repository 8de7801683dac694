"""The endpoints of Doc2X API v2 that export a parsed document. A uid has one slot: the latest export is in it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from doc2x_sdk.errors import Doc2XError
from doc2x_sdk.local import exports
from doc2x_sdk.local.desk import Desk
from doc2x_sdk.local.failure import DocumentFailure
from doc2x_sdk.local.store import Task
from doc2x_sdk.local.v2 import json_body
from doc2x_sdk.local.wire import Refusal, envelope

__all__ = ["Convert"]

log = logging.getLogger("doc2x_sdk.local")

MAX_FILENAME = 50
FORBIDDEN_IN_NAMES = set('/\\:*?"<>|')


class Convert:
    """convert/parse and convert/parse/result."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._under_way: set[asyncio.Task[None]] = set()

    def routes(self) -> list[Route]:
        """The routes of these endpoints."""
        return [
            Route("/api/v2/convert/parse", self.begin, methods=["POST"]),
            Route("/api/v2/convert/parse/result", self.result, methods=["GET"]),
        ]

    async def begin(self, request: Request) -> Response:
        """Begin an export; it takes the slot from the export before it."""
        body = await json_body(request)
        uid = body.get("uid")
        task = self._desk.known(uid if isinstance(uid, str) else None)
        if task.state != "success":
            raise Refusal("parse_status_not_found", "the parse of this uid has no result (yet)")
        wanted = _export_request(body, task)
        if task.export.get("status") != "processing" or task.export.get("request") != body:
            self._begin(task, wanted, body)
        return envelope({"status": "processing", "url": ""})

    async def result(self, request: Request) -> Response:
        """Say whether the uid's latest export is there, and where."""
        task = self._desk.known(request.query_params.get("uid"))
        if not task.export:
            raise Refusal("parse_status_not_found", "no export of this uid was asked for")
        if under_way := [job for job in self._under_way if job.get_name() == task.uid]:
            await asyncio.wait(under_way, timeout=self._desk.settings.hold_seconds)
        data = {"status": task.export["status"], "url": ""}
        if data["status"] == "success":
            data["url"] = self._desk.links.download(request, task.uid, task.export["file"])
        elif data["status"] == "failed":
            data["detail"] = task.export["detail"]
        return envelope(data)

    async def close(self) -> None:
        """Give up the exports that are under way."""
        for job in list(self._under_way):
            job.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _begin(self, task: Task, wanted: exports.ExportRequest, body: dict[str, Any]) -> None:
        if old := task.export.get("file"):
            with contextlib.suppress(PermissionError):  # Windows, while somebody downloads it
                (task.folder / old).unlink(missing_ok=True)
        name = f"convert_{wanted.to}_{secrets.token_hex(8)}.{wanted.suffix}"
        slot = {"status": "processing", "request": body, "file": name}
        task.export = slot
        job = asyncio.create_task(self._export(task, wanted, slot), name=task.uid)
        self._under_way.add(job)
        job.add_done_callback(self._under_way.discard)

    async def _export(self, task: Task, wanted: exports.ExportRequest, slot: dict[str, Any]) -> None:
        target = task.folder / str(slot["file"])
        try:
            await self._desk.export(task, wanted, target)
        except (Doc2XError, DocumentFailure, OSError) as error:
            log.warning("the export of %s failed: %s", task.uid, error)
            slot |= {"status": "failed", "detail": f"parse_error: {error}"}
        else:
            slot["status"] = "success"
        if task.export is slot:
            task.save()
        else:
            target.unlink(missing_ok=True)


def _export_request(body: dict[str, Any], task: Task) -> exports.ExportRequest:
    """The body of convert/parse, checked.

    Raises:
        Refusal: a value that the contract does not know (HTTP 400).
    """
    to, mode, level = body.get("to"), body.get("formula_mode", "normal"), body.get("formula_level") or 0
    name, merge = body.get("filename") or "", body.get("merge_cross_page_forms") or False
    problems = {
        "to is one of md, tex, docx": to not in {"md", "tex", "docx"},
        "formula_mode is normal or dollar": mode not in {"normal", "dollar"},
        "formula_level is 0, 1 or 2": isinstance(level, bool) or level not in {0, 1, 2},
        "formula_level needs a parse by v3-2026": level in {1, 2} and task.model != "v3-2026",
        f"filename has at most {MAX_FILENAME} characters and no path": not _is_name(name),
        "merge_cross_page_forms is true or false": not isinstance(merge, bool),
    }
    for problem, found in problems.items():
        if found:
            raise Refusal("invalid_request", problem, status=400)
    return exports.ExportRequest(to=to, dollars=mode == "dollar", filename=name, level=int(level), merge_tables=merge)  # type: ignore[arg-type]


def _is_name(name: Any) -> bool:
    if not isinstance(name, str) or len(name) > MAX_FILENAME or name.startswith("."):
        return False
    return name.isprintable() and not FORBIDDEN_IN_NAMES.intersection(name)
