"""Claims: one thread of one process works on a parse; what a dead process held is adopted as it stands."""

import os
import threading
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from doc2x_sdk.config import ledger_path, load
from doc2x_sdk.errors import LedgerError
from doc2x_sdk.flow.kit import Stopped
from doc2x_sdk.ledger.files import owners_of
from doc2x_sdk.ledger.ledger import Ledger
from doc2x_sdk.ledger.rows import ResultRow, export_jobs, read_jobs
from tests.support.clocks import StillClock
from tests.support.receipts import claim, holding, key


def in_thread(work: object) -> threading.Thread:
    thread = threading.Thread(target=work)  # type: ignore[arg-type]
    thread.start()
    return thread


@pytest.mark.faults("FS-07")
def test_a_second_thread_waits_until_the_first_has_ended(ledger: Ledger) -> None:
    order = []

    def second() -> None:
        with claim(ledger, 1) as receipt:
            order.append(("second", receipt.row.state, receipt.row.uid))

    with claim(ledger, 1) as receipt:
        thread = in_thread(second)
        receipt.uploading("uid-1")
        receipt.submitted("uid-1")
        order.append(("first", receipt.row.state, receipt.row.uid))
    thread.join()
    assert order == [("first", "submitted", "uid-1"), ("second", "submitted", "uid-1")]


@pytest.mark.faults("FS-07")
def test_a_second_process_is_waited_for(path: Path, ledger: Ledger) -> None:
    looks = 0
    with holding(path, 1, "uploading") as process, ExitStack() as held:

        def look() -> None:
            nonlocal looks
            looks += 1
            if looks == 2:
                assert process.stdin is not None
                process.stdin.close()

        receipt = held.enter_context(
            ledger.claim(key(1), source="/papers/another-name.pdf", size=100, pages=1, check=look)
        )
        assert looks >= 2
        assert (receipt.row.state, receipt.row.uid) == ("uploading", "uid-of-the-other")


@pytest.mark.faults("FS-07", "JR-01")
@pytest.mark.parametrize("state", ["planned", "reserving", "uploading"])
def test_what_a_killed_process_held_is_adopted_as_it_stands(state: str, path: Path, ledger: Ledger) -> None:
    with holding(path, 1, state) as process:
        (row,) = ledger.jobs()
        assert ledger.is_held(row)
        process.kill()
        process.wait()
        assert not ledger.is_held(row)
        with claim(ledger, 1) as receipt:
            assert receipt.row.state == state
            assert receipt.row.uid == ("uid-of-the-other" if state == "uploading" else None)


@pytest.mark.faults("FS-07")
@pytest.mark.parametrize("called", ["link.sqlite", "folder/ledger.sqlite3"])
def test_a_process_that_calls_the_ledger_by_a_link_sees_who_holds_what(called: str, path: Path, tmp_path: Path) -> None:
    Ledger(path).close()
    beside = tmp_path / "elsewhere"
    beside.mkdir()
    (beside / "link.sqlite").symlink_to(path)
    (beside / "folder").symlink_to(path.parent)
    with closing(Ledger(ledger_path(load(ledger=str(beside / called)).settings))) as ledger:
        with holding(path, 1, "planned") as process:
            (row,) = ledger.jobs()
            assert ledger.is_held(row)
            process.kill()
            process.wait()
        assert not ledger.is_held(row)


@pytest.mark.parametrize("step", ["uploading", "paying"])
def test_who_was_taken_for_dead_pays_no_more(step: str, path: Path, ledger: Ledger) -> None:
    with claim(ledger, 1) as receipt:
        for mark in owners_of(path).iterdir():  # a cleaner of old files
            mark.unlink()
        with closing(Ledger(path)) as other, claim(other, 1) as taken:
            with pytest.raises(LedgerError, match="Another process has taken this document over"):
                receipt.uploading("uid-1") if step == "uploading" else receipt.paying()
            assert taken.row.state == "planned"
            taken.uploading("uid-2")
    (row,) = ledger.jobs()
    assert (row.uid, row.history) == ("uid-2", ())


@pytest.mark.faults("JR-07")
@pytest.mark.skipif(os.name != "posix", reason="elsewhere a file that is open stays")
@pytest.mark.parametrize("step", ["uploading", "paying"])
@pytest.mark.parametrize("fate", ["removed", "replaced"])
def test_nothing_is_paid_into_a_ledger_that_is_gone(fate: str, step: str, path: Path, ledger: Ledger) -> None:
    with claim(ledger, 1) as receipt:
        path.rename(path.with_name("elsewhere"))
        if fate == "replaced":
            path.touch()
        with pytest.raises(LedgerError, match=f"was {fate} while it was in use"):
            receipt.uploading("uid-1") if step == "uploading" else receipt.paying()
        path.with_name("elsewhere").replace(path)
        receipt.uploading("uid-1") if step == "uploading" else receipt.paying()


def test_a_ledger_with_a_relative_path_is_there_from_every_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(Ledger(Path("ledger.sqlite3"))) as ledger, claim(ledger, 1) as receipt:
        monkeypatch.chdir("/")
        receipt.uploading("uid-1")


@pytest.mark.faults("FS-07")
def test_a_long_wait_for_another_process_is_told(
    path: Path, clock: StillClock, caplog: pytest.LogCaptureFixture
) -> None:
    began = clock.monotonic()
    with holding(path, 1, "planned") as process, closing(Ledger(path, clock=clock.clock)) as ledger:

        def look() -> None:
            if clock.monotonic() - began > 140:
                raise Stopped

        with pytest.raises(Stopped), ledger.claim(key(1), source="/papers/x.pdf", size=1, pages=1, check=look):
            pass
    assert caplog.messages == [f"/papers/x.pdf: waiting for the process {process.pid}, which works on it"] * 3


def test_the_marks_of_killed_processes_are_swept(path: Path, ledger: Ledger) -> None:
    with holding(path, 1, "planned") as process:
        assert len(list(owners_of(path).iterdir())) == 2
        process.kill()
        process.wait()
    other = Ledger(path)
    assert len(list(owners_of(path).iterdir())) == 2
    other.close()
    assert [each.name for each in owners_of(path).iterdir()] == [ledger._owner.token]


def test_a_wait_for_a_claim_can_be_ended(ledger: Ledger) -> None:
    def stop() -> None:
        raise Stopped

    with claim(ledger, 1), pytest.raises(Stopped), ledger.claim(key(1), source="x", size=1, pages=1, check=stop):
        pass


@pytest.mark.faults("JR-11")
def test_rows_keep_the_order_of_their_first_sight_when_the_clock_goes_back(ledger: Ledger, clock: StillClock) -> None:
    for number in range(5):
        clock.wall_offset -= 86400.0
        with claim(ledger, number) as receipt:
            receipt.uploading(f"uid-{number}")
    assert [row.uid for row in ledger.jobs()] == [f"uid-{number}" for number in range(5)]


def test_every_uid_that_a_parse_had_is_kept(ledger: Ledger) -> None:
    with claim(ledger, 1) as receipt:
        receipt.uploading("uid-1")
        receipt.uploading("uid-2")  # its link was refused
        receipt.submitted("uid-2")
        receipt.start_over("never admitted")
        receipt.uploading("uid-3")
        receipt.paying()
        receipt.submitted("uid-4")
    (row,) = ledger.jobs()
    assert (row.uid, row.history) == ("uid-4", ("uid-1", "uid-2", "uid-3"))
    assert [found.id for found in ledger.jobs(uid="uid-2")] == [row.id]


def test_jobs_are_found_by_state_source_and_what_is_left_to_do(path: Path, ledger: Ledger, tmp_path: Path) -> None:
    for number, state in enumerate(("done", "wanted", "failed", None)):
        with claim(ledger, number) as receipt:
            receipt.uploading(f"uid-{number}")
            if state is not None:
                receipt.parsed(3)
                receipt.result(ResultRow("md", "{}", f"/out/{number}.md", "s", state), wait=True)
    assert [row.uid for row in read_jobs(path, states=("uploading",))] == ["uid-3"]
    assert [row.uid for row in read_jobs(path, unfinished=True)] == ["uid-1", "uid-2", "uid-3"]
    assert [row.uid for row in read_jobs(path, source="/2.p")] == ["uid-2"]
    assert next(read_jobs(path, newest_first=True)).uid == "uid-3"
    with (tmp_path / "jobs.jsonl").open("w") as out:
        assert export_jobs(path, out, states=("parsed",)) == 3
    lines = (tmp_path / "jobs.jsonl").read_text().splitlines()
    assert len(lines) == 3
    assert '"target": "/out/0.md"' in lines[0]


def test_pruning_leaves_what_is_in_flight_or_unknown(ledger: Ledger, clock: StillClock) -> None:
    with claim(ledger, 0) as receipt:
        receipt.uploading("uid-0")
        receipt.parsed(1)
        receipt.result(ResultRow("md", "{}", "/out/0.md", "s", "done"), wait=True)
    with claim(ledger, 1) as receipt:
        receipt.paying()
    with claim(ledger, 2) as receipt:
        receipt.uploading("uid-2")
    clock.advance(100.0)
    with claim(ledger, 3) as receipt:
        receipt.uploading("uid-3")
        receipt.parsed(1)
        clock.advance(50.0)
        assert ledger.prune(60.0) == 1
    assert [row.state for row in ledger.jobs()] == ["unknown", "uploading", "parsed"]
    assert ledger.targets_of("/out/0.md", "md") == []
