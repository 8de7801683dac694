"""The gate: open until a refusal; then a rate that falls at refusals and grows without, and work before polls."""

import pytest

from doc2x_sdk.service.gate import Gate
from tests.support.clocks import StillClock
from tests.support.scripted import ScriptedServer, reply
from tests.support.wire import open_service, uid_data


def refused_at(clock: StillClock, answers: int) -> Gate:
    """A gate that was refused after this many answers within the two seconds before."""
    gate = Gate(clock.clock)
    for _ in range(answers):
        gate.answered()
    gate.refused()
    return gate


def times(gate: Gate, clock: StillClock, count: int, *, poll: bool = False) -> list[float]:
    """The instants at which requests are let through, one after another."""
    began, found = clock.monotonic(), []
    for _ in range(count):
        gate.enter(poll=poll, deadline=clock.clock.deadline(None))
        found.append(clock.monotonic() - began)
    return found


def test_before_a_refusal_nothing_waits() -> None:
    clock = StillClock()
    gate = Gate(clock.clock)
    assert times(gate, clock, 100) == [0.0] * 100
    assert gate.rate is None


def test_after_the_first_refusal_requests_leave_more_slowly_than_they_were_answered() -> None:
    clock = StillClock()
    gate = refused_at(clock, 20)
    assert gate.rate == pytest.approx(8.2)
    assert times(gate, clock, 4) == pytest.approx([place / 8.2 for place in range(4)])


def test_answers_of_long_ago_do_not_count() -> None:
    clock = StillClock()
    gate = Gate(clock.clock)
    for _ in range(50):
        gate.answered()
    clock.advance(2.5)
    for _ in range(10):
        gate.answered()
    gate.refused()
    assert gate.rate == pytest.approx(4.1)


def test_refusals_within_a_second_are_one_and_a_later_one_slows_down_again() -> None:
    clock = StillClock()
    gate = refused_at(clock, 40)
    gate.refused()
    assert gate.rate == pytest.approx(16.4)
    clock.advance(1.5)
    gate.refused()
    assert gate.rate == pytest.approx(15.58)


def test_however_often_it_is_refused_a_request_a_second_is_left() -> None:
    clock = StillClock()
    gate = Gate(clock.clock)
    for _ in range(20):
        gate.refused()
        clock.advance(5.0)
    assert gate.rate == pytest.approx(1.0)


def test_answers_make_it_faster_by_a_request_a_second_in_each_second() -> None:
    clock = StillClock()
    gate = refused_at(clock, 20)
    for _ in range(8):
        gate.answered()
    assert gate.rate == pytest.approx(9.1, abs=0.1)


def test_a_poll_waits_while_places_are_reserved_for_work_but_not_for_ever() -> None:
    clock = StillClock()
    gate = refused_at(clock, 5)  # 2.05 a second
    gate.enter(poll=False, deadline=clock.clock.deadline(None))

    def work_comes_first(_: float) -> None:
        clock.on_sleep = None
        for _ in range(12):  # six seconds of work, reserved while the poll sleeps
            with gate._lock:
                gate._free += 0.5

    clock.on_sleep = work_comes_first
    assert times(gate, clock, 1, poll=True)[0] == pytest.approx(6.0 + 1 / 2.05)
    gate.enter(poll=False, deadline=clock.clock.deadline(None))
    assert clock.monotonic() == pytest.approx(1006.0 + 2 / 2.05)


def test_no_request_waits_past_its_deadline() -> None:
    clock = StillClock()
    gate = refused_at(clock, 0)
    gate.enter(poll=False, deadline=clock.clock.deadline(None))
    gate.enter(poll=False, deadline=clock.clock.deadline(0.25))
    assert clock.sleeps == [0.25]


def test_a_refusal_on_the_wire_paces_what_follows_and_is_no_error() -> None:
    clock = StillClock()
    accepted = reply(json={"code": "success", "data": {**uid_data(), "url": "https://x.aliyuncs.com/o?S=1"}})
    refusal = reply(429, headers=[("Retry-After", "1")])
    with ScriptedServer(accepted, refusal, accepted) as server, open_service(server, clock) as service:
        for _ in range(4):
            service.preupload()
        assert len(server.requests) == 5
    assert clock.sleeps[0] == pytest.approx(1.1)
    assert sum(clock.sleeps[1:]) > 0.5  # 1 a second and a little more with each answer


def test_a_request_that_waits_holds_no_connection() -> None:
    """Another that leaves meanwhile takes the one that is there."""
    clock = StillClock()
    accepted = reply(json={"code": "success", "data": {**uid_data(), "url": "https://x.aliyuncs.com/o?S=1"}})
    refusal = reply(429, headers=[("Retry-After", "1")])
    with ScriptedServer(accepted, refusal, accepted) as server, open_service(server, clock) as service:

        def another(_: float) -> None:
            clock.on_sleep = None
            service.preupload()

        for _ in range(3):
            service.preupload()
        clock.on_sleep = another
        service.preupload()
        assert clock.on_sleep is None
        assert (len(server.requests), server.connections) == (6, 1)
