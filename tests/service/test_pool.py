"""Many threads, one client: connections are kept, not thrown away, and nothing is shared that must not be."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from doc2x_sdk.errors import Doc2XError
from tests.support.scripted import Conversation, Request, ScriptedServer, Step, envelope, flood, raw, reply
from tests.support.wire import open_service, open_transport, signed

THREADS = 100


@pytest.mark.faults("TR-14")
def test_100_threads_keep_their_connections(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    together = threading.Barrier(THREADS, timeout=60)

    def echo(conversation: Conversation, request: Request) -> None:
        together.wait()  # so that all of them are on the way at once
        reply(json=envelope({"status": request.target.partition("uid=")[2]})).action(conversation, request)

    def three(number: int) -> list[str]:
        return [service.status(f"u{number}-{turn}").state for turn in range(3)]

    with ScriptedServer(Step(echo)) as server, open_service(server) as service:
        with ThreadPoolExecutor(THREADS) as threads:
            states = list(threads.map(three, range(THREADS)))
        assert states == [[f"u{number}-{turn}" for turn in range(3)] for number in range(THREADS)]
        assert server.connections == THREADS
    assert "pool is full" not in caplog.text


@pytest.mark.faults("TR-15")
def test_an_unread_download_blocks_no_other_call() -> None:
    endless = flood(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536)
    with (
        ScriptedServer(endless, reply(body=b"second")) as server,
        open_transport(server, connections=1, retries=0) as transport,
        transport.stream(signed(server.origin), "The first download"),
        transport.stream(signed(server.origin), "The second download") as second,
    ):
        assert second.raw.read() == b"second"


@pytest.mark.faults("TR-15")
def test_a_download_left_unread_is_closed() -> None:
    with ScriptedServer(flood(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536)) as server, open_transport(server) as transport:
        with transport.stream(signed(server.origin), "The download"):
            pass
        server.wait_ended(1)


@pytest.mark.faults("TR-16")
def test_cookies_are_not_kept() -> None:
    cookie = [("Set-Cookie", "account=someone; Path=/"), ("Set-Cookie", "other=1; Domain=127.0.0.1")]
    answer = reply(json=envelope({"status": "processing"}), headers=cookie)
    with ScriptedServer(answer) as server, open_service(server) as service:
        for _ in range(2):
            service.status("u1")
            with service.stream(signed(server.origin), "The download"):
                pass
    assert len(server.requests) == 4
    assert [request for request in server.requests if "cookie" in request.headers] == []


def announced(status: str, answer: Step) -> Step:
    """An announcement, and the answer some time after it, as a proxy sends them."""

    def act(conversation: Conversation, request: Request) -> None:
        conversation.send(f"HTTP/1.1 {status}\r\nLink: </style.css>; rel=preload\r\n\r\n".encode() * 2)
        conversation.pause(0.1)
        answer.action(conversation, request)

    return Step(act)


@pytest.mark.faults("TR-14")
@pytest.mark.parametrize("status", ["100 Continue", "102 Processing", "103 Early Hints", "199 Odd"])
def test_what_announces_an_answer_is_not_taken_for_it(status: str) -> None:
    """The real one would be the answer to the next request on the connection: another document's."""
    first, second = (reply(json=envelope({"status": uid})) for uid in ("u1", "u2"))
    with ScriptedServer(announced(status, first), second) as server, open_service(server) as service:
        assert [service.status(uid).state for uid in ("u1", "u2")] == ["u1", "u2"]
        assert server.connections == 1


@pytest.mark.faults("TR-14")
def test_a_connection_that_left_http_is_not_used_again() -> None:
    odd, good = announced("101 Switching Protocols", raw(b"")), reply(json=envelope({"status": "u2"}))
    with ScriptedServer(odd, good) as server, open_service(server, retries=0) as service:
        with pytest.raises(Doc2XError):
            service.status("u1")
        assert service.status("u2").state == "u2"
        assert server.connections == 2
