"""A folder, what must never be left in it, and many papers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.scripted_service import make_pdf

Papers = Callable[..., list[Path]]


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    """The folder of the results; no staging folder may be left in it."""
    folder = tmp_path / "out"
    yield folder
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".doc2x-")]


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    """Makes that many different PDFs."""

    def make(count: int, *, pages: int = 1, folder: str = "papers") -> list[Path]:
        (tmp_path / folder).mkdir(exist_ok=True)
        paths = [tmp_path / folder / f"paper{number}.pdf" for number in range(count)]
        for number, path in enumerate(paths):
            path.write_bytes(make_pdf(pages, mark=f"{folder} {number}"))
        return paths

    return make
