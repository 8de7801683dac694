"""The whole way against the embedded server: real parsing, real exports, real HTTP."""

import asyncio
import json
import re
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from doc2x_sdk import Doc2X
from doc2x_sdk.errors import ConfigError
from doc2x_sdk.local.server import LocalServer
from doc2x_sdk.local.settings import ServerSettings
from doc2x_sdk.models import Document, Progress
from tests.flow.folders import tree
from tests.local.caller import make_pdf
from tests.support.wire import KEY

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "paper.pdf"
STAGES = ["check", "upload", "parse", "export", "download", "publish"]


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(ServerSettings(workers=2)) as one:
        yield one


@pytest.fixture
def client(server: LocalServer) -> Iterator[Doc2X]:
    with Doc2X(KEY, base_url=server.url) as one:
        yield one


@pytest.fixture(scope="module")
def hello() -> bytes:
    """A document of one page; the same bytes each time, so that the module pays for them once in each home."""
    return make_pdf("Hello harbour 4711\nand a second line")


def test_all_formats_of_the_example_in_one_run(client: Doc2X, out: Path) -> None:
    seen: list[Progress] = []
    to = ["md", "md_dollar", "docx", "tex", "json", "txt"]
    document = client.convert(EXAMPLE, to=to, out=out, on_progress=seen.append)
    assert list(document.files) == to
    assert (document.skipped, document.failures, document.warnings) == ((), {}, ())
    files = tree(out)
    assert {name for name in files if "/" not in name} == {
        "paper.md", "paper.dollar.md", "paper.docx", "paper.tex", "paper.json", "paper.txt"}  # fmt: skip
    md, dollars, tex = (document.files[name].read_text() for name in ("md", "md_dollar", "tex"))
    assert len(document.pages) >= 2
    assert "<table>" in md
    assert "$" in dollars
    assert "\\(" not in dollars
    pictures = [name for name in files if name.startswith("paper_images/")]
    assert pictures
    for text in (md, dollars, tex):
        assert all(name in text for name in pictures)
    with zipfile.ZipFile(document.files["docx"]) as word:
        assert "w:tbl" in word.read("word/document.xml").decode()
    told = json.loads(document.files["json"].read_text())
    assert (told["uid"], len(told["pages"])) == (document.uid, len(document.pages))
    assert document.files["txt"].read_text().count("\f") == len(document.pages) - 1
    assert_monotone(seen)
    assert repr(document).startswith("Document(source=")


def assert_monotone(seen: list[Progress]) -> None:
    """Stages come in their order for each format, and no number in them falls."""
    assert [stage for stage in STAGES if stage in {each.stage for each in seen}] == STAGES
    for stage in ("check", "upload", "parse"):
        numbers = [each.done for each in seen if each.stage == stage]
        assert numbers == sorted(numbers)
        totals = [each.total for each in seen if each.stage == stage]
        assert numbers[-1] == totals[-1]
    for to in {each.format for each in seen if each.format}:
        stages = [STAGES.index(each.stage) for each in seen if each.format == to]
        assert stages == sorted(stages)
        numbers = [each.done for each in seen if each.format == to and each.stage == "download"]
        assert numbers == sorted(numbers)
    first_uid = next(at for at, each in enumerate(seen) if each.uid)
    assert len({each.uid for each in seen[first_uid:]}) == 1


def test_a_client_that_was_closed_says_so(server: LocalServer, hello: bytes, out: Path) -> None:
    with Doc2X(KEY, base_url=server.url) as client:
        pass
    with pytest.raises(ConfigError, match="This client is closed"):
        client.convert(hello, to="md", out=out)
    with pytest.raises(ConfigError, match="This client is closed"):
        client.convert_many([EXAMPLE], to="md", out=out)


def test_existing_results_are_left_unless_overwritten(client: Doc2X, hello: bytes, out: Path) -> None:
    first = client.convert(hello, name="hello.pdf", to=["md", "txt"], out=out)
    before = {path: path.stat().st_mtime_ns for path in first.files.values()}
    again = client.convert(hello, name="hello.pdf", to=["md", "txt"], out=out)
    assert again.skipped == ("md", "txt")
    assert again.files == first.files
    assert {path: path.stat().st_mtime_ns for path in again.files.values()} == before
    first.files["md"].write_text("edited by hand")
    over = client.convert(hello, name="hello.pdf", to=["md"], out=out, overwrite=True)
    assert over.skipped == ()
    assert "Hello harbour 4711" in over.files["md"].read_text()


def test_without_a_folder_all_is_in_memory(client: Doc2X, hello: bytes, tmp_path: Path) -> None:
    document = client.convert(hello, name="hello.pdf", to=["md", "docx", "json"])
    assert set(document.contents) == {"hello.md", "hello.docx", "hello.json"}
    assert document.files == {}
    assert b"Hello harbour 4711" in document.contents["hello.md"]
    assert document.contents["hello.docx"].startswith(b"PK")
    assert "Hello harbour 4711" in document.markdown
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["path", "text", "bytes", "file", "memory"])
def test_every_kind_of_input_is_taken(form: str, client: Doc2X, hello: bytes, tmp_path: Path) -> None:
    path = tmp_path / "hello.pdf"
    path.write_bytes(hello)
    with path.open("rb") as file:
        given = {"path": path, "text": str(path), "bytes": hello, "file": file, "memory": memoryview(hello)}[form]
        document = client.convert(given, to="md")  # type: ignore[arg-type]
    name = "document.md" if form in ("bytes", "memory") else "hello.md"
    assert list(document.contents) == [name]
    assert b"4711" in document.contents[name]


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("two words.pdf", "two words"),
        ("论文 一.pdf", "论文 一"),
        ("screen\u202fshot\u3000full.pdf", "screen shot full"),
        ("line\nbreak.pdf", "line_break"),
        ("not utf-8 \udcff.pdf", "not utf-8 _"),
        ("-rf.pdf", "rf"),
        ("con.pdf", "_con"),
        ("a.b.c.pdf", "a.b.c"),
        ("100% #1 {x} & y.pdf", "100% #1 {x} & y"),
        (".hidden.pdf", ".hidden"),
        ("no suffix", "no suffix"),
    ],
)
def test_odd_names_become_names_that_every_system_takes(
    name: str, stem: str, client: Doc2X, hello: bytes, out: Path
) -> None:
    path = out.parent / name
    path.write_bytes(hello)
    document = client.convert(path, to=["md", "json"], out=out)
    assert sorted(tree(out)) == [f"{stem}.json", f"{stem}.md"]
    assert document.source.isprintable()
    assert json.loads(document.files["json"].read_text())["source"] == document.source


def test_pictures_of_odd_names_are_linked(client: Doc2X, tmp_path: Path, out: Path) -> None:
    path = tmp_path / "论文 (1).pdf"
    path.write_bytes(EXAMPLE.read_bytes())
    document = client.convert(path, to="md", out=out)
    links = re.findall(r"!\[\]\(([^)\s]+)\)", document.files["md"].read_text())
    assert links
    assert all(link.startswith("%E8%AE%BA%E6%96%87%20%281%29_images/") for link in links)


def test_the_name_template(client: Doc2X, hello: bytes, out: Path) -> None:
    document = client.convert(hello, name="x.pdf", to="md", out=out, result_name="{date} {stem} {uid}")
    today = datetime.fromtimestamp(document.files["md"].stat().st_mtime, UTC).date()
    assert list(tree(out)) == [f"{today.isoformat()} x {document.uid}.md"]


def test_a_uid_is_fetched_later(client: Doc2X, server: LocalServer, hello: bytes, out: Path) -> None:
    uid = client.upload(hello)
    before = server.stats().pages_parsed
    document = client.fetch(uid, to=["md", "docx", "json"], out=out)
    assert sorted(tree(out)) == [f"{uid}.docx", f"{uid}.json", f"{uid}.md"]
    assert (document.uid, len(document.pages)) == (uid, 1)
    assert client.fetch(uid, to="md").contents[f"{uid}.md"] == tree(out)[f"{uid}.md"]
    assert server.stats().pages_parsed - before <= 1


@pytest.mark.parametrize("direct", [False, True])
def test_the_low_level_steps(direct: bool, client: Doc2X, out: Path) -> None:
    uid = client.upload(make_pdf(f"low level {direct}"), direct=direct)
    seen: list[Progress] = []
    status = client.wait(uid, on_progress=seen.append)
    assert status.done
    assert client.status(uid).state == "success"
    assert (seen[-1].done, seen[-1].stage, seen[-1].uid) == (100, "parse", uid)
    for to, first in (("md", b"PK"), ("tex", b"PK"), ("docx", b"PK")):
        link = client.export(uid, to)
        path = client.download(link, out / f"raw.{to}")
        assert path.read_bytes().startswith(first)
    with zipfile.ZipFile(out / "raw.md") as packed:
        assert packed.namelist() == ["md.md"]


def test_the_delimiters_of_formulas(client: Doc2X) -> None:
    normal = client.convert(EXAMPLE, to="md").contents["paper.md"].decode()
    dollar = client.convert(EXAMPLE, to="md", formula="dollar").contents["paper.md"].decode()
    assert "\\(" in normal
    assert "\\(" not in dollar
    assert dollar.count("$") > normal.count("$")


def test_eight_threads_share_one_client(client: Doc2X, server: LocalServer, out: Path) -> None:
    contents = [make_pdf(f"thread number {number}") for number in range(8)]
    before = server.stats().pages_parsed

    def convert(number: int) -> Document:
        return client.convert(contents[number], name=f"t{number}.pdf", to=["md", "txt"], out=out)

    with ThreadPoolExecutor(8) as pool:
        documents = list(pool.map(convert, range(8)))
    assert len({document.uid for document in documents}) == 8
    for number, document in enumerate(documents):
        assert f"thread number {number}" in document.files["md"].read_text()
    assert server.stats().pages_parsed - before == 8
    assert len(tree(out)) == 16


def test_the_same_document_from_many_threads_is_paid_once(client: Doc2X, server: LocalServer) -> None:
    content = make_pdf("the same for all")
    before = server.stats().pages_parsed
    with ThreadPoolExecutor(4) as pool:
        documents = list(pool.map(lambda _: client.convert(content, to="md"), range(4)))
    assert len({document.uid for document in documents}) == 1
    assert server.stats().pages_parsed - before == 1


def test_it_works_inside_a_running_event_loop(client: Doc2X, hello: bytes) -> None:
    async def main() -> Document:
        return client.convert(hello, to="md")

    assert "4711" in asyncio.run(main()).markdown


def test_one_page_to_markdown_takes_two_connections_and_nine_requests() -> None:
    with LocalServer(ServerSettings(workers=1)) as server:
        with Doc2X(KEY, base_url=server.url) as client:
            client.convert(make_pdf("warm up"), to="md")  # a worker process is started for the first document
        before = server.stats()
        with Doc2X(KEY, base_url=server.url) as client:
            client.convert(make_pdf("one page"), to="md")
        after = server.stats()
    assert after.connections - before.connections <= 2
    assert sum(after.requests.values()) - sum(before.requests.values()) <= 9


def test_doc2x_local_needs_no_account(out: Path) -> None:
    with Doc2X.local(server={"workers": 1}) as client:
        document = client.convert(make_pdf("local harbour"), name="local.pdf", to="md", out=out)
    assert "local harbour" in document.files["md"].read_text()


@pytest.mark.faults("FS-09")
def test_two_inputs_of_one_name_do_not_meet_in_two_calls_either(client: Doc2X, tmp_path: Path, out: Path) -> None:
    paths = [tmp_path / folder / "x.pdf" for folder in ("a", "b")]
    for path, word in zip(paths, ("apricot", "banana"), strict=True):
        path.parent.mkdir()
        path.write_bytes(make_pdf(word))
    files = [client.convert(path, to="txt", out=out).files["txt"] for path in (*paths, *paths)]
    assert files[0] == out / "x.txt"
    assert files[1].name.startswith("x-")
    assert files[2:] == files[:2]
    assert ["apricot" in files[0].read_text(), "banana" in files[1].read_text()] == [True, True]
