"""The ASGI application: the endpoints of both generations over one store of tasks."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from doc2x_sdk.local.convert import Convert
from doc2x_sdk.local.desk import Desk
from doc2x_sdk.local.jobs import Jobs
from doc2x_sdk.local.keys import Keys
from doc2x_sdk.local.links import Links
from doc2x_sdk.local.settings import ServerSettings, Stats, Tools
from doc2x_sdk.local.storage import Storage
from doc2x_sdk.local.store import Store
from doc2x_sdk.local.v1 import V1
from doc2x_sdk.local.v2 import V2
from doc2x_sdk.local.wire import Gate, RateLimiter, Refusal, Signer, envelope, refusal
from doc2x_sdk.local.work import Workers

__all__ = ["Application"]


class Application:
    """Everything behind the socket. Made and used in the server's event loop."""

    def __init__(self, settings: ServerSettings, tools: Tools, folder: Path, connections: Callable[[], int]) -> None:
        clock = tools.clock
        signer = Signer(_secret(folder))
        keep = settings.result_hours * 3600
        store = Store(folder, clock, keep)
        self._workers = Workers(
            settings.workers, settings.ocr_workers, tools.executor, temporary=None if settings.data else folder
        )
        self._jobs = Jobs(settings, tools, store, self._workers)
        links = Links(signer, clock.now, settings.upload_seconds, keep)
        desk = Desk(settings, store, self._jobs, links)
        keys = Keys(settings.api_key, signer, clock.now, settings.token_seconds)
        self._convert = Convert(desk)
        self._connections = connections
        routes = [
            *V2(desk).routes(),
            *self._convert.routes(),
            *Storage(desk).routes(),
            *V1(desk, keys).routes(),
            Route("/_local/stats", self._stats, methods=["GET"]),
        ]
        handlers = {Refusal: refusal, 404: _no_such_path, 405: _no_such_path, Exception: _internal_error}
        inner = Starlette(routes=routes, exception_handlers=handlers)
        rate = RateLimiter(settings.rate_limit, clock.monotonic)
        self.asgi = Gate(inner, rate=rate, may_enter=keys.may_enter)

    async def begin(self) -> None:
        """Start what runs beside the requests. Raises `ConfigError` when worker processes can't be started."""
        await self._workers.begin()
        self._jobs.resume()

    def stats(self) -> Stats:
        """What was counted since the start."""
        return replace(self._jobs.stats, connections=self._connections(), requests=dict(self.asgi.requests))

    async def close(self) -> None:
        """Stop all work and end the workers."""
        await self._jobs.close()
        await self._convert.close()
        self._workers.close()

    async def _stats(self, _: Request) -> Response:
        return JSONResponse(asdict(self.stats()))


async def _no_such_path(_: Request, error: Exception) -> Response:
    return envelope(code="not_found", message="no such endpoint", status=getattr(error, "status_code", 404))


async def _internal_error(_: Request, __: Exception) -> Response:
    return envelope(code="internal_error", message="the server failed; its log says why", status=500)


def _secret(folder: Path) -> bytes:
    """The key that signs URLs and tokens; it stays with the data, so that they outlive a restart."""
    path = folder / "secret"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(32))
    return path.read_bytes()
