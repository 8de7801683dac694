"""Uploads: a uid first, the same bytes each time, and never a second uid while the first may have been paid."""

import hashlib
import io
import os
import stat
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from doc2x_sdk.errors import (
    AuthError,
    ConfigError,
    Doc2XError,
    FileError,
    IncompleteResult,
    InputChanged,
    NetworkError,
    RateLimit,
)
from doc2x_sdk.models import ParseOptions, Progress
from tests.flow.folders import tree
from tests.support.clocks import StillClock
from tests.support.scripted import Conversation, Request, Step, close, envelope, reply, reset
from tests.support.scripted_service import Done, ScriptedService, failed, make_pdf, processing, told
from tests.support.wire import KEY

UID = "0192d745-5776-7261-abbd-000000000001"
NOT_FOUND = failed("parse_status_not_found")
OWN_ERRORS = [
    OSError("the caller's own"),
    TimeoutError("the caller's own"),
    requests.ConnectionError("the caller's own"),
    NetworkError("the caller's own", sent="all", advice=""),
    RateLimit("the caller's own", advice=""),
]
"""What a callback may raise that looks like a failure of the network or of the service."""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# UP-01, UP-08: the answer to the paid step is lost, or says that the store is in trouble


@pytest.mark.faults("AP-05")
def test_a_storage_host_that_takes_no_more_for_now_is_waited_for(
    service: ScriptedService, paper: Path, clock: StillClock
) -> None:
    service.on("put", *[reply(429, headers=[("Retry-After", "5")])] * 9)
    with service.client(clock) as client:
        assert client.convert(paper).uid == UID
    assert (service.paid, service.count("preupload")) == (1, 1)
    assert 45 <= sum(clock.sleeps) < 120


@pytest.mark.faults("UP-02")
@pytest.mark.parametrize("how_often", [1, 2])
def test_an_upload_that_was_answered_before_it_was_read_is_sent_again(
    how_often: int, service: ScriptedService, tmp_path: Path
) -> None:
    paper = tmp_path / "paper.pdf"
    paper.write_bytes(make_pdf(size=20_000_000))
    early = reply(200, then="reset", at=1000)
    service.on("put", *[early] * how_often)
    with service.client() as client:
        if how_often == 1:
            assert client.convert(paper).uid == UID
            assert service.stored == [(UID, paper.read_bytes())]
        else:
            with pytest.raises(NetworkError) as caught:
                client.convert(paper)
            told(caught.value, "paper.pdf", UID, "before it had all of it")
    assert (service.count("put"), service.count("preupload")) == (2, 1)


@pytest.mark.faults("UP-01")
@pytest.mark.parametrize(("word", "reason"), [(reply(404), "refused the request"), (reply(429), "asks to wait")])
def test_what_kept_the_service_from_telling_of_a_lost_upload_is_told(
    word: Step, reason: str, service: ScriptedService, paper: Path
) -> None:
    service.on("put", Done(close()))
    service.always("status", word)
    with service.client() as client, pytest.raises(NetworkError) as caught:
        client.convert(paper)
    told(caught.value, "paper.pdf", UID, "does not tell whether it has the upload", reason)
    assert (service.paid, service.count("put")) == (1, 1)


@pytest.mark.faults("UP-01")
def test_a_result_that_is_not_whole_proves_that_the_upload_arrived(service: ScriptedService, paper: Path) -> None:
    service.on("put", Done(close()))
    service.always("status", reply(json=envelope({"status": "success", "result": None})))
    with service.client() as client, pytest.raises(IncompleteResult) as caught:
        client.convert(paper)
    told(caught.value, "paper.pdf", UID)
    assert (service.paid, service.count("put")) == (1, 1)


@pytest.mark.faults("UP-01")
@pytest.mark.parametrize("end", [close, reset])
def test_a_lost_answer_to_the_upload_is_settled_by_the_status(
    end: Callable[[], Step], service: ScriptedService, paper: Path, out: Path
) -> None:
    service.on("put", Done(end()))
    with service.client() as client:
        document = client.convert(paper, to="md", out=out)
    assert (service.paid, service.count("put"), service.count("preupload")) == (1, 1, 1)
    assert document.uid == UID
    assert sorted(tree(out)) == ["paper.md", "paper_images/0_1.jpg"]


@pytest.mark.faults("UP-01")
def test_a_file_that_the_service_does_not_have_is_sent_once_more_under_the_same_uid(
    service: ScriptedService, paper: Path, clock: StillClock
) -> None:
    service.on("put", close())  # read whole, and lost
    with service.client(clock) as client:
        document = client.convert(paper)
    assert [request.target.partition("?")[0] for request in service.of("put")] == [f"/bucket/{UID}"] * 2
    assert service.stored == [(UID, paper.read_bytes())]
    assert (service.paid, service.count("preupload"), document.uid) == (1, 1, UID)
    assert 10 < sum(clock.sleeps) < 20  # "not found" was believed after 10 s, no sooner


@pytest.mark.faults("UP-01")
def test_an_upload_that_is_lost_twice_is_given_up_with_its_uid(service: ScriptedService, paper: Path) -> None:
    service.on("put", close(), close())
    with service.client() as client, pytest.raises(NetworkError) as caught:
        client.convert(paper)
    told(caught.value, "paper.pdf", UID, "The upload")
    assert (service.paid, service.count("put"), service.count("preupload")) == (0, 2, 1)


@pytest.mark.faults("UP-01")
def test_no_word_about_a_lost_upload_is_not_taken_for_no_file(service: ScriptedService, paper: Path) -> None:
    service.on("put", Done(close()))
    service.on("status", *[close()] * 9, failed("internal_error"))
    with service.client() as client:
        assert client.convert(paper).uid == UID
    assert (service.paid, service.count("put"), service.count("preupload")) == (1, 1, 1)


@pytest.mark.faults("UP-01")
@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_in_the_status_is_no_reason_for_a_second_upload(
    status: int, service: ScriptedService, paper: Path
) -> None:
    service.on("put", Done(close()))
    service.on("status", failed("unauthorized", status))
    with service.client() as client, pytest.raises(AuthError) as caught:
        client.convert(paper)
    told(caught.value, UID, "paper.pdf", "key")
    assert (service.paid, service.count("put"), service.count("preupload")) == (1, 1, 1)


@pytest.mark.faults("UP-08")
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_trouble_in_the_store_is_tried_again_at_the_same_url(
    status: int, service: ScriptedService, paper: Path, clock: StillClock
) -> None:
    service.on("put", reply(status), reply(status))
    with service.client(clock) as client:
        document = client.convert(paper)
    assert [request.body for request in service.of("put")] == [paper.read_bytes()] * 3
    assert len({request.target for request in service.of("put")}) == 1
    assert (service.paid, service.count("preupload"), document.uid) == (1, 1, UID)
    assert clock.sleeps[:2] == [0.5, 1.0]


@pytest.mark.faults("UP-08")
def test_trouble_that_stays_is_settled_by_the_status(service: ScriptedService, paper: Path) -> None:
    service.on("put", Done(reply(503)), reply(503), reply(503))
    with service.client() as client:
        assert client.convert(paper).uid == UID
    assert (service.paid, service.count("put"), service.count("preupload")) == (1, 3, 1)


@pytest.mark.faults("UP-08")
def test_a_store_that_never_recovers_ends_the_upload_without_a_new_uid(service: ScriptedService, paper: Path) -> None:
    service.always("put", reply(503))
    with service.client() as client, pytest.raises(NetworkError) as caught:
        client.convert(paper)
    told(caught.value, "paper.pdf", UID, "503")
    assert (service.paid, service.count("preupload"), service.count("put")) == (0, 1, 6)


@pytest.mark.faults("UP-08")
@pytest.mark.parametrize("refused", [400, 401, 403, 404, 409, 412])
def test_a_link_that_was_used_up_by_an_upload_which_arrived_is_no_reason_for_another(
    refused: int, service: ScriptedService, paper: Path
) -> None:
    service.on("put", Done(reply(504)), reply(refused))  # stored, a gateway lost the answer, and the retry is refused
    with service.client() as client:
        assert client.convert(paper).uid == UID
    assert (service.paid, service.count("put"), service.count("preupload")) == (1, 2, 1)


@pytest.mark.faults("UP-08")
def test_an_upload_that_shows_up_late_is_waited_for_when_its_link_is_used_up(
    service: ScriptedService, paper: Path, clock: StillClock
) -> None:
    service.on("put", Done(close()), reply(403))
    service.on("status", *[failed("parse_status_not_found")] * 18)
    with service.client(clock) as client:
        assert client.convert(paper).uid == UID
    assert (service.paid, service.count("put"), service.count("preupload")) == (1, 2, 1)
    assert sum(clock.sleeps) > 20  # and not 10, after which a file counts as lost where no link was refused


@pytest.mark.faults("UP-08")
def test_a_link_that_is_refused_after_a_lost_upload_is_replaced_once_the_service_knows_of_no_file(
    service: ScriptedService, paper: Path, clock: StillClock
) -> None:
    service.on("put", reply(502), reply(403), reply(403))
    with service.client(clock) as client:
        assert client.convert(paper).uid == service.uids[1]
    assert (service.paid, service.count("put"), service.count("preupload")) == (1, 4, 2)
    assert sum(clock.sleeps) > 70  # "not found" for 10 s, and for 60 s after the second try


# UP-02, UP-03, UP-12: what the store gets


@pytest.mark.faults("UP-02")
@pytest.mark.parametrize("end", [close, reset])
def test_an_upload_that_broke_off_is_sent_again_from_its_first_byte(
    end: Callable[..., Step], service: ScriptedService, big_paper: Path
) -> None:
    service.on("put", end(at=100_000))
    with service.client() as client:
        client.convert(big_paper)
    first, second = service.of("put")
    assert not first.whole
    assert second.headers["content-length"] == first.headers["content-length"] == str(big_paper.stat().st_size)
    assert [(UID, sha256(content)) for UID, content in service.stored] == [(UID, sha256(big_paper.read_bytes()))]
    assert (service.paid, service.count("preupload")) == (1, 1)


@pytest.mark.faults("UP-03")
def test_what_can_be_read_only_once_is_sent_twice_in_full(service: ScriptedService) -> None:
    content = make_pdf(size=30_000)
    reading, writing = os.pipe()
    service.on("put", close())
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb") as source, service.client() as client:
        source.write(content)
        source.close()
        client.convert(pipe, name="piped.pdf")
    assert [request.body for request in service.of("put")] == [content] * 2
    assert service.paid == 1


@pytest.mark.faults("UP-12")
@pytest.mark.parametrize("form", ["path", "bytes", "file", "memory"])
def test_the_object_is_the_file(form: str, service: ScriptedService, paper: Path) -> None:
    content = paper.read_bytes()
    with service.client() as client, paper.open("rb") as file:
        given = {"path": paper, "bytes": content, "file": file, "memory": io.BytesIO(content)}[form]
        client.convert(given)
    (request,) = service.of("put")
    assert sha256(service.stored[0][1]) == sha256(content)
    assert request.headers["content-length"] == str(len(content))
    assert "transfer-encoding" not in request.headers
    assert "content-type" not in request.headers  # a presigned URL is signed for none
    assert service.paid == 1


# UP-04, UP-10: told before anything is sent


@pytest.mark.faults("UP-04")
@pytest.mark.parametrize("form", ["path", "bytes", "file"])
def test_an_empty_file_is_told_before_any_request(
    form: str, service: ScriptedService, tmp_path: Path, out: Path
) -> None:
    empty = tmp_path / "empty.pdf"
    empty.touch()
    with service.client() as client, empty.open("rb") as file, pytest.raises(FileError) as caught:
        client.convert({"path": empty, "bytes": b"", "file": file}[form], name="empty.pdf", to="md", out=out)
    told(caught.value, "empty.pdf", "is empty", "nothing was paid")
    assert service.server.connections == 0
    assert tree(out) == {}


def make_fifo(folder: Path) -> Path:
    os.mkfifo(folder / "fifo")
    return folder / "fifo"


def make_text(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def make_loop(folder: Path) -> Path:
    (folder / "loop").symlink_to("loop")
    return folder / "loop"


@pytest.mark.faults("UP-10")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda folder: folder / "none.pdf", "no such file", id="missing"),
        pytest.param(lambda folder: folder, "a folder", id="folder"),
        pytest.param(make_fifo, "not a regular file", id="fifo"),
        pytest.param(lambda _: Path("/dev/zero"), "not a regular file", id="device"),
        pytest.param(lambda _: Path("/proc/self/mem"), "can't be read", id="unreadable"),
        pytest.param(make_loop, "can't be read", id="loop of links"),
        pytest.param(lambda folder: make_text(folder, "x.pdf", b"%!PS-Adobe"), "neither a PDF nor", id="postscript"),
        pytest.param(lambda folder: make_text(folder, "x.pdf", b"<html>%PDF"), "neither a PDF nor", id="html"),
        pytest.param(lambda folder: make_text(folder, "x.pdf", b"GIF89a" + bytes(99)), "neither a PDF nor", id="gif"),
        pytest.param(lambda folder: make_text(folder, "x.pdf", make_pdf()[:40]), "broken", id="broken"),
        pytest.param(lambda folder: make_text(folder, "x.pdf", make_pdf(0)), "PDF", id="no pages"),
        pytest.param(lambda folder: Path(f"{folder}/a\0b.pdf"), "can't be read", id="nul"),
    ],
)
def test_what_is_no_document_is_told_before_any_request(
    make: Callable[[Path], Path], reason: str, service: ScriptedService, tmp_path: Path, out: Path
) -> None:
    path = make(tmp_path)
    with service.client() as client, pytest.raises(FileError) as caught:
        client.convert(path, to="md", out=out)
    told(caught.value, path.name.replace("\0", "\\x00"), reason)
    assert service.server.connections == 0
    assert (service.paid, tree(out)) == (0, {})


@pytest.mark.faults("UP-10")
@pytest.mark.parametrize("form", ["path", "bytes", "file"])
def test_what_is_over_the_limits_is_told_before_any_request(
    form: str, service: ScriptedService, tmp_path: Path
) -> None:
    content = make_pdf(size=1000)
    path = make_text(tmp_path, "long.pdf", content)
    with path.open("rb") as file:
        given = {"path": path, "bytes": content, "file": file}[form]
        with service.client(max_pdf_bytes=300) as client, pytest.raises(FileError) as size:
            client.convert(given, name="long.pdf")
        picture = b"\x89PNG\r\n\x1a\n" + bytes(500)
        with service.client(max_image_bytes=300) as client, pytest.raises(FileError) as big_picture:
            client.convert(picture, name="long.png")
    told(size.value, "long.pdf", "the service takes", "Split")
    told(big_picture.value, "long.png", "the service takes")
    assert service.server.connections == 0


def test_an_encrypted_document_is_told_before_any_request(service: ScriptedService) -> None:
    from tests.local.caller import make_pdf as print_pdf

    with service.client() as client, pytest.raises(FileError) as caught:
        client.convert(print_pdf("secret", password="open sesame"), name="locked.pdf")
    told(caught.value, "locked.pdf", "encrypted", "without a password")
    assert service.server.connections == 0


def test_an_endless_stream_is_read_no_further_than_the_largest_document(service: ScriptedService) -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            Endless.given += size
            return b"%PDF-" + bytes(size - 5)

    with service.client(max_pdf_bytes=5_000_000) as client, pytest.raises(FileError) as caught:
        client.convert(Endless(), name="endless.pdf")
    told(caught.value, "endless.pdf", "the service takes 5.0 MB")
    assert 5_000_000 < Endless.given <= 5_000_001
    assert service.server.connections == 0


@pytest.mark.parametrize("given", [io.StringIO("%PDF-"), 4711, None])
def test_an_input_of_another_kind_is_refused(given: object, service: ScriptedService) -> None:
    with service.client() as client, pytest.raises(FileError, match="binary"):
        client.convert(given, name="x.pdf")
    assert service.server.connections == 0


# UP-05: the file changes under way


def change_while_sent(path: Path, change: Callable[[Path], None]) -> Step:
    """Change the file once the first bytes have come, and take the rest."""

    def act(conversation: Conversation, request: Request) -> None:
        change(path)
        conversation.read_body(request)
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    return Step(act, at=1000)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shrink(path: Path) -> None:
    os.truncate(path, 1_000_000)


def edit_unseen(path: Path) -> None:
    """Change a byte near the end, and put the time of change back."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(-2000, os.SEEK_END)
        file.write(b"0")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def remove(path: Path) -> None:
    path.unlink()


def unchanging(path: Path) -> tuple[int, int, int, int]:
    """The stamp of a file whose times never tell anything: they lie in the future, so it never counts as settled."""
    return path.stat().st_size, 2**62, 0, 0


def link(path: Path) -> None:
    os.link(path, path.with_name("backup.pdf"))


def forbid(path: Path) -> None:
    path.chmod(0o400)


def touch(path: Path) -> None:
    path.touch()


def move(path: Path) -> None:
    path.rename(path.with_name("moved.pdf"))


def replace(path: Path) -> None:
    """Put another file of the same size and time under the name."""
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(bytes(before.st_size))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


@pytest.mark.faults("UP-05")
@pytest.mark.parametrize("change", [grow, shrink, edit_unseen])
def test_a_file_that_changes_while_it_is_sent_is_not_converted(
    change: Callable[[Path], None], service: ScriptedService, tmp_path: Path, out: Path
) -> None:
    path = make_text(tmp_path, "growing.pdf", make_pdf(400, size=24_000_000))
    service.on("put", change_while_sent(path, change))
    with service.client() as client, pytest.raises(InputChanged) as caught:
        client.convert(path, to="md", out=out)
    told(caught.value, "growing.pdf", UID, "no longer being written")
    assert (service.count("put"), service.count("status"), service.count("export")) == (1, 0, 0)
    assert tree(out) == {}


@pytest.mark.faults("UP-05")
@pytest.mark.parametrize("change", [replace, remove, link, forbid, touch, move])
@pytest.mark.parametrize("settled", [False, True])
def test_what_becomes_of_a_files_name_while_it_is_sent_is_nothing_to_its_bytes(
    settled: bool,
    change: Callable[[Path], None],
    service: ScriptedService,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if settled:
        for name in ("SETTLED_NS", "SETTLED_FINE_NS"):  # as if the file were older than it is
            monkeypatch.setattr(f"doc2x_sdk.flow.source.{name}", 0)
    path = make_text(tmp_path, "moving.pdf", make_pdf(size=24_000_000))
    content = path.read_bytes()

    def act(conversation: Conversation, request: Request) -> None:
        change(path)
        reply(200).action(conversation, request)

    service.on("put", Done(Step(act)))
    with service.client() as client:
        assert client.convert(path, to="md").uid == UID
        assert client.convert(content, name="again.pdf", to="md").uid == UID
    assert (service.count("preupload"), service.count("put")) == (1, 1)


@pytest.mark.faults("UP-05")
def test_a_change_that_no_time_of_the_file_shows_is_noticed_by_its_bytes(
    service: ScriptedService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a file system with coarse times, or one without a time of status change
    monkeypatch.setattr("doc2x_sdk.flow.source.stamp_from", lambda _: unchanging(path))
    path = make_text(tmp_path, "coarse.pdf", make_pdf(400, size=24_000_000))
    service.on("put", change_while_sent(path, edit_unseen))
    with service.client() as client, pytest.raises(InputChanged) as caught:
        client.convert(path)
    told(caught.value, "coarse.pdf", UID)
    assert service.count("status") == 0


@pytest.mark.faults("UP-05")
def test_a_change_of_a_file_long_left_alone_shows_without_hashing_it_again(
    service: ScriptedService, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SETTLED_NS", "SETTLED_FINE_NS"):  # as if the file were older than it is
        monkeypatch.setattr(f"doc2x_sdk.flow.source.{name}", 0)
    path = make_text(tmp_path, "settled.pdf", make_pdf(400, size=24_000_000))
    service.on("put", change_while_sent(path, edit_unseen))
    with service.client() as client, pytest.raises(InputChanged) as caught:
        client.convert(path, to="md", out=out)
    told(caught.value, "settled.pdf", UID)
    assert service.count("status") == 0


@pytest.mark.faults("UP-05")
def test_a_file_that_changes_after_its_check_is_not_converted(service: ScriptedService, paper: Path) -> None:
    with service.client() as client:
        for change in (grow, remove):

            def at_check(progress: Progress, change: Callable[[Path], None] = change) -> None:
                if progress.stage == "check":
                    change(paper)

            with pytest.raises(InputChanged) as caught:
                client.convert(paper, on_progress=at_check)
            told(caught.value, "paper.pdf", "convert it again")
    assert service.count("status") == 0


@pytest.mark.faults("UP-05")
def test_a_direct_upload_notices_a_change_too(service: ScriptedService, tmp_path: Path) -> None:
    path = make_text(tmp_path, "growing.pdf", make_pdf(size=24_000_000))

    def act(conversation: Conversation, request: Request) -> None:
        grow(path)
        conversation.read_body(request)
        body = b'{"code":"success","data":{"uid":"direct-1"}}'
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    service.on("direct", Step(act, at=1000))
    with service.client() as client, pytest.raises(InputChanged) as caught:
        client.upload(path, direct=True)
    told(caught.value, "growing.pdf", "direct-1")


# What is sent in one step


PICTURE = b"\xff\xd8\xff\xe0 a picture"


@pytest.mark.faults("PO-08")
@pytest.mark.parametrize(("content", "route"), [(PICTURE, "image"), (make_pdf(), "direct")], ids=["picture", "direct"])
def test_a_uid_that_the_service_no_longer_knows_is_not_returned(
    content: bytes, route: str, service: ScriptedService, clock: StillClock
) -> None:
    status, is_direct = ("status", True) if route == "direct" else ("image_status", False)
    with service.client(clock) as client:
        first = client.upload(content, direct=is_direct)
        assert client.upload(content, direct=is_direct) == first
        clock.advance(30 * 3600)
        before, slept = service.count(status), len(clock.sleeps)
        service.on(status, NOT_FOUND)
        second = client.upload(content, direct=is_direct)
        (row,) = client.jobs()
    assert (second, row.uid, row.history) == (service.uids[1], second, (first,))
    assert (service.count(route), service.count(status) - before, clock.sleeps[slept:]) == (2, 1, [])


@pytest.mark.faults("JR-01")
def test_a_uid_whose_bytes_never_left_is_not_returned_by_a_direct_upload(service: ScriptedService, paper: Path) -> None:
    service.always("put", close())
    service.on("status", *[close()] * 40)
    with service.client(patience=5, retries=0) as client:
        with pytest.raises(NetworkError):
            client.upload(paper)
        assert [row.state for row in client.jobs()] == ["uploading"]
    service._script.clear()
    with service.client() as client:
        uid = client.upload(paper, direct=True)
        assert client.wait(uid).done
    assert [uid for uid, _ in service.stored] == [uid]
    assert (service.count("direct"), service.paid) == (1, 1)


# UP-06, UP-07: the store sends the upload elsewhere, or refuses the link


@pytest.mark.faults("UP-06")
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirected_upload_is_an_error_and_not_followed(
    status: int, service: ScriptedService, paper: Path, out: Path
) -> None:
    service.always("put", reply(status, headers=[("Location", f"{service.origin}/bucket/elsewhere")]))
    with service.client() as client, pytest.raises(Doc2XError) as caught:
        client.convert(paper, to="md", out=out)
    told(caught.value, "paper.pdf", UID, "redirect")
    assert (service.count("put"), service.count("preupload"), service.paid) == (1, 1, 0)
    assert [request.target for request in service.server.requests if "elsewhere" in request.target] == []
    assert tree(out) == {}


def refuse_early(status: int) -> Step:
    """Answer while the body is still coming, and let the sender notice."""

    def act(conversation: Conversation, request: Request) -> None:
        conversation.send(b"HTTP/1.1 %d Early\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        conversation.stall()

    return Step(act, at=1000)


@pytest.mark.faults("UP-07")
@pytest.mark.parametrize(
    "step",
    [
        reply(403, b"<Error><Code>AccessDenied</Code></Error>"),
        reply(401, b"<Error><Code>InvalidToken</Code></Error>"),
        refuse_early(403),
        refuse_early(401),
    ],
)
def test_a_link_that_has_expired_is_replaced_by_a_new_one(
    step: Step, service: ScriptedService, big_paper: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service.on("put", step)
    caplog.set_level("INFO", "doc2x_sdk")
    with service.client() as client:
        document = client.convert(big_paper)
    assert document.uid == service.uids[1]
    assert [uid for uid, _ in service.stored] == [service.uids[1]]
    assert service.stored[0][1] == big_paper.read_bytes()
    assert (service.paid, service.count("preupload"), service.count("put")) == (1, 2, 2)
    assert service.uids[0] in caplog.text  # the older uid can be looked up


@pytest.mark.faults("UP-07")
@pytest.mark.parametrize("status", [401, 403])
def test_links_that_are_refused_again_and_again_end_the_upload(
    status: int, service: ScriptedService, paper: Path
) -> None:
    service.always("put", reply(status, b"<Error><Code>AccessDenied</Code></Error>"))
    with service.client() as client, pytest.raises(Doc2XError) as caught:
        client.convert(paper)
    assert not isinstance(caught.value, AuthError)  # which would end a batch: the store knows no key
    told(caught.value, "paper.pdf", service.uids[-1], str(status), "AccessDenied", "a new link costs nothing")
    assert (service.paid, service.count("put"), service.count("preupload")) == (0, 3, 3)


# UP-09


@pytest.mark.faults("UP-09")
def test_the_store_is_sent_no_key_and_no_cookie(service: ScriptedService, paper: Path, out: Path) -> None:
    cookie = [("Set-Cookie", "session=abc; Path=/")]
    service.on("status", reply(json=envelope({"status": "processing", "progress": 1}), headers=cookie))
    with service.client() as client:
        client.convert(paper, to="md", out=out)
    stored = [*service.of("put"), *service.of("download")]
    assert len(stored) == 2
    for request in stored:
        assert KEY.encode() not in request.head
        assert not {"authorization", "cookie", "proxy-authorization"} & set(request.headers)
        assert not [name for name in request.headers if name.startswith("x-")]
    assert all(request.headers["authorization"] == f"Bearer {KEY}" for request in service.of("status"))
    assert not service.server.said("session=abc")
    assert service.paid == 1


# A full service


@pytest.mark.parametrize("code", ["parse_task_limit_exceeded", "parse_concurrency_limit"])
def test_a_full_service_is_asked_for_the_same_step_until_it_has_room(
    code: str, service: ScriptedService, paper: Path, clock: StillClock
) -> None:
    service.on("preupload", failed(code), failed(code), failed(code))
    with service.client(clock) as client:
        client.convert(paper)
    assert (service.count("preupload"), len(service.uids), service.paid) == (4, 1, 1)
    assert clock.sleeps[:3] == pytest.approx([0.84, 0.924, 1.0164])


def test_a_service_that_stays_full_is_given_up_before_anything_is_paid(service: ScriptedService, paper: Path) -> None:
    service.always("preupload", failed("parse_task_limit_exceeded"))
    clock = StillClock()
    with service.client(clock, patience=20) as client, pytest.raises(RateLimit) as caught:
        client.convert(paper)
    told(caught.value, "paper.pdf", "parse_task_limit_exceeded", "trace-4711")
    assert service.paid == 0
    assert 19 < sum(clock.sleeps) < 35


def test_a_uid_that_is_never_admitted_is_replaced_and_one_at_work_is_not(service: ScriptedService, paper: Path) -> None:
    """Doc2X API v2, codes: a limit code in the status means that no parse was started and nothing was billed."""
    service.on("status", *[failed("parse_concurrency_limit")] * 14)
    clock = StillClock()
    with service.client(clock, patience=20) as client:
        first = client.convert(paper)
    assert (first.uid, service.count("preupload")) == (service.uids[1], 2)
    service.on("status", processing(5), *[failed("parse_concurrency_limit")] * 20)
    with service.client(clock, patience=20) as client:
        second = client.convert(make_pdf(mark="another"))
    assert (second.uid, service.count("preupload")) == (service.uids[2], 3)


@pytest.mark.faults("UP-01", "AP-06")
@pytest.mark.parametrize("kept", [True, False], ids=["with a ledger", "without"])
def test_what_the_uploads_own_look_saw_at_work_is_not_uploaded_again(
    kept: bool, service: ScriptedService, paper: Path, tmp_path: Path
) -> None:
    """Limits then are throttled answers: taken for "never begun" they would lead to a second paid upload."""
    (tmp_path / "no-folder").touch()
    ledger = str(tmp_path / "state" / "ledger" if kept else tmp_path / "no-folder" / "ledger")
    service.on("put", Done(close()))
    service.on("status", processing(5), *[failed("parse_concurrency_limit")] * 12)
    with service.client(patience=8, ledger=ledger) as client:
        assert client.convert(paper).uid == UID
    assert (service.count("preupload"), service.count("put"), service.paid) == (1, 1, 1)


@pytest.mark.faults("UP-01", "AP-06")
def test_what_a_later_run_sees_at_work_first_is_not_uploaded_again(service: ScriptedService, paper: Path) -> None:
    service.on("put", Done(close()))
    service.on("status", *[close()] * 40)
    with service.client(patience=5, retries=0) as client:
        with pytest.raises(NetworkError):
            client.convert(paper)
        assert [row.state for row in client.jobs()] == ["uploading"]
    service._script.clear()
    service.on("status", processing(5), *[failed("parse_concurrency_limit")] * 12)
    with service.client(patience=8) as client:
        assert client.convert(paper).uid == UID
    assert (service.count("preupload"), service.paid) == (1, 1)


def test_a_client_is_not_kept_by_a_reader_of_the_progress(service: ScriptedService, big_paper: Path) -> None:
    """What the caller's own callback raises comes out as it is, and the upload is not taken for whole."""

    def stop(progress: Progress) -> None:
        if progress.stage == "upload":
            raise KeyboardInterrupt

    with service.client() as client, pytest.raises(KeyboardInterrupt):
        client.convert(big_paper, on_progress=stop)
    assert service.paid == 0
    assert threading.active_count() < 20


@pytest.mark.faults("UP-08")
@pytest.mark.parametrize("stage", ["upload", "parse", "export", "download"])
@pytest.mark.parametrize("error", OWN_ERRORS, ids=lambda error: type(error).__name__)
def test_a_callbacks_error_is_its_own_and_never_a_reason_to_send_again(
    error: Exception, stage: str, service: ScriptedService, out: Path
) -> None:
    paper = make_pdf(size=3_000_000)

    def fail(progress: Progress) -> None:
        if progress.stage == stage:
            raise error

    with service.client() as client:
        with pytest.raises(type(error)) as caught:
            client.convert(paper, name="paper.pdf", to="md", out=out, on_progress=fail)
        assert caught.value is error
        assert getattr(error, "uid", None) is getattr(error, "source", None) is None  # nothing of ours is put into it
        assert service.count("preupload") == 1
        client.convert(paper, name="paper.pdf", to="md", out=out)
    sent = 2 if stage == "upload" else 1  # what breaks off in the first block may not be heard of at all
    assert (service.paid, service.count("preupload")) == (1, sent)
    assert service.count("put") <= sent


@pytest.mark.parametrize("error", OWN_ERRORS, ids=lambda error: type(error).__name__)
def test_a_callbacks_error_in_a_batch_is_that_of_one_document(
    error: Exception, service: ScriptedService, tmp_path: Path, out: Path
) -> None:
    papers = [tmp_path / f"paper{number}.pdf" for number in range(3)]
    for path in papers:
        path.write_bytes(make_pdf(mark=path.name))

    def fail(progress: Progress) -> None:
        if progress.stage == "parse" and "paper1" in progress.source:
            raise error

    with service.client() as client:
        done = {
            Path(each.source).name: each for each in client.convert_many(papers, to="md", out=out, on_progress=fail)
        }
        assert service.count("put") == service.paid == 3
    assert [done[f"paper{number}.pdf"].error for number in (0, 2)] == [None, None]
    told(done["paper1.pdf"].error, "on this machine", type(error).__name__, "the caller's own")


def test_private_copies_of_open_files_are_removed(
    service: ScriptedService, paper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    seen: list[int] = []

    def look(progress: Progress) -> None:
        seen.extend(stat.S_IMODE(path.stat().st_mode) for path in temporary.iterdir())

    with service.client() as client, paper.open("rb") as file:
        client.convert(file, on_progress=look)
    assert set(seen) == {0o700}
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"formula": "dollars"}, "formula is normal or dollar, not 'dollars'"),
        ({"formula_level": 3}, "formula_level is 0 to 2"),
        ({"formula_level": True}, "formula_level is 0 to 2"),
        ({"formula_level": 1.0}, "formula_level is 0 to 2, not 1.0"),
        ({"formula_level": [1]}, "formula_level is 0 to 2"),
        ({"merge_tables": "yes"}, "merge_tables is True, False or None"),
        ({"formula_level": 1}, "needs a parse by v3-2026"),
        ({"formula_level": 2, "model": "v2"}, "needs a parse by v3-2026"),
    ],
)
def test_an_export_that_the_service_would_refuse_is_refused_before_anything_is_paid(
    options: dict[str, Any], wrong: str, service: ScriptedService, paper: Path, out: Path
) -> None:
    with service.client() as client:
        with pytest.raises(ConfigError, match=wrong):
            client.convert(paper, to="md", out=out, **options)
        with pytest.raises(ConfigError, match=wrong):
            client.convert_many([paper], to="md", out=out, **options)
        assert service.server.connections == 0
        uid = client.upload(paper)
        if "needs" in wrong:  # nobody knows here by which model it was parsed
            level = options["formula_level"]
            assert client.fetch(uid, to="md", formula_level=level).uid == uid
            assert client.convert(paper, to="md", formula_level=0).uid == uid
        else:
            with pytest.raises(ConfigError, match=wrong):
                client.fetch(uid, to="md", **options)


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"model": "v9"}, "model is v2 or v3-2026, or None, not 'v9'"),
        ({"model": ""}, "model is v2"),
        ({"model": 3}, "model is v2"),
        ({"model": ["v2"]}, "model is v2"),
        ({"parse": ParseOptions(model="V2")}, "model is v2"),
        ({"parse": ParseOptions(formula_only="no")}, "formula_only is True, False or None, not 'no'"),
        ({"parse": ParseOptions(ocr=0)}, "ocr is True, False or None, not 0"),
        ({"parse": ParseOptions(img_correction="on")}, "img_correction is True, False or None"),
    ],
)
def test_a_parse_that_would_be_another_one_is_refused_before_anything_is_paid(
    options: dict[str, Any], wrong: str, service: ScriptedService, paper: Path, out: Path
) -> None:
    with service.client() as v2, service.client(api="v1") as v1:
        for client in (v1, v2):
            for ask in (
                partial(client.convert, paper, out=out),
                partial(client.convert_many, [paper], to="md", out=out),
                partial(client.upload, paper),
            ):
                with pytest.raises(ConfigError, match=wrong):
                    ask(**options)
    assert service.server.connections == 0
