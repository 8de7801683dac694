"""Many documents against a service with limits, by one process and by ten; memory; signals."""

import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from doc2x_sdk import Doc2X
from doc2x_sdk.flow import polling
from doc2x_sdk.flow.pace import ParsePace
from doc2x_sdk.ledger.rows import read_jobs
from doc2x_sdk.local.server import LocalServer
from doc2x_sdk.local.settings import ServerSettings
from tests.batch.conftest import Papers
from tests.support.clocks import StillClock
from tests.support.pdf import text_pdf
from tests.support.scripted_service import ScriptedService, processing

KEY = "sk-tests-of-many-documents"
LIMITS: dict[str, dict[str, Any]] = {
    "3 tasks": {"task_limit": 3},
    "40 pages": {"page_limit": 40},
    "5 requests a second": {"rate_limit": 5.0},
}


@contextmanager
def serving(**settings: Any) -> Iterator[LocalServer]:
    with LocalServer(ServerSettings(api_key=KEY, **settings)) as server:
        yield server


def make(folder: Path, count: int) -> int:
    """Papers of one to fifteen pages; returns their pages."""
    folder.mkdir()
    pages = [1 + number * 7 % 15 for number in range(count)]
    for number, each in enumerate(pages):
        (folder / f"paper{number:02}.pdf").write_bytes(text_pdf(f"Paper {number}", pages=each))
    return sum(pages)


def worker(**job: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.batch.worker", json.dumps(job)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a worker told at its end."""
    out, err = process.communicate(timeout=300)
    assert out.strip(), err
    last: dict[str, Any] = json.loads(out.splitlines()[-1])
    return last


@pytest.mark.faults("AP-05", "AP-06")
@pytest.mark.parametrize(
    ("limit", "count"),
    [("3 tasks", 40), ("40 pages", 40), ("5 requests a second", 6),
     pytest.param("5 requests a second", 40, marks=pytest.mark.long)],
)  # fmt: skip
def test_no_document_fails_or_is_sent_twice_because_of_a_limit(limit: str, count: int, tmp_path: Path) -> None:
    pages = make(tmp_path / "papers", count)
    with serving(**LIMITS[limit]) as server:
        with Doc2X(KEY, base_url=server.url, ledger=str(tmp_path / "ledger")) as client:
            began = time.monotonic()
            done = list(client.convert_many((tmp_path / "papers").iterdir(), to="md", out=tmp_path / "out"))
            took = time.monotonic() - began
        stats = server.stats()
    print(f"{count} documents against {limit}: {took:.1f} s, {sum(stats.requests.values())} requests")
    assert [str(each.error) for each in done if each.error] == []
    assert (len(done), stats.puts, stats.parses, stats.pages_parsed) == (count, count, count, pages)
    assert len(list((tmp_path / "out").glob("*.md"))) == count


@pytest.mark.faults("AP-05")
def test_what_the_service_was_too_full_for_is_looked_at_when_a_parse_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not when its pause ends: that would be in ten minutes."""
    monkeypatch.setattr(polling, "HELD_UP_FIRST", 600.0)
    monkeypatch.setattr(polling, "LONGEST_PAUSE", 600.0)
    make(tmp_path / "papers", 6)
    with serving(task_limit=1) as server:
        with Doc2X(KEY, base_url=server.url, ledger=str(tmp_path / "ledger")) as client:
            done = list(client.convert_many((tmp_path / "papers").iterdir(), to="md", out=tmp_path / "out"))
        stats = server.stats()
    assert [str(each.error) for each in done if each.error] == []
    assert (len(done), stats.puts, stats.parses) == (6, 6, 6)
    with closing(sqlite3.connect(tmp_path / "ledger")) as ledger:
        assert ledger.execute("SELECT met FROM pace").fetchone()[0] > 0  # some were held up


@pytest.mark.faults("FS-07")
@pytest.mark.parametrize(
    ("limit", "processes", "count"),
    [
        ("3 tasks", 4, 16),
        pytest.param("40 pages", 10, 40, marks=pytest.mark.slow),
        pytest.param("3 tasks", 10, 40, marks=pytest.mark.long),
        pytest.param("5 requests a second", 10, 40, marks=pytest.mark.long),
    ],
)
def test_processes_on_one_folder_pay_for_each_document_once(
    limit: str, processes: int, count: int, tmp_path: Path
) -> None:
    pages = make(tmp_path / "papers", count)
    with serving(**LIMITS[limit]) as server:
        began = time.monotonic()
        started = [
            worker(
                key=KEY,
                url=server.url,
                ledger=str(tmp_path / "state" / "ledger"),
                folder=str(tmp_path / "papers"),
                out=str(tmp_path / "out"),
                reverse=number % 2 == 1,
            )
            for number in range(processes)
        ]
        ends = [told(process) for process in started]
        took = time.monotonic() - began
        stats = server.stats()
    print(f"{processes} processes, {count} documents, {limit}: {took:.1f} s, {sum(stats.requests.values())} requests")
    assert [end["errors"] for end in ends] == [{}] * processes
    assert [end["count"] for end in ends] == [count] * processes
    assert (stats.puts, stats.parses, stats.pages_parsed) == (count, count, pages)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"paper{n:02}.md" for n in range(count)]


@pytest.mark.parametrize("missing", [10_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_memory_does_not_grow_with_the_number_of_paths(missing: int, service: ScriptedService, papers: Papers) -> None:
    folder = papers(200)[0].parent
    began = time.monotonic()
    process = worker(
        key=KEY,
        url=service.server.origin,
        ledger=str(folder.parent / "ledger"),
        folder=str(folder),
        out=str(folder.parent / "out"),
        missing=missing,
    )
    end = told(process)
    print(f"{end['count']} paths: {end['peak'] / 1e6:.0f} MB at most, {time.monotonic() - began:.1f} s")
    assert end["errors"] == {"FileError: There is no such file": missing}
    assert end["count"] == missing + 200
    assert service.paid == 200
    assert end["peak"] < 150e6


@pytest.mark.faults("CL-01")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one child")
def test_ctrl_c_ends_a_process_within_5_s_and_nothing_queued_is_uploaded(
    service: ScriptedService, papers: Papers
) -> None:
    folder = papers(300)[0].parent
    job = {
        "key": KEY,
        "url": service.server.origin,
        "ledger": str(folder.parent / "ledger"),
        "folder": str(folder),
        "out": str(folder.parent / "out"),
        "settings": {"account": "one"},
    }
    process = worker(**job, tell_after=3)
    assert process.stdout is not None
    assert process.stdout.readline() == "going\n"
    process.send_signal(signal.SIGINT)
    began, stored = time.monotonic(), service.paid
    end = told(process)
    took = time.monotonic() - began
    print(
        f"ended after {took:.1f} s; {service.paid - stored} uploads that were under way, {300 - service.paid} not begun"
    )
    assert (end["interrupted"], process.returncode) == (True, 130)
    assert took < 5.0
    assert service.paid - stored <= 14
    known = {uid for row in read_jobs(Path(job["ledger"])) for uid in (row.uid, *row.history)}
    assert {uid for uid, _ in service.stored} <= known
    with service.client(ledger=job["ledger"], account="one") as client:
        again = client.convert_many(folder.iterdir(), to="md", out=folder.parent / "out")
        assert not any(done.error for done in again)
    assert service.paid == 300


@pytest.mark.faults("PO-09")
@pytest.mark.parametrize("pages", [1, 20, 300])
def test_500_documents_in_flight_are_looked_at_with_measure_and_not_all_at_once(pages: int) -> None:
    """Their pauses, side by side, for ten minutes: never more than one look a document a pause of 0.8 s, and spread."""
    dice = iter(range(10**9))
    looks: Counter[int] = Counter()
    pauses = []
    for _ in range(500):
        still = StillClock(share=(next(dice) * 0.618) % 1.0)
        pace = ParsePace(still.clock, pages, floor=0.8)
        still.advance(pace.first_pause())
        while still.monotonic() < 1000.0 + 600.0:
            looks[int(still.monotonic())] += 1
            pauses.append(pace.pause(0))
            still.advance(pauses[-1])
    late = [pause for pause in pauses if pause > 7.0]
    assert max(looks.values()) <= 500 / 0.7
    assert sum(looks.values()) / 600 < 500 / 5  # a document is looked at every 8 s once it has waited for long
    assert max(late) - min(late) > 0.5  # chance is not flattened where the pause is longest


def test_threads_of_a_batch_are_as_many_as_its_documents_need(
    service: ScriptedService, papers: Papers, tmp_path: Path
) -> None:
    seen = 0

    def note(_: object) -> None:
        nonlocal seen
        seen = max(seen, sum(thread.name.startswith("doc2x-") for thread in threading.enumerate()))

    with service.client() as client:
        list(client.convert_many(papers(3), to="md", out=tmp_path / "out", on_progress=note))
    assert 1 < seen <= 3 + 1  # and the ledger's


def test_documents_that_were_read_ahead_get_threads_of_their_own_as_the_slots_grow(
    service: ScriptedService, papers: Papers, tmp_path: Path
) -> None:
    """No export ends before the last upload: threads for the first slots alone would wait for ever."""
    count = 60
    service.always("result", processing(0))

    def note(_: object) -> None:
        if service.paid == count:
            service.always("result", None)

    with Doc2X(KEY, base_url=service.origin, ledger=str(tmp_path / "ledger"), export_timeout=30) as client:
        done = list(client.convert_many(papers(count), to="md", out=tmp_path / "out", on_progress=note))
    assert [each.error for each in done] == [None] * count
