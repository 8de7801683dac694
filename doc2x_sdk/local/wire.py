"""What every answer of the server has in common: envelope, trace id, key check, request rate, counters.

Source: Doc2X API, "Two generations" and "Codes".
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import secrets
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Gate", "RateLimiter", "Refusal", "Signer", "envelope", "refusal"]


def envelope(data: Any = None, *, code: str = "success", message: str = "ok", status: int = 200) -> Response:
    """The service's JSON envelope."""
    content: dict[str, Any] = {"code": code, "msg": message}
    if data is not None:
        content["data"] = data
    body = json.dumps(content, ensure_ascii=False).encode()
    return Response(body, status_code=status, media_type="application/json")


class Refusal(Exception):
    """An answer with a failure code; raised anywhere in an endpoint."""

    def __init__(self, code: str, message: str, *, status: int = 200, data: Any = None) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.status = status
        self.data = data


async def refusal(_: Any, error: Exception) -> Response:
    """The answer for a `Refusal`, as an exception handler of Starlette."""
    if not isinstance(error, Refusal):
        raise error
    return envelope(error.data, code=error.code, message=error.message, status=error.status)


class Signer:
    """Signs what a URL or a token allows and until when."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, subject: str, expires: float) -> str:
        """A permission for `subject`: `<expiry>.<signature>`."""
        moment = str(math.ceil(expires))
        return f"{moment}.{self._signature(subject, moment)}"

    def allows(self, subject: str, permission: str, now: float) -> bool:
        """Whether the permission is for `subject` and not over its time."""
        moment, _, signature = permission.partition(".")
        genuine = hmac.compare_digest(signature.encode(), self._signature(subject, moment).encode())
        return genuine and moment.isdigit() and now <= int(moment)

    def _signature(self, subject: str, moment: str) -> str:
        return hmac.new(self._secret, f"{subject}\n{moment}".encode(), hashlib.sha256).hexdigest()


class RateLimiter:
    """A bucket of tokens: one second's requests may come at once, then they are paced."""

    def __init__(self, per_second: float | None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_second
        self._monotonic = monotonic
        self._tokens = max(1.0, per_second or 1.0)
        self._seen = monotonic()

    def wait(self) -> float:
        """Take a token: 0.0, or without one the seconds until there is one."""
        if self._rate is None:
            return 0.0
        now = self._monotonic()
        self._tokens = min(max(1.0, self._rate), self._tokens + (now - self._seen) * self._rate)
        self._seen = now
        if self._tokens < 1.0:
            return (1.0 - self._tokens) / self._rate
        self._tokens -= 1.0
        return 0.0


class Gate:
    """The outermost layer: every request is counted, checked and answered with a trace id."""

    def __init__(self, app: ASGIApp, *, rate: RateLimiter, may_enter: Callable[[str, str], bool]) -> None:
        """Wrap `app`; `may_enter(path, bearer token)` checks the key of requests to `/api`."""
        self._app = app
        self._rate = rate
        self._may_enter = may_enter
        self.requests: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        trace_id = secrets.token_hex(16)

        async def send_traced(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["trace-id"] = trace_id
            await send(message)

        self.requests[f"{scope['method']} {_endpoint(path)}"] += 1
        turned_away = self._check(path, Headers(scope=scope)) if path.startswith("/api/") else None
        await (turned_away or self._app)(scope, receive, send_traced)

    def _check(self, path: str, headers: Headers) -> Response | None:
        wait = self._rate.wait()
        if wait > 0.0:
            response = envelope(code="too_many_requests", message="requests come too often", status=429)
            response.headers["Retry-After"] = str(math.ceil(wait))
            return response
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self._may_enter(path, token.strip()):
            return envelope(code="unauthorized", message="the key is not valid", status=401)
        return None


def _endpoint(path: str) -> str:
    """The path without what differs from request to request."""
    return path if path.startswith(("/api/", "/_local/")) else f"/{path.split('/')[1]}"
