"""Documents that the service is too full for: the eldest looks when a parse has ended, and none waits for ever."""

from functools import partial

import pytest

from doc2x_sdk import Doc2X
from doc2x_sdk.errors import Doc2XError, FileError, IncompleteResult, TaskFailed
from doc2x_sdk.flow import polling
from doc2x_sdk.flow.heldup import HeldUp
from tests.support.clocks import SharedClock
from tests.support.scripted import Conversation, Request, Step, envelope, reply
from tests.support.scripted_service import ScriptedService, failed, make_pdf, processing
from tests.support.wire import KEY


def test_with_each_end_the_eldest_goes_on_and_who_has_waited_long_enough_does_so_alone() -> None:
    clock, held_up = SharedClock(), HeldUp()
    went_on: list[tuple[str, float]] = []

    def wait(name: str, begins: float, seconds: float) -> None:
        clock.sleep(begins)
        held_up.wait(seconds, clock.clock)
        went_on.append((name, round(clock.monotonic(), 1)))

    def end_parses() -> None:
        for _ in range(2):
            clock.sleep(2.05)
            held_up.a_parse_ended()

    clock.run(
        end_parses,
        partial(wait, "first", 0.01, 9.0),
        partial(wait, "second", 0.02, 9.0),
        partial(wait, "third", 0.03, 9.0),
        partial(wait, "impatient", 0.04, 1.0),
    )
    assert went_on == [("impatient", 1.0), ("first", 2.1), ("second", 4.1), ("third", 9.0)]


def test_an_end_that_nobody_waits_for_is_forgotten() -> None:
    clock, held_up = SharedClock(), HeldUp()
    held_up.a_parse_ended()
    clock.run(lambda: held_up.wait(3.0, clock.clock))
    assert round(clock.monotonic(), 3) == 3.0


@pytest.mark.faults("AP-05")
@pytest.mark.parametrize(
    ("end", "kind"),
    [
        pytest.param(reply(json=envelope({"status": "failed", "detail": "a page"})), TaskFailed, id="state"),
        pytest.param(failed("parse_timeout"), TaskFailed, id="code"),
        pytest.param(failed("parse_pdf_invalid"), FileError, id="file"),
        pytest.param(reply(json=envelope({"status": "success", "result": {}})), IncompleteResult, id="no pages"),
    ],
)
def test_a_parse_that_fails_makes_room_as_one_that_succeeds_does(
    end: Step, kind: type[Doc2XError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service takes one at a time; the second would look again by itself in ten minutes."""
    monkeypatch.setattr(polling, "HELD_UP_FIRST", 600.0)
    monkeypatch.setattr(polling, "LONGEST_PAUSE", 600.0)
    clock = SharedClock()
    over: list[bool] = []
    ended: list[float] = []

    def status(conversation: Conversation, request: Request) -> None:
        if request.target.endswith(service.uids[0]):
            over.append(clock.monotonic() >= 5.0)
            answer = end if over[-1] else processing(40)
        else:
            answer = success if any(over) else failed("parse_task_limit_exceeded")
        answer.action(conversation, request)

    def first() -> None:
        with pytest.raises(kind) as caught:
            client.convert(make_pdf(mark="first"))
        assert type(caught.value) is kind
        ended.append(clock.monotonic())

    def second() -> None:
        clock.sleep(1.0)
        client.convert(make_pdf(mark="second"))
        ended.append(clock.monotonic())

    with ScriptedService() as service, Doc2X(KEY, base_url=service.server.origin, clock=clock.clock) as client:
        success = reply(json=envelope({"status": "success", "progress": 100, "result": service.result()}))
        service.always("status", Step(status))
        clock.run(first, second)
    assert len(ended) == 2
    assert 5.0 < ended[0] <= ended[1] < ended[0] + 1.0
