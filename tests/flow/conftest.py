"""What the tests of the flow share: a document too large for a buffer, a folder, and what must never be left in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scripted_service import make_pdf


@pytest.fixture
def big_paper(tmp_path: Path) -> Path:
    """A PDF that no pair of socket buffers holds, so that it can break off in the middle."""
    path = tmp_path / "big.pdf"
    path.write_bytes(make_pdf(size=24_000_000))
    return path


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    """The folder of the results; no staging folder or partial file may be left in it."""
    folder = tmp_path / "out"
    yield folder
    left = [path for path in tmp_path.rglob("*") if path.name.startswith(".doc2x-") or path.suffix == ".download"]
    assert not left
