"""The presigned upload on the wire: raw bytes, to the right host, and nothing of ours beside them."""

import hashlib
import io
from collections.abc import Iterator
from typing import Any

import pytest

from doc2x_sdk.errors import Doc2XError, FileError, NetworkError, ProtocolError, UnsafeURL
from doc2x_sdk.models import SignedURL, UploadSlot
from doc2x_sdk.service.v2 import ServiceV2
from tests.support.scripted import ScriptedServer, envelope, reply, reset
from tests.support.wire import KEY, SIGNATURE, Blob, open_service, signed

CONTENT = hashlib.shake_256(b"seed").digest(300_001)


def put(service: ServiceV2, body: Any = None) -> None:
    service.put(UploadSlot("u1", signed(service.transport.base_url)), Blob(CONTENT) if body is None else body)


@pytest.mark.faults("UP-12")
@pytest.mark.parametrize("status", [200, 201, 204])
def test_the_stored_object_is_the_file(status: int) -> None:
    with ScriptedServer(reply(status)) as server, open_service(server) as service:
        put(service)
    (request,) = server.requests
    assert hashlib.sha256(request.body).digest() == hashlib.sha256(CONTENT).digest()
    assert request.method == "PUT"
    assert request.target == f"/bucket/object?Expires=1700000000&Signature={SIGNATURE}"
    assert request.headers["content-length"] == str(len(CONTENT))
    assert "transfer-encoding" not in request.headers
    assert "content-type" not in request.headers


@pytest.mark.faults("UP-09")
def test_an_upload_carries_nothing_of_the_account() -> None:
    cookie = reply(json=envelope({"status": "processing"}), headers=[("Set-Cookie", "account=me; Path=/")])
    with ScriptedServer(cookie, reply(503), reply()) as server, open_service(server) as service:
        service.status("u1")
        put(service)
    for request in server.requests[1:]:
        assert set(request.headers) == {
            "host",
            "user-agent",
            "accept",
            "accept-encoding",
            "content-length",
        }
        assert KEY.encode() not in request.head + request.body


@pytest.mark.faults("UP-06")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_an_upload_follows_no_redirect(status: int) -> None:
    with ScriptedServer(reply()) as other:
        redirect = reply(status, headers=[("Location", f"{other.origin}/elsewhere")])
        with (
            ScriptedServer(redirect) as server,
            open_service(server) as service,
            pytest.raises(ProtocolError, match="redirect"),
        ):
            put(service)
        assert (len(server.requests), other.connections) == (1, 0)


class Generator:
    """A body that has a length but can be read once only."""

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[bytes]:
        yield b"abc"


@pytest.mark.faults("UP-03")
@pytest.mark.parametrize(
    "body",
    [(block for block in [b"abc"]), iter([b"abc"]), Generator(), io.BytesIO(b"abc")],
    ids=["generator", "iterator", "length only", "file without a length"],
)
def test_a_body_that_can_not_be_read_twice_is_refused(body: object) -> None:
    with ScriptedServer(reply(503), reply()) as server, open_service(server) as service:
        with pytest.raises(FileError, match="read twice"):
            put(service, body)
        with pytest.raises(FileError, match="read twice"):
            service.upload_direct(body)  # type: ignore[arg-type]
    assert server.connections == 0


class EmptyFile(io.BytesIO):
    def __len__(self) -> int:
        return 0


@pytest.mark.faults("UP-04")
@pytest.mark.parametrize("body", [Blob(b""), b"", EmptyFile()], ids=["body", "bytes", "file"])
def test_an_empty_body_is_refused(body: Any) -> None:
    with ScriptedServer(reply()) as server, open_service(server) as service:
        with pytest.raises(FileError, match="empty"):
            put(service, body)
        with pytest.raises(FileError, match="empty"):
            service.upload_direct(body)
    assert server.connections == 0


@pytest.mark.faults("UP-02")
def test_a_reset_after_the_whole_body_is_not_repeated() -> None:
    with ScriptedServer(reset(), reply()) as server, open_service(server) as service:
        with pytest.raises(NetworkError) as caught:
            put(service)
        assert (len(server.requests), caught.value.sent) == (1, "all")


@pytest.mark.faults("UP-02")
def test_what_left_in_an_earlier_attempt_is_not_forgotten() -> None:
    """A 503 after the whole body, then no connection: the object may be stored, and the error says so."""
    with ScriptedServer(reply(503), reset(at="connect")) as server, open_service(server) as service:
        hang_up = reply(503, headers=[("Connection", "close")], then="close")
        server.script[0] = hang_up
        with pytest.raises(NetworkError) as caught:
            put(service)
    assert caught.value.sent == "all"


class Changing(Blob):
    """A body whose reader finds that the file has changed."""

    def read(self, size: int = -1, /) -> bytes:
        raise FileError("The file was changed")


def test_what_the_reader_finds_comes_out_without_the_librarys_frames() -> None:
    with ScriptedServer(reply()) as server, open_service(server) as service, pytest.raises(FileError) as caught:
        put(service, Changing(b"abc"))
    names = [frame.frame.f_globals["__name__"] for frame in caught.traceback]
    assert [name for name in names if name.startswith(("requests", "urllib3", "http"))] == []


@pytest.mark.parametrize("status", [400, 404, 411])
def test_a_refused_upload_is_an_error(status: int) -> None:
    with (
        ScriptedServer(reply(status, b"<Error><Code>EntityTooLarge</Code></Error>")) as server,
        open_service(server) as service,
        pytest.raises(Doc2XError, match="EntityTooLarge") as caught,
    ):
        put(service)
    assert (caught.value.status, caught.value.uid) == (status, "u1")


def test_an_unsafe_link_is_refused_before_anything_is_sent() -> None:
    with ScriptedServer(reply()) as server, open_service("https://api.doc2x.test") as service:
        slot = UploadSlot("u1", SignedURL(f"{server.origin}/x?Signature={SIGNATURE}"))
        with pytest.raises(UnsafeURL):
            service.put(slot, Blob(CONTENT))
    assert server.connections == 0
