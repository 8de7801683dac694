"""The six functions: their table, word for word, and what they do with real files on the embedded server."""

import inspect
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from doc2x_sdk import errors, functions
from doc2x_sdk.functions import get_limit, refresh_key, upload_img, upload_pdf, uuid2file, uuid_status
from doc2x_sdk.local.server import LocalServer
from doc2x_sdk.local.settings import ServerSettings
from doc2x_sdk.service import translations
from tests.support.scripted_service import make_pdf
from tests.support.v1 import EXAMPLES, PAPER, PICTURE, Shout, until_done

NONE = inspect.Parameter.empty
FORMATS = Literal["md", "md_dollar", "latex", "docx"]
TABLE: dict[str, tuple[list[tuple[str, Any, Any]], Any]] = {
    "refresh_key": ([("key", str, NONE)], str),
    "upload_pdf": (
        [
            ("apikey", str, NONE),
            ("pdffile", str, NONE),
            ("ocr", bool, True),
            ("translate", bool, False),
            ("language", str, "zh"),
            ("model", str, "deepseek"),
        ],
        str,
    ),
    "upload_img": (
        [("apikey", str, NONE), ("imgfile", str, NONE), ("formula", bool, False), ("img_correction", bool, False)],
        str,
    ),
    "uuid_status": (
        [("apikey", str, NONE), ("uuid", str, NONE), ("convert", bool, False), ("translate", bool, False)],
        tuple[int, str, list[str]],
    ),
    "uuid2file": (
        [
            ("apikey", str, NONE),
            ("uuid", str, NONE),
            ("output_format", FORMATS, NONE),
            ("output_path", str, "./Output"),
        ],
        str,
    ),
    "get_limit": ([("apikey", str, NONE)], int),
}
KEY = "sk-functions"


@pytest.mark.parametrize("name", TABLE)
def test_signatures_are_those_of_the_table(name: str) -> None:
    signature = inspect.signature(getattr(functions, name), eval_str=True)
    found = [(each.name, each.annotation, each.default) for each in signature.parameters.values()]
    kinds = {each.kind for each in signature.parameters.values()}
    assert (found, signature.return_annotation) == TABLE[name]
    assert kinds == {inspect.Parameter.POSITIONAL_OR_KEYWORD}


@pytest.mark.parametrize("name", TABLE)
def test_the_second_line_of_each_docstring_is_in_chinese(name: str) -> None:
    first, second = inspect.cleandoc(getattr(functions, name).__doc__).splitlines()[:2]
    assert first.isascii()
    assert re.match(r"[\u4e00-\u9fff]", second)


def test_a_star_import_gives_the_six() -> None:
    space: dict[str, Any] = {}
    exec("from doc2x_sdk.functions import *", space)
    assert {name for name in space if not name.startswith("__")} == set(TABLE)


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(ServerSettings(workers=1), translator=Shout()) as one:
        yield one


@pytest.fixture(scope="module")
def strict_server() -> Iterator[LocalServer]:
    """It knows one personal key, and has pages for one page."""
    with LocalServer(ServerSettings(workers=1, api_key="personal", pages_quota=1)) as one:
        yield one


@pytest.fixture(autouse=True)
def pointed(monkeypatch: pytest.MonkeyPatch, server: LocalServer) -> None:
    monkeypatch.setenv("DOC2X_V1_BASE_URL", server.url)


def requests_of(server: LocalServer) -> int:
    return sum(server.stats().requests.values())


def test_a_pdf_from_key_to_files(server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = refresh_key("personal")
    assert isinstance(token, str)
    assert token != "personal"
    left = get_limit(token)
    assert type(left) is int

    uuid = upload_pdf(token, str(PAPER))
    assert isinstance(uuid, str)
    seen = until_done(lambda: uuid_status(token, uuid))
    progress, word, texts = seen[-1]
    assert (progress, word, len(texts)) == (100, "Success", 2)
    assert {one[1] for one in seen[:-1]} <= {"Waiting for processing", "Processing file"}
    assert all(type(one[0]) is int and 0 <= one[0] <= 100 and one[2] == [] for one in seen[:-1])
    assert left - get_limit(token) == 2

    assert "\\(" in "".join(texts)
    converted = "".join(uuid_status(token, uuid, convert=True)[2])
    assert "\\(" not in converted
    assert "$" in converted

    monkeypatch.chdir(tmp_path)
    for to, member in (("md", ".md"), ("md_dollar", ".md"), ("latex", ".tex"), ("docx", "word/document.xml")):
        path = uuid2file(token, uuid, to)  # type: ignore[arg-type]
        assert path == str(Path("Output") / f"{uuid}.{'docx' if to == 'docx' else 'zip'}")
        with zipfile.ZipFile(path) as archive:
            assert any(name.endswith(member) for name in archive.namelist())
    assert sorted(path.name for path in Path("Output").iterdir()) == [f"{uuid}.docx", f"{uuid}.zip"]


def test_a_picture(server: LocalServer, tmp_path: Path) -> None:
    uuid = upload_img(KEY, str(PICTURE), img_correction=True, formula=True)
    progress, word, texts = until_done(lambda: uuid_status(KEY, uuid))[-1]
    assert (progress, word, len(texts)) == (100, "Success", 1)
    assert texts[0].strip()
    assert zipfile.is_zipfile(uuid2file(KEY, uuid, "md", str(tmp_path / "new" / "folder")))


def test_a_translation_has_the_translated_texts_and_warns_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translations, "_warned", False)
    with pytest.warns(UserWarning, match="may stop working") as caught:
        uuid = upload_pdf(KEY, str(PAPER), translate=True, language="en", model="other")
    upload_pdf(KEY, str(PAPER), translate=True)  # warnings are errors here: there is no second one
    assert [one.filename for one in caught] == [__file__]
    seen = until_done(lambda: uuid_status(KEY, uuid, translate=True))
    progress, word, texts = seen[-1]
    assert (progress, word) == (100, "Translate success")
    assert len(texts) > 5
    assert all(text.endswith(" [en other]") and text == text[:-11].upper() + text[-11:] for text in texts)


def test_without_a_translation_no_original_passes_for_one() -> None:
    uuid = upload_pdf(KEY, str(PAPER))
    assert until_done(lambda: uuid_status(KEY, uuid))[-1][2]
    assert until_done(lambda: uuid_status(KEY, uuid, translate=True))[-1][1:] == ("Success", [])


def test_an_access_key_comes_back_without_a_request(server: LocalServer) -> None:
    before = requests_of(server)
    assert refresh_key(KEY) == KEY
    assert requests_of(server) == before


@pytest.mark.parametrize("key", ["wrong", "", "with space", None, "Bearer x"])
def test_a_key_that_cannot_be_verified(key: str, strict_server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOC2X_V1_BASE_URL", strict_server.url)
    with pytest.raises(errors.AuthError):
        refresh_key(key)


@pytest.mark.parametrize("key", ["sk-wrong", "wrong", ""])
def test_a_limit_needs_a_valid_key(key: str, strict_server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOC2X_V1_BASE_URL", strict_server.url)
    with pytest.raises(RuntimeError):
        get_limit(key)


def test_no_pages_left(strict_server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOC2X_V1_BASE_URL", strict_server.url)
    token = refresh_key("personal")
    assert get_limit(token) == 1
    uuid = upload_pdf(token, str(PAPER))
    with pytest.raises(RuntimeError, match="pages limit exceeded") as caught:
        until_done(lambda: uuid_status(token, uuid))
    assert isinstance(caught.value, errors.QuotaExceeded)
    assert get_limit(token) == 1


def sparse(path: Path, begin: bytes, size: int) -> str:
    with path.open("wb") as out:
        out.write(begin)
        out.truncate(size)
    return str(path)


MEGABYTE = 1024 * 1024
JPEG = b"\xff\xd8\xff\xe0"
BAD_FILES: dict[str, Callable[[Path], object]] = {
    "pdf over 100 MB": lambda to: upload_pdf(KEY, sparse(to / "a.pdf", b"%PDF-1.7\n", 100 * MEGABYTE + 1)),
    "picture over 10 MB": lambda to: upload_img(KEY, sparse(to / "a.jpg", JPEG, 10 * MEGABYTE + 1)),
    "no pdf": lambda to: upload_pdf(KEY, str(to / "nothing.pdf")),
    "no picture": lambda to: upload_img(KEY, str(to / "nothing.png")),
    "a folder": lambda to: upload_pdf(KEY, str(to)),
    "an empty file": lambda to: upload_img(KEY, sparse(to / "a.png", b"", 0)),
    "a broken pdf": lambda to: upload_pdf(KEY, sparse(to / "a.pdf", b"%PDF-1.7\nxx", 500)),
    "a picture as pdf": lambda to: upload_pdf(KEY, str(PICTURE)),
    "a pdf as picture": lambda to: upload_img(KEY, str(PAPER)),
    "no path": lambda to: upload_pdf(KEY, b"%PDF-1.7"),  # type: ignore[arg-type]
}
BAD_PARAMETERS: dict[str, Callable[[], object]] = {
    "ocr": lambda: upload_pdf(KEY, str(PAPER), ocr="yes"),  # type: ignore[arg-type]
    "language": lambda: upload_pdf(KEY, str(PAPER), translate=True, language=""),
    "model": lambda: upload_pdf(KEY, str(PAPER), translate=True, model="a\r\nb"),
    "formula": lambda: upload_img(KEY, str(PICTURE), formula=None),  # type: ignore[arg-type]
    "uuid": lambda: uuid_status(KEY, "../x"),
    "uuid of a file": lambda: uuid2file(KEY, "a/b", "md"),
    "output_format": lambda: uuid2file(KEY, "u1", "tex"),  # type: ignore[arg-type]
    "apikey": lambda: get_limit("key with spaces"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_cannot_be_sent_is_told_without_a_request(name: str, server: LocalServer, tmp_path: Path) -> None:
    before = requests_of(server)
    with pytest.raises(errors.FileError):
        BAD_FILES[name](tmp_path)
    assert requests_of(server) == before


@pytest.mark.parametrize("name", BAD_PARAMETERS)
def test_parameters_are_checked_before_any_request(name: str, server: LocalServer) -> None:
    before = requests_of(server)
    with pytest.raises(errors.ConfigError):
        BAD_PARAMETERS[name]()
    assert requests_of(server) == before


def test_the_largest_pdf_is_taken(server: LocalServer, tmp_path: Path) -> None:
    path = tmp_path / "large.pdf"
    path.write_bytes(make_pdf(size=100 * MEGABYTE - 1000))
    assert path.stat().st_size <= 100 * MEGABYTE
    uuid = upload_pdf(KEY, str(path))
    assert until_done(lambda: uuid_status(KEY, uuid))[-1][1] == "Success"


@pytest.mark.parametrize("inside", [False, True], ids=["a file", "below a file"])
def test_an_output_path_that_is_no_folder(inside: bool, server: LocalServer, tmp_path: Path) -> None:
    path = tmp_path / "taken"
    path.write_text("mine")
    before = requests_of(server)
    with pytest.raises(errors.OutputError):
        uuid2file(KEY, "u1", "md", str(path / "x" if inside else path))
    assert (requests_of(server), path.read_text()) == (before, "mine")


def test_a_result_that_cannot_be_fetched_leaves_the_older_file(tmp_path: Path) -> None:
    older = tmp_path / "nobody.zip"
    older.write_text("older")
    with pytest.raises(errors.Doc2XError):
        uuid2file(KEY, "nobody", "md", str(tmp_path))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"nobody.zip": "older"}


@pytest.mark.parametrize("file", [PAPER, PICTURE], ids=["pdf", "picture"])
def test_the_example_does_the_flow_in_15_lines(file: Path, server: LocalServer, tmp_path: Path) -> None:
    script = EXAMPLES / "six_functions.py"
    text = script.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 15
    assert all(text.count(name) == 2 for name in TABLE), "each is imported and used"
    environ = os.environ | {"DOC2X_APIKEY": "personal", "DOC2X_V1_BASE_URL": server.url, "PYTHONWARNINGS": "error"}
    command = [sys.executable, str(script), str(file)]
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"[12] pages are in Output/[0-9a-f-]+\.zip; \d+ pages are left", done.stdout)
    (result,) = (tmp_path / "Output").iterdir()
    assert zipfile.is_zipfile(result)
