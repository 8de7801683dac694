"""Pictures: through the asynchronous image call, or as a one-page PDF where the service exports no pictures."""

import base64
import contextlib
import io
import logging
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image

from doc2x_sdk.errors import (
    ConfigError,
    FileError,
    IncompleteResult,
    InputChanged,
    Locked,
    OutcomeUnknown,
    ProtocolError,
    TaskFailed,
    UnsafeArchive,
)
from doc2x_sdk.models import Progress
from tests.flow.folders import tree
from tests.support.clocks import StillClock
from tests.support.scripted import Conversation, Request, Step, close, reply
from tests.support.scripted_service import PICTURE, Done, ScriptedService, failed, make_pdf, make_zip, told

UID = "0192d745-5776-7261-abbd-000000000001"


def draw(kind: str, mode: str = "RGB") -> bytes:
    """A picture of 300 x 150 pixels, its left half red; with transparency its right half is clear."""
    picture = Image.new(mode, (300, 150), (255, 255, 255, 0)[: len(mode)])
    picture.paste((255, 0, 0, 255)[: len(mode)], (0, 0, 150, 150))
    stream = io.BytesIO()
    picture.save(stream, kind)
    return stream.getvalue()


JPG, PNG, CLEAR = draw("JPEG"), draw("PNG"), draw("PNG", "RGBA")


@pytest.mark.parametrize("content", [JPG, PNG], ids=["jpg", "png"])
def test_a_picture_goes_through_the_image_call(content: bytes, service: ScriptedService, out: Path) -> None:
    with service.client() as client:
        document = client.convert(content, name="sign.jpeg", to=["md", "md_dollar", "json", "txt"], out=out)
    assert tree(out) | {"sign.json": b""} == {
        "sign.md": b"# Sign\n\n![](sign_images/0_1.jpg)\n\n\\( y \\)\n",
        "sign.dollar.md": b"# Sign\n\n![](sign_images/0_1.jpg)\n\n$y$\n",
        "sign_images/0_1.jpg": PICTURE,
        "sign.txt": b"# Sign\n",
        "sign.json": b"",
    }
    assert (document.uid, [page.md for page in document.pages], document.failures) == (UID, ["# Sign"], {})
    assert (service.count("image"), service.count("preupload"), service.count("export")) == (1, 0, 0)
    assert service.of("image")[0].headers["content-type"] == "application/octet-stream"
    assert service.stored == [(UID, content)]


@pytest.mark.parametrize("content", [JPG, PNG, CLEAR], ids=["jpg", "png", "clear png"])
@pytest.mark.parametrize("to", [["docx"], ["tex", "md"], ["json", "docx"]])
def test_a_picture_that_must_become_docx_or_tex_is_sent_as_a_pdf(
    to: list[str], content: bytes, service: ScriptedService, out: Path
) -> None:
    with service.client() as client:
        document = client.convert(content, name="sign.png", to=to, out=out)
    assert (service.count("image"), service.count("preupload"), service.paid) == (0, 1, 1)
    assert set(document.files) == set(to)
    assert all(path.stem == "sign" for path in document.files.values())
    sent = pypdfium2.PdfDocument(service.stored[0][1])
    try:
        assert len(sent) == 1
        page = sent[0]
        assert page.get_size() == pytest.approx((144, 72))
        seen = page.render(scale=1).to_pil().convert("RGB")
        left, right = seen.getpixel((30, 36)), seen.getpixel((110, 36))
    finally:
        sent.close()
    assert left[0] > 240
    assert max(left[1:]) < 15
    assert min(right) > 240


def test_a_picture_as_a_pdf_is_paid_once_for_all_later_formats(
    service: ScriptedService, tmp_path: Path, out: Path
) -> None:
    path = tmp_path / "sign.png"
    path.write_bytes(PNG)
    with service.client() as client:
        client.convert(path, to="docx", out=out)
        client.convert(path, to=["docx", "tex"], out=out)
    assert service.paid == 1
    assert sorted(tree(out)) == ["sign.docx", "sign.tex", "sign_images/0_1.jpg"]


@pytest.mark.parametrize("start", [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"], ids=["jpg", "png"])
def test_a_picture_that_can_not_be_decoded_is_told_before_it_is_sent(start: bytes, service: ScriptedService) -> None:
    with service.client() as client, pytest.raises(FileError) as caught:
        client.convert(start + b"not a picture" * 20, name="sign.png", to="docx")
    told(caught.value, "sign.png", "decoded")
    assert service.server.connections == 0


@pytest.mark.parametrize("size", [(20_000, 20_000)])
def test_a_picture_that_is_a_bomb_is_told_before_it_is_sent(size: tuple[int, int], service: ScriptedService) -> None:
    stream = io.BytesIO()
    Image.new("1", size).save(stream, "PNG")
    with service.client() as client, pytest.raises(FileError) as caught:
        client.convert(stream.getvalue(), name="bomb.png", to="docx")
    told(caught.value, "bomb.png")
    assert service.server.connections == 0


def test_a_picture_without_an_archive_gives_its_markdown(service: ScriptedService, out: Path) -> None:
    service.convert_zip = None
    with service.client() as client:
        client.convert(JPG, name="sign.jpg", to="md", out=out)
    assert tree(out) == {"sign.md": b"# Sign"}


def test_the_archive_of_a_picture_may_be_written_in_lines(
    service: ScriptedService, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = service._picture
    lines = base64.encodebytes(service.convert_zip or b"").decode()
    monkeypatch.setattr(service, "_picture", lambda: plain() | {"convert_zip": lines})
    with service.client() as client:
        client.convert(PICTURE, name="sign.jpg", to="md", out=out)
    assert tree(out)["sign_images/0_1.jpg"] == PICTURE


def test_the_archive_of_a_picture_is_not_trusted(service: ScriptedService, out: Path) -> None:
    service.convert_zip = make_zip({"picture.md": "x", "../evil.md": "y"})
    with service.client() as client, pytest.raises(UnsafeArchive) as caught:
        client.convert(JPG, name="sign.jpg", to="md", out=out)
    told(caught.value, "sign.jpg", UID)
    assert tree(out) == {}


@pytest.mark.parametrize("step", [Done(close()), Done(reply(502)), Done(reply(200, b"<html>"))])
def test_a_picture_whose_answer_is_lost_is_never_sent_again(step: Done, service: ScriptedService) -> None:
    service.always("image", step)
    with service.client() as client:
        for _ in range(2):  # the ledger remembers
            with pytest.raises(OutcomeUnknown) as caught:
                client.convert(JPG, name="sign.jpg", to="md")
            told(caught.value, "sign.jpg", "page count")
    assert (service.count("image"), service.paid) == (1, 1)


def test_a_callbacks_error_leaves_a_picture_unpaid_and_not_unknown(service: ScriptedService) -> None:
    def fail(progress: Progress) -> None:
        if progress.stage == "upload":
            raise ConnectionResetError("the caller's own")

    with service.client() as client:
        with pytest.raises(ConnectionResetError, match="the caller's own"):
            client.convert(JPG, name="sign.jpg", to="md", on_progress=fail)
        assert [row.state for row in client.jobs()] == ["planned"]
        client.convert(JPG, name="sign.jpg", to="md")
    assert service.count("image") <= 2
    assert service.paid == 1


def test_a_picture_that_is_gone_when_it_should_be_sent_is_unpaid_and_not_unknown(
    service: ScriptedService, tmp_path: Path
) -> None:
    picture = tmp_path / "sign.jpg"
    picture.write_bytes(JPG)
    with service.client() as client:
        with pytest.raises(InputChanged, match="gone since it was checked"):
            client.convert(picture, to="md", on_progress=lambda _: picture.unlink(missing_ok=True))
        assert [row.state for row in client.jobs()] == ["planned"]
        picture.write_bytes(JPG)
        assert client.convert(picture, to="md").markdown == "# Sign"
    assert service.count("image") == 1


def test_a_full_service_is_asked_again_for_a_picture(service: ScriptedService, clock: StillClock) -> None:
    service.on("image", failed("parse_task_limit_exceeded"), failed("parse_concurrency_limit"))
    with service.client(clock) as client:
        client.convert(JPG, name="sign.jpg", to="md")
    assert (service.count("image"), service.paid) == (3, 1)
    assert clock.sleeps[:2] == pytest.approx([0.84, 0.924])


@pytest.mark.faults("AP-08")
def test_a_picture_without_a_page_is_incomplete(service: ScriptedService) -> None:
    service.on("image_status", reply(json={"code": "success", "data": {"status": "success", "result": {"pages": []}}}))
    with service.client() as client, pytest.raises(IncompleteResult) as caught:
        client.convert(JPG, name="sign.jpg", to="md")
    told(caught.value, "sign.jpg", UID)


def test_an_archive_that_is_no_base64_is_a_protocol_error(service: ScriptedService) -> None:
    data = {"status": "success", "result": {"pages": [{"md": "x"}]}, "convert_zip": "%%%"}
    service.always("image_status", reply(json={"code": "success", "data": data}))
    with service.client(patience=5) as client, pytest.raises(ProtocolError) as caught:
        client.convert(JPG, name="sign.jpg", to="md")
    told(caught.value, "sign.jpg", UID, "base64")
    assert service.paid == 1


@pytest.mark.faults("UP-05")
@pytest.mark.parametrize("call", ["convert", "parse_image"])
def test_a_picture_that_changes_while_it_is_sent_is_told_with_its_uid(
    call: str, service: ScriptedService, tmp_path: Path
) -> None:
    path = tmp_path / "sign.jpg"
    path.write_bytes(JPG)

    def act(conversation: Conversation, request: Request) -> None:
        path.write_bytes(JPG + b"more")
        getattr(service, f"_{route}")(request).action(conversation, request)

    route = "image" if call == "convert" else "layout"
    service.on(route, Step(act))
    calls: dict[str, Callable[[], object]] = {}
    with service.client() as client:
        calls["convert"] = lambda: client.convert(path, to="md")
        calls["parse_image"] = lambda: client.parse_image(path)
        with pytest.raises(FileError, match="changed") as caught:
            calls[call]()
    told(caught.value, "sign.jpg", UID)


def test_the_one_call_for_pictures_answers_with_the_result(service: ScriptedService) -> None:
    with service.client() as client:
        result = client.parse_image(JPG, name="sign.jpg")
        assert (result.uid, result.pages[0].md, result.convert_zip) == (UID, "# Sign", service.convert_zip)
        with pytest.raises(FileError, match="not a picture"):
            client.parse_image(make_pdf())
    assert service.count("layout") == 1


@pytest.mark.faults("JR-04")
@pytest.mark.parametrize("step", [Done(close()), Done(reply(502)), Done(reply(200, b"<html>")), failed("parse_error")])
def test_a_lost_answer_to_the_one_call_is_never_followed_by_a_second_send(step: Done, service: ScriptedService) -> None:
    service.on("layout", step)
    with service.client() as client:
        for call in (client.parse_image, client.parse_image, client.upload):  # the ledger remembers, whatever is called
            with pytest.raises(OutcomeUnknown) as caught:
                call(JPG, name="sign.jpg")
            told(caught.value, "sign.jpg" if call == client.parse_image else "", "page count")
        (row,) = client.jobs()
        assert (row.state, row.uid, service.count("layout"), service.count("image")) == ("unknown", None, 1, 0)
        before = service.paid
        result = client.parse_image(JPG, retry_unknown=True)
        assert (service.count("layout"), service.paid) == (2, before + 1)
        assert client.parse_image(JPG).uid == result.uid


def test_a_picture_that_was_paid_for_is_asked_for_by_its_uid(service: ScriptedService, clock: StillClock) -> None:
    with service.client(clock) as client:
        first = client.parse_image(JPG, name="sign.jpg")
        again = client.parse_image(JPG, name="copy.jpg")
        assert (again.uid, again.pages, again.convert_zip) == (first.uid, first.pages, first.convert_zip)
        assert client.convert(JPG, name="sign.jpg", to="md").uid == first.uid
        assert client.convert(PNG, name="other.png", to="md").uid == client.parse_image(PNG).uid
        assert (service.count("layout"), service.count("image"), service.paid) == (1, 1, 2)
        assert client.parse_image(JPG, force=True).uid != first.uid
        (row,) = client.jobs(uid=first.uid)
        assert (row.state, row.history) == ("parsed", (first.uid,))


@pytest.mark.faults("JR-04")
def test_a_crash_before_the_answer_is_written_down_leaves_the_picture_unknown(service: ScriptedService) -> None:
    states = []

    def act(conversation: Conversation, request: Request) -> None:
        states.extend(row.state for row in client.jobs())
        service._layout(request).action(conversation, request)

    service.on("layout", Step(act))
    with service.client() as client:
        client.parse_image(JPG)
    assert states == ["unknown"]


@pytest.mark.faults("JR-04", "JR-08")
@pytest.mark.parametrize("way", ["direct", "image", "layout", "layout without a result"])
def test_a_uid_that_the_ledger_does_not_take_is_in_the_error_and_in_the_log(
    way: str,
    service: ScriptedService,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("doc2x_sdk.ledger.files.BUSY_SECONDS", 0.2)
    ledger, route = tmp_path / "ledger", way.partition(" ")[0]
    with contextlib.closing(sqlite3.connect(ledger, isolation_level=None, check_same_thread=False)) as other:

        def act(conversation: Conversation, request: Request) -> None:
            other.execute("BEGIN IMMEDIATE")
            answer = getattr(service, f"_{route}")(request)
            if way == "layout without a result":
                answer = reply(json={"code": "success", "data": {"uid": UID}})
            answer.action(conversation, request)

        service.on(route, Step(act))
        with service.client(ledger=str(ledger)) as client:
            calls: dict[str, Callable[[], object]] = {
                "direct": lambda: client.upload(make_pdf(), name="sign", direct=True),
                "image": lambda: client.convert(JPG, name="sign"),
                "layout": lambda: client.parse_image(JPG, name="sign"),
            }
            with caplog.at_level(logging.WARNING, "doc2x_sdk"), pytest.raises(Locked) as caught:
                calls[route]()
            other.execute("ROLLBACK")
            assert [row.state for row in client.jobs()] == ["unknown"]
    assert caught.value.uid == UID
    told(caught.value, "sign", str(ledger), "24 hours", "fetch" if way == "direct" else "picture=True")
    assert f"uid {UID}" in caplog.text


@pytest.mark.parametrize(
    "spoilt", [{"result": {"pages": []}}, {"result": {"pages": [{"md": "x"}]}, "convert_zip": "%"}]
)
def test_an_answer_with_a_uid_and_no_result_is_paid_and_asked_for(
    spoilt: dict[str, object], service: ScriptedService
) -> None:
    uid = service.parsed(JPG)
    service.on("layout", reply(json={"code": "success", "data": {"uid": uid, **spoilt}}))
    with service.client() as client:
        with pytest.raises((IncompleteResult, ProtocolError)) as caught:
            client.parse_image(JPG, name="sign.jpg")
        told(caught.value, "sign.jpg", uid)
        assert client.parse_image(JPG).uid == uid
    assert service.count("layout") == 1


def test_what_the_one_call_refuses_costs_nothing_and_may_be_sent_again(
    service: ScriptedService, clock: StillClock
) -> None:
    service.on("layout", failed("parse_task_limit_exceeded"), failed("parse_file_not_image"), failed("parse_timeout"))
    with service.client(clock) as client:
        for error, state in ((FileError, "planned"), (TaskFailed, "failed")):
            with pytest.raises(error):
                client.parse_image(JPG)
            assert [row.state for row in client.jobs()] == [state]
        client.parse_image(JPG, retry_failed=True)
    assert (service.count("layout"), service.paid) == (4, 1)


def test_without_the_extra_a_png_names_it(service: ScriptedService, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with service.client() as client, pytest.raises(ConfigError) as caught:
        client.convert(PNG, name="sign.png", to="docx", out=out)
    assert re.search(r"pip install 'doc2x-sdk\[\w+\]'", str(caught.value))
    assert (service.server.connections, tree(out)) == (0, {})


@pytest.mark.parametrize("pages", ["2", "1-2", "5-", "x"])
@pytest.mark.parametrize("to", ["md", "docx"])
def test_pages_that_a_picture_lacks_are_told_before_anything_is_sent(
    pages: str, to: str, service: ScriptedService, tmp_path: Path, out: Path
) -> None:
    path = tmp_path / "sign.png"
    path.write_bytes(PNG)
    out.mkdir()
    (out / f"sign.{to}").write_bytes(b"somebody's")
    with service.client() as client:
        for folder in (None, out):
            with pytest.raises(ConfigError, match=rf"sign\.png: .*{pages}"):
                client.convert(path, to=to, out=folder, pages=pages)
            (quoted,) = client.quote([path], to=to, out=folder, pages=pages)
            assert (quoted.verdict, quoted.to_pay, type(quoted.error)) == ("unusable", 0, ConfigError)
    assert service.server.connections == 0


def test_the_one_page_of_a_picture_may_be_named(service: ScriptedService, out: Path) -> None:
    with service.client() as client:
        client.convert(JPG, name="sign.jpg", to="md", out=out, pages="1")
        assert client.convert(JPG, name="sign.jpg", to="md", out=out, pages="1-").skipped == ("md",)
        assert client.convert(JPG, name="sign.jpg", to="md", out=out).skipped == ("md",)
    assert service.paid == 1
