"""Waiting: patient with what passes, prompt with what does not, and never a reason to pay again."""

import json
import logging
from pathlib import Path

import pytest

from doc2x_sdk.errors import AuthError, Doc2XError, IncompleteResult, NetworkError, TaskFailed, WaitTimeout
from doc2x_sdk.models import Progress
from tests.flow.folders import tree
from tests.support.clocks import SkippingClock, StillClock
from tests.support.scripted import Step, close, envelope, reply, reset, stall
from tests.support.scripted_service import ScriptedService, failed, make_pdf, processing, told

UID = "0192d745-5776-7261-abbd-000000000001"
NOT_FOUND = failed("parse_status_not_found")


def state(word: str) -> Step:
    return reply(json=envelope({"status": word}))


@pytest.mark.faults("PO-01")
def test_a_parse_that_never_ends_can_be_gone_on_with(service: ScriptedService, paper: Path, out: Path) -> None:
    service.looks = 10**9
    clock = StillClock()
    with service.client(clock, parse_timeout=300) as client:
        with pytest.raises(WaitTimeout) as caught:
            client.convert(paper, to="md", out=out)
        told(caught.value, "paper.pdf", UID, "40 %", "Do not upload again", "fetch")
        assert sum(clock.sleeps) == pytest.approx(300)
        assert service.count("status") < 120
        assert tree(out) == {}
        service.looks = 0
        document = client.fetch(UID, to="md", out=out)
    assert document.uid == UID
    assert (service.paid, service.count("put"), service.count("preupload")) == (1, 1, 1)
    assert f"{UID}.md" in tree(out)


@pytest.mark.faults("PO-02")
@pytest.mark.parametrize("headers", [[], [("Retry-After", "7")], [("Retry-After", "100000")]])
def test_throttled_polls_end_with_the_wait(
    headers: list[tuple[str, str]], service: ScriptedService, paper: Path
) -> None:
    service.always("status", reply(429, headers=headers))
    clock = StillClock()
    with service.client(clock, parse_timeout=30) as client, pytest.raises(WaitTimeout) as caught:
        client.convert(paper)
    told(caught.value, "paper.pdf", UID)
    assert 29 < sum(clock.sleeps) <= 30 + 1e-6
    assert (service.paid, service.count("preupload")) == (1, 1)
    if headers and headers[0][1] == "7":
        assert service.count("status") <= 6  # what the service asked for was heard


@pytest.mark.faults("PO-02")
def test_throttled_polls_are_no_reason_for_a_second_upload(service: ScriptedService, paper: Path) -> None:
    """HTTP 429 says nothing about the uid, unlike the limit codes; it is asked for longer than `patience`."""
    service.on("status", *[reply(429)] * 60)
    clock = StillClock()
    with service.client(clock, patience=20) as client:
        document = client.convert(paper)
    assert sum(clock.sleeps) > 100
    assert (document.uid, service.count("preupload"), service.paid) == (UID, 1, 1)


@pytest.mark.faults("PO-03")
def test_a_silent_service_ends_the_wait_in_time(service: ScriptedService, paper: Path) -> None:
    service.always("status", stall())
    clock = SkippingClock()
    before = clock.monotonic()
    with (
        service.client(clock, parse_timeout=2, read_timeout=0.2) as client,
        pytest.raises(WaitTimeout) as caught,
    ):
        client.convert(paper)
    assert clock.monotonic() - before < 3
    told(caught.value, UID, "not asked yet")
    assert (service.paid, service.count("preupload")) == (1, 1)


@pytest.mark.faults("PO-03")
def test_one_silent_answer_lasts_no_longer_than_the_wait(service: ScriptedService, paper: Path) -> None:
    service.always("status", stall())
    clock = SkippingClock()
    with service.client(clock, parse_timeout=0.5, read_timeout=30) as client, pytest.raises(WaitTimeout) as caught:
        client.convert(paper)
    told(caught.value, UID)
    assert sum(clock.sleeps) < 0.5


@pytest.mark.faults("PO-04")
@pytest.mark.parametrize(
    "step",
    [
        reset(),
        close(),
        reply(502),
        reply(200, b"<html>busy</html>"),
        reply(200, b'{"code": "suc', length=500, then="close"),
    ],
)
def test_a_poll_that_fails_is_asked_again(step: Step, service: ScriptedService, paper: Path) -> None:
    good = processing(20)
    service.on("status", good, *[step] * 3, good, *[step] * 3, good, step)
    with service.client() as client:
        document = client.convert(paper)
    assert (document.uid, service.paid, service.count("preupload")) == (UID, 1, 1)


@pytest.mark.faults("PO-04")
def test_an_answer_in_between_forgives_the_failures_before_it(service: ScriptedService, paper: Path) -> None:
    """Each row of failures is shorter than `patience`, all together are not; three in a row are the service's limit."""
    trouble, good = failed("internal_error"), processing(20)
    service.on("status", good, trouble, trouble, good, trouble, trouble, good, trouble, trouble)
    with service.client() as client:
        client.convert(paper)
    service.on("status", good, *([*[reply(200, b"no json")] * 5, good] * 4))
    clock = StillClock()
    with service.client(clock, patience=12) as client:
        client.convert(make_pdf(mark="another"))
    assert sum(clock.sleeps) > 30
    service.on("status", good, trouble, trouble, trouble)
    with service.client() as client, pytest.raises(TaskFailed) as caught:
        client.convert(make_pdf(mark="third"))
    told(caught.value, service.uids[2], "internal_error", "trace-4711", "report uid and trace id")
    assert (service.paid, service.count("preupload")) == (3, 3)


@pytest.mark.faults("PO-04")
def test_a_service_that_stays_away_is_given_up_after_the_patience(service: ScriptedService, paper: Path) -> None:
    service.always("status", close())
    clock = StillClock()
    with service.client(clock, patience=40) as client, pytest.raises(NetworkError) as caught:
        client.convert(paper)
    told(caught.value, "paper.pdf", UID)
    assert 39 < sum(clock.sleeps) < 60
    assert (service.paid, service.count("preupload")) == (1, 1)


@pytest.mark.faults("PO-05")
@pytest.mark.parametrize(
    ("status", "code", "kind"), [(401, "unauthorized", AuthError), (403, "forbidden", AuthError), (404, "", Doc2XError)]
)
def test_a_refusal_is_told_at_once(
    status: int, code: str, kind: type[Doc2XError], service: ScriptedService, paper: Path
) -> None:
    service.always("status", failed(code, status) if code else reply(status, b"404 page not found"))
    with service.client() as client, pytest.raises(kind) as caught:
        client.convert(paper)
    told(caught.value, "paper.pdf", UID, str(status))
    assert (service.count("status"), service.paid, service.count("preupload")) == (1, 1, 1)


@pytest.mark.faults("PO-06")
def test_progress_is_shown_without_steps_back(service: ScriptedService, paper: Path) -> None:
    odd: list[object] = [10, 90, 10, 250, -5, "50", None, True, 1e400, 95.7]
    service.on("status", *[processing(value) for value in odd])
    shown: list[Progress] = []
    with service.client() as client:
        client.convert(paper, on_progress=shown.append)
    percents = [each.done for each in shown if each.stage == "parse"]
    assert percents == sorted(percents)
    assert percents[:4] == [0, 10, 90, 90]
    assert (percents[-1], max(percents)) == (100, 100)


@pytest.mark.faults("PO-07")
@pytest.mark.parametrize("jump", [86400.0, -86400.0])
def test_a_jump_of_the_wall_clock_changes_no_wait(jump: float, service: ScriptedService) -> None:
    service.looks = 12
    calm, jumping = StillClock(), StillClock()

    def leap(_: float) -> None:
        jumping.wall_offset += jump

    jumping.on_sleep = leap
    with service.client(calm) as client:
        client.convert(make_pdf(mark="calm"))
    with service.client(jumping) as client:
        client.convert(make_pdf(mark="jumping"))
    assert jumping.sleeps == calm.sleeps
    assert len(calm.sleeps) > 10
    assert service.paid == 2


@pytest.mark.faults("PO-08")
def test_a_uid_that_is_not_known_yet_is_asked_for_again(service: ScriptedService, paper: Path) -> None:
    service.on("status", *[NOT_FOUND] * 5)
    with service.client() as client:
        document = client.convert(paper)
    assert (document.uid, service.paid, service.count("preupload")) == (UID, 1, 1)


@pytest.mark.faults("PO-08")
def test_a_uid_that_stays_unknown_is_an_error_that_names_it(service: ScriptedService, paper: Path) -> None:
    service.always("status", NOT_FOUND)
    clock = StillClock()
    with service.client(clock) as client, pytest.raises(TaskFailed) as caught:
        client.convert(paper)
    told(caught.value, "paper.pdf", UID, "parse_status_not_found", "24 hours")
    assert 30 <= sum(clock.sleeps) < 40
    assert (service.paid, service.count("put"), service.count("preupload")) == (1, 1, 1)


@pytest.mark.faults("PO-08")
@pytest.mark.parametrize("state", ["uploading", "submitted", "parsed"])
@pytest.mark.parametrize("heard", ["processing", "full", "nothing", "long ago"])
def test_a_young_uid_that_is_not_known_for_a_moment_is_not_paid_again(
    heard: str, state: str, service: ScriptedService, paper: Path
) -> None:
    with service.client() as client:
        uid = client.upload(paper)
        (row,) = client.jobs()
        assert client._kit.ledger is not None
        client._kit.ledger.change(row.id, {"state": state}, wait=True)  # as a killed run left it
        before = {
            "processing": [processing(10)] * 2,
            "full": [failed("parse_task_limit_exceeded")] * 2,
            "nothing": [],
            "long ago": [NOT_FOUND, *[processing(10)] * 20],  # each time half a minute is believed
        }
        service.on("status", *before[heard], NOT_FOUND, NOT_FOUND)
        assert client.convert(paper).uid == uid
    assert (service.paid, service.count("put"), service.count("preupload")) == (1, 1, 1)


@pytest.mark.faults("TR-05")
def test_a_poll_that_shall_wait_for_a_day_waits_for_minutes(
    service: ScriptedService, paper: Path, clock: StillClock, caplog: pytest.LogCaptureFixture
) -> None:
    service.on("status", reply(429, headers=[("Retry-After", "100000")]))
    with service.client(clock) as client:
        assert client.convert(paper).uid == UID
    assert 300 <= sum(clock.sleeps) < 330
    assert "asks to wait for 100000 s" in caplog.text


@pytest.mark.faults("TR-05")
def test_a_service_that_is_down_and_says_when_to_come_again_is_given_up_as_one_that_says_nothing(
    service: ScriptedService, paper: Path, clock: StillClock, caplog: pytest.LogCaptureFixture
) -> None:
    service.always("status", reply(503, headers=[("Retry-After", "30")]))
    with service.client(clock) as client, pytest.raises(NetworkError) as caught:
        client.convert(paper)
    told(caught.value, "paper.pdf", UID, "asks to wait")
    assert 150 < sum(clock.sleeps) < 300
    assert "no usable answer from the service" in caplog.text


def test_a_gateway_that_refuses_one_poll_is_not_the_service_that_refuses_the_key(
    service: ScriptedService, paper: Path, out: Path
) -> None:
    service.on("status", reply(403, b"<html>blocked</html>"))
    with service.client() as client:
        assert client.convert(paper).uid == UID
    service.on("status", failed("unauthorized", 403))
    with service.client() as client, pytest.raises(AuthError):
        client.convert(make_pdf(mark="another"))


@pytest.mark.parametrize("detail", ["parse_model_crashed: oops", "in parse_pdf_pages, line 7", "oops", ""])
def test_a_parse_that_failed_for_a_reason_of_any_words_is_given_up(
    detail: str, service: ScriptedService, paper: Path, out: Path
) -> None:
    service.on("status", reply(json=envelope({"status": "failed", "detail": detail})))
    with service.client() as client:
        with pytest.raises(TaskFailed) as caught:
            client.convert(paper)
        told(caught.value, "paper.pdf", UID, detail)
        (row,) = client.jobs()
        assert (row.state, row.code) == ("failed", "parse_error")
        (done,) = client.convert_many([paper], to="txt", out=out, retry_failed=True)
        assert done.error is None
    assert service.count("preupload") == 2


@pytest.mark.faults("AP-08")
@pytest.mark.parametrize("text", [None, 7, ["a"]])
def test_a_page_without_a_text_is_told(text: object, service: ScriptedService, out: Path) -> None:
    service.pages = [{"page_idx": 0, "md": ""}, {"page_idx": 1, "md": text}, {"page_idx": 2}]
    with service.client() as client:
        document = client.convert(make_pdf(3), to="txt", out=out)
    assert document.warnings == ("The service sent no text for 2 of 3 pages: page 2, 3",)


@pytest.mark.faults("AP-08")
def test_more_pages_than_were_sent_are_told(service: ScriptedService, out: Path) -> None:
    service.pages = [{"page_idx": number, "md": "text"} for number in range(5)]
    with service.client() as client:
        document = client.convert(make_pdf(2), to="txt", out=out)
    assert document.warnings == ("The result has 5 pages, the document 2: see whether it is of this document",)


def test_the_json_is_json_and_says_where_it_came_from(service: ScriptedService, out: Path) -> None:
    odd = envelope({"status": "success", "result": {"pages": service.pages, "uid": "other", "huge": 7}})
    body = json.dumps(odd).replace('"huge": 7', '"huge": 1e999').encode()
    service.on("status", reply(body=body))
    with service.client() as client:
        document = client.convert(make_pdf(), to="json", out=out)
    told = json.loads(document.files["json"].read_text(), parse_constant=pytest.fail)
    assert (told["uid"], told["huge"]) == (UID, None)
    assert list(told)[:3] == ["source", "sha256", "uid"]


@pytest.mark.faults("PO-08")
@pytest.mark.parametrize(("hours", "paid"), [(2, 1), (24, 1), (26, 2)])
def test_a_uid_whose_results_must_be_there_is_not_paid_again_for_one_not_found(
    hours: float, paid: int, service: ScriptedService, paper: Path, clock: StillClock
) -> None:
    with service.client(clock) as client:
        client.convert(paper)
        clock.advance(hours * 3600)
        service.on("status", NOT_FOUND, NOT_FOUND)
        client.convert(paper)
    assert service.paid == paid


@pytest.mark.faults("PO-08")
@pytest.mark.parametrize("heard", [processing(10), failed("parse_concurrency_limit")], ids=["processing", "full"])
def test_an_old_uid_that_was_heard_of_and_is_not_known_for_a_moment_is_not_paid_again(
    heard: Step, service: ScriptedService, paper: Path, clock: StillClock
) -> None:
    with service.client(clock) as client:
        uid = client.upload(paper)
        clock.advance(26 * 3600)
        service.on("status", heard, NOT_FOUND, NOT_FOUND)
        assert client.convert(paper).uid == uid
    assert (service.paid, service.count("put"), service.count("preupload")) == (1, 1, 1)


@pytest.mark.faults("PO-08")
def test_an_old_uid_that_is_unknown_is_told_at_once(service: ScriptedService) -> None:
    with service.client() as client, pytest.raises(TaskFailed) as caught:
        client.fetch("0192d745-dead", to="md")
    told(caught.value, "0192d745-dead", "24 hours")
    assert service.count("status") == 1


@pytest.mark.faults("AP-02")
def test_a_status_word_that_is_not_known_is_waited_out(
    service: ScriptedService, paper: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service.on("status", state("defragmenting"), state("defragmenting"), processing(70))
    with caplog.at_level(logging.WARNING), service.client() as client:
        document = client.convert(paper)
    assert (document.uid, service.paid, service.count("preupload")) == (UID, 1, 1)
    assert [record.getMessage().count("defragmenting") for record in caplog.records] == [1]
    assert UID in caplog.text


@pytest.mark.faults("AP-02")
def test_a_status_word_that_is_never_known_ends_with_the_wait(service: ScriptedService, paper: Path) -> None:
    service.always("status", state("on holiday\n\x1b[31m" + "x" * 500))
    with service.client(parse_timeout=60) as client, pytest.raises(WaitTimeout) as caught:
        client.convert(paper)
    told(caught.value, "paper.pdf", UID, "on holiday", "fetch")
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert (service.paid, service.count("preupload")) == (1, 1)


@pytest.mark.faults("AP-02")
def test_a_code_that_is_not_known_keeps_the_uid(service: ScriptedService, paper: Path) -> None:
    service.on("status", failed("parse_moon_phase"))
    with service.client() as client, pytest.raises(Doc2XError) as caught:
        client.convert(paper)
    assert (type(caught.value), caught.value.code) == (Doc2XError, "parse_moon_phase")
    told(caught.value, "paper.pdf", UID, "parse_moon_phase", "trace-4711")
    assert (service.paid, service.count("preupload")) == (1, 1)


PAGE = {"page_idx": 0, "md": "one"}


@pytest.mark.faults("AP-08")
@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([], id="none"),
        pytest.param([PAGE, PAGE], id="twice"),
        pytest.param([PAGE], id="fewer"),
        pytest.param([PAGE, {"md": "no number"}], id="no number"),
        pytest.param([PAGE, {"page_idx": 2, "md": "gap"}], id="gap"),
    ],
)
def test_a_result_that_lacks_pages_is_not_taken(
    pages: list[dict[str, object]], service: ScriptedService, tmp_path: Path, out: Path
) -> None:
    path = tmp_path / "two.pdf"
    path.write_bytes(make_pdf(2))
    service.pages = pages
    with service.client() as client, pytest.raises(IncompleteResult) as caught:
        client.convert(path, to=["md", "json"], out=out)
    told(caught.value, "two.pdf", UID, "fetch")
    assert caught.value.got == len(pages)
    assert (service.paid, service.count("preupload"), service.count("export")) == (1, 1, 0)
    assert tree(out) == {}


@pytest.mark.faults("AP-08")
def test_pages_come_sorted(service: ScriptedService, out: Path) -> None:
    service.pages = [{"page_idx": 1, "md": "two"}, {"page_idx": 0, "md": "one"}]
    with service.client() as client:
        document = client.convert(make_pdf(2), name="two.pdf", to="txt", out=out)
    assert [page.index for page in document.pages] == [0, 1]
    assert document.markdown == "one\n\ntwo"
    assert document.files["txt"].read_text() == "one\n\f\ntwo\n"


def full(code: str) -> Step:
    """A parse that failed for want of room."""
    return reply(json=envelope({"status": "failed", "detail": code}))


@pytest.mark.faults("AP-06")
@pytest.mark.parametrize("code", ["parse_concurrency_limit", "parse_task_limit_exceeded"])
@pytest.mark.parametrize("before", [0, 1])
def test_a_parse_that_failed_for_want_of_room_is_asked_for_again_under_its_uid(
    before: int, code: str, service: ScriptedService, paper: Path
) -> None:
    service.on("status", *[processing(5)] * before, *[full(code)] * 12)
    with service.client() as client:
        assert client.convert(paper).uid == UID
    assert (service.count("preupload"), service.count("put"), service.paid) == (1, 1, 1)


@pytest.mark.faults("AP-06")
def test_one_that_never_gets_room_is_uploaded_anew_only_after_the_patience(
    service: ScriptedService, paper: Path, clock: StillClock
) -> None:
    service.always("status", full("parse_concurrency_limit"))
    with service.client(clock, patience=100, parse_timeout=350) as client:
        with pytest.raises(WaitTimeout) as caught:
            client.convert(paper)
        told(caught.value, "paper.pdf", service.uids[-1])
        (row,) = client.jobs()
        assert row.history == tuple(service.uids[:-1])
    assert 3 <= service.count("put") <= 4
    assert service.count("status") < 120
    assert sum(clock.sleeps) <= 351


@pytest.mark.parametrize("detail", ["parse_timeout", "The document has 5 broken pages", ""])
def test_a_parse_that_failed_says_why(detail: str, service: ScriptedService, paper: Path) -> None:
    service.on("status", reply(json=envelope({"status": "failed", "detail": detail}), headers=[("trace-id", "t-1")]))
    with service.client() as client, pytest.raises(TaskFailed) as caught:
        client.convert(paper)
    told(caught.value, "paper.pdf", UID, "t-1", detail)
    assert (service.count("status"), service.paid) == (1, 1)
