"""The only place that builds a `requests.Session`."""

from __future__ import annotations

from typing import Any

import requests

from doc2x_sdk.service.adapter import CallAdapter
from doc2x_sdk.version import __version__

__all__ = ["build_session"]


class PlainSession(requests.Session):
    """A session that hands requests to its one adapter, and nothing else.

    For it no answer is a redirect, whose whole body requests would read without a limit even when it does not follow;
    it keeps no cookies, and has no hooks.
    """

    def __init__(self, adapter: CallAdapter) -> None:
        super().__init__()
        self._adapter = adapter
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request and return its answer."""
        return self._adapter.send(request, **options)


def build_session(connections: int) -> requests.Session:
    """Build a session without the environment's .netrc, and with our adapter."""
    session = PlainSession(CallAdapter(connections=connections))
    session.trust_env = False
    del session.headers["Connection"]  # HTTP/1.1 keeps connections by itself
    session.headers["User-Agent"] = f"doc2x-sdk/{__version__} {requests.utils.default_user_agent()}"
    return session
