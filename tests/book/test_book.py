"""Books over the page limit, whole-way against the embedded server."""

import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from doc2x_sdk import pandoc
from doc2x_sdk.client import Doc2X
from doc2x_sdk.config import Settings
from doc2x_sdk.errors import ConfigError, PagesLimitExceeded
from doc2x_sdk.flow.book import cut, parts_of
from doc2x_sdk.flow.source import open_source
from doc2x_sdk.local.server import LocalServer
from doc2x_sdk.local.settings import ServerSettings
from tests.book.papers import make_book
from tests.support.scripted_service import ScriptedService, make_pdf, make_zip

NUMBER = re.compile(r"This is page number (\d+) of the book")
KEY = "local-test-key"


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(ServerSettings(api_key=KEY, max_file_pages=2000)) as running:
        yield running


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger" / "ledger.sqlite3"


def numbers(text: str) -> list[int]:
    return [int(number) for number in NUMBER.findall(text)]


def test_only_the_chosen_pages_are_paid_and_keep_their_numbers(server: LocalServer, tmp_path: Path) -> None:
    book = make_book(tmp_path / "book.pdf", 12)
    before = server.stats().pages_parsed
    with Doc2X(KEY, base_url=server.url) as client:
        document = client.convert(book, pages="2-3,11", to=["md", "json", "docx"], out=tmp_path / "out")
    assert server.stats().pages_parsed - before == 3
    assert [page.index for page in document.pages] == [1, 2, 10]
    assert numbers(document.files["md"].read_text(encoding="utf-8")) == [2, 3, 11]
    told = json.loads(document.files["json"].read_text(encoding="utf-8"))
    assert [page["page_idx"] for page in told["pages"]] == [1, 2, 10]
    assert zipfile.is_zipfile(document.files["docx"])


def test_parts_are_joined_with_all_pictures_and_into_word(server: LocalServer, tmp_path: Path) -> None:
    book = make_book(tmp_path / "book.pdf", 7, pictures=7)
    with Doc2X(KEY, base_url=server.url, max_file_pages=3) as client:
        document = client.convert(book, to=["md", "docx", "tex", "txt"], out=tmp_path / "out")
    text = document.files["md"].read_text(encoding="utf-8")
    assert numbers(text) == list(range(1, 8))
    links = re.findall(r"\((book_images/[^)]+)\)", text)
    assert len(set(links)) == 7
    assert len({(tmp_path / "out" / link).read_bytes() for link in links}) == 7
    with zipfile.ZipFile(document.files["docx"]) as word:
        assert len([name for name in word.namelist() if name.startswith("word/media/")]) == 7
    assert numbers(document.files["txt"].read_text(encoding="utf-8")) == list(range(1, 8))
    tex = document.files["tex"].read_text(encoding="utf-8")
    assert all((tmp_path / "out" / link).is_file() for link in re.findall(r"\{(book_images/[^}]+)\}", tex))
    assert len(re.findall(r"\\includegraphics", tex)) == 7
    assert any("pandoc" in warning for warning in document.warnings)


def test_a_part_holds_only_what_its_own_pages_need(tmp_path: Path) -> None:
    book = make_book(tmp_path / "book.pdf", 10, pictures=10)
    settings = Settings(max_file_pages=1)
    with open_source(book, settings) as source:
        first, *_ = parts_of(source, settings, None)
        part = cut(source, first, tmp_path / "part.pdf", settings)
    assert part.pages == 1
    assert part.size < source.size / 5


def test_without_pandoc_nothing_is_sent_for_a_format_that_only_it_could_join(
    server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = make_book(tmp_path / "book.pdf", 4)
    monkeypatch.setitem(sys.modules, "pypandoc", None)
    pandoc.pandoc_path.cache_clear()
    before = server.stats()
    with Doc2X(KEY, base_url=server.url, max_file_pages=2) as client, pytest.raises(ConfigError) as error:
        client.convert(book, to=["md", "docx"], out=tmp_path / "out")
    assert "doc2x-sdk[local]" in str(error.value)
    assert server.stats().requests == before.requests


def test_a_plain_upload_of_a_book_is_refused_before_anything_is_sent(server: LocalServer, tmp_path: Path) -> None:
    book = make_book(tmp_path / "book.pdf", 4)
    before = server.stats()
    with Doc2X(KEY, base_url=server.url, max_file_pages=3) as client, pytest.raises(PagesLimitExceeded):
        client.upload(book)
    assert server.stats().requests == before.requests


@pytest.mark.slow
def test_a_killed_run_of_2500_pages_goes_on_part_by_part(server: LocalServer, tmp_path: Path, ledger: Path) -> None:
    book = make_book(tmp_path / "book.pdf", 2500)
    before = server.stats().pages_parsed
    script = (
        "import os, sys, signal\n"
        "from doc2x_sdk import Doc2X\n"
        "def look(progress):\n"
        "    if progress.stage == 'upload' and os.path.exists(sys.argv[3]):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    if progress.stage == 'parse' and progress.done == 100:\n"
        "        open(sys.argv[3], 'w').close()\n"
        "with Doc2X(base_url=sys.argv[2]) as client:\n"
        "    client.convert(sys.argv[1], to=['md'], out=sys.argv[4], on_progress=look)\n"
    )
    environ = {**os.environ, "DOC2X_APIKEY": KEY, "DOC2X_LEDGER": str(ledger)}
    arguments = [str(book), server.url, str(tmp_path / "first-part-done"), str(tmp_path / "out")]
    killed = subprocess.run([sys.executable, "-c", script, *arguments], env=environ, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert server.stats().pages_parsed - before == 2000
    with Doc2X(KEY, base_url=server.url, ledger=str(ledger)) as client:
        document = client.convert(book, to=["md", "json"], out=tmp_path / "out")
    assert server.stats().pages_parsed - before == 2500
    assert [page.index for page in document.pages] == list(range(2500))
    assert numbers(document.files["md"].read_text(encoding="utf-8")) == list(range(1, 2501))
    told = json.loads(document.files["json"].read_text(encoding="utf-8"))
    assert [page["page_idx"] for page in told["pages"]] == list(range(2500))


def test_what_a_part_has_too_much_or_no_file_can_hold_keeps_no_page_from_being_published(tmp_path: Path) -> None:
    pdf, out = tmp_path / "book.pdf", tmp_path / "out"
    pdf.write_bytes(make_pdf(3))
    with ScriptedService(pages=3) as service:  # for each part, of two pages and of one
        for at, page in enumerate(service.pages):
            page["md"] = f"page {at} \ud800"
        service.exports["md"] = make_zip({"md.md": b"caf\xe9 \xff"})
        with service.client(max_file_pages=2) as client:
            document = client.convert(pdf, to=["md", "json", "txt"], out=out)
    assert (document.failures, [page.md for page in document.pages]) == ({}, ["page 0 ?", "page 1 ?", "page 0 ?"])
    assert (out / "book.md").read_bytes() == b"caf\xe9 \xff\n\ncaf\xe9 \xff"
    told = json.loads((out / "book.json").read_text(encoding="utf-8"))
    assert [(page["page_idx"], page["md"]) for page in told["pages"]] == [
        (0, "page 0 ?"),
        (1, "page 1 ?"),
        (2, "page 0 ?"),
    ]
    assert "page 1 ?" in (out / "book.txt").read_text(encoding="utf-8")
