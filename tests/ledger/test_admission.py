"""How much may be in flight: never over the limits, whoever asks, whatever became of the others."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

from doc2x_sdk.flow.kit import Stopped
from doc2x_sdk.ledger import line
from doc2x_sdk.ledger.admission import ORPHAN_MOST, PAGES_FIRST, TASKS_FIRST, WAITED_TOO_LONG
from doc2x_sdk.ledger.files import open_reader
from doc2x_sdk.ledger.ledger import Ledger, Receipt
from tests.support.clocks import StillClock
from tests.support.receipts import ACCOUNT, claim, holding


def stop() -> None:
    raise Stopped


def pace(ledger: Ledger) -> tuple[float, float]:
    """The account's limits, once all that is queued is written: tasks, pages."""
    query = "SELECT tasks, pages FROM pace WHERE account = ?"
    row = ledger._store.write(lambda connection: connection.execute(query, (ACCOUNT,)).fetchone())
    return (TASKS_FIRST, PAGES_FIRST) if row is None else (row[0], row[1])


def begin(held: ExitStack, ledger: Ledger, number: int, *, pages: int = 1) -> Receipt:
    """A parse that got a slot."""
    receipt = held.enter_context(claim(ledger, number, pages=pages))
    receipt.wait_for_slot(stop)
    return receipt


def probed(ledger: Ledger, numbers: range) -> list[bool]:
    """Parses that were all seen at work at once and have ended; tells which of them were probes."""
    with ExitStack() as held:
        receipts = [begin(held, ledger, number) for number in numbers]
        for receipt in receipts:
            receipt.uploading(f"uid-{receipt.row.id}")
            receipt.working()
        for receipt in receipts:
            receipt.parsed(1)
        return [receipt.probes for receipt in receipts]


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_it_begins_with_ten_tasks(ledger: Ledger, held: ExitStack) -> None:
    for number in range(10):
        begin(held, ledger, number)
    with pytest.raises(Stopped):
        begin(held, ledger, 10)


def test_pages_are_limited_too_and_a_first_parse_always_goes(ledger: Ledger, held: ExitStack) -> None:
    receipt = begin(held, ledger, 0, pages=2000)
    with pytest.raises(Stopped):
        begin(held, ledger, 1)
    receipt.parsed(2000)  # which makes room for 50 pages more
    begin(held, ledger, 2, pages=550)
    with pytest.raises(Stopped):
        begin(held, ledger, 3)


def test_to_count_what_is_in_flight_nothing_else_is_looked_at(path: Path, ledger: Ledger, held: ExitStack) -> None:
    asked: list[str] = []
    ledger._store.write(lambda connection: connection.set_trace_callback(asked.append))
    with holding(path, 100, "submitted"):  # another's, so that it is counted by owners as well
        receipt = begin(held, ledger, 0)
        receipt.uploading("uid-0")
        receipt.working()
        receipt.limit_met(None)
        ledger.flush()
    ledger._store.write(lambda connection: connection.set_trace_callback(None))
    counts = [text for text in asked if "COUNT(*)" in text]
    assert len({text.partition("FROM")[0] for text in counts}) == 3
    with closing(open_reader(path)) as reader:
        plans = [str([*row]) for text in counts for row in reader.execute(f"EXPLAIN QUERY PLAN {text}")]
    assert {plan.partition("INDEX ")[2].partition(" ")[0] for plan in plans if "parse" in plan} == {"parse_in_flight"}


def test_slots_of_other_processes_count_until_they_are_killed(path: Path, ledger: Ledger, held: ExitStack) -> None:
    with holding(path, 100, "reserving", pages=450) as process:
        with pytest.raises(Stopped):
            begin(held, ledger, 0, pages=100)
        process.kill()
        process.wait()
        begin(held, ledger, 1, pages=100)


def test_what_a_killed_process_uploaded_counts_while_the_service_may_be_at_it(
    ledger: Ledger, held: ExitStack, clock: StillClock
) -> None:
    with claim(ledger, 100, pages=450) as receipt:
        receipt.wait_for_slot(stop)
        receipt.uploading("uid-1")
    with pytest.raises(Stopped):
        begin(held, ledger, 0, pages=100)
    clock.advance(ORPHAN_MOST - 1)
    with pytest.raises(Stopped):
        begin(held, ledger, 2, pages=100)
    clock.advance(2)
    begin(held, ledger, 1, pages=100)


def test_a_small_one_of_them_counts_for_a_short_time(ledger: Ledger, held: ExitStack, clock: StillClock) -> None:
    """A killed batch does not hold up what comes after it for a quarter of an hour."""
    for number in range(10):
        with claim(ledger, number) as receipt:
            receipt.wait_for_slot(stop)
            receipt.uploading(f"uid-{number}")
    with pytest.raises(Stopped):
        begin(held, ledger, 20)
    clock.advance(40.0)
    begin(held, ledger, 21)


def test_a_limit_that_is_met_halves_what_is_in_flight_and_counts_once_a_uid(
    ledger: Ledger, held: ExitStack, clock: StillClock
) -> None:
    receipts = [begin(held, ledger, number, pages=10) for number in range(8)]
    for receipt in receipts:
        receipt.uploading(f"uid-{receipt.row.id}")
    receipts[0].limit_met("parse_task_limit_exceeded")
    assert pace(ledger)[0] == 4.0
    clock.advance(1.0)
    receipts[1].limit_met("parse_task_limit_exceeded")  # the same event
    assert pace(ledger)[0] == 4.0
    clock.advance(5.0)
    receipts[0].limit_met("parse_task_limit_exceeded")  # the same uid
    assert pace(ledger)[0] == 4.0
    receipts[2].limit_met("parse_concurrency_limit")
    assert pace(ledger) == (4.0, 40.0)


def test_limits_grow_fast_at_first_and_slowly_once_one_was_met(ledger: Ledger, clock: StillClock) -> None:
    def rounds(count: int, at_once: int) -> float:
        for _ in range(count):
            with ExitStack() as held:
                for receipt in [begin(held, ledger, number) for number in range(at_once)]:
                    receipt.uploading(f"uid-{receipt.row.id}")
                    receipt.parsed(1)
                    receipt.start_over("again")
        return pace(ledger)[0]

    assert rounds(1, 10) >= 14
    with ExitStack() as held:
        receipts = [begin(held, ledger, 200 + number) for number in range(10)]
        receipts[0].limit_met(None)
        for receipt in receipts:
            receipt.start_over("again")
    assert pace(ledger)[0] == 5.0
    clock.advance(6.0)
    soon = rounds(1, 5)
    assert 5.0 < soon <= 5.1  # a tenth of a minute, a tenth of a task
    clock.advance(54.0)
    assert soon + 0.5 < rounds(1, 5) <= soon + 1.0


def test_a_refusal_leaves_what_was_seen_at_work_and_each_further_one_a_twentieth_less(
    ledger: Ledger, held: ExitStack, clock: StillClock
) -> None:
    receipts = [begin(held, ledger, number) for number in range(10)]
    for receipt in receipts:
        receipt.uploading(f"uid-{receipt.row.id}")
    for receipt in receipts[:9]:
        receipt.working()
    receipts[9].limit_met("parse_task_limit_exceeded")
    assert pace(ledger)[0] == 9.0
    for receipt in receipts[:8]:
        receipt.parsed(1)
    clock.advance(5.0)
    others = [begin(held, ledger, 20 + number) for number in range(2)]
    for left, receipt in zip((0.95, 0.95**2), others, strict=True):
        receipt.uploading(f"uid-{receipt.row.id}")
        receipt.limit_met("parse_task_limit_exceeded")
        assert pace(ledger)[0] == pytest.approx(9.0 * left)
        clock.advance(5.0)


def test_only_a_slot_beyond_what_was_seen_at_work_is_a_probe(
    ledger: Ledger, held: ExitStack, clock: StillClock
) -> None:
    first = [begin(held, ledger, number) for number in range(4)]
    assert all(receipt.probes for receipt in first)  # nothing is known yet
    for receipt in first:
        receipt.uploading(f"uid-{receipt.row.id}")
    for receipt in first[:3]:
        receipt.working()
    first[3].limit_met("parse_task_limit_exceeded")
    assert pace(ledger)[0] == 3.0
    for receipt in first:
        receipt.start_over("again")
    known = [begin(held, ledger, 10 + number) for number in range(3)]
    assert not any(receipt.probes for receipt in known)
    for number in range(20, 40):
        with ExitStack() as alone:
            for receipt in known:
                receipt.start_over("again")
            known = [begin(alone, ledger, number)]
            assert known[0].probes == (known[0].row.id % 8 == 0)  # one of eight all the same


def test_while_most_slots_are_empty_a_known_one_is_no_probe(ledger: Ledger) -> None:
    """No limit was met, so that each that the service takes would make room; but there is plenty."""
    assert all(probed(ledger, range(3)))
    assert not any(probed(ledger, range(10, 13)))
    assert any(probed(ledger, range(20, 26)))  # more than were seen at work at once, and half of the room


def test_a_few_more_than_were_seen_at_work_are_no_probes_but_make_room(ledger: Ledger) -> None:
    """While no limit was met: to look early at each that is one more than ever before would be to look all the time."""
    assert all(probed(ledger, range(8)))
    before = pace(ledger)[0]
    assert probed(ledger, range(10, 22)) == 10 * [False] + 2 * [True]
    assert pace(ledger)[0] == before + 4  # by the four that filled more than half of it


def test_what_was_seen_at_work_before_is_not_noted_again_while_most_slots_are_empty(ledger: Ledger) -> None:
    said: list[str] = []

    def noted(numbers: range) -> int:
        said.clear()
        probed(ledger, numbers)
        pace(ledger)
        return sum(each.startswith("UPDATE pace") for each in said)

    ledger._store._writer.set_trace_callback(said.append)
    assert noted(range(3)) == 3  # nothing is known yet
    assert noted(range(10, 13)) == 0
    assert noted(range(20, 26)) == 3  # more than were seen at work at once
    ledger._store._writer.set_trace_callback(None)


def test_nothing_grows_while_most_slots_are_empty(ledger: Ledger) -> None:
    for number in range(20):
        with ExitStack() as held:
            receipt = begin(held, ledger, number)
            receipt.uploading(f"uid-{number}")
            receipt.parsed(1)
    assert pace(ledger) == (TASKS_FIRST, PAGES_FIRST)


def test_a_freed_slot_is_taken_at_once_by_the_next_thread(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its being freed: who had to wait for the next look at the clock would wait for ten minutes."""
    monkeypatch.setattr(line, "LOOK_AGAIN", 600.0)
    ledger = Ledger(path)
    got: list[int] = []

    def work(number: int) -> None:
        with claim(ledger, number, pages=2000) as receipt:
            receipt.wait_for_slot(lambda: None)
            got.append(number)
            receipt.parsed(2000)

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(1, 41)]
    with ExitStack() as held:
        first = begin(held, ledger, 0, pages=2000)
        for thread in threads:
            thread.start()
        first.parsed(2000)
        for thread in threads:
            thread.join(timeout=120.0)
    assert sorted(got) == list(range(1, 41))
    ledger.close()


def test_in_line_each_thread_is_woken_for_its_turn_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "LOOK_AGAIN", 600.0)
    queue, woken = line.Line(), Counter[int]()

    def stand(number: int) -> None:
        with queue.first(ACCOUNT, lambda: woken.update([number])):
            queue.freed()

    threads = [threading.Thread(target=stand, args=(number,)) for number in range(5)]
    with queue.first(ACCOUNT, lambda: None):
        for thread in threads:
            thread.start()
        while len(queue._waiting[ACCOUNT]) < 6:
            queue.freed()
    for thread in threads:
        thread.join(60.0)
    assert woken == Counter(range(5))


def test_small_documents_do_not_starve_a_large_one(path: Path, ledger: Ledger, clock: StillClock) -> None:
    """Another process's small ones would fit at any time; after 5 s they let the large one first."""
    other = Ledger(path, clock=clock.clock)
    asked, wakes = threading.Event(), threading.Event()

    def sleep() -> None:
        asked.set()
        wakes.wait()
        stop()

    def wait_in_line() -> None:
        with pytest.raises(Stopped), claim(ledger, 2, pages=500) as receipt:
            receipt.wait_for_slot(sleep)

    large = threading.Thread(target=wait_in_line)
    with ExitStack() as held:
        held.callback(large.join)
        held.callback(wakes.set)
        begin(held, other, 1, pages=100)
        large.start()
        assert asked.wait(60.0)  # it stands in the ledger, and asks no more
        begin(held, other, 3, pages=100)
        clock.advance(6.0)
        with pytest.raises(Stopped):
            begin(held, other, 4, pages=100)
        clock.advance(WAITED_TOO_LONG)
        begin(held, other, 5, pages=100)
    other.close()


class Admission(RuleBasedStateMachine):
    """Two ledgers of one file, as two processes have them, with parses that begin, end, are refused and are dropped."""

    steps = 0
    receipts: Bundle[tuple[ExitStack, Receipt]] = Bundle("receipts")

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.clock = StillClock()
        path = Path(self.folder.name) / "ledger.sqlite3"
        self.ledgers = [Ledger(path, clock=self.clock.clock) for _ in range(2)]
        self.count = 0
        self.in_flight: dict[int, int] = {}
        self.open: list[ExitStack] = []

    @rule(target=receipts, which=st.integers(0, 1), pages=st.sampled_from([1, 7, 40, 90, 300, 700]))
    def ask(self, which: int, pages: int) -> object:
        Admission.steps += 1
        ledger, held = self.ledgers[which], ExitStack()
        self.count += 1
        tasks, most = pace(ledger)
        receipt = held.enter_context(claim(ledger, self.count, pages=pages))
        try:
            receipt.wait_for_slot(stop)
        except Stopped:
            held.close()
            full = len(self.in_flight) + 1 > tasks or sum(self.in_flight.values()) + pages > most
            assert self.in_flight
            assert full
            return (ExitStack(), None)
        receipt.uploading(f"uid-{self.count}")
        if self.in_flight:
            assert len(self.in_flight) + 1 <= tasks
            assert sum(self.in_flight.values()) + pages <= most
        self.in_flight[receipt.row.id] = pages
        self.open.append(held)
        return (held, receipt)

    @rule(one=consumes(receipts), end=st.sampled_from(["parsed", "refused", "failed"]))
    def end(self, one: tuple[ExitStack, Receipt | None], end: str) -> None:
        Admission.steps += 1
        held, receipt = one
        if receipt is None:
            return
        if end == "parsed":
            receipt.parsed(receipt.row.pages)
        else:
            receipt.limit_met("parse_concurrency_limit" if end == "refused" else None)
            receipt.start_over("refused")
        held.close()
        del self.in_flight[receipt.row.id]

    @rule(seconds=st.sampled_from([0.5, 3.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def limits_are_sane(self) -> None:
        for ledger in self.ledgers:
            ledger.flush()  # each has a writer of its own
        tasks, pages = pace(self.ledgers[0])
        assert tasks >= 1
        assert pages >= 1

    def teardown(self) -> None:
        for held in self.open:
            held.close()
        for ledger in self.ledgers:
            ledger.close()
        self.folder.cleanup()


def test_admission_never_passes_the_limits() -> None:
    run_state_machine_as_test(Admission, settings=settings(max_examples=25, stateful_step_count=30, deadline=None))
    print(f"{Admission.steps} steps")
    assert Admission.steps > 100
