"""A batch: what becomes of each input, what a second run does, and what things are called."""

import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doc2x_sdk import Doc2X
from doc2x_sdk.batch import Done
from doc2x_sdk.errors import (
    ConfigError,
    Doc2XError,
    DownloadError,
    FileError,
    InputChanged,
    LedgerError,
    NetworkError,
    OutputError,
)
from doc2x_sdk.ledger.rows import read_jobs
from doc2x_sdk.models import Progress
from tests.batch.conftest import Papers
from tests.flow.folders import tree
from tests.support.clocks import StillClock
from tests.support.scripted import reply
from tests.support.scripted_service import ScriptedService, make_pdf, make_zip, told
from tests.support.wire import KEY


def by_name(results: Iterator[Done]) -> dict[str, Done]:
    return {Path(done.source).name: done for done in results}


def test_each_input_has_a_result_and_none_stops_the_others(
    service: ScriptedService, papers: Papers, tmp_path: Path, out: Path
) -> None:
    paths: list[Path] = papers(20)
    paths[3:3] = [tmp_path / "missing.pdf", tmp_path]
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4\nnothing")
    (tmp_path / "empty.pdf").touch()
    paths += [tmp_path / "broken.pdf", tmp_path / "empty.pdf"]
    with service.client() as client:
        done = by_name(client.convert_many(paths, to="md", out=out))
    errors = {name: each.error.fault for name, each in done.items() if isinstance(each.error, FileError)}
    assert errors == {"missing.pdf": "missing", tmp_path.name: "unsupported", "broken.pdf": "broken",
                      "empty.pdf": "empty"}  # fmt: skip
    assert len(done) == 24
    assert all(each.sent for each in done.values())
    assert (service.paid, service.count("preupload")) == (20, 20)
    assert {f"paper{number}.md" for number in range(20)} <= set(tree(out))


def test_an_unexpected_failure_is_its_documents_own(service: ScriptedService, papers: Papers, out: Path) -> None:
    def progress(step: object) -> None:
        if "paper1" in str(step):
            raise ZeroDivisionError("in the caller's own function")

    with service.client() as client:
        done = by_name(client.convert_many(papers(3), to="md", out=out, on_progress=progress))
    assert [name for name, each in done.items() if each.error] == ["paper1.pdf"]
    told(done["paper1.pdf"].error or Exception(), "ZeroDivisionError", "paper1.pdf")


@pytest.mark.faults("CL-07")
@pytest.mark.parametrize("template", ["{stem}", "{uid}", "{stem}-{uid}"])
def test_a_second_run_has_nothing_to_do(template: str, service: ScriptedService, papers: Papers, out: Path) -> None:
    paths = papers(5)
    with service.client() as client:
        assert not any(
            done.error for done in client.convert_many(paths, to=["md", "docx"], out=out, result_name=template)
        )
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    requests = len(service.server.requests)
    with service.client() as client:
        again = list(client.convert_many(paths, to=["md", "docx"], out=out, result_name=template))
    assert all(done.was_there and set(done.files) == {"md", "docx"} for done in again)
    assert len(service.server.requests) == requests
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


@pytest.mark.faults("UP-11")
def test_one_content_is_paid_once_under_all_its_names(
    service: ScriptedService, papers: Papers, tmp_path: Path, out: Path
) -> None:
    (path,) = papers(1)
    copies = [tmp_path / "b" / f"copy{number}.pdf" for number in range(6)]
    copies[0].parent.mkdir()
    for copy in copies:
        copy.write_bytes(path.read_bytes())
    with service.client() as client:
        results = list(client.convert_many([path, *copies], to="md", out=out))
        assert {done.document.uid for done in results if done.document} == {service.uids[0]}
        client.convert(path.read_bytes(), to="md", out=out, name="bytes.pdf")
        assert (service.paid, service.count("preupload")) == (1, 1)
        list(client.convert_many([path], to="md", out=out, overwrite=True, force=True))
    assert (service.paid, service.count("preupload")) == (2, 2)
    assert {"paper0.md", "bytes.md", *(f"copy{number}.md" for number in range(6))} <= set(tree(out))


@pytest.mark.faults("FS-10")
def test_an_input_that_was_edited_since_is_told_and_its_old_result_stays(
    service: ScriptedService, papers: Papers, out: Path, tmp_path: Path
) -> None:
    paths = papers(3)
    twin = tmp_path / "twin.pdf"
    twin.write_bytes(paths[1].read_bytes())
    with service.client() as client:
        list(client.convert_many(paths, to="md", out=out))
        client.convert(twin, to="md", out=out)  # the same parse, wanted of another input last
    old = tree(out)
    paths[1].write_bytes(make_pdf(mark="a second edition"))
    paths[2].unlink()
    with service.client() as client:
        done = by_name(client.convert_many(paths, to="md", out=out))
    assert done["paper0.pdf"].was_there
    assert isinstance(done["paper1.pdf"].error, InputChanged)
    told(done["paper1.pdf"].error, "earlier content", "--overwrite")
    assert isinstance(done["paper2.pdf"].error, FileError)
    assert (tree(out), service.paid) == (old, 3)
    with service.client() as client:
        (replaced,) = client.convert_many(paths[1:2], to="md", out=out, overwrite=True)
    assert (replaced.error, service.paid) == (None, 4)


@pytest.mark.faults("FS-10")
@pytest.mark.parametrize("stopped", ["before it came", "as it was placed"])
def test_a_file_that_a_run_was_to_replace_is_not_taken_for_its_result(
    stopped: str, service: ScriptedService, papers: Papers, out: Path
) -> None:
    (paper,) = papers(1)
    with service.client() as client:
        list(client.convert_many([paper], to="md", out=out))
    old = tree(out)
    paper.write_bytes(make_pdf(mark="a second edition"))
    service.exports["md"] = make_zip({"md.md": "the second edition"})
    if stopped == "before it came":
        service.always("download", reply(500))
        with service.client() as client:
            (failed,) = client.convert_many([paper], to="md", out=out, overwrite=True)
        assert isinstance(failed.error, DownloadError | NetworkError)
        service.always("download", None)
    else:
        program = KILLED_AS_IT_IS_PLACED.format(key=KEY, origin=service.server.origin, paper=str(paper), out=str(out))
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    assert {name: content for name, content in tree(out).items() if not name.startswith(".doc2x-")} == old
    with service.client() as client:
        (again,) = client.convert_many([paper], to="md", out=out)
        told(again.error, "paper0.md is older", "--overwrite")
        assert client.quote([paper], to="md", out=out).all().counts == {"changed": 1}
        (replaced,) = client.convert_many([paper], to="md", out=out, overwrite=True)
        assert (replaced.error, (out / "paper0.md").read_text()) == (None, "the second edition")
        (there,) = client.convert_many([paper], to="md", out=out)
    assert (there.was_there, service.paid) == (True, 2)


KILLED_AS_IT_IS_PLACED = """
import os
from doc2x_sdk import Doc2X
from doc2x_sdk.flow import publish
publish.place = lambda *args, **options: os._exit(9)
with Doc2X({key!r}, base_url={origin!r}) as client:
    client.convert({paper!r}, to="md", out={out!r}, overwrite=True)
"""


def test_a_result_of_other_pages_is_no_result_and_one_of_other_options_is_told(
    service: ScriptedService, tmp_path: Path, out: Path
) -> None:
    book = tmp_path / "book.pdf"
    book.write_bytes(make_pdf(pages=2))
    with service.client() as client:
        client.convert(book, to="json", pages="2", out=out)
        assert client.convert(book, to="json", pages=" 2-", out=out).skipped == ("json",)
        with pytest.raises(InputChanged, match="made of pages 2 only of this file"):
            client.convert(book, to="json", out=out)
        with pytest.raises(InputChanged, match="pages 2 only"):
            client.convert(book, to="json", pages="1", out=out)
        assert service.paid == 1
        service.pages.append(service.pages[0] | {"page_idx": 1})
        assert client.convert(book, to="json", overwrite=True, out=out).warnings == ()
        with pytest.raises(InputChanged, match="all pages of this file"):
            client.convert(book, to="json", pages="1", out=out)
        assert client.convert(book, to="json", pages="1-2", out=out).warnings == ()
        client.convert(book, to="md", out=out)
        for options in ({"formula": "dollar"}, {"model": "v3-2026"}):
            (warning,) = client.convert(book, to="md", out=out, **options).warnings
            assert warning == "book.md was made with other options and stays as it is; --overwrite replaces it"
        assert client.fetch(service.uids[-1], to="md", result_name="book", out=out).warnings == ()


@pytest.mark.faults("FS-09")
def test_names_that_meet_stay_apart_in_whatever_order_a_later_run_gives_them(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    first, second = papers(1, folder="a")[0], papers(1, folder="b")[0]
    with service.client() as client:
        done = list(client.convert_many([first, second], to="md", out=out))
    files = {each.source: each.files["md"].name for each in done}
    assert files[str(first)] == "paper0.md"
    assert files[str(second)].startswith("paper0-")
    with service.client() as client:
        again = list(client.convert_many([second, first], to="md", out=out))
    assert {each.source: each.files["md"].name for each in again} == files
    assert all(each.was_there for each in again)
    assert service.paid == 2


def test_a_name_template_without_the_stem_gives_each_document_a_name(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    with service.client() as client:
        done = list(client.convert_many(papers(4), to="md", out=out, result_name="{date}"))
    assert len({each.files["md"] for each in done}) == 4
    assert all(each.files["md"].exists() for each in done)


def test_what_can_not_work_is_told_before_the_first_document(
    service: ScriptedService, papers: Papers, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with service.client() as client:
        with pytest.raises(ConfigError):
            client.convert_many(papers(2), to="md", out=tmp_path, result_name="{nothing}")
        with pytest.raises(OutputError):
            next(client.convert_many(papers(2), to="md", out=tmp_path / "file"))
    assert service.server.connections == 0


def test_a_batch_refuses_to_run_without_a_ledger_and_a_document_goes_on(
    service: ScriptedService, papers: Papers, out: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with service.client(ledger=str(tmp_path / "file" / "ledger")) as client:
        assert "receipts are not kept" in caplog.text
        with pytest.raises(LedgerError):
            client.convert_many(papers(2), to="md", out=out)
        with pytest.raises(LedgerError):
            client.rescue()
        assert client.convert(papers(1)[0], to="md", out=out).files["md"].exists()
    assert service.paid == 1


def test_the_paths_own_failure_reaches_the_caller_after_what_was_begun(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    def paths() -> Iterator[Path]:
        yield from papers(3)
        raise PermissionError("the walk ended here")

    with service.client() as client:
        run = client.convert_many(paths(), to="md", out=out)
        assert [next(run).error for _ in range(3)] == [None] * 3
        with pytest.raises(PermissionError):
            next(run)


@pytest.mark.parametrize("jobs", [1, 3])
def test_no_more_documents_are_in_work_than_jobs(
    jobs: int, service: ScriptedService, papers: Papers, out: Path
) -> None:
    """The first ones wait for each other, so that there are as many at once."""
    seen: list[int] = []
    together, turns = threading.Barrier(jobs), itertools.count()

    def note(step: Progress) -> None:
        if step.stage == "check" and next(turns) < jobs:
            together.wait(60.0)
        seen.append(run.in_flight)

    with service.client() as client:
        run = client.convert_many(papers(12), to="md", out=out, jobs=jobs, on_progress=note)
        assert len(list(run)) == 12
    assert max(seen) == jobs


def test_the_longest_of_a_window_goes_first_and_each_fifth_is_the_shortest(
    service: ScriptedService, tmp_path: Path, out: Path
) -> None:
    begun = []
    paths = []
    for number, pages in enumerate((1, 3, 2, 5, 4, 6, 8, 7, 9)):
        paths.append(tmp_path / f"{pages}.pdf")
        paths[-1].write_bytes(make_pdf(pages, mark=str(number)))

    def note(step: object) -> None:
        if getattr(step, "stage", "") == "check":
            begun.append(Path(getattr(step, "source", "")).stem)

    with service.client() as client:
        list(client.convert_many(paths, to="md", out=out, jobs=1, on_progress=note))
    assert begun == ["9", "8", "7", "6", "1", "5", "4", "3", "2"]


# receipts of single documents


def test_a_document_that_was_parsed_is_exported_again_without_a_second_parse(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    (path,) = papers(1)
    with service.client() as client:
        uid = client.upload(path)
        assert client.upload(path) == uid
        assert client.convert(path, to="md", out=out).uid == uid
    with service.client() as client:
        assert client.convert(path, to="docx", out=out).uid == uid
    assert (service.paid, service.count("preupload"), service.count("put")) == (1, 1, 1)


@pytest.mark.faults("JR-11")
@pytest.mark.parametrize("days", [-3, 3])
def test_a_clock_that_was_set_wrong_pays_nothing_twice(
    days: int, service: ScriptedService, papers: Papers, out: Path, clock: StillClock
) -> None:
    (path,) = papers(1)
    with service.client(clock) as client:
        client.convert(path)
    clock.wall_offset += days * 86400.0
    with service.client(clock) as client:
        client.convert(path, to="md", out=out)
    assert service.paid == 1


def test_the_receipts_hold_each_step(service: ScriptedService, papers: Papers, out: Path) -> None:
    (path,) = papers(1)
    with service.client() as client:
        client.convert(path, to=["md", "docx"], out=out)
        (row,) = client.jobs()
    assert (row.state, row.uid, row.pages, row.owner, row.source) == ("parsed", service.uids[0], 1, None, str(path))
    assert {(each.format, each.state, each.target) for each in row.results} == {
        ("md", "done", str(out / "paper0.md")),
        ("docx", "done", str(out / "paper0.docx")),
    }
    assert json.loads(json.dumps(row.as_dict()))["expires_at"] > 0


def test_a_document_in_memory_leaves_a_receipt_without_a_result(service: ScriptedService, papers: Papers) -> None:
    with service.client() as client:
        client.convert(papers(1)[0], to="md")
        (row,) = client.jobs()
    assert (row.state, row.results) == ("parsed", ())


def test_two_clients_of_one_account_share_receipts_and_two_accounts_do_not(
    service: ScriptedService, papers: Papers, tmp_path: Path
) -> None:
    (path,) = papers(1)
    ledger = str(tmp_path / "ledger.sqlite3")
    clock = StillClock().clock
    for key, account in ((KEY, None), (KEY, None), (KEY + "x", None), (KEY + "y", "named"), (KEY + "z", "named")):
        with Doc2X(key, clock=clock, base_url=service.server.origin, ledger=ledger, account=account) as client:
            client.convert(path)
    assert service.paid == 3
    assert len(list(read_jobs(Path(ledger)))) == 3


def test_errors_of_a_batch_name_their_document(service: ScriptedService, papers: Papers, out: Path) -> None:
    from tests.support.scripted_service import failed

    service.on("status", failed("parse_file_lock"))
    with service.client() as client:
        (done,) = client.convert_many(papers(1), to="md", out=out)
        assert isinstance(done.error, Doc2XError)
        told(done.error, "paper0.pdf", service.uids[0], "parse_file_lock")
        (again,) = client.convert_many(papers(1), to="md", out=out)
        assert again.error is not None
        told(again.error, "gave it up earlier", "--retry-failed")
        assert service.paid == 1
        (third,) = client.convert_many(papers(1), to="md", out=out, retry_failed=True)
    assert (third.error, service.paid) == (None, 2)


@pytest.mark.parametrize("one", ["papers/*.pdf", Path("papers")], ids=["text", "path"])
def test_one_path_in_place_of_many_is_refused(service: ScriptedService, out: Path, one: Any) -> None:
    with service.client() as client:
        with pytest.raises(ConfigError, match="not several paths but one: 'papers"):
            client.convert_many(one, to="md", out=out)
        with pytest.raises(ConfigError, match="glob"):
            client.quote(one)
    assert not service.server.requests
