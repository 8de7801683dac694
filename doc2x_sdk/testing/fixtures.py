"""The pytest plugin: `doc2x_server`, Doc2X on this machine for the tests of scripts that use the SDK."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from doc2x_sdk.local.server import LocalServer
    from doc2x_sdk.local.settings import Stats

__all__ = ["ServerOfTest", "doc2x_server", "doc2x_server_of_session"]

KEY = "sk-of-the-local-test-server"


class ServerOfTest:
    """The session's server, as one test sees it."""

    def __init__(self, server: LocalServer) -> None:
        self._server = server
        self._before = server.stats()

    @property
    def url(self) -> str:
        """Where it listens, such as `http://127.0.0.1:40123`."""
        return self._server.url

    @property
    def key(self) -> str:
        """The key that it takes."""
        return KEY

    def stats(self) -> Stats:
        """What was asked of it in this test, such as the pages that an account would have paid for."""
        return self._server.stats().since(self._before)


@pytest.fixture(scope="session")
def doc2x_server_of_session() -> Iterator[LocalServer]:
    """One running server for the whole test session. Use `doc2x_server`, which also points the SDK at it."""
    from doc2x_sdk.local.server import LocalServer  # noqa: PLC0415 - only where a test asks for it
    from doc2x_sdk.local.settings import ServerSettings  # noqa: PLC0415

    with LocalServer(ServerSettings(api_key=KEY, workers=1)) as server:
        yield server


@pytest.fixture
def doc2x_server(
    doc2x_server_of_session: LocalServer, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> ServerOfTest:
    """Doc2X on this machine; during the test, `Doc2X()` and the command `doc2x` use it instead of the service.

    No account's key or setting reaches the test: the environment's `DOC2X_` variables are replaced, and receipts go to
    a ledger of the test's own. `doc2x_server.stats()` tells what was asked of the server in this test.
    """
    for name in [name for name in os.environ if name.startswith("DOC2X_")]:
        monkeypatch.delenv(name)
    own = tmp_path_factory.mktemp("doc2x")
    monkeypatch.setenv("DOC2X_APIKEY", KEY)
    monkeypatch.setenv("DOC2X_BASE_URL", doc2x_server_of_session.url)
    monkeypatch.setenv("DOC2X_V1_BASE_URL", doc2x_server_of_session.url)
    monkeypatch.setenv("DOC2X_CONFIG", str(own / "config.toml"))
    monkeypatch.setenv("DOC2X_LEDGER", str(own / "ledger.sqlite"))
    return ServerOfTest(doc2x_server_of_session)
