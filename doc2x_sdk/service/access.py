"""The bearer of v1's calls: the key itself, or the token that it is exchanged for. Tokens stay in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable

from doc2x_sdk.clock import Clock
from doc2x_sdk.config import APIKey
from doc2x_sdk.errors import NetworkError
from doc2x_sdk.service.answers import Answer
from doc2x_sdk.service.refusals import is_refused

__all__ = ["Access"]

TRUSTED = 60.0  # seconds for which a token that was let in is not tried again before an upload


class Access:
    """One bearer for many threads; where it can be exchanged, it is renewed once for all that were refused with it.

    `exchange` returns a new token for the key; without it the key is the token, and never another.
    """

    def __init__(self, key: APIKey, clock: Clock, exchange: Callable[[], APIKey] | None = None) -> None:
        self._clock = clock
        self._renewable = exchange is not None
        self._exchange = exchange or (lambda: key)
        self._token: APIKey | None = None
        self._lock = threading.Lock()
        self._let_in = clock.deadline(0.0)

    @property
    def may_have_ended(self) -> bool:
        """Whether the service could refuse the token by now: it has not let it in of late."""
        return self._renewable and self._let_in.passed()

    def send(self, send: Callable[[APIKey], Answer]) -> Answer:
        """Send with the token, and once more with a new one when it is refused."""
        token = self.token()
        answer = send(token)
        if is_refused(answer):
            renewed = self.renew(token)
            answer = answer if renewed is None else send(renewed)
        if not is_refused(answer):
            self._let_in = self._clock.deadline(TRUSTED)
        return answer

    def token(self) -> APIKey:
        """Return the bearer; the first call exchanges the key.

        Raises what `exchange` raises; a `NetworkError` has nothing `sent`, since the bearer's own request was not.
        """
        with self._lock:
            if self._token is None:
                self._token = self._exchanged()
            return self._token

    def renew(self, refused: APIKey) -> APIKey | None:
        """Return another token than the refused one; None where there is none to be had. Raises as `token`."""
        if not self._renewable:
            return None
        with self._lock:
            if self._token is refused:
                self._token = self._exchanged()
            return self._token

    def _exchanged(self) -> APIKey:
        try:
            return self._exchange()
        except NetworkError as error:
            error.sent = "nothing"
            raise
