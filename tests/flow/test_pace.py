"""When the waits look: the first look, the predicted end, and the limits on both sides."""

import itertools
import math
import random
from collections.abc import Callable, Iterator

import pytest

from doc2x_sdk.clock import Clock, Deadline
from doc2x_sdk.config import Settings
from doc2x_sdk.flow.pace import GrowingPace, ParsePace, ParseSpeed
from doc2x_sdk.flow.wait import wait
from doc2x_sdk.models import Page, ParseStatus
from tests.support.clocks import StillClock


def looks(clock: StillClock, pages: int, seconds: float, *, queue: float = 0.5, floor: float = 0.3) -> list[float]:
    """The instants of all looks at a parse whose progress moves by whole pages once the queue is over."""
    pace = ParsePace(clock.clock, pages, floor=floor)
    began = clock.monotonic()
    clock.sleep(pace.first_pause())
    found: list[float] = []
    while True:
        now = clock.monotonic() - began
        found.append(now)
        if now >= seconds:
            return found
        done = int(pages * max(0.0, now - queue) / (seconds - queue))
        clock.sleep(pace.pause(100 * done // pages))


def test_the_first_look_comes_at_half_of_the_estimate_however_late_it_is_asked_for() -> None:
    ticks: Iterator[float] = (tick / 1000 for tick in itertools.count())
    running = Clock(monotonic=lambda: next(ticks), sleep=lambda _: None, uniform=lambda low, high: (low + high) / 2)
    assert ParsePace(running, 20, floor=0.3).first_pause() == pytest.approx((0.5 + 20 * 0.15) / 2)


def test_a_short_document_is_looked_at_no_sooner_than_the_floor() -> None:
    pace = ParsePace(StillClock(share=0.0).clock, 1, floor=0.8)
    assert pace.first_pause() == pytest.approx(0.8)


def test_a_parse_of_less_than_two_floors_is_looked_at_behind_its_end_and_not_in_its_middle() -> None:
    assert ParsePace(StillClock(share=0.5).clock, 1, floor=0.4).first_pause() == pytest.approx(1.08 * 0.65)
    assert ParsePace(StillClock(share=0.5).clock, 1, floor=0.3).first_pause() == pytest.approx(0.65 / 2)


@pytest.mark.parametrize("page_seconds", [0.05, 0.15, 0.6])
@pytest.mark.parametrize("pages", [5, 20, 100])
def test_the_end_is_noticed_soon_and_with_few_looks_whatever_a_page_takes(pages: int, page_seconds: float) -> None:
    end = 0.5 + pages * page_seconds
    found = looks(StillClock(share=0.5), pages, end)
    first = (0.5 + pages * 0.15) / 2
    assert found[-1] - end <= max(0.7, first - end)
    assert len(found) <= 9


@pytest.mark.parametrize("page_seconds", [0.002, 0.005, 0.02, 2.0])
@pytest.mark.parametrize("pages", [1, 20, 500])
def test_the_end_on_this_machine_is_noticed_soon_and_with_few_looks(pages: int, page_seconds: float) -> None:
    still = StillClock(share=0.5)
    clock = still.clock
    began, end = clock.monotonic(), 0.05 + pages * page_seconds
    looked: list[float] = []

    def ask(uid: str, *, deadline: Deadline | None = None) -> ParseStatus:
        looked.append(clock.monotonic() - began)
        if looked[-1] >= end:
            return ParseStatus(uid, "success", 100, tuple(Page(number, "") for number in range(pages)))
        return ParseStatus(uid, "processing", int(100 * looked[-1] / end))

    settings = Settings()
    wait(ask, "uid", settings=settings, clock=clock, deadline=clock.deadline(9999), floor=0.05, pages=pages, fresh=True)
    assert looked[-1] - end <= max(0.2, 0.1 * end)
    assert len(looked) <= 20 + end / 8  # no pause is longer than 8 s


def test_progress_that_stands_still_is_asked_for_ever_more_slowly() -> None:
    clock = StillClock(share=0.5)
    pace = ParsePace(clock.clock, 20, floor=0.3)
    clock.advance(3.0)
    assert pace.pause(99) == pytest.approx(0.3, rel=0.03)
    clock.advance(597.0)
    assert pace.pause(99) == pytest.approx(6.0, rel=0.02)


def test_a_queue_that_does_not_move_is_asked_for_at_a_third_of_what_has_passed_and_never_over_eight_seconds() -> None:
    clock = StillClock(share=0.5)
    pace = ParsePace(clock.clock, 1, floor=0.3)
    clock.advance(10.0)
    assert pace.pause(0) == pytest.approx(3.5)
    clock.advance(90.0)
    assert pace.pause(0) == pytest.approx(8.0)


def test_pauses_grow_behind_the_first_and_stop_growing() -> None:
    pace = GrowingPace(StillClock(share=0.5).clock, first=0.5, then=0.3, grow=2.0, most=1.0)
    assert [pace.pause() for _ in range(5)] == pytest.approx([0.5, 0.3, 0.6, 1.0, 1.0])


def test_pauses_grow_from_the_first_without_a_second() -> None:
    pace = GrowingPace(StillClock(share=0.5).clock, first=1.0, most=8.0)
    assert [pace.pause() for _ in range(3)] == pytest.approx([1.0, 1.3, 1.69])


# what other parses teach, and looks that are dear


def parses(speed: ParseSpeed, page_seconds: float, *, dear: bool, count: int = 60) -> list[tuple[int, float]]:
    """Of parses one after another, of 1 to 30 pages: how many looks each took, and how late its end was seen."""
    found = []
    for number in range(count):
        pages = 1 + 7 * number % 30
        clock = StillClock(share=0.5)
        pace = ParsePace(clock.clock, pages, floor=0.4, speed=speed)
        pace.dear = dear
        began, end, looked = clock.monotonic(), 0.5 + pages * page_seconds, 1
        clock.sleep(pace.first_pause())
        while (now := clock.monotonic() - began) < end:
            clock.sleep(pace.pause(100 * int(pages * max(0.0, now - 0.5) / (end - 0.5)) // pages))
            looked += 1
        pace.ended()
        found.append((looked, clock.monotonic() - began - end))
    return found


@pytest.mark.parametrize(("page_seconds", "looks"), [(0.05, 1.25), (0.15, 1.6), (0.6, 2.2)])
def test_where_looks_are_dear_parses_are_looked_at_once_or_where_they_are_long_twice_and_not_late(
    page_seconds: float, looks: float
) -> None:
    speed = ParseSpeed()
    parses(speed, page_seconds, dear=True)
    assert speed.factor == pytest.approx(page_seconds / 0.15, rel=0.6)
    found = parses(speed, page_seconds, dear=True)
    assert sum(looked for looked, _ in found) / len(found) <= looks
    assert sum(late for _, late in found) / len(found) <= 0.8


def test_slow_parses_teach_the_next_ones_first_look() -> None:
    speed = ParseSpeed()
    before = parses(speed, 0.6, dear=False, count=10)
    parses(speed, 0.6, dear=False, count=60)
    after = parses(speed, 0.6, dear=False, count=10)
    assert sum(looked for looked, _ in after) < sum(looked for looked, _ in before)


def test_the_first_look_comes_near_the_end_once_eight_parses_have_taught_where_that_is() -> None:
    speed = ParseSpeed()
    for _ in range(7):
        speed.took(1.0)
    assert ParsePace(StillClock(share=0.5).clock, 20, floor=0.4, speed=speed).first_pause() == pytest.approx(3.5 / 2)
    speed.took(1.0)
    assert ParsePace(StillClock(share=0.5).clock, 20, floor=0.4, speed=speed).first_pause() == pytest.approx(3.5 * 0.9)


@pytest.mark.parametrize("learn", [ParseSpeed.took, ParseSpeed.took_more])
def test_one_parse_that_waited_teaches_little(learn: Callable[[ParseSpeed, float], None]) -> None:
    speed = ParseSpeed()
    learn(speed, 100.0)
    assert speed.factor == pytest.approx(math.exp(0.06))


def test_a_parse_that_had_ended_teaches_less_the_later_it_was_looked_at() -> None:
    learned = []
    for factor in (0.5, 1.0, 1.2, 1.5, 3.0):
        speed = ParseSpeed()
        speed.took_less(factor)
        learned.append(1 - speed.factor)
    assert learned == sorted(learned, reverse=True)
    assert learned[0] > 0.03
    assert learned[-1] < 0.001


@pytest.mark.parametrize("late", [0.8, 1.15, 1.6])
def test_looks_that_only_tell_whether_it_has_ended_teach_the_time_all_the_same(late: float) -> None:
    """Times spread by a fifth around one and a half of what was assumed; those that have not ended tell their own."""
    chance = random.Random(7)
    speed, last = ParseSpeed(), []
    for number in range(2000):
        factor, looked = 1.5 * math.exp(chance.gauss(0, 0.2)), late * speed.factor
        if factor <= looked:
            speed.took_less(looked)
        else:
            speed.took(factor)
        if number >= 1000:
            last.append(speed.factor)
    assert sum(last) / len(last) == pytest.approx(1.5, rel=0.12)


def test_what_is_learned_stays_within_thirty_times() -> None:
    speed = ParseSpeed()
    for _ in range(1000):
        speed.took(1e9)
    assert speed.factor == pytest.approx(30.0)
    for _ in range(1000):
        speed.took(0.0)
    assert speed.factor == pytest.approx(1 / 30)


def test_a_parse_that_could_not_begin_is_foretold_from_when_it_could() -> None:
    clock = StillClock(share=0.5)
    pace = ParsePace(clock.clock, 20, floor=0.3, speed=ParseSpeed())
    clock.advance(60.0)
    pace.begin_anew(0)
    assert pace.pause(0) == pytest.approx(1.75)


def test_the_seconds_before_the_first_progress_are_no_work() -> None:
    """Seen still at 10 s and at 40 %, 1.2 s of work, two seconds later: about two more are to come, not eighteen."""
    clock = StillClock(share=0.5)
    pace = ParsePace(clock.clock, 20, floor=0.3)
    clock.advance(10.0)
    pace.pause(0)
    clock.advance(2.0)
    assert pace.pause(40) == pytest.approx(0.9 * 60 / (40 / 1.2), rel=0.05)
