"""What the tests of v1 share: the six functions pointed at a server, with a clock that does not sleep."""

from collections.abc import Callable
from pathlib import Path

import pytest

from doc2x_sdk import functions
from tests.support.clocks import StillClock
from tests.support.scripted import ScriptedServer
from tests.support.scripted_service import make_pdf


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> StillClock:
    """The clock of the six functions."""
    still = StillClock()
    monkeypatch.setattr(functions, "clock", still.clock)
    return still


@pytest.fixture
def point_at(monkeypatch: pytest.MonkeyPatch, clock: StillClock) -> Callable[[ScriptedServer], None]:
    """Let the six functions call a server."""

    def point(server: ScriptedServer | str) -> None:
        origin = server if isinstance(server, str) else server.origin
        monkeypatch.setenv("DOC2X_V1_BASE_URL", origin)

    return point


@pytest.fixture
def paper(tmp_path: Path) -> str:
    """A PDF of one page."""
    path = tmp_path / "paper.pdf"
    path.write_bytes(make_pdf())
    return str(path)
