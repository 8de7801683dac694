"""Faults of v1, by the six functions: what is sent again, what never is, and what must not be saved."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from doc2x_sdk import errors
from doc2x_sdk.functions import get_limit, refresh_key, upload_img, upload_pdf, uuid2file, uuid_status
from tests.support.clocks import StillClock
from tests.support.scripted import Conversation, Request, ScriptedServer, Step, close, envelope, raw, reply, reset
from tests.support.scripted_service import make_pdf, make_zip, word_file
from tests.support.v1 import PICTURE, pages, state, taken
from tests.support.wire import KEY

Point = Callable[[ScriptedServer], None]
UUID = "u-1"
ARCHIVE = make_zip({"a.md": "# text"})


@pytest.fixture
def calls(paper: str, tmp_path: Path) -> dict[str, Callable[[], object]]:
    """Each function with good parameters."""
    return {
        "refresh_key": lambda: refresh_key("personal"),
        "get_limit": lambda: get_limit(KEY),
        "upload_pdf": lambda: upload_pdf(KEY, paper),
        "upload_img": lambda: upload_img(KEY, str(PICTURE)),
        "uuid_status": lambda: uuid_status(KEY, UUID),
        "uuid2file": lambda: uuid2file(KEY, UUID, "md", str(tmp_path / "out")),
    }


NAMES = ["refresh_key", "get_limit", "upload_pdf", "upload_img", "uuid_status", "uuid2file"]
GOOD = {
    "refresh_key": (reply(json=envelope({"token": "t-1", "refresh_token": "r-1"}, "ok")), "t-1"),
    "get_limit": (reply(json=envelope({"remain": 41})), 41),
    "uuid_status": (state("success", result=pages("one", "two")), (100, "Success", ["one", "two"])),
}
UPLOADS = ["upload_pdf", "upload_img"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("limit", ["429", "code"])
def test_a_rate_limit_is_raised_and_nothing_is_sent_again(
    name: str, limit: str, calls: dict[str, Any], point_at: Point, clock: StillClock
) -> None:
    step = (
        reply(429, b"slow down", headers=[("Retry-After", "7")])
        if limit == "429"
        else reply(json=envelope(code="parse_task_limit_exceeded"))
    )
    with ScriptedServer(step) as server:
        point_at(server)
        with pytest.raises(errors.RateLimit) as caught:
            calls[name]()
    assert (len(server.requests), clock.sleeps) == (1, [])
    assert caught.value.retry_after == (7 if limit == "429" else None)


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_request_is_told_in_the_words_of_the_service(name: str, calls: dict[str, Any], point_at: Point) -> None:
    with ScriptedServer(reply(400, b"the moon is full")) as server:
        point_at(server)
        with pytest.raises(errors.Doc2XError, match="the moon is full") as caught:
            calls[name]()
    assert (len(server.requests), caught.value.status) == (1, 400)


def test_a_code_in_the_text_of_a_bad_request_counts(calls: dict[str, Any], point_at: Point) -> None:
    with ScriptedServer(reply(400, b"parse_file_too_large: more than 100 MB")) as server:
        point_at(server)
        with pytest.raises(errors.FileError, match="more than 100 MB") as caught:
            calls["upload_pdf"]()
    assert (caught.value.code, caught.value.status) == ("parse_file_too_large", 400)


@pytest.mark.parametrize("name", NAMES)
def test_a_refused_key_is_an_auth_error_at_once(name: str, calls: dict[str, Any], point_at: Point) -> None:
    with ScriptedServer(reply(401, json=envelope(code="unauthorized"))) as server:
        point_at(server)
        with pytest.raises(errors.AuthError) as caught:
            calls[name]()
    assert len(server.requests) == 1
    assert KEY not in repr(caught.value) + str(caught.value)


@pytest.mark.parametrize("key", ["t-1", "sk-own", "personal"])
def test_a_token_that_has_ended_is_told_as_such_and_a_large_upload_with_it_is_no_doubt(
    key: str, tmp_path: Path, point_at: Point
) -> None:
    """It is refused while the body is under way, and who refused goes on reading."""
    large = tmp_path / "large.pdf"
    large.write_bytes(make_pdf(size=24_000_000))

    def refuse(conversation: Conversation, request: Request) -> None:
        reply(401, json=envelope(code="unauthorized")).action(conversation, request)
        conversation.stall()

    with ScriptedServer(Step(refuse, at=0)) as server:
        point_at(server)
        with pytest.raises(errors.AuthError) as caught:
            refresh_key(key) if key == "personal" else upload_pdf(key, str(large))
    assert len(server.requests) == 1
    assert ("`refresh_key` gives a new one" in str(caught.value)) is (key == "t-1")
    assert "personal" not in str(caught.value)


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize(
    "fault", [reply(503), reply(500, b"oops"), reset(), close()], ids=["503", "500", "reset", "close"]
)
def test_what_may_pass_is_tried_twice_more(
    name: str, fault: Step, calls: dict[str, Any], point_at: Point, clock: StillClock
) -> None:
    good, expected = GOOD[name]
    with ScriptedServer(fault, fault, good) as server:
        point_at(server)
        assert calls[name]() == expected
    assert (len(server.requests), clock.sleeps) == (3, [0.5, 1.0])


@pytest.mark.parametrize("name", [*GOOD, "uuid2file"])
@pytest.mark.parametrize("fault", [reply(503, b"maintenance"), reset()], ids=["503", "reset"])
def test_after_two_more_tries_it_is_given_up(
    name: str, fault: Step, calls: dict[str, Any], point_at: Point, clock: StillClock
) -> None:
    with ScriptedServer(fault) as server:
        point_at(server)
        with pytest.raises(errors.NetworkError):
            calls[name]()
    assert (len(server.requests), len(clock.sleeps)) == (3, 2)


@pytest.mark.parametrize(
    "step",
    [reply(400, b"bad key"), reply(json=envelope(code="no_such_user")), reply(403)],
    ids=["400", "code", "403"],
)
def test_a_key_that_is_refused_in_other_words_cannot_be_verified(step: Step, point_at: Point) -> None:
    with ScriptedServer(step) as server:
        point_at(server)
        with pytest.raises(errors.AuthError):
            refresh_key("personal")


@pytest.mark.parametrize("token", [None, 7, "", "with space", "ünicode"])
def test_a_token_that_cannot_be_one(token: object, point_at: Point) -> None:
    with ScriptedServer(reply(json=envelope({"token": token}))) as server:
        point_at(server)
        with pytest.raises(errors.ProtocolError):
            refresh_key("personal")


def test_what_goes_over_the_wire(paper: str, point_at: Point) -> None:
    with ScriptedServer(GOOD["refresh_key"][0], GOOD["get_limit"][0], state("ready"), taken()) as server:
        point_at(server)
        get_limit(refresh_key("personal"))
        uuid_status("t-1", UUID, translate=True)
        upload_pdf(KEY, paper)
    refresh, limit, asked, upload = server.requests
    assert (refresh.method, refresh.target, refresh.body) == ("POST", "/api/token/refresh", b"")
    assert refresh.headers["authorization"] == "Bearer personal"
    assert (limit.method, limit.target, limit.headers["authorization"]) == ("GET", "/api/platform/limit", "Bearer t-1")
    assert asked.target == f"/api/platform/async/status?uuid={UUID}&parse_to=2"
    assert (upload.method, upload.target) == ("POST", "/api/v1/async/pdf")
    assert upload.headers["authorization"] == f"Bearer {KEY}"
    assert upload.headers["content-length"] == str(len(upload.body))
    assert "transfer-encoding" not in upload.headers


@pytest.mark.faults("TR-10")
@pytest.mark.parametrize("name", UPLOADS)
@pytest.mark.parametrize(
    "lost",
    [
        close(),
        reset(),
        reset(at=10),
        reply(body=b'{"code": "success", "data"', length=500, then="close"),
        reply(body=b"<html>ok</html>"),
        reply(502, b"bad gateway"),
        reply(503, json=envelope(code="maintenance"), headers=[("Retry-After", "1")]),
        reply(json=envelope({})),
        taken("../x"),
        reply(json=envelope(code="internal_error")),
        raw(b"SSH-2.0-x\r\n", then="close"),
    ],
    ids=["close", "reset", "mid-body", "short", "html", "502", "503", "no uuid", "bad uuid", "internal", "nonsense"],
)
def test_an_upload_whose_answer_is_lost_is_sent_once(
    name: str, lost: Step, calls: dict[str, Any], point_at: Point, clock: StillClock
) -> None:
    with ScriptedServer(lost, taken()) as server:
        point_at(server)
        with pytest.raises(errors.OutcomeUnknown):
            calls[name]()
    assert (len(server.requests), clock.sleeps) == (1, [])


@pytest.mark.faults("TR-11")
@pytest.mark.parametrize("name", UPLOADS)
def test_an_upload_that_found_no_connection_goes_out_again(
    name: str, calls: dict[str, Any], point_at: Any, clock: StillClock
) -> None:
    with ScriptedServer(taken()) as server:
        gone = server.origin
    point_at(gone)
    with pytest.raises(errors.NetworkError) as caught:
        calls[name]()
    assert (caught.value.sent, clock.sleeps) == ("nothing", [0.5, 1.0])


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (state("ready"), (0, "Waiting for processing", [])),
        (state("processing", progress=41), (41, "Processing file", [])),
        (state("processing", progress=250), (100, "Processing file", [])),
        (state("translate_processing", progress=7), (7, "Translating file", [])),
        (state("success", result={"pages": [{"md": "no number"}]}), (100, "Success", ["no number"])),
        (state("success", result=pages("a", "b")), (100, "Success", ["a", "b"])),
        (
            state("translate_success", result='[{"raw": "a", "translated": "b", "page_idx": 0, "x": 1, "y": 2.5}]'),
            (100, "Translate success", ["b"]),
        ),
    ],
    ids=["ready", "processing", "over 100", "translating", "picture", "success", "translated"],
)
def test_status_words(word: Step, expected: object, point_at: Point) -> None:
    with ScriptedServer(word) as server:
        point_at(server)
        assert uuid_status(KEY, UUID) == expected


def test_dollars_stay_out_of_code(point_at: Point) -> None:
    text = "\\( x \\) and `\\( code \\)`\n\n\\[ y \\]\n\n```\n\\[ fence \\]\n```\n"
    with ScriptedServer(state("success", result=pages(text))) as server:
        point_at(server)
        assert uuid_status(KEY, UUID)[2] == [text]
        (converted,) = uuid_status(KEY, UUID, convert=True)[2]
    assert converted == "$x$ and `\\( code \\)`\n\n$$ y $$\n\n```\n\\[ fence \\]\n```\n"


@pytest.mark.parametrize(
    ("word", "kind", "told"),
    [
        (state("pages limit exceeded"), errors.QuotaExceeded, "pages limit exceeded"),
        (state("dreaming"), errors.UnknownStatus, "dreaming"),
        (state("failed", detail="parse_pdf_invalid: torn"), errors.FileError, "torn"),
        (state("failed"), errors.TaskFailed, "could not parse"),
        (state(""), errors.ProtocolError, "no status"),
        (state("success", result={"pages": []}), errors.IncompleteResult, "no pages"),
        (state("translate_success", result="{broken"), errors.ProtocolError, "list of blocks"),
        (reply(json=envelope(code="parse_status_not_found")), errors.TaskFailed, "24 hours"),
    ],
    ids=["quota", "unknown", "failed with code", "failed", "none", "no pages", "no blocks", "not found"],
)
def test_a_status_that_is_an_error(word: Step, kind: type[errors.Doc2XError], told: str, point_at: Point) -> None:
    with ScriptedServer(word) as server:
        point_at(server)
        with pytest.raises(RuntimeError, match=told) as caught:
            uuid_status(KEY, UUID)
    assert type(caught.value) is kind
    assert (caught.value.uid, len(server.requests)) == (UUID, 1)


JSON_ERROR = envelope(code="parse_error", msg="it broke")
NO_RESULT: dict[str, tuple[Step, type[errors.Doc2XError], str]] = {
    "json 200": (reply(json=JSON_ERROR), errors.TaskFailed, "it broke"),
    "json 404": (reply(404, json=JSON_ERROR), errors.TaskFailed, "it broke"),
    "json as file": (
        reply(body=b'{"code": "parse_quota_limit", "msg": "x"}', headers=[("Content-Type", "application/zip")]),
        errors.QuotaExceeded,
        "No pages",
    ),
    "json of success": (reply(json=envelope({})), errors.ArchiveError, "no archive"),
    "html": (reply(body=b"<html>sign in</html>"), errors.ArchiveError, "sign in"),
    "xml": (reply(body=b"<Error>NoSuchKey</Error>"), errors.ArchiveError, "NoSuchKey"),
    "empty": (reply(), errors.ArchiveError, "no archive"),
    "one byte": (reply(body=b"P"), errors.ArchiveError, "no archive"),
    "400": (reply(400, b"not ready"), errors.Doc2XError, "not ready"),
    "redirect": (reply(302, headers=[("Location", "http://127.0.0.1:9/x")]), errors.ProtocolError, "not followed"),
    "truncated": (reply(body=ARCHIVE, cut=60, then="close"), errors.NetworkError, "broke off"),
    "no end": (reply(body=ARCHIVE[:60]), errors.TruncatedDownload, "no end"),
    "encoded": (reply(body=ARCHIVE, headers=[("Content-Encoding", "gzip")]), errors.DownloadError, "encoded"),
    "flipped": (
        reply(body=ARCHIVE.replace(ARCHIVE[34:36], bytes(255 - one for one in ARCHIVE[34:36]), 1)),
        errors.ArchiveError,
        "broken",
    ),
}


@pytest.mark.faults("DL-08", "DL-09")
@pytest.mark.parametrize("name", NO_RESULT)
def test_what_is_no_result_is_never_saved_under_its_name(name: str, tmp_path: Path, point_at: Point) -> None:
    step, kind, told = NO_RESULT[name]
    (tmp_path / f"{UUID}.zip").write_bytes(b"older")
    with ScriptedServer(step) as server:
        point_at(server)
        with pytest.raises(kind, match=told):
            uuid2file(KEY, UUID, "md", str(tmp_path))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {f"{UUID}.zip": b"older"}
    assert all(request.target == f"/api/export?request_id={UUID}&to=md" for request in server.requests)


def test_a_zip_is_no_word_file(tmp_path: Path, point_at: Point) -> None:
    with ScriptedServer(reply(body=ARCHIVE)) as server:
        point_at(server)
        with pytest.raises(errors.ArchiveError, match="no Word file"):
            uuid2file(KEY, UUID, "docx", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.faults("DL-01")
def test_a_download_that_breaks_off_is_fetched_again_whole(tmp_path: Path, point_at: Point, clock: StillClock) -> None:
    body = word_file()
    with ScriptedServer(reply(body=body, cut=40, then="reset"), reply(503), reply(body=body)) as server:
        point_at(server)
        (tmp_path / f"{UUID}.docx").write_bytes(b"older")
        path = uuid2file(KEY, UUID, "docx", str(tmp_path))
    assert Path(path).read_bytes() == body
    assert [one.name for one in tmp_path.iterdir()] == [f"{UUID}.docx"]
    assert (len(server.requests), len(clock.sleeps)) == (3, 2)


def test_the_fields_of_a_translation_are_sent_only_with_one(
    paper: str, point_at: Point, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("doc2x_sdk.service.translations._warned", True)
    with ScriptedServer(taken()) as server:
        point_at(server)
        upload_pdf(KEY, paper, ocr=False, language="fr", model="m")
        upload_pdf(KEY, paper, translate=True, language="fr", model="m")
        upload_img(KEY, str(PICTURE), formula=True)
    plain, translated, picture = (fields_of(body) for body in server.bodies)
    assert plain == ["ocr=0", "parse_to=1", "file"]
    assert translated == ["ocr=1", "parse_to=2", "lang=fr", "model=m", "file"]
    assert picture == ["equation=1", "img_correction=0", "file"]


def fields_of(body: bytes) -> list[str]:
    """The parts of a form in their order: text fields with their values."""
    boundary = body.partition(b"\r\n")[0]
    found = []
    for part in body.split(boundary)[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        name = head.split(b'name="')[1].partition(b'"')[0].decode()
        found.append(name if name == "file" else f"{name}={value.decode().rstrip()}")
    return found
