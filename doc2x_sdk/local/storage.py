"""The server's object storage: presigned uploads, downloads of exports, pictures of pages. No key, signed URLs."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from doc2x_sdk.local.desk import Desk
from doc2x_sdk.local.failure import DocumentFailure
from doc2x_sdk.local.links import crop_box
from doc2x_sdk.local.pages import image_name

__all__ = ["Storage"]


class Storage:
    """PUT of a uid's bytes, GET of its export and of its pages' pictures."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        """The routes of these endpoints."""
        return [
            Route("/upload/{uid}", self.put, methods=["PUT"]),
            Route("/files/{uid}/{name}", self.file, methods=["GET"]),
            Route("/pages/{name}", self.picture, methods=["GET"]),
        ]

    async def put(self, request: Request) -> Response:
        """Take the bytes of a uid, once; what is wrong with them shows up in status (Doc2X API v2, PUT)."""
        task = self._desk.store.get(request.path_params["uid"])
        if task is None or not self._desk.links.allows_upload(request, task.uid) or task.state != "reserved":
            return _error(403, "AccessDenied")
        received = await self._desk.receive(request, task, self._desk.settings.max_put_bytes)
        if received is None:
            return _error(400, "IncompleteBody")
        self._desk.jobs.count(puts=1)
        if received.too_large:
            task.end("refused", "parse_file_too_large", "the file is larger than an upload may be")
        else:
            self._desk.jobs.submit(task)
        return Response(headers={"ETag": f'"{received.digest}"'})

    async def file(self, request: Request) -> Response:
        """Send the file of the latest export."""
        uid, name = request.path_params["uid"], request.path_params["name"]
        task = self._desk.store.get(uid)
        if task is None or not self._desk.links.allows_download(request, uid, name):
            return _error(403, "AccessDenied")
        if task.export.get("status") != "success" or task.export.get("file") != name:
            return _error(404, "NoSuchKey")
        return FileResponse(task.folder / name, media_type="application/octet-stream")

    async def picture(self, request: Request) -> Response:
        """Send a page's picture, or the crop that `x`, `y`, `w`, `h` name."""
        uid, _, page = request.path_params["name"].removesuffix(".jpg").rpartition("_")
        task = self._desk.store.get(uid)
        if task is None or not page.isdecimal() or task.state != "success":
            return _error(404, "NoSuchKey")
        try:
            box = crop_box(request.query_params)
            if box and (crop := task.images / image_name(int(page), box)).is_file():
                return FileResponse(crop, media_type="image/jpeg")
            jpeg = await self._desk.jobs.picture(task, int(page), box)
        except (DocumentFailure, KeyError, ValueError):
            return _error(404, "NoSuchKey")
        return Response(jpeg, media_type="image/jpeg")


def _error(status: int, code: str) -> Response:
    """An error in the manner of an object storage: XML."""
    return Response(f"<Error><Code>{code}</Code></Error>", status_code=status, media_type="application/xml")
