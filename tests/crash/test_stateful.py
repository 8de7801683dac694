"""Any mixture of faults, crashes and resumes that hypothesis finds: paid once, no paid uid lost, no partial file.

A crash here is an exception that nobody catches, at a boundary between two writes of the ledger, at a step that is
reported, or during a wait; the ledger is dropped without being closed, and its owner's lock let go, as the end of a
process does. Processes that are really killed are in `test_kills`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from doc2x_sdk import Doc2X
from doc2x_sdk.errors import Doc2XError
from doc2x_sdk.ledger.ledger import Ledger
from doc2x_sdk.ledger.rows import read_jobs
from tests.support.clocks import StillClock
from tests.support.scripted import close, reply, reset
from tests.support.scripted_service import Done, ScriptedService, failed, make_pdf
from tests.support.wire import KEY

PAPERS = 3
FAULTS = {
    "no answer": close,
    "done, no answer": lambda: Done(close()),
    "done, reset": lambda: Done(reset()),
    "503": lambda: reply(503),
    "429": lambda: reply(429),
    "full": lambda: failed("parse_task_limit_exceeded"),
    "many pages": lambda: failed("parse_concurrency_limit"),
    "trouble": lambda: failed("internal_error"),
    "html": lambda: reply(body=b"<html>a gateway</html>"),
}
ROUTES = ["preupload", "put", "status", "export", "result", "download"]


class Crash(BaseException):
    """The end of a process."""


class Life:
    """Counts the boundaries of one process's life and ends it at one of them."""

    def __init__(self, ends_at: int | None) -> None:
        self._left = ends_at

    def step(self, *_: object) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self._left = None
                raise Crash


class World(RuleBasedStateMachine):
    """A service, three papers and one ledger; processes come and go."""

    steps = examples = crashes = runs = faults = 0

    @initialize(looks=st.integers(0, 2))
    def begin(self, looks: int) -> None:
        World.examples += 1
        self.service = ScriptedService(looks=looks)
        self.service.__enter__()
        self.folder = Path(tempfile.mkdtemp())
        self.out = self.folder / "out"
        self.ledger = self.folder / "ledger.sqlite3"
        self.clock = StillClock()
        self.papers = []
        for number in range(PAPERS):
            self.papers.append(self.folder / f"paper{number}.pdf")
            self.papers[-1].write_bytes(make_pdf(mark=str(number)))
        self.dropped: list[Ledger] = []

    @rule(route=st.sampled_from(ROUTES), fault=st.sampled_from(sorted(FAULTS)), times=st.integers(1, 4))
    def break_something(self, route: str, fault: str, times: int) -> None:
        World.steps += 1
        World.faults += times
        self.service.on(route, *[FAULTS[fault]() for _ in range(times)])

    @rule(which=st.integers(0, PAPERS - 1), ends_at=st.none() | st.integers(1, 40), to=st.sampled_from(["md", "docx"]))
    def convert(self, which: int, ends_at: int | None, to: str) -> None:
        World.steps += 1
        self.live(self.papers[which], to, ends_at)

    @rule()
    def convert_all(self) -> None:
        World.steps += 1
        World.runs += 1
        with self.client() as client:
            list(client.convert_many(self.papers, to="md", out=self.out))

    @rule(hours=st.sampled_from([0.01, 1.0, -30.0]))
    def pass_time(self, hours: float) -> None:
        World.steps += 1
        if hours < 0:
            self.clock.wall_offset += hours * 3600.0
        else:
            self.clock.advance(hours * 3600.0)

    def client(self) -> Doc2X:
        return Doc2X(
            KEY,
            clock=self.clock.clock,
            base_url=self.service.server.origin,
            ledger=str(self.ledger),
            read_timeout=5.0,
            outage=600.0,
        )

    def live(self, path: Path, to: str, ends_at: int | None) -> None:
        """One process that converts a paper, and may come to its end meanwhile."""
        World.runs += 1
        life = Life(ends_at)
        client = self.client()
        ledger = client._kit.ledger
        assert ledger is not None
        store = ledger._store

        def stepping(queue: Callable[[Any], Any]) -> Callable[[Any], Any]:
            def queue_and_step(work: Any) -> Any:
                life.step()
                queued = queue(work)
                life.step()
                return queued

            return queue_and_step

        store.submit, store.later = stepping(store.submit), stepping(store.later)  # type: ignore[method-assign]
        self.clock.on_sleep = life.step
        try:
            client.convert(path, to=to, out=self.out, on_progress=life.step)
        except Doc2XError:
            pass
        except Crash:
            World.crashes += 1
            with store._changed:
                store._queue.clear()  # what was not committed yet is lost with a process
            ledger._owner.let_go()
            self.dropped.append(ledger)
            client._kit.service.close()
            return
        finally:
            self.clock.on_sleep = None
            del store.submit, store.later
        client.close()

    def paid(self) -> dict[bytes, set[str]]:
        """What was stored, by content: under which uids."""
        paid: dict[bytes, set[str]] = defaultdict(set)
        for uid, content in self.service.stored:
            paid[content].add(uid)
        return paid

    @precondition(lambda self: hasattr(self, "service"))
    @invariant()
    def nothing_is_paid_twice_or_lost_or_partial(self) -> None:
        paid = self.paid()
        assert all(len(uids) == 1 for uids in paid.values())
        known = {uid for row in read_jobs(self.ledger) for uid in (row.uid, *row.history)}
        assert {uid for uids in paid.values() for uid in uids} <= known
        for path in self.out.glob("paper*.*"):
            whole = path.read_bytes()
            assert whole == self.service.exports["docx"] if path.suffix == ".docx" else b"# Title" in whole

    def teardown(self) -> None:
        if not hasattr(self, "service"):
            return
        self.service._script.clear()
        with self.client() as client:
            done = list(client.convert_many(self.papers, to=["md", "docx"], out=self.out, retry_failed=True))
        assert [str(each.error) for each in done if each.error] == []
        self.nothing_is_paid_twice_or_lost_or_partial()
        assert self.service.paid == PAPERS
        assert sorted(path.suffix for path in self.out.glob("paper*.*")) == [".docx"] * PAPERS + [".md"] * PAPERS
        for ledger in self.dropped:
            ledger._store.close()
        self.service.__exit__(None)
        shutil.rmtree(self.folder)


def search(examples: int, steps: int) -> None:
    World.steps = World.examples = World.crashes = World.runs = World.faults = 0
    run_state_machine_as_test(
        World, settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None, print_blob=True)
    )
    print(
        f"{World.examples} examples, {World.steps} steps, {World.runs} runs, {World.faults} faults, {World.crashes} "
        "crashes: 0 paid twice, 0 paid uids lost, 0 partial files"
    )
    assert World.crashes
    assert World.faults


@pytest.mark.faults("JR-01", "JR-03", "AP-06", "UP-01", "UP-08")
def test_faults_crashes_and_resumes() -> None:
    search(examples=25, steps=10)


@pytest.mark.long
@pytest.mark.faults("JR-01", "JR-03", "AP-06", "UP-01", "UP-08")
def test_many_faults_crashes_and_resumes() -> None:
    search(examples=300, steps=20)
