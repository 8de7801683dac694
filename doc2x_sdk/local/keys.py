"""Who may enter: the key of the server, and v1's access tokens, which are over after a while.

Source: Doc2X API, v1. A key that begins with `sk-` is its own access token and belongs to `/api/v1`; any other is a
personal key, exchanged by `token/refresh` for a token that belongs to `/api/platform`. `/api/export` takes both.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

from doc2x_sdk.local.wire import Signer

__all__ = ["REFRESH", "Keys"]

REFRESH = "/api/token/refresh"
REFRESH_SECONDS = 30 * 24 * 3600.0


class Keys:
    """Checks bearer keys by path, and makes tokens."""

    def __init__(self, key: str | None, signer: Signer, now: Callable[[], float], token_seconds: float) -> None:
        self._key = key
        self._signer = signer
        self._now = now
        self._seconds = token_seconds

    def may_enter(self, path: str, token: str) -> bool:
        """Whether a request for this path is let in with this bearer key."""
        if not token:
            return False
        if path == REFRESH:
            return self._is_key(token) or self._is_token("refresh", token)
        if path.startswith("/api/v2/"):
            return self._is_key(token)
        if self._is_token("access", token):
            return True
        own = self._is_key(token) and not token.startswith(("access.", "refresh."))
        return own and (token.startswith("sk-") or not path.startswith("/api/platform/"))

    def tokens(self) -> dict[str, str]:
        """A new access token, and a refresh token that can be exchanged like the key."""
        now = self._now()
        return {
            "token": f"access.{self._signer.sign('access', now + self._seconds)}",
            "refresh_token": f"refresh.{self._signer.sign('refresh', now + REFRESH_SECONDS)}",
        }

    def _is_key(self, token: str) -> bool:
        return self._key is None or hmac.compare_digest(token.encode(), self._key.encode())

    def _is_token(self, kind: str, token: str) -> bool:
        begin, _, permission = token.partition(".")
        return begin == kind and self._signer.allows(kind, permission, self._now())
