"""v2 from the first byte to the last, over real HTTP on real documents."""

import io
import random
import re
import string
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from PIL import Image

from doc2x_sdk.local import exports
from doc2x_sdk.local.pages import Box, Crop, Page, image_name
from doc2x_sdk.local.server import LocalServer
from doc2x_sdk.local.settings import ServerSettings
from doc2x_sdk.local.store import Task
from tests.local.caller import Caller, HeldExecutor, make_pdf, make_table_pdf, wait_for


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def word(content: bytes) -> str:
    return members(content)["word/document.xml"].decode()


def test_random_words_of_a_table_reach_the_word_file(caller: Caller) -> None:
    words = [["".join(random.choices(string.ascii_lowercase, k=8)) for _ in range(3)] for _ in range(4)]
    uid, pages = caller.parse(make_table_pdf(words))
    assert all(f"<td>{one}</td>" in pages[0]["md"] for row in words for one in row)
    answer = caller.export(uid, "docx")
    text = word(answer.content)
    assert "<w:tbl>" in text
    assert all(one in text for row in words for one in row)


@pytest.mark.parametrize("name", ["two-pages.pdf", "invoice-tables.pdf", "paper.pdf"])
def test_samples_give_markdown_latex_and_word(name: str, caller: Caller, samples: Path) -> None:
    uid, pages = caller.parse((samples / name).read_bytes())
    assert [page["page_idx"] for page in pages] == list(range(len(pages)))
    assert all(page["page_width"] > 1000 and page["page_height"] > 1000 for page in pages)
    archive = members(caller.export(uid, "md", filename="报告 1").content)
    text = archive["报告 1.md"].decode()
    assert text.strip()
    named = set(re.findall(r"!\[\]\((images/[^)]+)\)", text))
    assert named == {path for path in archive if path.startswith("images/")}
    latex = members(caller.export(uid, "tex").content)[f"{uid}.tex"].decode()
    assert r"\begin{document}" in latex
    assert all(path in latex for path in named)
    assert word(caller.export(uid, "docx").content)


def test_crops_in_status_are_served(caller: Caller, samples: Path) -> None:
    _, pages = caller.parse((samples / "invoice-tables.pdf").read_bytes())
    url = re.findall(r'<img src="([^"]+)"/>', pages[0]["md"])[0]
    assert re.search(r"_0\.jpg\?x=\d+&y=\d+&w=536&h=300&r=0$", url)
    with Image.open(io.BytesIO(requests.get(url, timeout=30).content)) as crop:
        assert abs(crop.width - 536) <= 2
    with Image.open(io.BytesIO(requests.get(pages[0]["url"], timeout=30).content)) as page:
        assert page.size == (pages[0]["page_width"], pages[0]["page_height"])
    assert requests.get(url.replace("x=", "x=9"), timeout=30).status_code == 404
    assert requests.get(pages[0]["url"].replace("_0.jpg", "_99.jpg"), timeout=30).status_code == 404


def test_pictures_are_cut_out_when_an_export_needs_them(samples: Path, tmp_path: Path) -> None:
    with LocalServer(ServerSettings(workers=1, data=tmp_path)) as server:
        caller = Caller(server.url)
        uid, _ = caller.parse((samples / "invoice-tables.pdf").read_bytes())
        assert not list(tmp_path.rglob("*.jpg"))
        archive = members(caller.export(uid, "md").content)
        cut = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.rglob("*.jpg")}
        assert cut
        assert {f"images/{name}": content for name, (content, _) in cut.items()} == {
            name: content for name, content in archive.items() if name.startswith("images/")
        }
        caller.export(uid, "docx")
        assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.rglob("*.jpg")} == cut
        (pages,) = tmp_path.rglob("pages-*.json")
        pages.write_text(
            re.sub(r'("type": "Figure", "bbox": )\[[^]]*\]', r"\1[9000, 9000, 9001, 9001]", pages.read_text())
        )
        caller.post("/api/v2/convert/parse", json={"uid": uid, "to": "md", "formula_mode": "normal"})
        failed = caller.wait(uid, "/api/v2/convert/parse/result")["data"]
        assert failed["status"] == "failed"
        assert "outside the page" in failed["detail"]
        caller.close()


def test_an_answer_is_kept_back_for_the_end(
    serve_with: Callable[..., tuple[LocalServer, Caller]], held: HeldExecutor
) -> None:
    server, caller = serve_with(hold_seconds=60.0)
    uid = caller.upload(make_pdf("Word"))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(caller.status, uid)
        wait_for(lambda: server.stats().requests.get("GET /api/v2/parse/status"))
        assert not asked.done()
        held.gate.set()
        assert asked.result()["data"]["status"] == "success"
    caller.post("/api/v2/convert/parse", json={"uid": uid, "to": "docx", "formula_mode": "normal"})
    assert caller.data("/api/v2/convert/parse/result", uid=uid)["status"] == "success"


def test_v3_adds_score_and_layout(caller: Caller, samples: Path) -> None:
    content = (samples / "paper.pdf").read_bytes()
    _, pages = caller.parse(content, model="v3-2026")
    kinds = {block["type"] for page in pages for block in page["layout"]["blocks"]}
    assert {"Title", "Text", "Table", "Figure", "FigureGroup", "Caption"} <= kinds
    assert all(0 <= page["score"] <= 100 for page in pages)
    figure = next(block for block in pages[0]["layout"]["blocks"] if block["type"] == "Figure")
    assert requests.get(figure["src"], timeout=30).headers["content-type"] == "image/jpeg"
    _, plain = caller.parse(content)
    assert not {"score", "layout"} & set(plain[0])


def test_every_answer_has_a_trace_id_of_its_own(caller: Caller) -> None:
    slot = caller.reserve()
    answers = [
        caller.get("/api/v2/parse/status", uid="nobody"),
        caller.get("/api/v2/nothing"),
        caller.session.get(f"{caller.url}/api/v2/parse/status"),
        caller.session.put(slot["url"].split("?")[0], data=b"x"),
        caller.session.put(slot["url"], data=make_pdf("x")),
    ]
    assert [answer.status_code for answer in answers] == [200, 404, 401, 403, 200]
    assert len({answer.headers["trace-id"] for answer in answers}) == len(answers)
    assert answers[0].json()["code"] == "parse_status_not_found"
    assert answers[2].json()["code"] == "unauthorized"


def test_an_upload_url_is_signed_and_good_for_one_upload(caller: Caller) -> None:
    slot, other = caller.reserve(), caller.reserve()
    content = make_pdf("only once")
    forged = other["url"].replace(other["uid"], slot["uid"])
    assert caller.session.put(forged, data=content).status_code == 403
    assert caller.status(slot["uid"])["code"] == "parse_status_not_found"
    first = caller.session.put(slot["url"], data=content)
    assert (first.status_code, first.content) == (200, b"")
    assert caller.session.put(slot["url"], data=content).status_code == 403


def test_a_multipart_body_is_unwrapped(caller: Caller) -> None:
    slot = caller.reserve()
    parts = {"file": ("name that says nothing.txt", make_pdf("In a form"), "application/pdf")}
    assert caller.session.put(slot["url"], files=parts).status_code == 200
    assert caller.wait(slot["uid"])["data"]["result"]["pages"][0]["md"] == "In a form"


def test_a_broken_off_upload_may_be_sent_again(caller: Caller, shared_server: LocalServer) -> None:
    slot = caller.reserve()

    def breaks_off() -> Any:
        yield make_pdf("whole")[:200]
        raise ConnectionAbortedError

    with pytest.raises((requests.ConnectionError, ConnectionAbortedError)), requests.Session() as session:
        session.put(slot["url"], data=breaks_off())
    assert caller.status(slot["uid"])["code"] == "parse_status_not_found"
    assert caller.session.put(slot["url"], data=make_pdf("whole")).status_code == 200
    assert caller.wait(slot["uid"])["data"]["result"]["pages"][0]["md"] == "whole"


def test_an_upload_that_breaks_off_takes_nothing_of_the_next_one(caller: Caller, shared_server: LocalServer) -> None:
    slot, content = caller.reserve(), make_pdf("whole")
    url = urlsplit(slot["url"])
    lines = [HTTPConnection(url.hostname or "", url.port) for _ in range(2)]
    for line in lines:
        line.putrequest("PUT", f"{url.path}?{url.query}")
        line.putheader("Content-Length", str(len(content)))
        line.endheaders()
        line.send(content[:200])
        assert caller.status(slot["uid"])["code"] == "parse_status_not_found"
    lines[0].close()
    for _ in range(5):  # by then the server knows that the first is gone
        caller.status(slot["uid"])
    lines[1].send(content[200:])
    assert lines[1].getresponse().status == 200
    lines[1].close()
    assert caller.wait(slot["uid"])["data"]["result"]["pages"][0]["md"] == "whole"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"<html>", "parse_file_not_pdf"),
        (b"", "parse_file_not_pdf"),
        (make_pdf("x")[:400], "parse_pdf_invalid"),
        (make_pdf("x", password="p"), "parse_file_invalid"),
    ],
    ids=["not a PDF", "empty", "cut off", "encrypted"],
)
def test_a_bad_file_shows_up_in_status(content: bytes, code: str, caller: Caller, shared_server: LocalServer) -> None:
    before = shared_server.stats().pages_parsed
    answer = caller.wait(caller.upload(content))
    assert answer["code"] == code
    assert answer["data"]["status"] == "failed"
    assert answer["data"]["detail"].startswith(code)
    assert shared_server.stats().pages_parsed == before


def test_the_one_step_form(caller: Caller) -> None:
    uid = caller.post("/api/v2/parse/pdf", data=make_pdf("In one step")).json()["data"]["uid"]
    assert caller.wait(uid)["data"]["result"]["pages"][0]["md"] == "In one step"
    assert caller.post("/api/v2/parse/pdf", data=b"text").json()["code"] == "parse_file_not_pdf"
    encrypted = caller.post("/api/v2/parse/pdf", data=make_pdf("x", password="p")).json()
    assert encrypted["code"] == "parse_file_invalid"


def test_one_export_slot_for_each_uid(caller: Caller) -> None:
    uid, _ = caller.parse(make_pdf("Slot"))
    assert caller.get("/api/v2/convert/parse/result", uid=uid).json()["code"] == "parse_status_not_found"
    first = caller.export(uid, "md")
    assert "/convert_md_" in first.url
    second = caller.export(uid, "docx")
    assert "/convert_docx" in second.url
    assert caller.session.get(first.url).status_code == 404
    assert caller.session.get(second.url).status_code == 200
    assert caller.session.get(second.url[:-1] + "x").status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {"to": "odt"},
        {"to": "md", "formula_mode": "euro"},
        {"to": "md", "filename": "x" * 51},
        {"to": "md", "filename": "../x"},
        {"to": "md", "formula_level": 1},
        {"to": "md", "merge_cross_page_forms": "yes"},
    ],
)
def test_export_values_that_the_contract_does_not_know(body: dict[str, Any], caller: Caller) -> None:
    uid, _ = caller.parse(make_pdf("x"))
    answer = caller.post("/api/v2/convert/parse", json={"uid": uid} | body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_bodies_that_are_not_json(caller: Caller) -> None:
    for body in (b"{", b"[]", b"[" * 100_000):
        assert caller.post("/api/v2/parse/preupload", data=body).status_code == 400
    assert caller.post("/api/v2/parse/preupload").json()["code"] == "success"


# A hand-written bundle, through the server's own export.


@pytest.fixture
def task(tmp_path: Path) -> Task:
    stream = io.BytesIO()
    Image.new("RGB", (120, 60), "green").save(stream, "JPEG")
    box = Box(10, 20, 120, 60)
    table = (
        '<table><tr><td rowspan="2">A \\(x^2\\)</td><td colspan="2">B</td></tr><tr><td>1</td><td>2</td></tr></table>'
    )
    first = "# One\n\nWith \\( a_1 \\) for $5 and `\\(code\\)`.\n\n\\[ b = c \\]\n\n"
    first += f'<img src="images/{image_name(0, box)}"/>\n\n{table}'
    second = "<table><tr><td>3</td><td>4</td><td>5</td></tr></table>\n\nEnd 结束"
    one = Task("1234", "pdf", 0.0, tmp_path, model="v3-2026", state="success", pages=2)
    one.write_pages([Page(0, 1000, 1000, first), Page(1, 1000, 1000, second)])
    one.write_pictures([Crop(0, box, stream.getvalue())])
    return one


def export(task: Task, **request: Any) -> bytes:
    target = task.folder / "target.bin"
    exports.write_export(task, exports.ExportRequest(**request), target)
    return target.read_bytes()


def test_a_hand_written_bundle_survives_into_word(task: Task) -> None:
    content = export(task, to="docx")
    text = word(content)
    assert "<w:gridSpan" in text
    assert text.count("<w:vMerge") == 2
    assert text.count("<m:oMath>") == 3
    assert len([name for name in members(content) if name.startswith("word/media/")]) == 1


def test_a_hand_written_bundle_survives_into_latex(task: Task) -> None:
    archive = members(export(task, to="tex", filename="name"))
    text = archive["name.tex"].decode()
    for piece in (r"\multirow{2}", r"\multicolumn{2}", r"\(a_1\)", r"\[ b = c \]", "images/0_10_20_120_60_0.jpg"):
        assert piece.replace(" ", "") in text.replace(" ", "")
    assert "images/0_10_20_120_60_0.jpg" in archive


def test_both_delimiters(task: Task) -> None:
    normal = members(export(task, to="md"))["1234.md"].decode()
    assert r"With \( a_1 \) for $5 and `\(code\)`." in normal
    dollars = members(export(task, to="md", dollars=True))["1234.md"].decode()
    assert r"With $a_1$ for \$5 and `\(code\)`." in dollars
    assert "$$ b = c $$" in dollars


def test_formula_levels_flatten(task: Task) -> None:
    inline = members(export(task, to="md", level=1))["1234.md"].decode()
    assert r"a_1" not in inline.replace("a₁", "")
    assert r"\[ b = c \]" in inline
    both = members(export(task, to="md", level=2))["1234.md"].decode()
    assert r"\[" not in both
    assert r"`\(code\)`" in both


def test_tables_over_a_page_break_are_joined_when_asked(task: Task) -> None:
    apart = exports.document_markdown(task.read_pages())
    assert apart.count("<table>") == 2
    joined = exports.document_markdown(task.read_pages(), merge_tables=True)
    assert joined.count("<table>") == 1
    assert "<tr><td>1</td><td>2</td></tr><tr><td>3</td><td>4</td><td>5</td></tr></table>\n\nEnd" in joined
