"""v1 over real HTTP: tokens, counter, forms, states, export, translation."""

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from PIL import Image

from doc2x_sdk.local import ocr
from doc2x_sdk.local.server import LocalServer
from tests.local.caller import Caller, HeldExecutor, make_pdf, wait_for
from tests.local.test_limits import Time

Serve = Callable[..., tuple[LocalServer, Caller]]


class Upper:
    """A translator that shouts."""

    def translate(self, texts: Sequence[str], language: str, model: str) -> Sequence[str]:
        return [f"{text.upper()} ({language}, {model})" for text in texts]


class Broken:
    """A translator without a network."""

    def translate(self, texts: Sequence[str], language: str, model: str) -> Sequence[str]:
        raise OSError("no network")


def upload(caller: Caller, content: bytes, prefix: str = "v1", kind: str = "pdf", **fields: str) -> Any:
    name = "a.pdf" if kind == "pdf" else "a.png"
    return caller.post(f"/api/{prefix}/async/{kind}", data=fields, files={"file": (name, content)})


def wait(caller: Caller, uuid: str, prefix: str = "v1", **more: str) -> dict[str, Any]:
    return caller.wait("", f"/api/{prefix}/async/status", uuid=uuid, **more)["data"]


def as_png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def test_a_document_from_upload_to_files(caller: Caller) -> None:
    before = caller.data("/api/v1/limit")["remain"]
    uuid = upload(caller, make_pdf("First", "Second"), ocr="1", parse_to="1").json()["data"]["uuid"]
    state = wait(caller, uuid)
    assert state["status"] == "success"
    assert [(page["page_idx"], page["md"]) for page in state["result"]["pages"]] == [(0, "First"), (1, "Second")]
    assert all(page["page_width"] and page["page_height"] for page in state["result"]["pages"])
    assert caller.data("/api/v1/limit")["remain"] <= before - 2
    for to, member in (("md", ".md"), ("md_dollar", ".md"), ("latex", ".tex"), ("docx", "word/document.xml")):
        answer = caller.get("/api/export", request_id=uuid, to=to)
        assert answer.status_code == 200
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert any(name.endswith(member) for name in archive.namelist())
    assert caller.get("/api/export", request_id=uuid, to="tex").status_code == 400
    assert caller.get("/api/export", request_id="nobody", to="md").json()["code"] == "parse_status_not_found"


def test_both_generations_share_their_tasks(caller: Caller) -> None:
    uuid = upload(caller, make_pdf("Shared")).json()["data"]["uuid"]
    assert caller.wait(uuid)["data"]["result"]["pages"][0]["md"] == "Shared"


@pytest.mark.parametrize("value", ["1", "0", "true", "false"])
def test_spellings_of_a_switch(value: str, caller: Caller) -> None:
    assert upload(caller, make_pdf("x"), ocr=value).json()["code"] == "success"


def test_fields_may_follow_the_file(caller: Caller) -> None:
    body = [("file", ("a.pdf", make_pdf("x"))), ("ocr", (None, "1")), ("parse_to", (None, "2"))]
    answer = caller.post("/api/v1/async/pdf", files=body)
    state = wait(caller, answer.json()["data"]["uuid"], parse_to="2")
    assert state["status"] == "failed"
    assert "no translator" in state["detail"]


@pytest.mark.parametrize(
    ("fields", "content", "text"),
    [
        ({"ocr": "maybe"}, make_pdf("x"), "ocr is 1 or 0"),
        ({}, b"text", "parse_file_not_pdf"),
        ({}, b"", "parse_file_not_pdf"),
    ],
)
def test_a_bad_upload_is_http_400_with_a_text(
    fields: dict[str, str], content: bytes, text: str, caller: Caller
) -> None:
    answer = upload(caller, content, **fields)
    assert answer.status_code == 400
    assert text in answer.text


def test_a_broken_document_ends_failed(caller: Caller) -> None:
    state = wait(caller, upload(caller, make_pdf("x")[:400]).json()["data"]["uuid"])
    assert (state["status"], state["detail"].split(":")[0]) == ("failed", "parse_pdf_invalid")


@pytest.mark.skipif(not ocr.is_installed(), reason="the extra local-ocr is not installed")
@pytest.mark.parametrize("field", ["equation", "option"])
def test_a_picture(field: str, caller: Caller, drawn_text: Image.Image) -> None:
    answer = upload(caller, as_png(drawn_text), kind="img", **{field: "1", "img_correction": "1"})
    state = wait(caller, answer.json()["data"]["uuid"])
    (page,) = state["result"]["pages"]
    assert "4711" in page["md"]
    assert "page_idx" not in page


def test_a_personal_key_is_exchanged_and_its_tokens_are_over_after_a_while(
    serve_with: Serve, held: HeldExecutor
) -> None:
    held.gate.set()
    time = Time()
    server, personal = serve_with(api_key="personal", key="personal", token_seconds=60.0, tools={"clock": time.clock()})
    assert personal.get("/api/platform/limit").status_code == 401
    tokens = personal.post("/api/token/refresh").json()["data"]
    access = Caller(server.url, tokens["token"])
    uuid = upload(access, make_pdf("x"), prefix="platform").json()["data"]["uuid"]
    assert wait(access, uuid, prefix="platform")["status"] == "success"
    assert access.get("/api/export", request_id=uuid, to="md").status_code == 200
    assert access.post("/api/token/refresh").status_code == 401
    assert access.get("/api/v2/parse/status", uid=uuid).status_code == 401
    time.seconds += 62
    assert access.get("/api/platform/limit").status_code == 401
    renewed = Caller(server.url, tokens["refresh_token"])
    assert renewed.post("/api/token/refresh").json()["data"]["token"].startswith("access.")
    stranger = Caller(server.url, "stranger")
    assert stranger.post("/api/token/refresh").status_code == 401
    for one in (access, renewed, stranger):
        one.close()


def test_ready_then_processing_then_used_up(serve_with: Serve, held: HeldExecutor) -> None:
    server, caller = serve_with(page_limit=1, pages_quota=2)
    first = upload(caller, make_pdf("1")).json()["data"]["uuid"]
    assert caller.data("/api/v1/async/status", uuid=first)["status"] == "processing"
    second = upload(caller, make_pdf("2")).json()["data"]["uuid"]
    assert caller.data("/api/v1/async/status", uuid=second)["status"] == "ready"
    held.gate.set()
    assert wait(caller, first)["status"] == wait(caller, second)["status"] == "success"
    third = upload(caller, make_pdf("3")).json()["data"]["uuid"]
    assert wait(caller, third)["status"] == "pages limit exceeded"
    assert server.stats().pages_parsed == 2


def test_too_many_tasks(serve_with: Serve) -> None:
    server, caller = serve_with(task_limit=1)
    assert upload(caller, make_pdf("1")).json()["code"] == "success"
    wait_for(lambda: server.stats().parses == 1)
    refused = upload(caller, make_pdf("2"))
    assert (refused.status_code, refused.json()["code"]) == (200, "parse_task_limit_exceeded")


def test_a_translation_by_the_translator_that_was_handed_in(serve_with: Serve, held: HeldExecutor) -> None:
    held.gate.set()
    _, caller = serve_with(tools={"translator": Upper()})
    answer = upload(caller, make_pdf("a harbour"), parse_to="2", lang="de", model="deepseek")
    state = wait(caller, answer.json()["data"]["uuid"], parse_to="2")
    assert state["status"] == "translate_success"
    (row,) = json.loads(state["result"])
    assert (row["raw"], row["translated"]) == ("a harbour", "A HARBOUR (de, deepseek)")
    assert {"page_idx", "page_width", "page_height", "x", "y"} < set(row)


def test_a_translator_that_fails(serve_with: Serve, held: HeldExecutor) -> None:
    held.gate.set()
    _, caller = serve_with(tools={"translator": Broken()})
    state = wait(caller, upload(caller, make_pdf("x"), parse_to="2").json()["data"]["uuid"])
    assert (state["status"], state["detail"]) == ("failed", "parse_error: the translator failed: no network")


def test_the_streaming_form(caller: Caller) -> None:
    answer = caller.post("/api/v1/pdf", data={"ocr": "true"}, files={"file": ("a.pdf", make_pdf("streamed"))})
    lines = [line for line in answer.text.splitlines() if line.strip()]
    assert all(line.startswith("data: {") for line in lines)
    last = json.loads(lines[-1].removeprefix("data: "))
    assert (last["status"], last["data"]["pages"][0]["md"]) == ("success", "streamed")
    assert last["uuid"]
