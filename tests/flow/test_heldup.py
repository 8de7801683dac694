"""Documents that the service is too full for: the eldest looks when a parse has ended, and none waits for ever."""

from functools import partial

from doc2x_sdk.flow.heldup import HeldUp
from tests.support.clocks import SharedClock


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
