"""When the waits look: the first look, the predicted end, and the limits on both sides."""

import itertools
from collections.abc import Iterator

import pytest

from doc2x_sdk.clock import Clock
from doc2x_sdk.flow.polling import GrowingPace, ParsePace
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


@pytest.mark.parametrize("page_seconds", [0.05, 0.15, 0.6])
@pytest.mark.parametrize("pages", [5, 20, 100])
def test_the_end_is_noticed_soon_and_with_few_looks_whatever_a_page_takes(pages: int, page_seconds: float) -> None:
    end = 0.5 + pages * page_seconds
    found = looks(StillClock(share=0.5), pages, end)
    first = (0.5 + pages * 0.15) / 2
    assert found[-1] - end <= max(0.6, first - end)
    assert len(found) <= 9


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
