"""Uploads of files: the system sends them over a plain connection; over TLS, and where it can't, they are read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from doc2x_sdk.config import Settings
from doc2x_sdk.errors import FileError, InputChanged, NetworkError
from doc2x_sdk.flow.body import BLOCK_MOST, SourceBody
from doc2x_sdk.flow.source import Source, open_source
from doc2x_sdk.models import UploadSlot
from doc2x_sdk.service.parts import FilePart
from doc2x_sdk.service.v2 import ServiceV2
from tests.support.scripted import Conversation, Request, ScriptedServer, Step, reply, reset, stall
from tests.support.scripted_service import make_pdf
from tests.support.wire import Authority, open_service, signed

needs_sendfile = pytest.mark.skipif(not hasattr(os, "sendfile"), reason="this system sends no files by itself")
PAPER = make_pdf(size=5 * 1024 * 1024 + 7)
SIZE = len(PAPER)


class Watched(SourceBody):
    """A body that notes by which way its bytes went."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.by_parts = self.by_reading = 0

    def part(self) -> FilePart | None:
        """Note a part."""
        part = super().part()
        self.by_parts += part.size if part is not None else 0
        return part

    def read(self, size: int = -1, /) -> bytes | memoryview:
        """Note a block."""
        block = super().read(size)
        self.by_reading += len(block)
        return block


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    path = tmp_path / "paper.pdf"
    path.write_bytes(PAPER)
    return path


@contextmanager
def body_of(path: Path, *, settled: bool = True) -> Iterator[Watched]:
    """The body of a file that was left alone for long enough, or not, before it was checked."""
    with open_source(path, Settings()) as source, Watched(replace(source, settled=settled)) as body:
        yield body


def put(service: ServiceV2, body: SourceBody) -> None:
    service.put(UploadSlot("u1", signed(service.transport.base_url)), body)


@needs_sendfile
@pytest.mark.faults("UP-12")
def test_over_a_plain_connection_the_system_sends_the_file(paper: Path) -> None:
    told: list[int] = []
    with ScriptedServer(reply()) as server, open_service(server) as service, body_of(paper) as body:
        body._on_progress = told.append
        put(service, body)
        body.check_unchanged()
        assert (body.by_parts, body.by_reading) == (SIZE, 0)
    (request,) = server.requests
    assert request.body == PAPER
    assert request.headers["content-length"] == str(SIZE)
    assert "transfer-encoding" not in request.headers
    assert told == sorted(told)
    assert told[-1] == SIZE
    assert max(after - before for before, after in pairwise(told)) <= BLOCK_MOST


@pytest.mark.faults("UP-12")
def test_over_tls_each_byte_is_read(paper: Path, tmp_path: Path) -> None:
    authority = Authority()
    bundle = {"REQUESTS_CA_BUNDLE": authority.write(tmp_path / "ca.pem")}
    with (
        ScriptedServer(reply(), tls=authority.server_context()) as server,
        open_service(server, environ=bundle) as service,
        body_of(paper) as body,
    ):
        put(service, body)
        assert (body.by_parts, body.by_reading) == (0, SIZE)
    assert server.requests[0].body == PAPER


@pytest.mark.faults("UP-05")
def test_a_file_whose_change_its_stamp_could_hide_is_read_and_hashed(paper: Path) -> None:
    with ScriptedServer(reply()) as server, open_service(server) as service, body_of(paper, settled=False) as body:
        put(service, body)
        body.check_unchanged()
        assert (body.by_parts, body.by_reading) == (0, SIZE)
    assert server.requests[0].body == PAPER


@pytest.mark.faults("UP-02")
def test_a_part_that_broke_off_is_sent_again_from_the_start(paper: Path) -> None:
    with ScriptedServer(reset(at=1024), reply(), receive_buffer=64 * 1024) as server, open_service(server) as service:
        with body_of(paper) as body:
            put(service, body)
        assert [request.whole for request in server.requests] == [False, True]
    assert server.requests[1].body == PAPER


@pytest.mark.faults("UP-02")
def test_a_server_that_takes_no_more_ends_the_upload(paper: Path) -> None:
    def deaf(conversation: Conversation, _: Request) -> None:
        conversation.server.over.wait(60.0)

    with (
        ScriptedServer(Step(deaf, at=1024), receive_buffer=64 * 1024) as server,
        open_service(server, stall_timeout=0.3, retries=0) as service,
        body_of(paper) as body,
        pytest.raises(NetworkError, match="stood still") as caught,
    ):
        put(service, body)
    assert caught.value.sent == "part"


@pytest.mark.faults("UP-05")
def test_a_file_that_became_shorter_meanwhile_is_told(paper: Path) -> None:
    def shorten(conversation: Conversation, request: Request) -> None:
        os.truncate(paper, SIZE // 2)
        conversation.read_body(request)
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with (
        ScriptedServer(Step(shorten, at=1024), receive_buffer=64 * 1024) as server,
        open_service(server) as service,
        body_of(paper) as body,
        pytest.raises(InputChanged, match="shorter"),
    ):
        put(service, body)
    assert len(server.requests) == 1
    assert not server.requests[0].whole


class Unsendable(SourceBody):
    """A file on something from which the system sends nothing by itself, such as a pipe or some network drives."""

    def __init__(self, source: Source, pipe: int) -> None:
        super().__init__(source)
        self._pipe = pipe

    def part(self) -> FilePart | None:
        """Return a part of the pipe; what is read of it is the file's."""
        part = super().part()
        return part._replace(descriptor=self._pipe) if part is not None and part.start > 0 else part


@needs_sendfile
def test_what_the_system_can_not_send_is_read(paper: Path) -> None:
    end, other = os.pipe()
    try:
        with ScriptedServer(reply()) as server, open_service(server) as service:
            with open_source(paper, Settings()) as source, Unsendable(replace(source, settled=True), end) as body:
                put(service, body)
            assert hashlib.sha256(server.requests[0].body).digest() == hashlib.sha256(PAPER).digest()
    finally:
        os.close(end)
        os.close(other)


@needs_sendfile
def test_a_disk_that_fails_is_no_fault_of_the_connection(paper: Path) -> None:
    """A folder gives an error of the disk for each read."""
    with ScriptedServer(stall()) as server, open_service(server) as service, body_of(paper) as body:
        folder = os.open(paper.parent, os.O_RDONLY)
        os.dup2(folder, body._file.fileno())
        os.close(folder)
        with pytest.raises(FileError, match="can't be read any more"):
            put(service, body)
