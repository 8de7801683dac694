"""Too few open files: no document is blamed, none is paid twice, and a batch does with what there is."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from doc2x_sdk.batch import room
from doc2x_sdk.batch.room import WORKERS_MOST
from doc2x_sdk.config import Settings
from doc2x_sdk.errors import Doc2XError, FileError, NetworkError, OutputError, TooManyOpenFiles
from doc2x_sdk.flow.inside import inside
from doc2x_sdk.flow.pdfium import count_pages
from doc2x_sdk.flow.results import digest_there
from doc2x_sdk.flow.source import open_source
from doc2x_sdk.ledger.archive import Archive
from doc2x_sdk.ledger.rows import LOCAL
from tests.batch.conftest import Papers
from tests.support.clocks import StillClock
from tests.support.open_files import few_files
from tests.support.scripted_service import ScriptedService, failed, make_pdf

pytest.importorskip("resource", reason="the system has no limit of open files that can be lowered")


def with_limit(limit: int, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run some code in a process that may have so many files open."""
    lowered = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))\n"
    command = [sys.executable, "-c", lowered + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)


BATCH = """
import json, sys, threading
from doc2x_sdk import Doc2X
origin, ledger, out, *papers = sys.argv[1:]
most, failed = 0, []
with Doc2X("sk-open-files", base_url=origin, ledger=ledger) as client:
    for done in client.convert_many(papers, to="md", out=out):
        most = max(most, sum(thread.name.startswith("doc2x-") for thread in threading.enumerate()))
        failed += [repr(done.error)] if done.error else []
print(json.dumps([most, failed]))
"""


def test_a_batch_has_no_more_workers_than_there_are_files_for(
    service: ScriptedService, papers: Papers, out: Path, tmp_path: Path
) -> None:
    paths = [str(path) for path in papers(90)]
    done = with_limit(128, BATCH, service.server.origin, str(tmp_path / "ledger.sqlite"), str(out), *paths)
    most, failed = json.loads(done.stdout)
    assert failed == []
    assert 1 < most <= 17  # the ledger's thread among them
    assert (service.paid, len(list(out.glob("*.md")))) == (90, 90)


@pytest.mark.parametrize(("limit", "workers"), [(40, 1), (128, 12), (256, 44), (1024, WORKERS_MOST)])
def test_workers_by_the_limit(limit: int, workers: int) -> None:
    said = with_limit(limit, "from doc2x_sdk.batch.room import workers_most; print(workers_most('one'))").stdout
    assert int(said) == workers


def test_the_embedded_engine_gets_fewer_workers() -> None:
    said = with_limit(1024, f"from doc2x_sdk.batch.room import workers_most; print(workers_most({LOCAL!r}))").stdout
    assert int(said) == room.WORKERS_HERE


def test_a_batch_waits_until_files_can_be_opened_again(
    service: ScriptedService, papers: Papers, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = papers(12)
    clock = StillClock()

    def given() -> Iterator[Path]:
        yield from paths[:4]
        with few_files() as let_go:

            def after(seconds: float) -> None:
                if seconds == room.PAUSE:
                    let_go()

            clock.on_sleep = after
            yield paths[4]  # it is checked while nothing can be opened, and nobody asks for the next before it is
            assert clock.sleeps[0] == room.PAUSE
        yield from paths[5:]

    with caplog.at_level(logging.INFO, "doc2x_sdk"), service.client(clock) as client:
        done = list(client.convert_many(given(), to="md", out=out, jobs=1))
    assert [each.error for each in done] == [None] * 12
    assert service.paid == 12
    assert "has too many files open; it is tried again in 1 s" in caplog.text


def test_a_batch_that_can_open_nothing_for_a_minute_stops_and_goes_on_later(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    paths = papers(30)

    def given() -> Iterator[Path]:
        yield from paths[:3]
        with few_files():
            yield paths[3]  # nobody asks for the next before this one is given up
        yield from paths[4:]

    clock = StillClock()
    with service.client(clock) as client:
        done = list(client.convert_many(given(), to="md", out=out, jobs=1))
        assert [type(each.error) for each in done] == [TooManyOpenFiles] * 30
        assert [each.source for each in done if each.sent] == [str(paths[3])]
        assert set(clock.sleeps) == {room.PAUSE}
        assert sum(clock.sleeps) == room.WITHIN
        assert service.paid == 0
        assert all(each.error is None for each in client.convert_many(paths, to="md", out=out))
    assert service.paid == 30


@pytest.mark.parametrize("way", ["path", "bytes"])
def test_a_paper_is_not_called_broken_because_nothing_can_be_opened(way: str, tmp_path: Path) -> None:
    path = tmp_path / "paper.pdf"
    path.write_bytes(make_pdf(3))
    assert count_pages(path, "paper.pdf") == 3  # the library is loaded
    given = path if way == "path" else path.read_bytes()
    with few_files():
        if way == "bytes":
            assert count_pages(given, "paper.pdf") == 3
            return
        with pytest.raises(TooManyOpenFiles, match="this process has too many files open") as caught:
            count_pages(given, "paper.pdf")
    assert "ulimit -n" in str(caught.value)
    assert "paper.pdf" in str(caught.value)


def test_a_paper_that_went_away_before_its_pages_were_counted_is_not_called_broken(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="There is no such file"):
        count_pages(tmp_path / "gone.pdf", "gone.pdf")


def test_a_source_is_not_called_changed_because_nothing_can_be_opened(papers: Papers) -> None:
    (path,) = papers(1)
    with open_source(path, Settings()) as source:
        with few_files(), pytest.raises(TooManyOpenFiles, match=f"{path.name}: The file can't be read"):
            source.open()
        source.open().close()


def test_results_are_not_called_others_because_nothing_can_be_opened(tmp_path: Path) -> None:
    (tmp_path / "picture.jpg").write_bytes(b"picture")
    with inside(tmp_path, tmp_path) as folder:
        with few_files(), pytest.raises(TooManyOpenFiles, match=r"picture\.jpg can't be compared"):
            folder.digest("picture.jpg")
        assert folder.digest("picture.jpg") == digest_there(tmp_path / "picture.jpg", Path("picture.jpg"))
    with few_files(), pytest.raises(TooManyOpenFiles, match=r"picture\.jpg can't be compared"):
        digest_there(tmp_path / "picture.jpg", Path("picture.jpg"))
    with pytest.raises(OutputError, match="can't be read: Is a directory"):
        digest_there(tmp_path, tmp_path)


def test_a_connection_for_which_there_is_no_file_says_so(service: ScriptedService) -> None:
    with service.client() as client, few_files(), pytest.raises(NetworkError) as caught:
        client.status("0192d745-5776-7261-abbd-000000000001")
    assert "no connection: Too many open files (127.0.0.1" in str(caught.value)
    assert caught.value.advice == TooManyOpenFiles.advice_by_default


def test_an_archive_is_not_called_damaged_because_nothing_can_be_opened(tmp_path: Path) -> None:
    """What is damaged is asked for again, and after a day paid for again."""
    archive = Archive(tmp_path / "archive", days=1, size=1_000_000)
    archive.put("e" * 64, "parse", "uid", b"kept")
    with few_files(), pytest.raises(TooManyOpenFiles), archive.opened("e" * 64, "parse"):
        pass
    with archive.opened("e" * 64, "parse") as part:
        assert part is not None
        assert b"".join(part.blocks()) == b"kept"


def test_whatever_can_not_be_opened_is_no_reason_to_pay_again(
    service: ScriptedService, papers: Papers, out: Path, tmp_path: Path
) -> None:
    (path,) = papers(1)
    settings = {"ledger": str(tmp_path / "ledger.sqlite"), "archive": True}
    ended: list[Doc2XError | None] = []
    with service.client(**settings) as client:
        client.convert(path, to=["md", "docx"], out=out)
        assert service.paid == 1
        service.always("status", failed("parse_status_not_found"))  # a day later: who asks for it pays again
        for free in range(12):
            error = None
            with few_files(free):  # the connections are open already
                try:
                    client.convert(path, to=["md", "docx"], out=out / str(free))
                except Doc2XError as caught:
                    error = caught
            ended.append(error)
    assert service.paid == 1
    assert isinstance(ended[0], TooManyOpenFiles)
    assert ended[-1] is None
    failures = [error for error in ended if error is not None]
    assert all(isinstance(error, OutputError) and "too many files open" in str(error) for error in failures), failures
