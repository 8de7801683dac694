"""The check of the input: what counts its pages, and from when on a file's times tell of every change."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from doc2x_sdk.config import Settings
from doc2x_sdk.errors import FileError
from doc2x_sdk.flow import pdfium
from doc2x_sdk.flow.source import is_settled, open_source
from tests.support.scripted_service import ScriptedService, make_pdf

SECOND = 1_000_000_000
NOW = 1_800_000_000 * SECOND
FINE = 123_457  # ns below the millisecond: the file system rounds nothing


@pytest.fixture(params=[pdfium.LIBRARY, "elsewhere"], ids=["wheel", "system"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """PDFium from the file in the wheel, and as its package finds it where that file is missing."""
    monkeypatch.setattr(pdfium, "LIBRARY", request.param)
    pdfium.loaded.cache_clear()
    yield
    pdfium.loaded.cache_clear()


@pytest.mark.usefixtures("library")
def test_pages_are_counted_in_files_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "\u4e2d\u6587 \u00e9.pdf"
    path.write_bytes(make_pdf(17))
    assert pdfium.count_pages(path, "a") == pdfium.count_pages(make_pdf(17), "a") == 17


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"%PDF-1.7\nnothing", "broken"),
        (make_pdf()[:-300], "broken"),
        (make_pdf(0), "no pages"),
        (make_pdf().replace(b"<</Size", b"<</Encrypt<</Filter/Standard/V 1/R 2/O(x)/U(x)/P 0>>/Size"), "encrypted"),
    ],
    ids=["text", "cut", "empty", "locked"],
)
def test_why_pages_can_not_be_counted(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "paper.pdf"
    path.write_bytes(content)
    for given in (path, content):
        with pytest.raises(FileError, match=reason):
            pdfium.count_pages(given, "paper.pdf")


def test_counting_starts_a_library_that_its_package_can_use_after_it(tmp_path: Path) -> None:
    path = tmp_path / "paper.pdf"
    path.write_bytes(make_pdf(3))
    code = (
        "import sys, pathlib; from doc2x_sdk.flow.pdfium import count_pages; given = pathlib.Path(sys.argv[1])\n"
        "print(count_pages(given, ''), 'pypdfium2' in sys.modules); from pypdfium2 import PdfDocument\n"
        "with PdfDocument(given) as document: print(len(document), count_pages(given, ''))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert (done.stdout.split(), done.stderr) == (["3", "False", "3", "3"], "")


@pytest.mark.faults("UP-05")
@pytest.mark.skipif(os.name != "posix", reason="there is no time of status change")
@pytest.mark.parametrize(
    ("modified", "changed", "settled"),
    [
        (NOW - SECOND, NOW - SECOND // 5 + FINE, True),
        (NOW - SECOND, NOW - SECOND // 20 + FINE, False),
        (NOW - SECOND // 20, NOW - SECOND + FINE, False),
        (NOW - SECOND + FINE, NOW - SECOND, False),  # whole milliseconds: the clock may tick every two seconds
        (NOW - 3 * SECOND, NOW - 3 * SECOND, True),
        (NOW + SECOND, NOW + SECOND + FINE, False),
    ],
)
def test_a_file_is_settled_once_its_clock_must_have_ticked(modified: int, changed: int, settled: bool) -> None:
    assert is_settled((1000, modified, changed, 7), NOW) is settled


def test_what_is_several_documents_leads_to_the_call_for_many(tmp_path: Path) -> None:
    for given in (tmp_path, ["a.pdf", "b.pdf"], (tmp_path / name for name in "ab")):
        with pytest.raises(FileError, match="convert_many"), open_source(given, Settings()):  # type: ignore[arg-type]
            pytest.fail("this is no document")
    with pytest.raises(FileError) as caught, open_source(None, Settings()):  # type: ignore[arg-type]
        pytest.fail("nor is this")
    assert "convert_many" not in str(caught.value)


def test_an_empty_path_is_told_as_that_by_one_and_by_many(service: ScriptedService, tmp_path: Path) -> None:
    with service.client() as client:
        with pytest.raises(FileError, match="The path of the input is empty") as raised:
            client.convert("", to="md", out=tmp_path)
        [done] = client.convert_many([""], to="md", out=tmp_path)
    assert raised.value.fault == "missing"
    assert isinstance(done.error, FileError)
    assert service.count("preupload") == service.paid == 0
