"""What the endpoints of both generations share: finding a task, taking its bytes, answering for its state."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect, Request

from doc2x_sdk.local import exports, uploads
from doc2x_sdk.local.jobs import Jobs
from doc2x_sdk.local.links import Links
from doc2x_sdk.local.settings import ServerSettings
from doc2x_sdk.local.store import Store, Task
from doc2x_sdk.local.wire import Refusal

__all__ = ["PDF", "PICTURE", "Desk"]

PDF = (b"%PDF-",)
PICTURE = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


class Desk:
    """The tasks, jobs and links of a server, and what every endpoint does with them."""

    def __init__(self, settings: ServerSettings, store: Store, jobs: Jobs, links: Links) -> None:
        self.settings = settings
        self.store = store
        self.jobs = jobs
        self.links = links

    def known(self, uid: str | None) -> Task:
        """The task of a uid.

        Raises:
            Refusal: it is unknown, over its time, or has no bytes yet.
        """
        task = self.store.get(uid or "")
        if task is None or task.state == "reserved":
            raise Refusal("parse_status_not_found", "no such uid, no file yet, or older than 24 hours")
        return task

    async def receive(self, request: Request, task: Task, limit: int) -> uploads.Received | None:
        """Store the body as the task's bytes; None when the sender broke off, and then the task has none.

        Raises:
            Refusal: a form that cannot be read.
        """
        part = task.folder / f"source-{secrets.token_hex(8)}.part"  # another that breaks off may be under way
        try:
            received = await uploads.receive(request, part, limit)
        except ClientDisconnect:
            part.unlink(missing_ok=True)
            return None
        part.replace(task.source)
        task.digest = received.digest
        return received

    async def take(
        self, request: Request, task: Task, *, limit: int, kinds: Sequence[bytes], wrong_kind: str
    ) -> uploads.Received:
        """Take a body whose sender waits for the verdict: check it, submit it, and forget the task when refused.

        Args:
            request: with the body.
            task: a new task.
            limit: most bytes.
            kinds: how the bytes may begin (for a PDF: anywhere in the first 1024).
            wrong_kind: the code when they do not.

        Raises:
            Refusal: too large, of the wrong kind, refused or over a limit.
        """
        try:
            return await self._checked(request, task, limit, kinds, wrong_kind)
        except Refusal:
            self.store.forget(task)
            raise

    async def _checked(
        self, request: Request, task: Task, limit: int, kinds: Sequence[bytes], wrong_kind: str
    ) -> uploads.Received:
        too_large = Refusal("parse_file_too_large", f"more than {limit // 1024**2} MB")
        if int(request.headers.get("content-length", "0")) > limit + uploads.MAX_FIELD_BYTES:
            raise too_large
        received = await self.receive(request, task, limit)
        if received is None or received.too_large:
            raise too_large
        with task.source.open("rb") as stream:
            head = stream.read(1024)
        if not any(kind in head if kinds is PDF else head.startswith(kind) for kind in kinds):
            raise Refusal(wrong_kind, "the file is not of this kind")
        return received

    async def admit(self, task: Task) -> None:
        """Submit a task and wait for the verdict.

        Raises:
            Refusal: a limit or the file refuses it; the task is forgotten.
        """
        self.jobs.submit(task)
        await self.jobs.admitted(task)
        if task.state in {"limited", "refused"}:
            self.store.forget(task)
            raise Refusal(task.code, task.detail)

    def raise_unfinished(self, task: Task) -> None:
        """Answer for a task that has no result: the code when it was not started, `failed` when it failed.

        Raises:
            Refusal: unless the task succeeded.
        """
        match task.state:
            case "success":
                return
            case "refused":
                raise Refusal(
                    task.code,
                    task.detail,
                    data={"status": "failed", "progress": 0, "detail": f"{task.code}: {task.detail}"},
                )
            case "failed":
                data = {"status": "failed", "progress": task.progress, "detail": f"{task.code}: {task.detail}"}
                raise Refusal("success", "ok", data=data)
            case "limited":
                raise Refusal(task.code, task.detail)
            case _:
                raise Refusal("parse_status_not_found", "the file is being looked at")

    async def export(self, task: Task, wanted: exports.ExportRequest, target: Path) -> None:
        """Make an export of a parsed task and write it to `target`; the first one cuts the pictures out of the pages.

        Raises:
            DocumentFailure: a page cannot be drawn.
            ConfigError, PandocError: as `exports.write_export`.
        """
        await self.jobs.cut_pictures(task)
        await asyncio.to_thread(exports.write_export, task, wanted, target)
        self.jobs.count(exports=1)

    async def result(self, request: Request, task: Task, *, version: str = "v2") -> dict[str, Any]:
        """The `result` of a status answer: `pages[]` in the words of the generation `version`."""
        return await asyncio.to_thread(self._result, request, task, version)

    def _result(self, request: Request, task: Task, version: str) -> dict[str, Any]:
        pages = []
        for row in task.read_pages():
            index = row["page_idx"]
            page = {
                "url": self.links.page(request, task.uid, index),
                "page_idx": index,
                "page_width": row["page_width"],
                "page_height": row["page_height"],
                "md": self.links.with_pictures(request, task.uid, row["md"]),
            }
            if version == "v1" and task.kind == "image":
                del page["page_idx"]  # Doc2X API v1, status: absent for an image
            if task.model == "v3-2026" and version == "v2":
                page["score"] = row["score"]
                page["layout"] = {"blocks": [self._block(request, task, block) for block in row["blocks"]]}
            pages.append(page)
        return {"version": task.model, "pages": pages}

    def _block(self, request: Request, task: Task, block: dict[str, Any]) -> dict[str, Any]:
        if "src" not in block:
            return block
        return block | {"src": self.links.with_pictures(request, task.uid, block["src"])}
