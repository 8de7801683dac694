"""A service that gives no usable answer: heard early, once for all documents, and once when it is over."""

import logging
import re
import time
from functools import partial
from pathlib import Path

import pytest

from doc2x_sdk import Doc2X
from doc2x_sdk.errors import NetworkError, ProtocolError
from doc2x_sdk.flow.silence import Silence
from tests.support.clocks import SharedClock, StillClock
from tests.support.scripted import Conversation, Request, Step, close, envelope, reply
from tests.support.scripted_service import Done, ScriptedService, make_pdf, processing
from tests.support.wire import KEY

TOLD = re.compile(r"no usable answer from the service since ([\d:]+) \((.+)\)\. It is asked again until ([\d:]+)\. ")
STILL = re.compile(r"still no usable answer from the service, after \d+ s \(.+\)$")


class Ear(logging.Handler):
    """What is warned of, with the time on a test's clock."""

    def __init__(self, clock: StillClock | SharedClock) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[tuple[float, str]] = []
        self._clock = clock

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append((self._clock.monotonic(), record.getMessage()))

    def __enter__(self) -> "Ear":
        logging.getLogger("doc2x_sdk").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("doc2x_sdk").removeHandler(self)


def read(told: str) -> tuple[int, str, int]:
    """When it is said to have begun, in seconds of the test's clock, what was asked, and for how long it is asked."""
    since, what, until = (TOLD.match(told) or pytest.fail(told)).groups()
    start, begins, ends = (
        sum(int(part) * unit for part, unit in zip(text.split(":"), (3600, 60, 1), strict=True))
        for text in (time.strftime("%H:%M:%S", time.localtime(1.7e9)), since, until)
    )
    return (begins - start) % 86400, what, (ends - begins) % 86400


def heal_after(service: ScriptedService, clock: StillClock, seconds: float, what: str = "status") -> None:
    """Let the status, or another call, have no answer for so long from its first call on."""

    def answer(conversation: Conversation, request: Request) -> None:
        began.append(clock.monotonic())
        if clock.monotonic() - began[0] < seconds:
            close().action(conversation, request)
        else:
            service.always(what, None)
            processing(40).action(conversation, request)

    began: list[float] = []
    service.always(what, Step(answer))


@pytest.mark.faults("PO-04")
@pytest.mark.parametrize(
    "step", [close(), reply(502), reply(200, b"<html>please log in</html>")], ids=["closed", "502", "a page"]
)
def test_a_document_at_work_is_heard_of_early_and_once(
    step: Step, service: ScriptedService, paper: Path, clock: StillClock
) -> None:
    service.always("status", step)
    with service.client(clock, patience=120) as client, Ear(clock) as ear:
        service.on("status", processing(40))
        with pytest.raises(Exception, match="The status"):
            client.convert(paper)
    (at, told), *later = ear.heard
    since, what, lasts = read(told)
    assert [still for _, still in later if not STILL.match(still)] == []
    assert [round((moment - at) / 60) for moment, _ in later] == [1]
    assert what.startswith("The status")
    assert 15 <= at - 1000 - since <= 25
    assert 119 <= lasts <= 123
    assert "nothing is paid twice" in told
    assert service.paid == 1


@pytest.mark.faults("PO-04")
@pytest.mark.parametrize("way", ["convert", "an upload", "an export", "fetch", "wait"])
def test_that_it_answers_again_is_told_where_its_silence_was(
    way: str, service: ScriptedService, paper: Path, clock: StillClock
) -> None:
    heal_after(service, clock, 60.0, "result" if way == "an export" else "status")
    with service.client(clock) as client, Ear(clock) as ear:
        if way == "an export":
            client.convert(paper, to="md", out=paper.parent)
        elif way in ("convert", "an upload"):
            service.on("put", None if way == "convert" else Done(close()))
            client.convert(paper)
        elif way == "fetch":
            client.fetch(service.parsed(make_pdf()), to="txt")
        else:
            client.wait(service.parsed(make_pdf()))
        heal_after(service, clock, 8.0)
        client.convert(make_pdf(mark="a short one is not worth a word"))
    assert [bool(TOLD.match(told)) for _, told in ear.heard] == [True, False]
    assert re.fullmatch(r"the service answers again, after 6\d s", ear.heard[1][1])
    assert service.paid == 2


@pytest.mark.faults("PO-04")
def test_five_documents_at_work_are_one_outage() -> None:
    clock = SharedClock()

    def status(conversation: Conversation, request: Request) -> None:
        answer = close() if 5.0 < clock.monotonic() < 100.0 else done if clock.monotonic() > 100.0 else processing(1)
        answer.action(conversation, request)

    def work(number: int) -> None:
        clock.sleep(0.1 * number)
        client.convert(make_pdf(mark=str(number)))

    with (
        ScriptedService() as service,
        Doc2X(KEY, base_url=service.server.origin, clock=clock.clock) as client,
        Ear(clock) as ear,
    ):
        done = reply(json=envelope({"status": "success", "progress": 100, "result": service.result()}))
        service.always("status", Step(status))
        clock.run(*(partial(work, number) for number in range(5)))
    (first, told), (_, still), (_, last) = ear.heard
    assert TOLD.match(told)
    assert STILL.match(still)
    assert 20.0 <= first <= 32.0
    assert last.startswith("the service answers again, after 9")
    assert service.paid == 5


@pytest.mark.faults("TR-17")
def test_a_batch_says_until_when_it_waits_and_does_so_from_the_beginning_of_the_silence(
    service: ScriptedService, tmp_path: Path, clock: StillClock
) -> None:
    """The document at work gives up after 180 s, the batch after 600 s of silence in all."""
    paper = tmp_path / "paper.pdf"
    paper.write_bytes(make_pdf())
    service.on("status", processing(40))
    service.always("status", close())
    with service.client(clock) as client, Ear(clock) as ear:
        (done,) = client.convert_many([paper], to="md", out=tmp_path / "out")
        ended = clock.monotonic()
        assert isinstance(done.error, NetworkError)
        service.always("status", None)
        (again,) = client.convert_many([paper], to="md", out=tmp_path / "out")
        assert again.error is None
    (at, told), *later = ear.heard
    since, _, lasts = read(told)
    assert all(STILL.match(still) for _, still in later)
    assert 5 <= len(later) <= 9
    assert at - 1000 - since <= 25
    assert 599 <= lasts <= 601
    assert 600 <= ended - 1000 - since <= 665  # the document that tries does so once a minute
    assert service.paid == 1


@pytest.mark.faults("TR-17")
def test_a_page_in_place_of_answers_is_waited_for_no_longer_in_a_batch_and_that_is_said(
    service: ScriptedService, tmp_path: Path, clock: StillClock
) -> None:
    paper = tmp_path / "paper.pdf"
    paper.write_bytes(make_pdf())
    service.always("status", reply(200, b"<html>please log in</html>"))
    with service.client(clock) as client, Ear(clock) as ear:
        (done,) = client.convert_many([paper], to="md", out=tmp_path / "out")
    assert isinstance(done.error, ProtocolError)
    (_, told), *later = ear.heard
    assert all(STILL.match(still) for _, still in later)
    assert 178 <= read(told)[2] <= 182


def failure() -> NetworkError:
    return NetworkError("The status: no answer")


def test_a_question_that_others_overtook_begins_no_silence_in_the_past() -> None:
    clock, silence = StillClock(), Silence(600.0)
    with Ear(clock) as ear:
        clock.advance(40.0)
        silence.answered(clock.clock)
        clock.advance(20.0)
        silence.failed(failure(), clock.clock, asked=1000.0)
        assert silence.since == 1060.0
        clock.advance(14.9)
        silence.failed(failure(), clock.clock, asked=1070.0)
        assert ear.heard == []
        clock.advance(0.1)
        silence.failed(failure(), clock.clock, asked=1070.0)
    assert len(ear.heard) == 1


def test_what_nobody_asked_in_is_no_part_of_a_silence() -> None:
    clock, silence = StillClock(), Silence()
    with Ear(clock) as ear:
        for _ in range(2):
            silence.failed(failure(), clock.clock, asked=clock.monotonic(), left=100.0)
            clock.advance(16.0)
            silence.failed(failure(), clock.clock, asked=clock.monotonic(), left=100.0)
            clock.advance(3600.0)
        silence.answered(clock.clock)
    assert [bool(TOLD.match(told)) for _, told in ear.heard] == [True, True]


def test_what_is_not_asked_again_is_told_by_its_error_alone() -> None:
    clock, silence = StillClock(), Silence()
    with Ear(clock) as ear:
        silence.failed(failure(), clock.clock, asked=clock.monotonic() - 60.0, left=0.0)
    assert ear.heard == []
