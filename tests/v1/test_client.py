"""The front door of v1: whole documents on the embedded server, tokens that end, and what is paid at most once."""

import io
import logging
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from doc2x_sdk import Doc2X, errors
from doc2x_sdk.clock import Clock
from doc2x_sdk.local.server import LocalServer
from doc2x_sdk.local.settings import ServerSettings
from doc2x_sdk.models import ExportLink, ParseOptions, SignedURL
from doc2x_sdk.service import translations
from tests.support.clocks import StillClock
from tests.support.scripted import ScriptedServer, Step, close, envelope, reply
from tests.support.scripted_service import make_pdf, make_zip
from tests.support.v1 import PAPER, PICTURE, Shout, WallClock, client_of, pages, state, taken
from tests.support.wire import KEY

MEGABYTE = 1024 * 1024
REFRESH = "POST /api/token/refresh"
UPLOAD = "POST /api/platform/async/pdf"
TOKEN = reply(json=envelope({"token": "t-1", "refresh_token": "r-1"}, "ok"))
LEFT = reply(json=envelope({"remain": 41}))


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(ServerSettings(workers=1), translator=Shout()) as one:
        yield one


@pytest.fixture
def client(server: LocalServer) -> Iterator[Doc2X]:
    with client_of(server.url, apikey="personal", real_clock=Clock()) as one:
        yield one


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No warning about translations."""
    monkeypatch.setattr(translations, "_warned", True)


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    path = tmp_path / "paper.pdf"
    path.write_bytes(make_pdf())
    return path


@pytest.mark.parametrize("key", ["personal", KEY], ids=["personal", "sk"])
def test_a_document_in_all_formats(key: str, server: LocalServer, tmp_path: Path) -> None:
    with client_of(server.url, apikey=key, real_clock=Clock()) as client:
        left = client.quota()
        document = client.convert(PAPER, to=["md", "md_dollar", "tex", "docx", "json", "txt"], out=tmp_path)
        assert client.quota() == left - 2
        assert client.convert(PAPER, to="md", out=tmp_path / "again").uid == document.uid
        assert client.quota() == left - 2
    assert [page.index for page in document.pages] == [0, 1]
    assert set(document.files) == {"md", "md_dollar", "tex", "docx", "json", "txt"}
    assert "\\(" in document.files["md"].read_text(encoding="utf-8")
    assert "\\(" not in document.files["md_dollar"].read_text(encoding="utf-8")
    assert "\\begin" in document.files["tex"].read_text(encoding="utf-8")
    assert zipfile.is_zipfile(document.files["docx"])
    assert document.warnings == ()


def test_a_picture_is_exported_as_it_is(client: Doc2X, server: LocalServer) -> None:
    before = server.stats().requests.get("POST /api/platform/async/img", 0)
    document = client.convert(PICTURE, to=["md", "docx"])
    assert document.contents["figure.md"].decode().strip()
    with zipfile.ZipFile(io.BytesIO(document.contents["figure.docx"])) as archive:
        assert "word/document.xml" in archive.namelist()
    assert server.stats().requests["POST /api/platform/async/img"] == before + 1


def test_the_steps_one_by_one(client: Doc2X, tmp_path: Path) -> None:
    uid = client.upload(PAPER, parse=ParseOptions(ocr=False))
    assert client.wait(uid).pages[1].md
    assert client.status(uid).state == "success"
    link = client.export(uid, "tex")
    path = client.download(link, tmp_path / "x.zip")
    with zipfile.ZipFile(path) as archive:
        assert any(name.endswith(".tex") for name in archive.namelist())
    assert client.fetch(uid, to="md").contents


def test_a_translation(server: LocalServer, client: Doc2X, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translations, "_warned", False)
    with pytest.warns(UserWarning, match="may stop working") as caught:
        translation = client.translate(PAPER, "fr", "gpt")
    assert [one.filename for one in caught] == [__file__]
    parsed = client.convert(PAPER)
    assert len(translation.blocks) > 5
    assert {block.page for block in translation.blocks} == {0, 1}
    for block in translation.blocks:
        assert block.translated == f"{block.raw.upper()} [fr gpt]"
        page = parsed.pages[block.page]
        assert (block.page_width, block.page_height) == (page.width, page.height)
        assert block.x is not None
        assert block.y is not None
        assert 0 <= block.x <= (page.width or 0)
        assert 0 <= block.y <= (page.height or 0)
    assert repr(translation) == (
        f"Translation(source={str(PAPER)!r}, uid={translation.uid!r}, blocks={len(translation.blocks)})"
    )
    assert translation.text.startswith(translation.blocks[0].translated)
    assert client.translation(translation.uid).blocks == translation.blocks
    paid = server.stats().pages_parsed
    assert client.translate(PAPER, "fr", "gpt").uid == translation.uid  # paid once
    assert server.stats().pages_parsed == paid


def test_the_receipts_of_the_generations_are_kept_apart(server: LocalServer) -> None:
    content = make_pdf(mark="kept apart")
    with Doc2X(KEY, base_url=server.url) as two, client_of(server.url, real_clock=Clock()) as one:
        uids = [client.convert(content).uid for client in (two, one, two, one)]
    assert uids[0] != uids[1]
    assert uids[:2] == uids[2:]


def test_local_speaks_v1(quiet: None) -> None:
    with Doc2X.local(api="v1", server={"workers": 1}) as client:
        assert client.quota() == 1_000_000
        assert client.convert(make_pdf(2), name="two.pdf").uid
        assert client.quota() == 999_998
        with pytest.raises(errors.TaskFailed, match="no translator"):
            client.translate(PAPER)


def test_v2_says_what_only_v1_has() -> None:
    with Doc2X(KEY, base_url="http://127.0.0.1:9") as client:
        for call in (
            client.quota,
            lambda: client.translate(PAPER),
            lambda: client.translation("u1"),
            lambda: client.convert(PAPER, parse=ParseOptions(ocr=False)),
        ):
            with pytest.raises(errors.ConfigError, match=r"api='v1'"):
                call()


def test_v1_says_what_only_v2_has(server: LocalServer, client: Doc2X) -> None:
    before = sum(server.stats().requests.values())
    for call in (
        lambda: client.convert(PAPER, model="v3-2026"),
        lambda: client.convert(PAPER, merge_tables=True),
        lambda: client.convert(PAPER, to="md", formula_level=1),
        lambda: client.convert(PAPER, to="tex", formula="dollar"),
        lambda: client.upload(PAPER, model="v2"),
        lambda: client.export("u1", "md", formula_level=2),
    ):
        with pytest.raises(errors.ConfigError, match=r"v2"):
            call()
    with pytest.raises(errors.ConfigError, match="Use `convert`"):
        client.parse_image(PICTURE)
    with pytest.raises(errors.ConfigError, match="Use `translate`"):
        client.convert(PAPER, parse=ParseOptions(language="zh"))
    assert sum(server.stats().requests.values()) == before


def test_there_is_no_third_generation() -> None:
    with pytest.raises(errors.ConfigError, match="api='v1' or api='v2'"):
        Doc2X(KEY, api="v3")  # type: ignore[arg-type]


def test_the_limits_of_size_are_those_of_v1(tmp_path: Path) -> None:
    with client_of("http://127.0.0.1:9") as client, (tmp_path / "large.pdf").open("wb") as out:
        out.write(b"%PDF-1.7\n")
        out.truncate(100 * MEGABYTE + 1)
        assert client.settings.max_image_bytes == 10 * MEGABYTE
        with pytest.raises(errors.FileError, match=r"104\.9 MB"):
            client.upload(tmp_path / "large.pdf")


# tokens


def test_a_token_that_ends_in_mid_run_is_renewed_once(tmp_path: Path) -> None:
    time = WallClock()
    settings = ServerSettings(workers=1, api_key="personal", token_seconds=100)
    with (
        LocalServer(settings, clock=time.clock) as server,
        client_of(server.url, apikey="personal", real_clock=Clock()) as client,
    ):
        uid = client.upload(make_pdf(), name="a.pdf")
        client.wait(uid)
        assert server.stats().requests[REFRESH] == 1
        time.ahead += 200
        client.wait(uid)
        assert server.stats().requests[REFRESH] == 2
        time.ahead += 200
        client.download(client.export(uid, "md"), tmp_path / "a.zip")
        assert server.stats().requests[REFRESH] == 3
        time.ahead += 200
        barrier = threading.Barrier(6)

        def ask(_: int) -> str:
            barrier.wait()
            return client.status(uid).state

        with ThreadPoolExecutor(6) as pool:
            assert set(pool.map(ask, range(6))) == {"success"}
        assert server.stats().requests[REFRESH] == 4
    assert zipfile.is_zipfile(tmp_path / "a.zip")


def test_a_token_that_has_ended_is_noticed_before_a_large_upload(tmp_path: Path) -> None:
    time = WallClock()
    settings = ServerSettings(workers=1, api_key="personal", token_seconds=100)
    still = StillClock()
    with (
        LocalServer(settings, clock=time.clock) as server,
        client_of(server.url, still, apikey="personal") as client,
    ):
        client.upload(make_pdf(mark="first"), name="first.pdf")
        time.ahead += 200
        still.advance(200)
        assert client.upload(make_pdf(size=30 * MEGABYTE), name="second.pdf")
        assert server.stats().requests[UPLOAD] == 2
        assert server.stats().requests[REFRESH] == 2


def test_a_token_that_ends_in_a_small_upload_is_renewed_and_the_upload_repeated(paper: Path) -> None:
    token = reply(json=envelope({"token": "t-1"}))
    refused = reply(401, json=envelope(code="unauthorized"))
    with (
        ScriptedServer(token, reply(json=envelope({"remain": 9})), refused, token, taken("u-1")) as server,
        client_of(server, apikey="personal") as client,
    ):
        assert client.upload(paper) == "u-1"
    assert [request.target for request in server.requests] == [
        "/api/token/refresh",
        "/api/platform/limit",
        "/api/platform/async/pdf",
        "/api/token/refresh",
        "/api/platform/async/pdf",
    ]
    first, second = server.bodies[2], server.bodies[4]
    assert first == second


def test_a_token_that_is_refused_again_ends_it() -> None:
    token = reply(json=envelope({"token": "t-1"}))
    refused = reply(401, json=envelope(code="unauthorized"))
    with (
        ScriptedServer(token, refused, token, refused) as server,
        client_of(server, apikey="personal") as client,
        pytest.raises(errors.AuthError),
    ):
        client.quota()
    assert len(server.requests) == 4


def test_a_refused_access_key_is_not_exchanged() -> None:
    with (
        ScriptedServer(reply(401)) as server,
        client_of(server) as client,
        pytest.raises(errors.AuthError),
    ):
        client.quota()
    assert [request.target for request in server.requests] == ["/api/v1/limit"]


@pytest.mark.faults("SE-01", "SE-04")
def test_a_token_is_on_the_wire_and_nowhere_else(
    tmp_path: Path, paper: Path, caplog: pytest.LogCaptureFixture, isolated_environment: Path
) -> None:
    canary = "canaryTOKEN5d1e8f0a"
    caplog.set_level(logging.DEBUG)
    token = reply(json=envelope({"token": canary, "refresh_token": canary}))
    echo = reply(400, f"no such thing for {canary}".encode())
    with (
        ScriptedServer(token, reply(json=envelope({"remain": 9})), taken("u-1"), echo) as server,
        client_of(server, apikey="personal") as client,
    ):
        client.upload(paper)
        with pytest.raises(errors.Doc2XError, match="no such thing") as caught:
            client.status("u-1")
        shown = repr(client) + repr(vars(client)) + repr(caught.value) + str(caught.value) + caplog.text
    assert server.said(canary)
    assert canary not in shown
    for file in [*tmp_path.rglob("*"), *isolated_environment.rglob("*")]:
        assert not file.is_file() or canary.encode() not in file.read_bytes()


@pytest.mark.faults("DL-11", "SE-05")
@pytest.mark.parametrize(
    "url",
    ["{other}/api/export?request_id=u1&to=md", "{origin}.evil.test/api/export?x=1", "{origin}/api/other?x=1",
     "{origin}@127.0.0.1/api/export?x=1"],
)  # fmt: skip
def test_the_key_goes_to_no_other_link(url: str, tmp_path: Path) -> None:
    with ScriptedServer(reply()) as server, ScriptedServer(reply()) as other, client_of(server) as client:
        link = ExportLink("u1", "md", url=SignedURL(url.format(origin=server.origin, other=other.origin)))
        with pytest.raises(errors.UnsafeURL):
            client.download(link, tmp_path / "x.zip")
    assert server.requests == other.requests == []
    assert list(tmp_path.iterdir()) == []


# paid at most once


@pytest.mark.faults("TR-10", "JR-04")
def test_a_lost_answer_is_unknown_and_stays_so_until_the_user_decides(paper: Path) -> None:
    done = state("success", result=pages("text"))
    with ScriptedServer(close(), taken("u-1"), done) as server, client_of(server) as client:
        for _ in range(3):
            with pytest.raises(errors.OutcomeUnknown):
                client.convert(paper)
        assert len(server.requests) == 1
        assert client.convert(paper, retry_unknown=True).uid == "u-1"
        assert client.convert(paper).uid == "u-1"
    assert [request.target for request in server.requests if request.method == "POST"] == ["/api/v1/async/pdf"] * 2


@pytest.mark.parametrize(
    "steps",
    [
        [reply(200, b"<html>maintenance</html>")],
        [TOKEN, reply(200, b"<html>maintenance</html>")],
        [TOKEN, LEFT, reply(401), reply(500), reply(500), reply(500)],
        [TOKEN, LEFT, reply(401), reply(200, b"<html>maintenance</html>")],
    ],
    ids=["exchange", "quota", "exchange after a refusal", "page after a refusal"],
)
def test_what_fails_before_an_upload_leaves_no_doubt_about_it(steps: list[Step], paper: Path) -> None:
    with ScriptedServer(*steps, TOKEN, LEFT, taken(), state("success", result=pages("one"))) as server:
        with client_of(server, apikey="personal") as client:
            with pytest.raises((errors.ProtocolError, errors.NetworkError)):
                client.convert(paper, to="json")
            assert [row.state for row in client.jobs()] == ["planned"]
        with client_of(server, apikey="personal") as client:
            assert client.convert(paper, to="json").pages[0].md == "one"


@pytest.mark.parametrize("left", ["500", None, -3, "many"])
def test_a_quota_that_is_no_number_keeps_no_upload_back(left: object, paper: Path) -> None:
    odd, done = reply(json=envelope({"remain": left})), state("success", result=pages("one"))
    with ScriptedServer(TOKEN, odd, taken(), done) as server, client_of(server, apikey="personal") as client:
        assert client.convert(paper, to="json").pages[0].md == "one"


def test_a_quota_in_a_text_is_a_number() -> None:
    with ScriptedServer(reply(json=envelope({"remain": "500"}))) as server, client_of(server) as client:
        assert client.quota() == 500


@pytest.mark.faults("AP-05")
@pytest.mark.parametrize(
    "full", [reply(429, headers=[("Retry-After", "9")]), reply(json=envelope(code="parse_task_limit_exceeded"))]
)
def test_an_export_for_which_there_is_no_room_is_asked_for_again(full: Step, paper: Path, tmp_path: Path) -> None:
    still, archive = StillClock(), reply(body=make_zip({"x.md": "# a"}))
    with (
        ScriptedServer(taken(), state("success", result=pages("a")), full, full, archive) as server,
        client_of(server, still) as client,
    ):
        assert client.convert(paper, to="md", out=tmp_path / "out").files["md"].read_text() == "# a"
    assert sum(still.sleeps) < 60


@pytest.mark.faults("AP-05")
def test_a_full_service_is_asked_again_and_nothing_is_lost(paper: Path) -> None:
    full = reply(json=envelope(code="parse_task_limit_exceeded"))
    still = StillClock()
    done = state("success", result=pages("text"))
    with (
        ScriptedServer(full, reply(429, headers=[("Retry-After", "9")]), taken("u-1"), done) as server,
        client_of(server, still) as client,
    ):
        assert client.convert(paper).uid == "u-1"
    assert len(server.bodies[0]) == len(server.bodies[2]) > 100
    assert any(pause >= 9 for pause in still.sleeps)


@pytest.mark.faults("AP-06")
def test_a_limit_while_waiting_pays_for_no_second_upload(paper: Path) -> None:
    full = reply(json=envelope(code="parse_concurrency_limit"))
    with (
        ScriptedServer(taken("u-1"), full) as server,
        client_of(server, patience=20.0) as client,
        pytest.raises(errors.RateLimit),
    ):
        client.convert(paper)
    assert [request.method for request in server.requests].count("POST") == 1


@pytest.mark.faults("AP-02")
def test_an_unknown_word_is_waited_out(paper: Path, caplog: pytest.LogCaptureFixture) -> None:
    words = [state("dreaming"), state("dreaming"), state("success", result=pages("text"))]
    with ScriptedServer(taken("u-1"), *words) as server, client_of(server) as client:
        assert client.convert(paper).pages[0].md == "text"
    assert caplog.text.count("dreaming") == 1
    with (
        ScriptedServer(state("dreaming")) as server,
        client_of(server) as client,
        pytest.raises(errors.WaitTimeout, match="dreaming") as caught,
    ):
        client.wait("u-1", timeout=30)
    assert caught.value.uid == "u-1"


def test_a_document_that_is_parsed_but_not_translated_is_waited_for(paper: Path, quiet: None) -> None:
    parsed = state("success", progress=100, result=pages("text"))
    translated = state("translate_success", result='[{"raw": "a", "translated": "b", "page_idx": 3, "z": 1}]')
    with (
        ScriptedServer(taken("u-1"), state("translate_processing"), parsed, translated) as server,
        client_of(server) as client,
    ):
        (block,) = client.translate(paper).blocks
    assert (block.raw, block.translated, block.page, block.x, dict(block.extra)) == ("a", "b", 3, None, {"z": 1})
    assert all("parse_to=2" in request.target for request in server.requests[1:])


def test_a_translation_that_takes_too_long_says_how_to_go_on(paper: Path, quiet: None) -> None:
    with (
        ScriptedServer(taken("u-1"), state("translate_processing")) as server,
        client_of(server, parse_timeout=60.0) as client,
        pytest.raises(errors.WaitTimeout, match=r"client\.translation\(uid\)") as caught,
    ):
        client.translate(paper)
    assert (caught.value.uid, len(server.requests) > 1) == ("u-1", True)


def test_pictures_are_not_translated(quiet: None) -> None:
    with client_of("http://127.0.0.1:9") as client, pytest.raises(errors.FileError, match="PDFs only"):
        client.translate(PICTURE)


def test_quota_used_up_while_waiting(paper: Path) -> None:
    with (
        ScriptedServer(taken("u-1"), state("pages limit exceeded")) as server,
        client_of(server) as client,
        pytest.raises(errors.QuotaExceeded, match="pages limit exceeded") as caught,
    ):
        client.convert(paper)
    assert (caught.value.uid, len(server.requests)) == ("u-1", 2)
    assert "--force" in caught.value.advice, "the service may keep to what it said of this uid"


def test_an_archive_may_name_its_main_file_as_another_format(paper: Path, tmp_path: Path) -> None:
    script = [taken("u-1"), state("success", result=pages("text")), reply(body=make_zip({"md.md": "$x$"}))]
    with ScriptedServer(*script) as server, client_of(server) as client:
        document = client.convert(paper, to="md_dollar", out=tmp_path / "out")
    assert document.files["md_dollar"].read_text() == "$x$"
    assert len(server.requests) == 3
