"""What ends a batch early, or makes it wait: the key, the quota, the budget, the disk, the network, the caller."""

import logging
import re
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from doc2x_sdk.batch import Done
from doc2x_sdk.batch.outage import Outage, Visit
from doc2x_sdk.clock import Clock
from doc2x_sdk.errors import (
    ArchiveError,
    AuthError,
    BudgetExceeded,
    ConfigError,
    DiskFull,
    Doc2XError,
    FileError,
    InputChanged,
    LedgerError,
    NetworkError,
    ProtocolError,
    QuotaExceeded,
    RateLimit,
)
from doc2x_sdk.flow import publish
from doc2x_sdk.flow.silence import Silence
from doc2x_sdk.models import Progress
from tests.batch.conftest import Papers
from tests.support.clocks import SkippingClock, StillClock
from tests.support.receipts import no_room
from tests.support.scripted import Conversation, Request, Step, close, envelope, reply
from tests.support.scripted_service import Done as Over
from tests.support.scripted_service import ScriptedService, failed, processing, told


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if re.match(r"doc2x-\d", thread.name)]


def until(done: threading.Event) -> Step:
    """Hold the answer back until it is set."""

    def act(conversation: Conversation, request: Request) -> None:
        done.wait(30.0)

    return Step(act)


# codes that concern every document


@pytest.mark.faults("AP-04")
def test_an_empty_account_stops_the_batch_and_a_later_run_goes_on(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    paths = papers(60)
    service.on("status", *[None] * 8)
    service.always("status", failed("parse_quota_limit"))
    with service.client() as client:
        done = list(client.convert_many(paths, to="md", out=out))
        assert len(done) == 60
        not_sent = [each for each in done if not each.sent]
        assert all(isinstance(each.error, QuotaExceeded) for each in done if each.error)
        assert len(not_sent) >= 60 - 14 - 8
        told(not_sent[0].error or Exception(), "Not sent", "Top up")
        finished = [each.source for each in done if not each.error]
        sent = service.paid
        assert sent <= 60 - len(not_sent)
        assert {row.state for row in client.jobs()} <= {"parsed", "planned", "submitted"}
        service.always("status", None)
        again = list(client.convert_many(paths, to="md", out=out))
    assert not any(each.error for each in again)
    assert {each.source for each in again if each.was_there} == set(finished)


@pytest.mark.faults("AP-04")
def test_no_pages_left_is_believed_of_a_uid_that_was_not_begun_alone(service: ScriptedService, papers: Papers) -> None:
    """One that was seen at work is paid: only its answer is late."""
    first, second = papers(2)
    service.on("status", failed("parse_quota_limit"))
    with service.client() as client:
        with pytest.raises(QuotaExceeded):
            client.convert(first)
        service.on("status", None, failed("parse_quota_limit"))
        with pytest.raises(QuotaExceeded):
            client.convert(second)
        rows = {row.source: row for row in client.jobs()}
        assert (rows[str(first)].state, rows[str(first)].history) == ("planned", (service.uids[0],))
        assert (rows[str(second)].state, rows[str(second)].uid) == ("submitted", service.uids[1])
        assert client.convert(second).uid == service.uids[1]
        assert client.convert(first).uid == service.uids[2]


@pytest.mark.faults("AP-04")
@pytest.mark.parametrize("before", [0, 1], ids=["not begun", "at work"])
def test_only_what_the_service_has_is_to_be_fetched(
    before: int, service: ScriptedService, papers: Papers, out: Path
) -> None:
    service.on("status", *[None] * before, failed("parse_quota_limit"))
    with service.client() as client:
        done = list(client.convert_many(papers(2), to="md", out=out, jobs=1))
        assert [(each.sent, each.to_fetch) for each in done] == [(True, bool(before)), (False, False)]
        assert not any(each.error for each in client.convert_many(papers(2), to="md", out=out))
    assert service.paid == 3 - before


@pytest.mark.faults("AP-04")
@pytest.mark.parametrize("refused_at", [1, 2])
def test_a_book_whose_later_part_is_to_be_paid_is_not_to_be_fetched(refused_at: int, papers: Papers, out: Path) -> None:
    with ScriptedService(pages=2) as service, service.client(max_file_pages=2) as client:
        service.on("preupload", *[None] * refused_at, failed("parse_quota_limit"))
        (done,) = client.convert_many(papers(1, pages=6), to="md", out=out)
        assert isinstance(done.error, QuotaExceeded)
        assert not done.to_fetch
        service.always("export", failed("unauthorized", 401))
        (done,) = client.convert_many(papers(1, pages=6), to="md", out=out)
        assert isinstance(done.error, AuthError)
        assert done.to_fetch
    assert service.paid == 3


@pytest.mark.faults("AR-01")
def test_an_archive_that_can_not_be_used_is_a_failure_though_it_is_paid(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    service.exports["md"] = b"no archive"
    with service.client() as client:
        (done,) = client.convert_many(papers(1), to="md", out=out)
    assert isinstance(done.error, ArchiveError)
    assert not done.to_fetch


@pytest.mark.faults("AP-04")
@pytest.mark.parametrize("route", ["preupload", "image"])
@pytest.mark.parametrize(("code", "kind"), [("parse_quota_limit", QuotaExceeded), ("unauthorized", AuthError)])
def test_a_refusal_before_the_paid_step_is_in_the_receipt_and_gone_from_it_once_it_is_sent(
    route: str, code: str, kind: type[Doc2XError], service: ScriptedService, papers: Papers
) -> None:
    (path,) = papers(1)
    if route == "image":
        path.write_bytes(b"\xff\xd8\xff\xe0 a picture")
    service.on(route, failed(code))
    with service.client() as client:
        with pytest.raises(kind) as caught:
            client.convert(path)
        (row,) = client.jobs()
        assert (row.state, row.uid, row.code, row.trace_id) == ("planned", None, code, "trace-4711")
        assert row.reason == caught.value.message
        assert [each.verdict for each in client.quote([path])] == ["new"]
        assert client.convert(path).uid == service.uids[0]
        (row,) = client.jobs()
        assert (row.state, row.reason, row.code, row.trace_id) == ("parsed", None, None, None)
    assert service.paid == 1


@pytest.mark.faults("AP-04")
def test_what_a_stop_kept_from_being_sent_says_so_in_its_receipt(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    """Both have a slot; the uid of the second comes when the batch has ended for the first."""
    both, ended = threading.Event(), threading.Event()

    def refuse(conversation: Conversation, request: Request) -> None:
        assert both.wait(30.0)
        failed("parse_quota_limit").action(conversation, request)

    def answer_late(conversation: Conversation, request: Request) -> None:
        both.set()
        assert ended.wait(30.0)
        reply(json=envelope({"uid": "late", "url": service.link("/bucket/late")})).action(conversation, request)

    service.on("preupload", Step(refuse), Step(answer_late))
    paths = papers(2)
    with service.client() as client:
        done = []
        for one in client.convert_many(paths, to="md", out=out, jobs=2):
            done.append(one)
            ended.set()
        rows = {row.reason: row.state for row in client.jobs()}
        assert not any(each.sent for each in done)
        assert rows == {
            "No pages are left on this account": "planned",
            "the run was stopped before it was sent": "planned",
        }
        assert service.count("put") == 0
        assert not any(each.error for each in client.convert_many(paths, to="md", out=out))
        assert {row.reason for row in client.jobs()} == {None}


@pytest.mark.faults("AP-05")
@pytest.mark.parametrize("code", ["parse_task_limit_exceeded", "parse_concurrency_limit"])
def test_a_full_service_is_asked_again_for_the_same_step(
    code: str, service: ScriptedService, papers: Papers, out: Path, clock: StillClock
) -> None:
    service.on("preupload", *[failed(code)] * 5)
    with service.client(clock) as client:
        (done,) = client.convert_many(papers(1), to="md", out=out)
    assert done.error is None
    assert (service.count("preupload"), len(service.uids), service.paid) == (6, 1, 1)
    assert sum(clock.sleeps) > 5


@pytest.mark.faults("AP-06")
@pytest.mark.parametrize(
    "answer", [failed("parse_task_limit_exceeded"), failed("parse_concurrency_limit"), reply(429), reply(429, json={})]
)
@pytest.mark.parametrize("before", [0, 1])
def test_a_limit_in_the_status_is_patience_with_the_same_uid(
    before: int, answer: Step, service: ScriptedService, papers: Papers, out: Path
) -> None:
    service.on("status", *[None] * before, *[answer] * 12)
    with service.client() as client:
        (done,) = client.convert_many(papers(1), to="md", out=out)
    assert done.error is None
    assert (service.count("preupload"), service.count("put"), service.paid) == (1, 1, 1)


@pytest.mark.faults("AP-06")
def test_a_uid_that_was_seen_at_work_is_never_replaced_for_a_limit(
    service: ScriptedService, papers: Papers, clock: StillClock
) -> None:
    """Not even by a later run, to which the limit is the first answer."""
    (path,) = papers(1)
    service.on("status", None, *[failed("parse_task_limit_exceeded")] * 180)
    with service.client(clock, parse_timeout=1000.0) as client:
        with pytest.raises(Exception, match="had not ended in time"):
            client.convert(path)
        assert client.convert(path).uid == service.uids[0]
    assert service.paid == 1


@pytest.mark.faults("AP-07")
def test_a_refused_key_stops_the_batch_and_leaves_all_to_go_on(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    paths = papers(60)
    service.on("status", *[None] * 6)
    service.always("status", failed("unauthorized", 401))
    with service.client() as client:
        done = list(client.convert_many(paths, to="md", out=out))
        errors = [each.error for each in done if each.error]
        assert all(isinstance(error, AuthError) for error in errors)
        assert sum(not each.sent for each in done) >= 60 - 14 - 6
        assert {row.state for row in client.jobs()} <= {"parsed", "submitted", "uploading", "planned"}
        before = service.paid
        service.always("status", None)
        assert not any(each.error for each in client.convert_many(paths, to="md", out=out))
    assert service.paid == 60
    assert before < 60


# budget


@pytest.mark.parametrize(("budget", "paid"), [(10, 3), (9, 3), (1, 0), (300, 40)])
def test_the_budget_is_never_passed_and_what_was_paid_costs_nothing(
    budget: int, paid: int, papers: Papers, out: Path
) -> None:
    with ScriptedService(pages=3) as service, service.client() as client:
        paths = papers(40, pages=3)
        done = list(client.convert_many(paths, to="md", out=out, max_pages=budget))
        assert service.paid == paid
        assert len(done) == 40
        stopped = [each.error for each in done if each.error]
        assert len(stopped) == 40 - paid
        assert all(isinstance(error, BudgetExceeded) for error in stopped)
        assert sum(each.sent for each in done) == paid
        again = list(client.convert_many(paths, to="docx", out=out, max_pages=budget))
        assert service.paid == min(40, 2 * paid)
        assert sum(each.error is None for each in again) >= min(40, 2 * paid) - paid


def test_pages_that_were_not_paid_after_all_go_back_to_the_budget(papers: Papers, out: Path) -> None:
    with ScriptedService(pages=3) as service, service.client() as client:
        service.on("preupload", failed("parse_file_lock"))
        done = list(client.convert_many(papers(4, pages=3), to="md", out=out, max_pages=9, jobs=1))
        assert service.paid == 3
    assert sum(each.error is None for each in done) == 3


# files and disks


@pytest.mark.faults("UP-05")
@pytest.mark.parametrize("change", ["touched", "rewritten", "edited", "removed"])
def test_a_file_that_changes_before_its_turn_is_not_sent_unless_its_bytes_are_the_same(
    change: str, service: ScriptedService, papers: Papers, out: Path
) -> None:
    paths = papers(2)

    def spoil(progress: Progress) -> None:
        (other,) = [path for path in paths if str(path) != progress.source]
        if progress.stage == "upload" and not service.paid:
            content = other.read_bytes()
            if change == "touched":
                other.touch()
            elif change == "removed":
                other.unlink()
            else:
                other.write_bytes(content if change == "rewritten" else content.replace(b"200 200", b"300 300"))

    with service.client() as client:
        errors = [
            each.error for each in client.convert_many(paths, to="md", out=out, jobs=1, on_progress=spoil) if each.error
        ]
    assert [type(error) for error in errors] == ([] if change in ("touched", "rewritten") else [InputChanged])
    assert service.paid == service.count("preupload") == 2 - len(errors)


@pytest.mark.faults("UP-05")
@pytest.mark.parametrize("change", ["grows", "shrinks", "edited"])
def test_a_file_that_changes_while_it_is_sent_is_told_and_others_go_on(
    change: str, service: ScriptedService, papers: Papers, out: Path
) -> None:
    paths = papers(3)

    def spoil(progress: object) -> None:
        if getattr(progress, "stage", "") == "upload" and "paper1" in getattr(progress, "source", ""):
            content = paths[1].read_bytes()
            new = {"grows": content + b"%", "shrinks": content[:-9], "edited": content.replace(b"200 200", b"300 300")}
            paths[1].write_bytes(new[change])

    with service.client() as client:
        done = {
            Path(each.source).name: each for each in client.convert_many(paths, to="md", out=out, on_progress=spoil)
        }
        assert isinstance(done["paper1.pdf"].error, InputChanged)
        assert [done[name].error for name in ("paper0.pdf", "paper2.pdf")] == [None, None]
        (row,) = [row for row in client.jobs() if row.source.endswith("paper1.pdf")]
        assert row.state == "planned"  # the uid of the spoilt upload is history, and never exported
        assert row.history == (done["paper1.pdf"].error.uid,)
    assert not (out / "paper1.md").exists()


@pytest.mark.faults("FS-01")
def test_a_full_disk_stops_the_batch_before_the_next_paid_step(
    service: ScriptedService, papers: Papers, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, room = publish.place, [4]

    def place(*args: object, **options: object) -> bool:
        room[0] -= 1
        if room[0] < 0:
            raise OSError(28, "No space left on device")
        return plain(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(publish, "place", place)
    paths = papers(60)
    with service.client() as client:
        done = list(client.convert_many(paths, to="md", out=out))
        assert all(isinstance(each.error, DiskFull) for each in done if each.error)
        assert sum(not each.sent for each in done) > 20
        assert all(each.to_fetch == each.sent for each in done if each.error)
        assert service.paid < 40
        monkeypatch.undo()
        assert not any(each.error for each in client.convert_many(paths, to="md", out=out))
    assert service.paid == 60


@pytest.mark.faults("FS-02")
def test_no_paid_step_without_a_row_on_the_disk(service: ScriptedService, papers: Papers, out: Path) -> None:
    paths = papers(30)
    with service.client() as client:
        list(client.convert_many(paths[:5], to="md", out=out))
        assert client._kit.ledger is not None
        with no_room(client._kit.ledger):
            done = list(client.convert_many(paths, to="md", out=out))
        failed = [each for each in done if each.error]
        assert all(isinstance(each.error, LedgerError) for each in failed)
        assert {str(path) for path in paths[5:]} <= {each.source for each in failed}
        assert not any(each.sent for each in failed if Path(each.source) in paths[:5])  # had not had their turn yet
        known = {row.uid for row in client.jobs()}
        assert {uid for uid, _ in service.stored} <= known
        assert not any(each.error for each in client.convert_many(paths, to="md", out=out))
    assert service.paid == 30


# the network


def down(service: ScriptedService) -> None:
    for route in ("preupload", "put", "status", "export", "result", "download"):
        service.always(route, close())


def up(service: ScriptedService) -> None:
    for route in ("preupload", "put", "status", "export", "result", "download"):
        service.always(route, None)


@pytest.mark.faults("TR-17")
@pytest.mark.parametrize(
    "case",
    [
        pytest.param((200, 0), id="from the start"),
        pytest.param((200, 5), id="in the middle"),
        pytest.param((1000, 0), id="a thousand", marks=pytest.mark.long),
    ],
)
def test_an_outage_of_ten_minutes_pauses_the_batch(
    case: tuple[int, int], service: ScriptedService, papers: Papers, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It begins when so many documents are done."""
    count, at = case
    clock = StillClock()
    began: list[float] = []
    asked = 0

    def back_up(_: float) -> None:
        nonlocal asked
        if began and clock.monotonic() - began[0] > 600.0 and not asked:
            asked = len(service.server.requests)
            up(service)

    clock.on_sleep = back_up
    paths = papers(count)
    done = []
    before = 0
    with service.client(clock, outage=3600.0) as client, caplog.at_level(logging.WARNING, "doc2x_sdk"):
        if at == 0:
            down(service)
            began.append(clock.monotonic())
        for one in client.convert_many(paths, to="md", out=out):
            done.append(one)
            if len(done) == at:
                before = len(service.server.requests)
                down(service)
                began.append(clock.monotonic())
    lines = [record.message for record in caplog.records if "no usable answer from the service" in record.message]
    print(f"{asked - before} requests in 10 minutes without an answer, {len(lines)} lines in the log")
    assert [str(each.error) for each in done if each.error] == []
    assert service.paid == len(paths)
    assert 0 < asked - before < 250
    assert 1 <= len(lines) <= 14
    assert "the service answers again" in caplog.text


@pytest.mark.faults("TR-17")
def test_an_outage_that_does_not_end_ends_the_batch(service: ScriptedService, papers: Papers, out: Path) -> None:
    down(service)
    clock = StillClock()
    with service.client(clock, outage=300.0) as client:
        done = list(client.convert_many(papers(50), to="md", out=out))
        assert len(done) == 50
        assert all(isinstance(each.error, NetworkError) for each in done)
        assert len(service.server.requests) < 200  # all fifty may be at work: three attempts each, then one tries
        assert not any(each.sent or each.to_fetch for each in done)
        up(service)
        assert not any(each.error for each in client.convert_many(papers(50), to="md", out=out))
    assert service.paid == 50


@pytest.mark.faults("TR-17")
def test_what_an_outage_ended_tells_how_long_it_was_waited_for_and_what_is_paid(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    """Four of six are at the service when it falls silent."""
    clock = StillClock()
    service.on("preupload", *[None] * 4)
    service.always("preupload", close())
    service.always("status", close())
    with service.client(clock, outage=300.0) as client:
        with client.convert_many(papers(6), to="md", out=out, jobs=4) as run:
            assert run.reason is None
            done = list(run)
        reason = run.reason
        assert isinstance(reason, NetworkError)
        words = re.fullmatch(
            r"The service gave no usable answer for (\d+) s, since (\d\d:\d\d:\d\d); the last cause: (The .+)",
            reason.message,
        )
        assert words is not None, reason.message
        assert 300 < int(words[1]) < 400
        assert words[2] in {time.strftime("%H:%M:%S", time.localtime(1.7e9 + at)) for at in range(60)}
        assert reason.__cause__ is not None
        assert words[3] in str(reason.__cause__)
        told(reason, "`outage` (DOC2X_OUTAGE), here 300 s", "proxy")
        not_sent = [each for each in done if not each.sent]
        assert [each.error.__cause__ for each in not_sent if each.error] == [reason] * 2
        assert [each.to_fetch for each in done if each.sent] == [True] * 4
        assert not any(each.to_fetch for each in not_sent)
        up(service)
        assert not any(each.error for each in client.convert_many(papers(6), to="md", out=out))
    assert service.paid == 6


@pytest.mark.faults("TR-17")
def test_what_an_outage_kept_from_being_sent_was_not_begun_and_what_may_be_paid_stays_what_it_is(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    """Two get a uid: one is at the service, of the other nobody can tell. One gets none, and one was never begun."""
    service.on("preupload", *[None] * 2)
    service.always("preupload", close())
    service.on("put", None, Over(close()))
    service.always("status", close())
    with service.client(StillClock(), outage=300.0) as client:
        with client.convert_many(papers(4), to="md", out=out, jobs=3) as run:
            done = list(run)
        fates = sorted((each.sent, each.to_fetch) for each in done)
        assert fates == [(False, False), (False, False), (True, False), (True, True)]
        for each in done:
            assert isinstance(each.error, NetworkError)
            assert (each.error.__cause__ is run.reason) != each.sent
        assert sorted(row.state for row in client.jobs()) == ["planned", "submitted", "uploading"]
        up(service)
        assert not any(each.error for each in client.convert_many(papers(4), to="md", out=out))
    assert service.paid == 4


@pytest.mark.faults("TR-17")
def test_a_book_of_which_an_outage_left_parts_unpaid_was_begun(papers: Papers, out: Path) -> None:
    def fall_silent(conversation: Conversation, request: Request) -> None:
        down(service)
        close().action(conversation, request)

    with ScriptedService(pages=2) as service, service.client(StillClock(), max_file_pages=2, outage=300.0) as client:
        service.on("preupload", None, Step(fall_silent))
        with client.convert_many(papers(1, pages=6), to="md", out=out) as run:
            (done,) = run
        assert isinstance(run.reason, NetworkError)
        assert isinstance(done.error, NetworkError)
        assert (done.sent, done.to_fetch) == (True, False)
        assert sorted(row.state for row in client.jobs()) == ["parsed", "planned", "planned"]


@pytest.mark.faults("TR-17", "AP-04")
@pytest.mark.parametrize(
    ("refusal", "kind"),
    [(close(), NetworkError), (failed("parse_quota_limit"), QuotaExceeded)],
    ids=["outage", "no pages left"],
)
def test_a_book_that_another_documents_error_stopped_between_two_parts_was_begun(
    refusal: Step, kind: type[Doc2XError], papers: Papers, out: Path
) -> None:
    """The first part is at the service, and the answer about it comes when the batch has ended."""
    book_is_there, ended = threading.Event(), threading.Event()

    def note(progress: Progress) -> None:
        if "/book/" in progress.source and progress.stage == "parse":
            service.always("preupload", refusal)
            book_is_there.set()
        elif "/book/" not in progress.source and progress.stage == "check":
            assert book_is_there.wait(30.0)

    def answer_late(conversation: Conversation, request: Request) -> None:
        assert ended.wait(30.0)
        success = {"status": "success", "progress": 100, "result": service.result()}
        reply(json=envelope(success)).action(conversation, request)

    with (
        ScriptedService(pages=2) as service,
        service.client(StillClock(), max_file_pages=2, outage=300.0, read_timeout=30.0) as client,
    ):
        service.on("status", Step(answer_late))
        paths = [*papers(1, pages=6, folder="book"), *papers(2, pages=2)]
        with client.convert_many(paths, to="md", out=out, jobs=2, on_progress=note) as run:
            first = next(run)
            ended.set()
            fates = {each.source: each for each in (first, *run)}
        book, *others = (fates[str(path)] for path in paths)
        assert service.paid == 1
        assert (book.sent, book.to_fetch) == (True, False)
        assert isinstance(book.error, kind)
        assert book.error.__cause__ is run.reason
        told(book.error, "Not all of it was sent", (run.reason or book.error).message)
        assert not any(each.to_fetch for each in others)
        assert others[-1].sent is False
        assert sorted(row.state for row in client.jobs() if "/book/" in row.source) == ["parsed", "planned", "planned"]
        service.always("preupload", None)
        assert not any(each.error for each in client.convert_many(paths, to="md", out=out))
    assert service.paid == 5


@pytest.mark.faults("TR-17")
def test_once_an_outage_ended_the_batch_no_document_waits_for_another() -> None:
    """The pauses of those at work, up to a minute each, would else come one after the other."""
    clock, error = StillClock(), NetworkError("The status: no answer")

    def waits() -> None:
        pytest.fail("it waits for the other one")

    outage = Outage(clock.clock, 10.0, waits, Silence(10.0), patience=0.0)
    with outage.visit() as first, outage.visit() as second:
        assert outage.silent(first, error)
        clock.advance(11.0)
        assert not outage.silent(first, error)
        clock.sleeps.clear()
        for one in (first, second):
            outage.enter(one)
            outage.sleep(one, 0.5)
            assert not outage.silent(one, error)
    assert clock.sleeps == [0.5, 0.5]


@pytest.mark.faults("TR-17")
def test_in_an_outage_documents_take_turns_ever_more_seldom_and_the_others_wait() -> None:
    """One whose own question is out of reach must not keep the others from noticing that theirs are not."""
    clock, error = StillClock(), NetworkError("The status: no answer")
    asked: list[tuple[float, Visit]] = []
    in_vain = 3

    def ask_in_vain() -> None:
        """What the document before does while the next one waits in line."""
        nonlocal in_vain
        in_vain -= 1
        assert in_vain >= 0
        assert outage.silent(asked[-1][1], error)

    def ask(one: Visit) -> None:
        outage.enter(one)
        asked.append((clock.monotonic() - 1000.0, one))

    def answered(_: float) -> None:
        """What the other document does while the first one sleeps."""
        clock.on_sleep = None
        ask(second)
        outage.over()

    outage = Outage(clock.clock, 600.0, ask_in_vain, Silence(600.0), patience=0.0)
    with outage.visit() as first, outage.visit() as second:
        assert outage.silent(first, error)
        for one in (first, second, first, second):
            ask(one)
        assert [at for at, _ in asked] == [1.0, 2.0, 4.0, 8.0]
        outage.over()
        assert outage.silent(first, error)
        clock.on_sleep = answered
        outage.enter(first)  # in which it pauses by itself
        assert asked.pop()[1] is second
        assert outage.silent(first, error)
        outage.enter(first)
        clock.on_sleep = answered
        outage.sleep(first, 3.0)
        assert asked.pop()[1] is second


@pytest.mark.faults("TR-17")
def test_who_waits_for_another_document_keeps_nobody_from_seeing_that_an_outage_is_over(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    paths = papers(2)
    paths[1].write_bytes(paths[0].read_bytes())
    service.always("status", close())
    over = threading.Timer(3.0, service.always, ("status", None))
    with service.client(Real(), patience=1.0, retries=0, outage=60.0) as client:
        run = client.convert_many(paths, to="md", out=out)
        in_vain = threading.Timer(40.0, run.stop)
        over.start()
        in_vain.start()
        errors = [each.error for each in run]
        in_vain.cancel()
    assert errors == [None, None]
    assert service.paid == 1


class Real(StillClock):
    """The machine's clocks."""

    @property
    def clock(self) -> Clock:
        """What a client is handed."""
        return Clock()


@pytest.mark.faults("TR-05")
def test_a_full_service_that_asks_to_wait_for_a_day_ends_its_document_alone(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    clock = StillClock()
    service.on("preupload", *[reply(429, headers=[("Retry-After", "86400")])] * 2)
    with service.client(clock, patience=60.0, parse_timeout=600.0) as client:
        done = list(client.convert_many(papers(3), to="md", out=out, jobs=1))
    (refused,) = [each.error for each in done if each.error is not None]
    assert isinstance(refused, RateLimit)
    assert refused.retry_after == 86400
    assert max(clock.sleeps) < 600
    assert service.paid == 2


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("raised_by", ["the inputs", "the callback"])
def test_what_ends_a_process_reaches_the_caller(
    raised_by: str, kind: type[BaseException], service: ScriptedService, papers: Papers, out: Path
) -> None:
    def some() -> Iterator[Path]:
        yield from papers(2)
        raise kind("the list is broken")

    def on_progress(progress: Progress) -> None:
        if progress.stage == "parse":
            raise kind("the list is broken")

    of_inputs = raised_by == "the inputs"
    inputs, callback = (some(), None) if of_inputs else (papers(6), on_progress)
    done: list[Done] = []
    with service.client() as client:
        run = client.convert_many(inputs, to="md", out=out, jobs=2, on_progress=callback)
        with pytest.raises(kind, match="the list is broken"):
            done.extend(run)
    assert [each.error for each in done] == ([None, None] if of_inputs else [])
    assert service.paid <= 2


@pytest.mark.parametrize("jobs", [0, -1, True, "3"])
def test_how_many_at_a_time_is_a_number_from_1(jobs: Any, service: ScriptedService, papers: Papers, out: Path) -> None:
    with service.client() as client:
        for begin in (
            lambda: client.convert_many(papers(1), to="md", out=out, jobs=jobs),
            lambda: client.rescue(jobs=jobs),
        ):
            with pytest.raises(ConfigError, match="number from 1"):
                begin()
    assert service.server.connections == 0


@pytest.mark.parametrize("most", [-1, True, 2.5, "3"])
def test_a_budget_is_a_number_from_0(most: Any, service: ScriptedService, papers: Papers, out: Path) -> None:
    (paper,) = papers(1)
    with service.client() as client:
        for begin in (
            lambda: client.convert(paper, to="md", out=out, max_pages=most),
            lambda: client.convert_many([paper], to="md", out=out, max_pages=most),
        ):
            with pytest.raises(ConfigError, match="`max_pages` is a number from 0"):
                begin()
        assert service.server.connections == 0
        with pytest.raises(BudgetExceeded):
            client.convert(paper, to="md", out=out, max_pages=0)
    assert service.paid == 0


def test_an_empty_folder_is_not_the_current_one(service: ScriptedService, papers: Papers) -> None:
    (paper,) = papers(1)
    with service.client() as client:
        for begin in (
            lambda: client.convert(paper, to="md", out=""),
            lambda: client.fetch("some-uid", to="md", out=""),
            lambda: client.convert_many([paper], to="md", out=""),
            lambda: client.convert_many([paper], to="md", out=None),  # type: ignore[arg-type]
            lambda: client.quote([paper], to="md", out=""),
            lambda: client.rescue(""),
        ):
            with pytest.raises(ConfigError, match="`out` is empty"):
                begin()
    assert service.server.connections == 0


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_client_that_is_closed_before_the_end_is_not_taken_for_the_end(
    elsewhere: bool, service: ScriptedService, papers: Papers, out: Path
) -> None:
    service.looks = 10**9
    with service.client(Real()) as client:
        run = client.convert_many(papers(3), to="md", out=out)
        closing = threading.Timer(0.5, client.close)
        if elsewhere:
            closing.start()
            with pytest.raises(ConfigError, match="closed before all was done"):
                list(run)
            closing.join()
    if not elsewhere:
        with pytest.raises(ConfigError, match="closed before all was done"):
            list(run)


def test_a_client_that_is_closed_after_the_end_changes_nothing(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    with service.client() as client:
        run = client.convert_many(papers(2), to="md", out=out)
        stopped = client.convert_many(papers(2, folder="other"), to="md", out=out)
        assert len(list(run)) == 2
        stopped.close()
    assert (list(run), list(stopped)) == ([], [])


def test_storage_that_is_out_of_reach_is_waited_for_too(service: ScriptedService, papers: Papers, out: Path) -> None:
    service.on("put", *[close()] * 8)
    with service.client() as client:
        assert not any(each.error for each in client.convert_many(papers(6), to="md", out=out))
    assert service.paid == 6


@pytest.mark.faults("TR-17")
@pytest.mark.parametrize("route", ["put", "export", "download"])
def test_what_stays_out_of_reach_while_the_service_answers_ends_its_document_alone(
    route: str, service: ScriptedService, papers: Papers, out: Path
) -> None:
    """Such as a storage host that a firewall keeps away: each answer about the parse ends the outage."""
    clock = StillClock()
    service.always(route, close())
    with service.client(clock, outage=60.0, retries=0) as client:
        with client.convert_many(papers(1), to="md", out=out) as run:
            (done,) = run
        assert isinstance(done.error, NetworkError)
        assert done.to_fetch == (route != "put")
        assert clock.monotonic() - 1000.0 < 600.0
        assert service.count(route) < 30  # ever more seldom, though each answer about the parse ends the outage
        service.always(route, None)
        assert not any(each.error for each in client.convert_many(papers(1), to="md", out=out))
    assert service.paid == 1


@pytest.mark.faults("TR-17")
def test_an_export_of_which_nothing_is_heard_ends_its_document_alone(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    """Each of its failures takes the whole patience, and each try hears that its parse is done."""
    clock = StillClock()
    service.always("result", close())
    with service.client(clock, outage=600.0, retries=0) as client:
        (done,) = client.convert_many(papers(1), to="md", out=out)
    assert isinstance(done.error, NetworkError)
    assert done.to_fetch
    assert 600.0 < clock.monotonic() - 1000.0 < 1800.0


@pytest.mark.faults("TR-17")
def test_whether_a_lost_upload_arrived_is_asked_ever_more_seldom_until_one_does(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    """Storage takes each upload whole and does not answer; the service answers each time that it has no file."""
    clock = StillClock()
    asked: list[int] = []
    arrived: list[float] = []

    def heal(_: float) -> None:
        if clock.monotonic() - 1000.0 > 600.0 and not asked:
            asked.append(service.count("status"))
            service.always("put", Over(Step(arrive)))

    def arrive(conversation: Conversation, request: Request) -> None:
        arrived.append(clock.monotonic())
        reply(200).action(conversation, request)

    clock.on_sleep = heal
    service.always("put", close())
    with service.client(clock, outage=3600.0) as client:
        (done,) = client.convert_many(papers(1), to="md", out=out)
    assert done.error is None
    assert service.paid == 1
    assert 20 < asked[0] < 80  # 183 where each try asks as often as the first
    assert clock.monotonic() - arrived[0] < 10.0  # its parse is looked at as any other's


@pytest.mark.faults("TR-17")
def test_a_document_whose_uploads_are_lost_does_not_slow_the_looks_at_others() -> None:
    clock, error = StillClock(), NetworkError("The upload: no answer")
    outage = Outage(clock.clock, 600.0, lambda: None, Silence(600.0), patience=0.0)
    with outage.visit() as lost, outage.visit() as other:
        for _ in range(6):
            assert outage.silent(lost, error)
            outage.enter(lost)
        outage.over(other)
        clock.sleeps.clear()
        outage.sleep(other, 0.5)
        outage.sleep(lost, 0.5)
        outage.over(lost)
        outage.sleep(lost, 0.5)
    assert clock.sleeps == [0.5, 16.0, 0.5]


@pytest.mark.faults("TR-17")
def test_a_question_that_stays_without_an_answer_while_others_are_answered_ends_its_document_alone(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    """Each of its failures takes the whole patience, and the other's answers end each outage that it begins."""
    clock, ended, in_step = StillClock(), threading.Event(), threading.Semaphore(0)
    success = reply(json=envelope({"status": "success", "progress": 100, "result": service.result()}))

    def answer(conversation: Conversation, request: Request) -> None:
        if service.uids[0] in request.target:
            in_step.release()
            step = close()
        else:
            in_step.acquire(timeout=0.05)  # else time, which both move on, would be his whose thread runs more often
            step = success if ended.is_set() or clock.monotonic() > 4000.0 else processing(99)
        step.action(conversation, request)

    service.always("status", Step(answer))
    with (
        service.client(clock, outage=300.0, retries=0) as client,
        client.convert_many(papers(2), to="md", out=out) as run,
    ):
        lost = next(run)
        lasted = clock.monotonic() - 1000.0
        ended.set()
        (other,) = run
        assert run.reason is None
    assert isinstance(lost.error, NetworkError)
    assert (lost.to_fetch, other.error) == (True, None)
    assert 300.0 < lasted < 900.0
    assert service.paid == 2


# the caller


def test_the_first_error_ends_a_batch_that_should_fail_fast(
    service: ScriptedService, papers: Papers, tmp_path: Path, out: Path
) -> None:
    with service.client() as client:
        done = list(client.convert_many([tmp_path / "missing.pdf", *papers(200)], to="md", out=out, fail_fast=True))
    assert len(done) == 201
    assert sum(not each.sent for each in done) > 150
    (first,) = [each for each in done if isinstance(each.error, FileError)]
    assert first.source.endswith("missing.pdf")
    stopped = next(each for each in done if not each.sent)
    told(stopped.error, stopped.source, "Not sent: the batch stopped at", "missing.pdf: There is no such file")
    assert stopped.error is not None
    assert stopped.error.__cause__ is first.error
    assert service.paid == sum(each.error is None for each in done)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (("status", reply(json=envelope(code="parse_new_reason"))), Doc2XError),
        (("status", reply(body=b"<html>moved</html>")), ProtocolError),
        (("preupload", reply(429, headers=[("Retry-After", "86400")])), RateLimit),
    ],
)
def test_where_the_first_error_ends_a_batch_the_others_are_not_told_to_have_it(
    answer: tuple[str, Step], kind: type[Doc2XError], service: ScriptedService, papers: Papers, out: Path
) -> None:
    service.always(*answer)
    with service.client(SkippingClock(), retries=0) as client:
        done = list(client.convert_many(papers(3), to="md", out=out, fail_fast=True, jobs=1))
    (first,) = [each for each in done if each.sent]
    assert type(first.error) is kind
    for other in done:
        if other is not first:
            assert type(other.error) is Doc2XError
            told(other.error, other.source, f"Not sent: the batch stopped at {first.source}: ", "the others")


@pytest.mark.faults("CL-01")
@pytest.mark.parametrize("at_work", [0, 2])
def test_what_was_done_when_a_batch_was_stopped_is_given_out(
    at_work: int, service: ScriptedService, papers: Papers, out: Path
) -> None:
    """The others are left to the next run."""
    paths = papers(6 + at_work)
    done = threading.Semaphore(0)
    release = threading.Event()

    def on_progress(progress: Progress) -> None:
        if progress.stage == "publish":
            done.release()
        elif progress.stage == "export" and progress.source in map(str, paths[6:]):
            release.wait(30.0)

    with service.client(SkippingClock()) as client:
        run = client.convert_many(paths, to="md", out=out, on_progress=on_progress)
        given = [next(run)]
        assert all(done.acquire(timeout=10.0) for _ in range(6))
        while run.in_flight > at_work:
            time.sleep(0.01)
        run.stop()
        release.set()
        given += run
        assert {each.source for each in given} >= set(map(str, paths[:6]))
        assert not any(each.error for each in given)
        again = {each.source: each.was_there for each in client.convert_many(paths, to="md", out=out)}
    assert all(again[each.source] for each in given)
    assert service.paid == len(paths)


@pytest.mark.faults("CL-01")
@pytest.mark.parametrize("how", ["close", "drop", "client", "interrupt"])
def test_nothing_is_uploaded_once_the_iterator_is_closed(
    how: str, service: ScriptedService, papers: Papers, out: Path
) -> None:
    clock = SkippingClock()
    began = 0.0
    with service.client(clock) as client:
        run = client.convert_many(papers(200), to="md", out=out)
        for _ in range(3):
            next(run)
        began = time.monotonic()
        if how == "close":
            run.close()
        elif how == "drop":
            del run
        elif how == "client":
            client.close()
        else:
            with pytest.raises(KeyboardInterrupt), run:
                raise KeyboardInterrupt
        stored, took = service.count("put"), time.monotonic() - began
        assert took < 5.0
        assert not workers()
        with pytest.raises(ConfigError) if how == "client" else nullcontext():
            assert list(run if how in ("close", "client") else ()) == []
        if how != "client":
            known = {uid for row in client.jobs() for uid in (row.uid, *row.history)}
            assert {uid for uid, _ in service.stored} <= known
    assert stored == service.count("put")
    assert service.paid < 60
    with service.client() as client:
        assert not any(each.error for each in client.convert_many(papers(200), to="md", out=out))
    assert service.paid == 200


@pytest.mark.faults("CL-01")
def test_a_service_that_hangs_does_not_hold_up_the_end(service: ScriptedService, papers: Papers, out: Path) -> None:
    release = threading.Event()
    service.on("status", *[None] * 4)
    service.always("status", until(release))
    with service.client(read_timeout=1.0, retries=0) as client:
        run = client.convert_many(papers(30), to="md", out=out)
        deadline = time.monotonic() + 10
        while service.count("status") < 10 and time.monotonic() < deadline:
            next(run, None) if service.count("status") < 4 else threading.Event().wait(0.01)
        began = time.monotonic()
        run.close()
        assert time.monotonic() - began < 5.0
        stored = service.paid
        release.set()
        for thread in workers():
            thread.join(10.0)
        assert service.paid == stored


def test_a_slow_generator_neither_delays_what_is_there_nor_the_end(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    more = threading.Event()
    paths = papers(4)

    def slowly() -> Iterator[Path]:
        yield from paths[:3]
        more.wait(30.0)
        yield paths[3]

    with service.client(SkippingClock()) as client:
        run = client.convert_many(slowly(), to="md", out=out)
        assert [next(run).error for _ in range(3)] == [None] * 3
        began = time.monotonic()
        run.close()
        assert time.monotonic() - began < 5.0
        more.set()
    assert service.paid == 3


@pytest.mark.faults("CL-01")
@pytest.mark.parametrize("blocks", ["a worker", "the rest"])
@pytest.mark.parametrize("why", ["an error", "an outage", "an error and a stop"])
def test_a_generator_that_blocks_does_not_hold_the_end_of_a_batch(
    why: str, blocks: str, service: ScriptedService, papers: Papers, out: Path
) -> None:
    """It blocks a worker, or who tells what was not begun; it is left alone, and what it gives later is not sent."""
    release, resumed = threading.Event(), threading.Event()
    count = 3 if blocks == "a worker" else 80
    paths = papers(count + 1)

    def slowly() -> Iterator[Path]:
        yield from paths[:count]
        release.wait(15.0)
        resumed.set()
        yield paths[count]

    service.always("preupload", close() if why == "an outage" else reply(json=envelope(code="parse_new_reason")))
    with service.client(SkippingClock(), retries=0) as client:
        run = client.convert_many(slowly(), to="md", out=out, fail_fast=True, jobs=2)
        began = time.monotonic()
        done = [next(run)]
        if why == "an error and a stop":
            run.stop()
        done += run
        assert time.monotonic() - began < 8.0
        if why != "an error and a stop":
            assert {each.source for each in done} == set(map(str, paths[:count]))
        assert run.reason is not None
        assert not resumed.is_set()
        service.always("preupload", None)
        release.set()
        assert resumed.wait(10.0)
        for thread in workers():
            thread.join(10.0)
    assert service.paid == 0
