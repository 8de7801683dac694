"""The benchmark runs and counts right. It measures nothing here: no test fails for being slow."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks import startup
from tests.benchmarks.__main__ import measure
from tests.benchmarks.papers import write_paper
from tests.benchmarks.profile import Paper, Profile, export_seconds, parse_seconds
from tests.benchmarks.report import Results, as_json, print_table
from tests.benchmarks.runner import run
from tests.benchmarks.workloads import BARE, DEFAULT, OURS, WORKLOADS, bound, quick

NAMED = {workload.name: workload for workload in WORKLOADS}


def test_a_paper_has_its_pages_its_size_and_bytes_of_its_own(tmp_path: Path) -> None:
    from pypdfium2 import PdfDocument

    first, second = tmp_path / "a.pdf", tmp_path / "b.pdf"
    write_paper(Paper("a", 7), first)
    write_paper(Paper("b", 7, 3_000_000), second)
    with PdfDocument(first) as document:
        assert len(document) == 7
    with PdfDocument(second) as document:
        assert len(document) == 7
    assert 2_990_000 < second.stat().st_size <= 3_000_000
    assert b"%paper a 7 ." in first.read_bytes()


def test_the_bound_of_one_document_is_its_critical_path() -> None:
    profile = Profile(round_trip=0.1)
    paper = Paper("x", 3)
    parse, export = sum(parse_seconds(profile, "x", 3)), export_seconds(profile, "x", "md")
    assert bound([paper], ("md",), profile) == pytest.approx(0.8 + parse + export)


@pytest.mark.parametrize(
    ("limits", "least"),
    [
        ({"rate_limit": 2.0}, lambda parses: (40 - 2) / 2),
        ({"task_limit": 1}, sum),
        ({"page_limit": 2}, sum),
    ],
)
def test_the_bound_of_a_batch_is_its_tightest_limit(limits, least) -> None:
    profile = replace(Profile(round_trip=0.0), **limits)
    papers = [Paper(f"p{i}", 2) for i in range(10)]
    parses = [sum(parse_seconds(profile, paper.ident, 2)) for paper in papers]
    assert bound(papers, ("md",), profile) >= least(parses) > bound(papers, ("md",), Profile(round_trip=0.0))


def test_chance_is_the_seeds_alone() -> None:
    assert parse_seconds(Profile(seed=1), "a", 5) == parse_seconds(Profile(seed=1), "a", 5)
    assert parse_seconds(Profile(seed=1), "a", 5) != parse_seconds(Profile(seed=2), "a", 5)


@pytest.mark.parametrize("name", ["one", "mixed-three", "large", "limit-rate"])
def test_our_client_gets_every_result_and_uploads_nothing_twice(name: str, tmp_path: Path) -> None:
    workload = quick(NAMED[name])
    done = run(workload, OURS, 1, tmp_path)
    assert (done.failed, done.twice, done.reasons) == (0, 0, ())
    assert done.report is not None
    stored = [job for job in done.report["jobs"] if job["stored"] is not None]
    assert len(stored) == done.documents
    assert all(job["noticed"] > job["ready"] > job["stored"] for job in stored)
    assert {each["to"] for job in stored for each in job["exports"]} == set(workload.formats)
    uploads = [request for request in done.report["requests"] if request["what"] == "put"]
    assert sum(request["bytes_in"] for request in uploads) == sum(
        path.stat().st_size for path in (tmp_path / "inputs").iterdir()
    )
    assert 1 / done.documents <= done.connections / 2 <= done.requests
    assert done.wall > done.bound


def test_a_run_that_fails_counts_as_failed(tmp_path: Path) -> None:
    impossible = replace(quick(NAMED["mixed"]), patience=0.05)
    done = run(impossible, OURS, 1, tmp_path)
    assert done.failed == done.documents
    assert done.reasons


@pytest.mark.usefixtures("peer")
def test_a_peer_runs_on_the_same_service(tmp_path: Path) -> None:
    done = run(quick(NAMED["one"]), DEFAULT, 1, tmp_path)
    assert (done.failed, done.twice) == (0, 0)
    assert done.wall > done.bound


def test_requests_alone_makes_the_same_calls(tmp_path: Path) -> None:
    workload = quick(NAMED["tiny"])
    ours, bare = (run(workload, contestant, 1, tmp_path) for contestant in (OURS, BARE))
    assert (bare.failed, bare.twice, bare.reasons) == (0, 0, ())
    assert ours.report is not None
    assert bare.report is not None
    kinds = [{request["what"] for request in each["requests"]} for each in (ours.report, bare.report)]
    assert kinds[0] == kinds[1]


def test_the_table_and_the_json_tell_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results: Results = measure([quick(NAMED["one"])], tmp_path, seeds=1, peers=False)
    row = as_json(results)["rows"][0]
    assert row["failed"] == 0
    print_table(results)
    told = capsys.readouterr().out
    assert f"{row['wall']:.2f}" in told
    assert "fsync" in told


def test_a_batch_can_be_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots are drawn where benchmarks are run")
    from tests.benchmarks.plot import draw

    done = run(quick(NAMED["limit-tasks"]), OURS, 1, tmp_path)
    target = tmp_path / "batch.svg"
    draw(done.report or {}, "a batch", 3, target)
    assert b"<svg" in target.read_bytes()


def test_the_start_up_of_each_command_is_measured_and_compared() -> None:
    rows = startup.measure(repeats=1)
    assert [row["command"] for row in rows] == list(startup.COMMANDS)
    assert rows[0]["times import click"] == 1.0
    assert all(row["ms"] > 0 and row["times import click"] > 0 for row in rows)
