"""A ledger in a folder of its own, and keys for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from doc2x_sdk.ledger.ledger import Ledger
from tests.support.clocks import StillClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path, clock: StillClock) -> Iterator[Ledger]:
    one = Ledger(path, clock=clock.clock)
    yield one
    one.close()
