"""The gate: open until a refusal; then a rate that falls at refusals and grows without, and turns."""

from functools import partial

import pytest

from doc2x_sdk.service.gate import Gate, Turn
from tests.support.clocks import SharedClock, StillClock
from tests.support.scripted import ScriptedServer, reply
from tests.support.wire import open_service, uid_data


def refused_at(clock: StillClock, answers: int) -> Gate:
    """A gate that was refused after this many answers within the two seconds before."""
    gate = Gate(clock.clock)
    for _ in range(answers):
        gate.answered()
    gate.refused()
    return gate


def times(gate: Gate, clock: StillClock, count: int, *, turn: Turn = Turn.BEGIN) -> list[float]:
    """The instants at which requests are let through, one after another."""
    began, found = clock.monotonic(), []
    for _ in range(count):
        gate.enter(turn=turn, deadline=clock.clock.deadline(None))
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
    assert gate.rate == pytest.approx(9.0)
    assert times(gate, clock, 4) == pytest.approx([place / 9 for place in range(4)])


def test_answers_of_long_ago_do_not_count() -> None:
    clock = StillClock()
    gate = Gate(clock.clock)
    for _ in range(50):
        gate.answered()
    clock.advance(2.5)
    for _ in range(10):
        gate.answered()
    gate.refused()
    assert gate.rate == pytest.approx(4.5)


def test_refusals_within_a_second_are_one() -> None:
    clock = StillClock()
    gate = refused_at(clock, 40)
    clock.advance(0.9)
    gate.refused()
    assert gate.rate == pytest.approx(18.0)


@pytest.mark.parametrize(("seconds", "answers"), [(0.5, 16), (1.5, 20), (2.0, 30)])
def test_what_is_answered_between_two_refusals_is_the_rate(seconds: float, answers: int) -> None:
    clock = StillClock()
    gate = refused_at(clock, 200)
    clock.advance(seconds)
    for _ in range(answers):
        gate.answered()
    gate.refused()
    assert gate.rate == pytest.approx(0.97 * answers / seconds)


def test_a_refusal_after_a_time_with_little_to_ask_does_not_slow_it_down_to_that() -> None:
    clock = StillClock()
    gate = refused_at(clock, 40)
    clock.advance(60.0)
    for _ in range(34):
        gate.answered()
    gate.refused()
    assert gate.rate == pytest.approx(0.97 * 17)


def test_answers_and_a_refusal_in_the_same_moment_as_the_last_tell_nothing() -> None:
    clock = StillClock()
    gate = refused_at(clock, 40)
    for _ in range(20):
        gate.answered()
    before = gate.rate
    gate.refused()
    assert gate.rate == before


def test_however_often_it_is_refused_a_request_a_second_is_left() -> None:
    clock = StillClock()
    gate = Gate(clock.clock)
    for _ in range(20):
        gate.refused()
        clock.advance(5.0)
    assert gate.rate == pytest.approx(1.0)


@pytest.mark.parametrize(("refusals", "more"), [(1, 1.0), (2, 0.2)])
def test_answers_make_it_faster_in_each_second_less_so_once_the_rate_is_known(refusals: int, more: float) -> None:
    clock = StillClock()
    gate = refused_at(clock, 200)
    for _ in range(1, refusals):
        clock.advance(2.0)
        for _ in range(100):
            gate.answered()
        gate.refused()
    before = gate.rate or 0.0
    for _ in range(round(before)):  # a second's worth
        gate.answered()
    assert gate.rate == pytest.approx(before + more, rel=0.01)


def leave(clock: SharedClock, gate: Gate, *requests: tuple[str, Turn, float]) -> list[tuple[str, float]]:
    """Let requests come at their instants; return when each left."""
    left: list[tuple[str, float]] = []

    def come(name: str, turn: Turn, seconds: float) -> None:
        clock.sleep(seconds)
        gate.enter(turn=turn, deadline=clock.clock.deadline(None))
        left.append((name, round(clock.monotonic(), 3)))

    clock.run(*(partial(come, *request) for request in requests))
    return left


def paced(clock: SharedClock) -> Gate:
    """A gate that lets one request a second through."""
    gate = Gate(clock.clock)
    gate.refused()
    return gate


def test_who_begins_a_document_goes_before_who_looks() -> None:
    clock = SharedClock()
    gate = paced(clock)
    requests = [
        ("first", Turn.END, 0.0),
        ("result", Turn.END, 0.1),
        ("status", Turn.GO_ON, 0.2),
        ("export", Turn.GO_ON, 0.3),
        ("preupload", Turn.BEGIN, 0.4),
        ("late preupload", Turn.BEGIN, 2.5),
    ]
    assert leave(clock, gate, *requests) == [
        ("first", 0.0),
        ("preupload", 1.0),
        ("status", 2.0),
        ("late preupload", 3.0),
        ("export", 4.0),
        ("result", 5.0),
    ]


def test_who_has_waited_for_long_goes_before_all_who_came_later() -> None:
    clock = SharedClock()
    gate = paced(clock)
    others = [(f"preupload {second}", Turn.BEGIN, second + 0.5) for second in range(12)]
    left = dict(leave(clock, gate, ("first", Turn.BEGIN, 0.0), ("result", Turn.END, 0.25), *others))
    assert left["result"] == pytest.approx(9.0)
    assert sorted(left.values()) == [float(second) for second in range(14)]


def test_places_are_used_one_after_another_whoever_waits() -> None:
    clock = SharedClock()
    gate = paced(clock)
    requests = [(str(number), Turn(number % 3), 0.01 * number) for number in range(40)]
    left = leave(clock, gate, *requests)
    assert [second for _, second in left] == [float(second) for second in range(40)]


def test_no_request_waits_past_its_deadline() -> None:
    clock = StillClock()
    gate = refused_at(clock, 0)
    gate.enter(turn=Turn.BEGIN, deadline=clock.clock.deadline(None))
    gate.enter(turn=Turn.BEGIN, deadline=clock.clock.deadline(0.25))
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
    assert sum(clock.sleeps[1:]) == pytest.approx(0.5)  # one a second, two after the first answer


def test_a_request_that_waits_holds_no_connection() -> None:
    """Another that leaves meanwhile takes the one that is there."""
    clock = StillClock()
    data = {**uid_data(), "url": "https://x.aliyuncs.com/o?S=1", "status": "processing", "progress": 1}
    accepted = reply(json={"code": "success", "data": data})
    refusal = reply(429, headers=[("Retry-After", "1")])
    with ScriptedServer(accepted, refusal, accepted) as server, open_service(server, clock) as service:

        def another(_: float) -> None:
            clock.on_sleep = None
            service.preupload()

        for _ in range(3):
            service.preupload()
        clock.on_sleep = another
        service.status(data["uid"])
        assert clock.on_sleep is None
        assert (len(server.requests), server.connections) == (6, 1)
