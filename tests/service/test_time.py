"""No call waits longer than it may: silence, drips, retries and what the service asks for share one deadline."""

import threading
import time
from collections.abc import Callable
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doc2x_sdk.errors import DeadlineExceeded, NetworkError, OutcomeUnknown, RateLimit
from doc2x_sdk.models import UploadSlot
from doc2x_sdk.service.retry import ANY_FAILURE, Call, Resend, RetryBudget
from doc2x_sdk.service.retryafter import retry_after_seconds
from doc2x_sdk.service.v2 import ServiceV2
from tests.support.clocks import SkippingClock, StillClock
from tests.support.scripted import Conversation, Request, ScriptedServer, Step, drip, envelope, raw, reply, stall
from tests.support.wire import Blob, open_service, signed

CALLS: dict[str, Callable[[ServiceV2], object]] = {
    "get": lambda service: service.status("u1"),
    "post": lambda service: service.preupload(),
    "export": lambda service: service.export("u1", "md"),
    "paid": lambda service: service.upload_direct(Blob(b"%PDF")),
    "put": lambda service: service.put(UploadSlot("u1", signed(service.transport.base_url)), Blob(b"%PDF")),
    "download": lambda service: service.stream(signed(service.transport.base_url), "x").__enter__(),
}
PROCESSING = reply(json=envelope({"status": "processing"}))
BUSY = 20.0
"""Seconds that a busy machine may need where the limit is 0.2; without the limit it takes 30, or for ever."""


@pytest.mark.faults("TR-01")
@pytest.mark.parametrize("name", CALLS)
def test_a_silent_server_is_given_up(name: str) -> None:
    begun = time.monotonic()
    with (
        ScriptedServer(stall()) as server,
        open_service(server, SkippingClock(), read_timeout=0.15, stall_timeout=0.15, retries=0) as service,
        pytest.raises((NetworkError, OutcomeUnknown), match="no answer in time"),
    ):
        CALLS[name](service)
    assert time.monotonic() - begun < BUSY


def test_every_wait_has_a_limit_by_default() -> None:
    with open_service("https://api.doc2x.test") as service:
        settings = service.transport.settings
    assert 0 < settings.read_timeout <= 60
    assert 0 < settings.call_timeout <= 60


@pytest.mark.faults("TR-02")
@pytest.mark.parametrize(
    "script",
    [
        drip(b"X-Slow: 1\r\n", first=b"HTTP/1.1 200 OK\r\n"),
        drip(b"HTTP/1.1 100 Continue\r\n\r\n"),
        drip(b" ", first=b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        drip(b"1\r\n \r\n", first=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        drip(b" ", first=b"HTTP/1.1 200 OK\r\n\r\n"),
    ],
    ids=["head", "continue", "body", "chunks", "endless"],
)
@pytest.mark.parametrize("name", ["get", "paid", "put"])
def test_a_dripping_server_is_cut_off_at_the_deadline(script: Step, name: str) -> None:
    clock = SkippingClock()
    begun = time.monotonic()
    with (
        ScriptedServer(script) as server,
        open_service(server, clock, call_timeout=0.2, read_timeout=0.15, retries=0) as service,
        pytest.raises((DeadlineExceeded, OutcomeUnknown), match="within the time limit"),
    ):
        CALLS[name](service)
    assert time.monotonic() - begun < BUSY


@pytest.mark.faults("TR-02")
def test_a_download_that_moves_is_not_cut() -> None:
    """Each block comes later than a whole call may take."""
    clock, asked, blocks = StillClock(), threading.Semaphore(0), 8

    def act(conversation: Conversation, request: Request) -> None:
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
        for _ in range(blocks):
            asked.acquire(timeout=BUSY)
            clock.advance(100.0)
            conversation.send(b"x")

    got = b""
    with (
        ScriptedServer(Step(act)) as server,
        open_service(server, clock, call_timeout=60.0, stall_timeout=BUSY, retries=0) as service,
        service.stream(signed(server.origin), "The download") as response,
    ):
        for _ in range(blocks):
            asked.release()
            got += response.raw.read(1)
    assert got == b"x" * blocks


@pytest.mark.faults("TR-01")
def test_an_upload_that_stands_still_in_mid_body_is_given_up() -> None:
    def read_a_little(conversation: Conversation, request: Request) -> None:
        conversation.server.over.wait()

    content = b"x" * 12_000_000  # more than the kernel's buffers take
    with (
        ScriptedServer(Step(read_a_little, at=1000), receive_buffer=32768) as server,
        open_service(server, SkippingClock(), stall_timeout=0.3, retries=0) as service,
        pytest.raises(NetworkError, match=r"stood still|no answer in time") as caught,
    ):
        service.put(UploadSlot("u1", signed(server.origin)), Blob(content))
    assert caught.value.sent == "part"


def test_an_upload_may_pause_longer_than_a_connection_may_take() -> None:
    def read_late(conversation: Conversation, request: Request) -> None:
        conversation.pause(0.3)
        conversation.read_body(request)
        reply().action(conversation, request)

    content = b"x" * 12_000_000  # more than the kernel's buffers take
    with (
        ScriptedServer(Step(read_late, at=0), receive_buffer=32768) as server,
        open_service(server, SkippingClock(), connect_timeout=0.1, retries=0) as service,
    ):
        service.put(UploadSlot("u1", signed(server.origin)), Blob(content))
    assert len(server.bodies[0]) == len(content)


@pytest.mark.faults("TR-03")
def test_attempts_and_pauses_share_one_deadline() -> None:
    clock = StillClock()

    def take_time(conversation: Conversation, request: Request) -> None:
        clock.advance(0.2)
        conversation.close()

    with (
        ScriptedServer(Step(take_time)) as server,
        open_service(server, clock, call_timeout=1.0, retries=5) as service,
        pytest.raises(NetworkError) as caught,
    ):
        service.status("u1")
    assert clock.monotonic() == pytest.approx(1000.9)
    assert clock.sleeps == [0.5]  # the next one, 1 s, would pass the deadline
    assert server.connections == 2
    assert caught.value.__cause__ is None


@pytest.mark.faults("TR-05")
@pytest.mark.parametrize("status", [429, 503])
def test_a_long_retry_after_is_told_and_not_slept(status: int) -> None:
    clock = StillClock()
    with (
        ScriptedServer(reply(status, b"later", headers=[("Retry-After", "86400")])) as server,
        open_service(server, clock) as service,
        pytest.raises(RateLimit) as caught,
    ):
        service.status("u1")
    assert caught.value.retry_after == 86400
    assert (caught.value.status, clock.sleeps, len(server.requests)) == (status, [], 1)


@pytest.mark.faults("TR-05")
def test_an_upload_has_no_deadline_and_still_does_not_sleep_for_a_day() -> None:
    clock = StillClock()
    with (
        ScriptedServer(reply(503, headers=[("Retry-After", "86400")])) as server,
        open_service(server, clock) as service,
        pytest.raises(NetworkError) as caught,
    ):
        CALLS["put"](service)
    assert (caught.value.sent, caught.value.status, clock.sleeps) == ("all", 503, [])


@pytest.mark.faults("TR-05")
def test_a_short_retry_after_is_kept_to() -> None:
    clock = StillClock()
    with (
        ScriptedServer(reply(429, headers=[("Retry-After", "7")]), PROCESSING) as server,
        open_service(server, clock) as service,
    ):
        assert service.status("u1").state == "processing"
    assert clock.sleeps == [7.1]


@pytest.mark.faults("TR-06")
@pytest.mark.parametrize(
    "value",
    ["1.5", "-5", "abc", "", "9" * 5000, "Fri, 31 Dec 99999 23:59:59 GMT", "\u0665", "1e3", "inf", "nan", "0x10"],
    ids=["fraction", "negative", "word", "empty", "digits", "year", "arabic", "exponent", "inf", "nan", "hex"],
)
def test_a_malformed_retry_after_counts_as_none(value: str) -> None:
    clock = StillClock()
    line = b"Retry-After: " + value.encode()
    busy = raw(b"HTTP/1.1 429 Busy\r\nContent-Length: 0\r\n" + line + b"\r\n\r\n")
    with (
        ScriptedServer(busy) as server,
        open_service(server, clock) as service,
        pytest.raises(RateLimit) as caught,
    ):
        service.status("u1")
    assert caught.value.retry_after is None
    assert (clock.sleeps, len(server.requests)) == ([0.5, 1.0], 3)


@pytest.mark.faults("TR-07")
@pytest.mark.parametrize("wrong_by", [-3600.0, 0.0, 3600.0])
def test_a_date_is_measured_against_the_servers_clock(wrong_by: float) -> None:
    server_time = 1_700_000_000
    clock = StillClock(now=server_time + wrong_by)
    headers = [
        ("Date", formatdate(server_time, usegmt=True)),
        ("Retry-After", formatdate(server_time + 20, usegmt=True)),
    ]
    with (
        ScriptedServer(reply(503, headers=headers), PROCESSING) as server,
        open_service(server, clock) as service,
    ):
        service.status("u1")
    assert clock.sleeps == [pytest.approx(20.1)]


DATES = st.datetimes().map(lambda moment: moment.strftime("%a, %d %b %Y %H:%M:%S GMT"))
VALUES = st.one_of(st.text(max_size=40), DATES, st.integers().map(str), st.floats().map(str))


@pytest.mark.faults("TR-06")
@given(value=VALUES, date=VALUES, left=st.floats(0, 1e6), attempt=st.integers(1, 40), share=st.floats(0, 1))
def test_no_retry_after_leads_past_the_deadline(value: str, date: str, left: float, attempt: int, share: float) -> None:
    clock = StillClock(share=share).clock
    headers = {"Retry-After": value, "Date": date}
    seconds = retry_after_seconds(headers, clock)
    assert seconds is None or 0 <= seconds < 1e9
    call = Call(clock.deadline(left), 5.0, Resend.ALWAYS, ANY_FAILURE, 2, clock, RetryBudget(), answer_within=60.0)
    pause = call.pause(headers, attempt)
    assert pause is None or 0 <= pause < min(call.deadline.left(), 60.0)
