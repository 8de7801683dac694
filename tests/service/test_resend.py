"""What is sent again, how often, and what never is."""

import io
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from doc2x_sdk.errors import NetworkError, OutcomeUnknown
from doc2x_sdk.models import UploadSlot
from doc2x_sdk.service.v2 import ServiceV2
from tests.support.clocks import SkippingClock, StillClock
from tests.support.scripted import (
    Conversation,
    Request,
    ScriptedServer,
    Step,
    close,
    envelope,
    raw,
    reply,
    reset,
    stall,
)
from tests.support.wire import Blob, open_service, signed, uid_data

PAID: dict[str, Callable[[ServiceV2], object]] = {
    "pdf": lambda service: service.upload_direct(Blob(b"%PDF-1.7" * 10)),
    "picture": lambda service: service.upload_image(Blob(b"\xff\xd8" * 10)),
    "picture at once": lambda service: service.parse_image(Blob(b"\xff\xd8" * 10)),
}
PROCESSING = reply(json=envelope({"status": "processing", "progress": 7}))
HANG_UP = [("Connection", "close")]
TAKEN = reply(json=envelope({**uid_data(), "result": {"pages": [{"md": "x"}]}}))


@pytest.mark.faults("TR-04")
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_get_outlives_two_gateway_errors(status: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "doc2x_sdk")
    clock = StillClock()
    with (
        ScriptedServer(reply(status), reply(status, b"busy"), PROCESSING) as server,
        open_service(server, clock) as service,
    ):
        assert service.status("u1").progress == 7
    assert [request.target for request in server.requests] == ["/api/v2/parse/status?uid=u1"] * 3
    assert clock.sleeps == [0.5, 1.0]
    assert "3 attempts" in caplog.text


@pytest.mark.faults("TR-04")
@pytest.mark.parametrize("status", [400, 401, 403, 404, 501])
def test_other_statuses_are_final(status: int) -> None:
    clock = StillClock()
    with (
        ScriptedServer(reply(status)) as server,
        open_service(server, clock) as service,
        pytest.raises(Exception, match=f"HTTP {status}"),
    ):
        service.status("u1")
    assert (len(server.requests), clock.sleeps) == (1, [])


@pytest.mark.faults("TR-04")
@pytest.mark.parametrize(
    "broken",
    [reset(), close(), reply(body=b'{"code"', length=500, then="close"), reply(body=b"{}", length=500, then="reset")],
    ids=["reset", "close", "short", "short and reset"],
)
def test_a_get_that_breaks_off_is_asked_again(broken: Step) -> None:
    clock = StillClock()
    with ScriptedServer(broken, broken, PROCESSING) as server, open_service(server, clock) as service:
        assert service.status("u1").progress == 7
    assert len(server.requests) == 3
    assert clock.sleeps == [0.5, 1.0]


@pytest.mark.faults("TR-08")
def test_the_last_answer_reaches_the_user() -> None:
    answer = reply(503, json=envelope(code="maintenance", msg="back at noon"), headers=[("trace-id", "tr-42")])
    with (
        ScriptedServer(answer) as server,
        open_service(server) as service,
        pytest.raises(NetworkError, match="back at noon") as caught,
    ):
        service.status("u1")
    assert len(server.requests) == 3
    assert (caught.value.status, caught.value.code, caught.value.trace_id) == (503, "maintenance", "tr-42")


@pytest.mark.faults("TR-09")
@pytest.mark.parametrize("ending", ["close", "reset"])
def test_a_connection_that_went_stale_is_not_used(ending: str) -> None:
    first = reply(json=envelope({"status": "processing"}), headers=[("Connection", "keep-alive")], then=ending)  # type: ignore[arg-type]
    with ScriptedServer(first, TAKEN) as server, open_service(server, retries=0) as service:
        service.status("u1")
        server.wait_ended(1)
        PAID["pdf"](service)
    assert [request.connection for request in server.requests] == [1, 2]
    assert [request.whole for request in server.requests] == [True, True]


@pytest.mark.faults("TR-09")
def test_a_living_connection_is_used_again() -> None:
    with ScriptedServer(PROCESSING) as server, open_service(server) as service:
        for _ in range(3):
            service.status("u1")
    assert server.connections == 1


@pytest.mark.faults("TR-10")
@pytest.mark.parametrize("what", PAID)
@pytest.mark.parametrize(
    "lost",
    [
        close(),
        reset(),
        reset(at=10),
        stall(),
        reply(body=b'{"code": "success", "data"', length=500, then="close"),
        reply(body=b"<html>ok</html>"),
        reply(502, b"bad gateway"),
        reply(503, json=envelope(code="maintenance")),
        raw(b"SSH-2.0-x\r\n", then="close"),
    ],
    ids=["close", "reset", "reset in mid-body", "stall", "short", "html", "502", "503", "nonsense"],
)
def test_a_paid_step_with_a_lost_answer_is_unknown_and_not_repeated(what: str, lost: Step) -> None:
    clock = SkippingClock()
    with ScriptedServer(lost, TAKEN) as server, open_service(server, clock, stall_timeout=0.1) as service:
        with pytest.raises(OutcomeUnknown):
            PAID[what](service)
        service.close()
        server.wait_ended(1)  # what left has been read by then
        assert (len(server.requests), server.connections, clock.sleeps) == (1, 1, [])


@pytest.mark.faults("TR-10")
def test_a_paid_step_that_was_refused_with_429_goes_out_again() -> None:
    with (
        ScriptedServer(reply(429, headers=HANG_UP, then="close"), TAKEN) as server,
        open_service(server) as service,
    ):
        assert PAID["pdf"](service) == uid_data()["uid"]
    assert server.bodies == [b"%PDF-1.7" * 10] * 2


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def full_listener(port: int) -> Iterator[None]:
    """A port that takes no more connections: those who come wait for an answer to their SYN."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield


@pytest.mark.faults("TR-11")
@pytest.mark.parametrize("fault", ["refused", "connect timeout"])
@pytest.mark.parametrize("what", PAID)
def test_a_paid_step_that_found_no_connection_goes_out_again(fault: str, what: str) -> None:
    clock = StillClock()
    port = free_port()
    started: list[ScriptedServer] = []
    with ExitStack() as stack:
        blocked = ExitStack()
        stack.callback(blocked.close)
        if fault == "connect timeout":
            blocked.enter_context(full_listener(port))

        def open_up(_: float) -> None:
            blocked.close()
            started.append(stack.enter_context(ScriptedServer(TAKEN, port=port)))
            clock.on_sleep = None

        clock.on_sleep = open_up
        service = stack.enter_context(open_service(f"http://127.0.0.1:{port}", clock, connect_timeout=0.2))
        PAID[what](service)
    assert [len(each.requests) for each in started] == [1]
    assert clock.sleeps == [0.5]


@pytest.mark.faults("TR-11")
def test_an_unknown_host_is_tried_again_and_nothing_was_sent() -> None:
    clock = StillClock()
    with (
        open_service("https://api.doc2x.invalid", clock) as service,
        pytest.raises(NetworkError, match=r"name is not known \(api.doc2x.invalid, nothing was sent\)") as caught,
    ):
        PAID["pdf"](service)
    assert caught.value.sent == "nothing"
    assert clock.sleeps == [0.5, 1.0]


@pytest.mark.faults("TR-10")
def test_an_export_is_not_started_twice_on_a_guess() -> None:
    with (
        ScriptedServer(reset(), PROCESSING) as server,
        open_service(server) as service,
        pytest.raises(NetworkError) as caught,
    ):
        service.export("u1", "md")
    assert (len(server.requests), caught.value.sent) == (1, "all")


class OneWay(io.BytesIO):
    """A body whose length requests can see and that iterates, as an open file does."""

    def __len__(self) -> int:
        return len(self.getbuffer())


@pytest.mark.faults("UP-02")
@pytest.mark.parametrize("make", [Blob, OneWay])
@pytest.mark.parametrize(
    "fault",
    [reply(503), reply(500, b"oops", headers=HANG_UP, then="close"), reset(at=200_000), reset(at=0), close(at=100_000)],
    ids=["503", "500", "reset in mid-body", "reset after the head", "close in mid-body"],
)
def test_an_upload_that_goes_out_again_is_the_same(make: type[Blob], fault: Step) -> None:
    content = bytes(range(256)) * 32_000  # more than the kernel's buffers take
    with ScriptedServer(fault, fault, reply(), receive_buffer=65536) as server, open_service(server) as service:
        service.put(UploadSlot("u1", signed(server.origin)), make(content))
    assert server.bodies[-1] == content
    assert [request.headers["content-length"] for request in server.requests] == [str(len(content))] * 3
    assert all("transfer-encoding" not in request.headers for request in server.requests)


@pytest.mark.faults("UP-02")
def test_an_upload_is_rewound_after_an_early_answer_that_breaks_off() -> None:
    content = bytes(range(256)) * 40_000

    def hang_up_early(conversation: Conversation, request: Request) -> None:
        conversation.send(b"HTTP/1.1 400 No\r\nContent-Length: 50\r\n\r\nshort")
        conversation.sock.shutdown(socket.SHUT_WR)
        conversation.sock.shutdown(socket.SHUT_RD)
        conversation.close()

    with (
        ScriptedServer(Step(hang_up_early, at=1000), reply()) as server,
        open_service(server) as service,
    ):
        service.put(UploadSlot("u1", signed(server.origin)), Blob(content))
    assert server.bodies[-1] == content
