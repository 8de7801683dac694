"""A server for all tests of the command that look at nothing but their own documents."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from doc2x_sdk.local.server import LocalServer
from doc2x_sdk.local.settings import ServerSettings


@pytest.fixture(scope="session")
def service() -> Iterator[LocalServer]:
    with LocalServer(ServerSettings(workers=1)) as server:
        yield server


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command's receipts are for the time of a test."""
    path = tmp_path / "state" / "ledger.sqlite3"
    monkeypatch.setenv("DOC2X_LEDGER", str(path))
    return path
