"""The bearer of v1's calls: the key itself, or the token that it is exchanged for. Tokens stay in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable

from doc2x_sdk.config import APIKey

__all__ = ["Access"]


class Access:
    """One bearer for many threads; where it can be exchanged, it is renewed once for all that were refused with it.

    `exchange` returns a new token for the key; without it the key is the token, and not `renewable`.
    """

    def __init__(self, key: APIKey, exchange: Callable[[], APIKey] | None = None) -> None:
        self.renewable = exchange is not None
        self._exchange = exchange or (lambda: key)
        self._token: APIKey | None = None
        self._lock = threading.Lock()

    def token(self) -> APIKey:
        """Return the bearer; the first call exchanges the key. Raises what `exchange` raises."""
        with self._lock:
            if self._token is None:
                self._token = self._exchange()
            return self._token

    def renew(self, refused: APIKey) -> APIKey | None:
        """Return another token than the refused one; None where there is none to be had."""
        if not self.renewable:
            return None
        with self._lock:
            if self._token is refused:
                self._token = self._exchange()
            return self._token
