"""Limits, quota and lifetimes. Parses are held where a server must be seen at work."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from doc2x_sdk.clock import Clock
from doc2x_sdk.local.server import LocalServer
from doc2x_sdk.local.settings import ServerSettings
from doc2x_sdk.local.wire import RateLimiter
from tests.local.caller import Caller, HeldExecutor, make_pdf, make_scan_pdf, wait_for

Serve = Callable[..., tuple[LocalServer, Caller]]


@dataclass
class Time:
    """A clock that a test sets."""

    seconds: float = 1_000_000.0

    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.seconds, now=lambda: self.seconds)


def test_progress_is_the_share_of_pages_that_are_done(serve_with: Serve, held: HeldExecutor) -> None:
    server, caller = serve_with(chunk_pages=1, workers=1)
    uid = caller.upload(make_pdf("One page", "Two pages", "Three pages", "Four pages"))
    wait_for(lambda: server.stats().pages_parsed == 4)
    assert caller.status(uid)["data"] == {"status": "processing", "progress": 0}
    held.gate.set()
    answer = caller.wait(uid)
    assert [page["md"] for page in answer["data"]["result"]["pages"]] == [
        "One page",
        "Two pages",
        "Three pages",
        "Four pages",
    ]
    assert server.stats().pages_parsed == 4


def test_a_full_server_keeps_the_uid_waiting_and_bills_nothing(serve_with: Serve, held: HeldExecutor) -> None:
    server, caller = serve_with(task_limit=1)
    first = caller.upload(make_pdf("first"))
    assert caller.status(first)["data"]["status"] == "processing"
    second = caller.upload(make_pdf("second"))
    assert caller.status(second)["code"] == "parse_task_limit_exceeded"
    assert caller.post("/api/v2/parse/pdf", data=make_pdf("third")).json()["code"] == "parse_task_limit_exceeded"
    assert server.stats().pages_parsed == 1
    held.gate.set()
    assert caller.wait(first)["data"]["status"] == "success"
    assert caller.wait(second)["data"]["result"]["pages"][0]["md"] == "second"
    assert server.stats().pages_parsed == 2


def test_pages_in_parse_are_limited(serve_with: Serve, held: HeldExecutor) -> None:
    _, caller = serve_with(page_limit=3)
    first = caller.upload(make_pdf("1", "2"))
    assert caller.status(first)["data"]["status"] == "processing"
    second = caller.upload(make_pdf("3", "4"))
    assert caller.status(second)["code"] == "parse_concurrency_limit"
    held.gate.set()
    caller.wait(first)
    assert caller.wait(second)["data"]["status"] == "success"


def test_the_quota_goes_down_by_pages(serve_with: Serve, held: HeldExecutor) -> None:
    held.gate.set()
    _, caller = serve_with(pages_quota=3)
    caller.parse(make_pdf("1", "2"))
    assert caller.data("/api/v1/limit")["remain"] == 1
    answer = caller.status(caller.upload(make_pdf("3", "4")))
    assert answer["code"] == "parse_quota_limit"
    caller.parse(make_pdf("5"))
    assert caller.data("/api/v1/limit")["remain"] == 0


def test_too_many_pages_and_too_many_bytes(serve_with: Serve, held: HeldExecutor) -> None:
    held.gate.set()
    server, caller = serve_with(max_file_pages=2, max_put_bytes=5000, max_direct_bytes=5000, max_image_bytes=10)
    assert caller.wait(caller.upload(make_pdf("1", "2", "3")))["code"] == "parse_page_limit_exceeded"
    large = make_pdf("x") + b"\n" * 200_000
    assert caller.wait(caller.upload(large))["code"] == "parse_file_too_large"
    assert caller.post("/api/v2/parse/pdf", data=large).json()["code"] == "parse_file_too_large"
    image = caller.post("/api/v2/parse/img/layout", data=b"\xff\xd8\xff" + b"x" * 100).json()
    assert image["code"] == "parse_file_too_large"
    assert caller.post("/api/v2/parse/img/layout", data=b"text").json()["code"] == "parse_file_not_image"
    assert server.stats().pages_parsed == 0


def test_a_request_rate_is_answered_by_429_with_retry_after(serve_with: Serve) -> None:
    time = Time()
    _, caller = serve_with(rate_limit=2.0, tools={"clock": time.clock()})
    answers = [caller.get("/api/v2/parse/status", uid="x") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["Retry-After"] == "1"
    assert "trace-id" in answers[2].headers
    time.seconds += 0.5
    assert caller.get("/api/v2/parse/status", uid="x").status_code == 200


def test_a_slow_rate_tells_the_seconds_to_wait() -> None:
    time = Time()
    limiter = RateLimiter(0.1, lambda: time.seconds)
    assert limiter.wait() == 0.0
    assert limiter.wait() == pytest.approx(10.0)
    time.seconds += 4
    assert limiter.wait() == pytest.approx(6.0)


def test_results_and_upload_urls_are_over_after_a_while(serve_with: Serve, held: HeldExecutor) -> None:
    held.gate.set()
    time = Time()
    _, caller = serve_with(tools={"clock": time.clock()})
    uid, _ = caller.parse(make_pdf("x"))
    slot = caller.reserve()
    time.seconds += 3700
    assert caller.session.put(slot["url"], data=make_pdf("x")).status_code == 403
    time.seconds += 19 * 3600
    assert caller.status(uid)["data"]["status"] == "success"
    time.seconds += 4 * 3600
    assert caller.status(uid)["code"] == "parse_status_not_found"


def test_the_key_is_checked(serve_with: Serve) -> None:
    server, caller = serve_with(api_key="sk-mine", key="sk-mine")
    assert caller.post("/api/v2/parse/preupload").status_code == 200
    other = Caller(server.url, "sk-other")
    assert other.post("/api/v2/parse/preupload").json()["code"] == "unauthorized"
    other.close()
    assert "sk-mine" not in repr(server.settings)


def test_a_parse_that_takes_too_long_fails(serve_with: Serve) -> None:
    _, caller = serve_with(parse_seconds=0.05)
    answer = caller.wait(caller.upload(make_pdf("x")))
    assert answer["data"]["status"] == "failed"
    assert answer["data"]["detail"].startswith("parse_timeout")


def test_a_file_that_fails_again_and_again_is_locked(serve_with: Serve) -> None:
    _, caller = serve_with(parse_seconds=0.05)
    content = make_pdf("the same")
    for _ in range(3):
        assert caller.wait(caller.upload(content))["data"]["status"] == "failed"
    assert caller.wait(caller.upload(content))["code"] == "parse_file_lock"


def test_without_ocr_a_scan_fails_and_names_the_extra(
    serve_with: Serve, held: HeldExecutor, drawn_text: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    held.gate.set()
    monkeypatch.setitem(sys.modules, "rapidocr", None)  # as where it is not installed
    _, caller = serve_with()
    answer = caller.wait(caller.upload(make_scan_pdf(drawn_text)))
    assert answer["data"]["status"] == "failed"
    assert answer["data"]["detail"].startswith("parse_error")
    assert "pip install 'doc2x-sdk[local-ocr]'" in answer["data"]["detail"]


def test_results_survive_a_restart_with_a_data_folder(serve_with: Serve, held: HeldExecutor, tmp_path: Path) -> None:
    held.gate.set()
    _, before = serve_with(data=tmp_path / "data")
    uid, pages = before.parse(make_pdf("kept"))
    url = before.export(uid, "md").url
    server, after = serve_with(data=tmp_path / "data")
    assert after.status(uid)["data"]["result"]["pages"][0]["md"] == pages[0]["md"]
    assert after.session.get(server.url + url[url.index("/files/") :]).status_code == 200
    assert server.stats().pages_parsed == 0


def test_an_unfinished_parse_goes_on_after_a_restart(serve_with: Serve, held: HeldExecutor, tmp_path: Path) -> None:
    settings = ServerSettings(data=tmp_path / "data")
    with HeldExecutor() as first, LocalServer(settings, executor=first) as server:
        caller = Caller(server.url)
        uid = caller.upload(make_pdf("goes on"))
        wait_for(lambda: server.stats().parses == 1)
        caller.close()
        server.__exit__(None, None, None)  # gives up the parse, which is still held
        first.gate.set()
    held.gate.set()
    _, after = serve_with(data=tmp_path / "data")
    assert after.wait(uid)["data"]["result"]["pages"][0]["md"] == "goes on"
