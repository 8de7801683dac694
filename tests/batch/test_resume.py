"""What a run finds of one that was stopped: each state of a receipt goes on from where it was."""

import io
import os
import sqlite3
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from doc2x_sdk import Doc2X
from doc2x_sdk.errors import ConfigError, FileError, InputChanged, OutputError, TaskFailed
from doc2x_sdk.flow.body import SourceBody
from doc2x_sdk.flow.callbacks import Reporter
from doc2x_sdk.flow.source import open_source
from doc2x_sdk.flow.staging import staging, sweep
from doc2x_sdk.ledger.rows import LOCAL, read_jobs
from doc2x_sdk.models import ParseOptions, Progress
from tests.batch.conftest import Papers
from tests.flow.folders import tree
from tests.support.clocks import StillClock
from tests.support.scripted_service import ScriptedService, failed, make_pdf, told

UID = "0192d745-5776-7261-abbd-000000000001"


def left_behind(client: Doc2X, path: Path, state: str, *, stored: bool) -> str:
    """Leave a receipt in this state as a stopped run would, and return its uid."""
    kit = client._kit
    with open_source(path, kit.settings) as source, kit.claim(source, ParseOptions()) as receipt:
        Reporter(source.name, None)
        receipt.wait_for_slot(lambda: None)
        if state == "reserving":
            return ""
        assert kit.service.presigned is not None
        slot = kit.service.presigned.preupload()
        receipt.uploading(slot.uid)
        if stored:
            with SourceBody(source) as body:
                kit.service.presigned.put(slot, body)
        if state == "submitted":
            receipt.submitted(slot.uid)
        return slot.uid


@pytest.mark.parametrize("heard", ["parsed", "at work", "nothing"])
def test_a_parse_that_the_service_denies_within_its_day_is_not_paid_again_by_itself(
    heard: str, service: ScriptedService, papers: Papers, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (path,) = papers(1)
    clock = StillClock()
    with service.client(clock) as client:
        assert client.upload(path) == UID
        (row,) = client.jobs()
        assert client._kit.ledger is not None
        left = {"parsed": {"state": "parsed"}, "at work": {"working": True}, "nothing": {}}[heard]
        client._kit.ledger.change(row.id, dict(left), wait=True)
        clock.advance(3600)
        service.on("status", *[failed("parse_status_not_found")] * 99)
        if heard == "nothing":
            service._script["status"].clear()
            service.on("status", *[failed("parse_status_not_found")] * 12)
            client.convert(path, to="md", out=out)
            assert f"the service no longer knows uid {UID}; it is paid for again" in caplog.text
            return
        with pytest.raises(TaskFailed) as caught:
            client.convert(path, to="md", out=out)
        told(caught.value, path.name, UID, "keeps results for 24 hours", "--force")
        assert service.paid == 1
        service._script["status"].clear()
        assert client.convert(path, to="md", out=out).uid == UID
    assert service.paid == 1


def test_a_result_that_was_emptied_stays_and_is_told(service: ScriptedService, papers: Papers, out: Path) -> None:
    (path,) = papers(1)
    with service.client() as client:
        client.convert(path, to="txt", out=out)
        (result,) = tree(out)
        (out / result).write_bytes(b"")
    with service.client() as client:
        again = client.convert(path, to="txt", out=out)
    assert again.warnings == (f"{result} is empty, and stays as it is; --overwrite replaces it",)
    assert tree(out) == {result: b""}


def test_what_is_no_path_is_one_inputs_error(service: ScriptedService, papers: Papers, out: Path) -> None:
    first, second = papers(2)
    odd: Any = [first, None, 7, b"x.pdf", second]
    with service.client() as client:
        ends = {done.source: done.error for done in client.convert_many(odd, to="md", out=out)}
    assert {name for name, error in ends.items() if error is None} == {str(first), str(second)}
    wrong = "An input of a batch is a path, not"
    assert all(str(ends[name]).startswith(f"{name}: {wrong}") for name in ("None", "7", "b'x.pdf'"))
    assert sum(isinstance(error, FileError) for error in ends.values()) == 3


@pytest.mark.parametrize("how", ["pages", "picture"])
def test_what_is_made_of_a_file_that_was_changed_meanwhile_is_not_sent(
    how: str, service: ScriptedService, papers: Papers, out: Path, tmp_path: Path
) -> None:
    path = tmp_path / "given"
    before, after = (make_pdf(2), make_pdf(2, mark="x")) if how == "pages" else (jpeg("white"), jpeg("red"))
    path.write_bytes(before)

    def change(progress: Progress) -> None:
        if progress.stage == "check":
            path.write_bytes(after)

    chosen: Any = {"pages": "1", "to": "json"} if how == "pages" else {"to": "docx"}
    with service.client() as client, pytest.raises(InputChanged):
        client.convert(path, out=out, on_progress=change, **chosen)
    assert service.paid == 0


def jpeg(colour: str) -> bytes:
    """A picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (40, 40), colour).save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize("name", ["force", "overwrite", "retry_unknown"])
@pytest.mark.parametrize("value", ["false", "0", 0, None])
def test_a_flag_that_is_neither_true_nor_false_pays_nothing(
    name: str, value: object, service: ScriptedService, papers: Papers, out: Path
) -> None:
    (path,) = papers(1)
    given: Any = {name: value}
    with service.client() as client:
        with pytest.raises(ConfigError, match=f"`{name}` is True or False"):
            client.convert(path, to="md", out=out, **given)
        with pytest.raises(ConfigError, match=f"`{name}` is True or False"):
            client.convert_many([path], to="md", out=out, **given)
        if name != "overwrite":
            with pytest.raises(ConfigError, match=f"`{name}` is True or False"):
                client.upload(path, **given)
    assert service.server.connections == 0


def test_a_closed_client_pays_nothing_without_a_ledger_either(
    service: ScriptedService, papers: Papers, tmp_path: Path
) -> None:
    (path,) = papers(1)
    (tmp_path / "file").touch()
    with service.client(ledger=str(tmp_path / "file" / "ledger.sqlite3")) as client:
        pass
    for call in (client.upload, partial(client.upload, direct=True)):
        with pytest.raises(ConfigError, match="closed"):
            call(path)
    assert service.server.connections == 0


def test_a_client_that_was_not_made_can_be_shown() -> None:
    assert repr(Doc2X.__new__(Doc2X)) == "Doc2X(not made)"


@pytest.mark.faults("JR-02")
def test_a_stop_before_the_uid_takes_a_new_one(service: ScriptedService, papers: Papers, out: Path) -> None:
    (path,) = papers(1)
    with service.client() as client:
        left_behind(client, path, "reserving", stored=False)
        assert client.convert(path, to="md", out=out).uid == UID
    assert (service.paid, service.count("preupload")) == (1, 1)


@pytest.mark.faults("JR-03")
@pytest.mark.parametrize("state", ["uploading", "submitted"])
def test_a_stop_after_the_upload_asks_before_it_sends(
    state: str, service: ScriptedService, papers: Papers, out: Path
) -> None:
    (path,) = papers(1)
    with service.client() as client:
        uid = left_behind(client, path, state, stored=True)
        assert client.convert(path, to="md", out=out).uid == uid
    assert (service.paid, service.count("preupload"), service.count("put")) == (1, 1, 1)


@pytest.mark.faults("JR-03")
@pytest.mark.parametrize("state", ["uploading", "submitted"])
def test_a_uid_that_the_service_does_not_show_yet_is_waited_for(
    state: str, service: ScriptedService, papers: Papers, out: Path
) -> None:
    (path,) = papers(1)
    service.on("status", *[failed("parse_status_not_found")] * 8)
    with service.client() as client:
        uid = left_behind(client, path, state, stored=True)
        assert client.convert(path, to="md", out=out).uid == uid
    assert (service.paid, service.count("put")) == (1, 1)


@pytest.mark.faults("JR-02")
def test_an_upload_that_never_arrived_gets_a_new_uid_after_a_while(
    service: ScriptedService, papers: Papers, out: Path, clock: StillClock
) -> None:
    """The signed URL is in no receipt, so the bytes can't go to the old one; the old uid stays known."""
    (path,) = papers(1)
    with service.client(clock) as client:
        old = left_behind(client, path, "uploading", stored=False)
        before = clock.monotonic()
        document = client.convert(path, to="md", out=out)
        (row,) = client.jobs()
    assert document.uid != old
    assert (row.uid, row.history) == (document.uid, (old,))
    assert clock.monotonic() - before > 30.0
    assert service.paid == 1


def test_the_clock_of_a_local_server_is_not_waited_for(
    service: ScriptedService, papers: Papers, clock: StillClock
) -> None:
    """The uids of a server that `Doc2X.local` started ended with it."""
    (path,) = papers(1)
    with service.client(clock) as client:
        client._kit = replace(client._kit, account=LOCAL)
        left_behind(client, path, "submitted", stored=False)
        before = clock.monotonic()
        client.convert(path)
        assert clock.monotonic() - before < 5.0
    assert service.paid == 1


def publishing(ledger: Path, target: Path) -> None:
    """Take back the last word about a result: it was about to get its name."""
    with sqlite3.connect(ledger) as connection:
        changed = connection.execute("UPDATE result SET state = 'publishing' WHERE target = ?", (str(target),))
        assert changed.rowcount == 1
    connection.close()


@pytest.mark.faults("JR-09")
def test_a_stop_between_the_name_and_the_last_word_is_finished_without_a_request(
    service: ScriptedService, papers: Papers, out: Path, tmp_path: Path
) -> None:
    (path,) = papers(1)
    ledger = tmp_path / "ledger.sqlite3"
    with service.client(ledger=str(ledger)) as client:
        client.convert(path, to="md", out=out)
    publishing(ledger, out / "paper0.md")
    requests, before = len(service.server.requests), tree(out)
    with service.client(ledger=str(ledger)) as client:
        client.convert(path, to="md", out=out)
    assert (len(service.server.requests), tree(out)) == (requests, before)
    assert [result.state for row in read_jobs(ledger) for result in row.results] == ["done"]


@pytest.mark.faults("JR-09")
@pytest.mark.parametrize("content", [b"somebody else's", b""])
def test_only_a_file_that_is_whole_is_taken_for_the_result(
    content: bytes, service: ScriptedService, papers: Papers, out: Path, tmp_path: Path
) -> None:
    """An empty one is what claims the name where a file system has no hard links."""
    stays = bool(content)
    (path,) = papers(1)
    ledger = tmp_path / "ledger.sqlite3"
    with service.client(ledger=str(ledger)) as client:
        client.convert(path, to="md", out=out)
    publishing(ledger, out / "paper0.md")
    (out / "paper0.md").write_bytes(content)
    with service.client(ledger=str(ledger)) as client:
        document = client.convert(path, to="md", out=out)
    assert document.skipped == (("md",) if stays else ())
    assert ((out / "paper0.md").read_bytes() == content) == stays
    assert service.paid == 1


# links, and what others left


@pytest.mark.faults("FS-06")
@pytest.mark.skipif(os.name != "posix", reason="links need a right on Windows")
@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_is_written_through_a_link_out_of_the_folder(
    overwrite: bool, service: ScriptedService, papers: Papers, out: Path, tmp_path: Path
) -> None:
    (path,) = papers(1)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine.md").write_text("mine")
    out.mkdir()
    (out / "paper0_images").symlink_to(outside, target_is_directory=True)
    with service.client() as client:
        with pytest.raises(OutputError, match="is a link"):
            client.convert(path, to="md", out=out, overwrite=overwrite)
        (out / "paper0_images").unlink()
        (out / "paper0.md").symlink_to(outside / "mine.md")
        document = client.convert(path, to="md", out=out, overwrite=overwrite)
    assert document.skipped == (() if overwrite else ("md",))
    assert (out / "paper0.md").is_symlink() != overwrite
    assert tree(outside) == {"mine.md": b"mine"}


@pytest.mark.faults("FS-06")
@pytest.mark.skipif(os.name != "posix", reason="links need a right on Windows")
def test_a_link_that_comes_while_the_document_is_made_is_not_followed(
    service: ScriptedService, papers: Papers, out: Path, tmp_path: Path
) -> None:
    (path,) = papers(1)
    outside = tmp_path / "outside.md"
    outside.write_text("mine")

    def swap(progress: object) -> None:
        if getattr(progress, "stage", "") == "download" and not (out / "paper0.md").is_symlink():
            (out / "paper0.md").symlink_to(outside)

    with service.client() as client:
        document = client.convert(path, to="md", out=out, on_progress=swap)
    assert document.skipped == ("md",)
    assert outside.read_text() == "mine"


def test_what_killed_processes_left_is_swept_and_what_is_in_use_stays(tmp_path: Path) -> None:
    dead = tmp_path / ".doc2x-dead"
    (dead / "md").mkdir(parents=True)
    (dead / "md" / "md.md").write_text("x")
    (dead / ".lock").touch()
    (tmp_path / ".doc2x-empty").mkdir()
    strange = tmp_path / ".doc2x-strange"
    strange.mkdir()
    (strange / "notes").write_text("not ours")
    with staging(tmp_path) as alive:
        (alive / "md.download").touch()
        assert sweep(tmp_path) == 2
        assert (alive / "md.download").exists()
    assert [path.name for path in tmp_path.iterdir()] == [".doc2x-strange"]
    (strange / "notes").unlink()
    strange.rmdir()


def test_a_run_with_nothing_to_do_still_sweeps(service: ScriptedService, papers: Papers, out: Path) -> None:
    (path,) = papers(1)
    with service.client() as client:
        client.convert(path, to="md", out=out)
    (out / ".doc2x-dead").mkdir()
    (out / ".doc2x-dead" / ".lock").touch()
    with service.client() as client:
        client.convert(path, to="md", out=out)
    assert not (out / ".doc2x-dead").exists()


def test_a_renewed_key_is_told_how_what_the_old_one_paid_is_found(
    service: ScriptedService, papers: Papers, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = papers(3)
    with service.client() as client:
        list(client.convert_many(paths[:2], to="md", out=out))
        old = client._kit.account
    assert not caplog.records
    renewed = partial(Doc2X, "sk-renewed", base_url=service.server.origin, clock=StillClock().clock)
    with renewed():
        (warning,) = caplog.messages
    assert "2 receipts of another key" in warning
    assert f"DOC2X_ACCOUNT={old}" in warning
    with renewed(account=old) as client:
        assert client.convert(paths[0], to="md", out=out / "again").uid in service.uids
        assert client.quote(paths, to="md").all().counts == {"paid": 2, "new": 1}
    assert service.paid == 2
    with renewed() as client:
        client.convert(paths[2], to="md", out=out)
    caplog.clear()
    with renewed():
        assert not caplog.records  # from now on it is known
    with renewed() as client:
        client.convert(paths[0], to="md", out=out / "anew")
    (warning,) = caplog.messages
    assert str(paths[0]) in warning
    assert "paid for again" in warning
    assert f"DOC2X_ACCOUNT={old}" in warning
