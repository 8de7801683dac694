"""The key and the signatures of links are seen by the hosts that they are for, and by no one else."""

import copy
import json
import logging
import pickle
from collections.abc import Callable, Iterator

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from doc2x_sdk.config import APIKey, key_fault, load
from doc2x_sdk.errors import Doc2XError, NetworkError, ProtocolError
from doc2x_sdk.models import SignedURL, UploadSlot
from doc2x_sdk.service.answers import Answer, data_of
from doc2x_sdk.service.prepared import bearer, prepared
from doc2x_sdk.service.v2 import ServiceV2
from tests.support import leaks
from tests.support.clocks import SkippingClock
from tests.support.scripted import ScriptedServer, Step, drip, envelope, flood, raw, reply, reset, stall
from tests.support.wire import KEY, SIGNATURE, Blob, open_service, signed

SIGNED = f"https://bucket.aliyuncs.com/x?Expires=1&Signature={SIGNATURE}"
ECHO = f"you sent Bearer {KEY} to {SIGNED}"
STORED = ("code", "unknown code", "not json", "data is text", "bad uid", "no url", "endless")  # any 2xx is
SUCCESSES = {("put", fault) for fault in STORED} | {("get", "bad uid"), ("export", "bad uid")}
SUCCESSES |= {("paid", "no url"), ("export", "no url"), ("download", "bad header")}
CALLS: dict[str, Callable[[ServiceV2], object]] = {
    "get": lambda service: service.status("u1"),
    "preupload": lambda service: service.preupload(),
    "paid": lambda service: service.upload_direct(Blob(b"%PDF")),
    "picture": lambda service: service.parse_image(Blob(b"%PDF")),
    "export": lambda service: service.export("u1", "md"),
    "put": lambda service: service.put(UploadSlot("u1", signed(service.transport.base_url)), Blob(b"%PDF")),
    "download": lambda service: read(service, signed(service.transport.base_url)),
}


def faults(key: str, echo: str) -> dict[str, Step]:
    """What goes wrong, with answers that say back what must not be told."""
    return {
        "reset": reset(),
        "timeout": stall(),
        "drip": drip(b"x", first=b"HTTP/1.1 200 OK\r\n"),
        "truncated": reply(body=echo.encode(), length=5000, then="close"),
        "401": reply(401, echo.encode()),
        "403 in json": reply(403, json=envelope(code="unauthorized", msg=echo)),
        "500": reply(500, echo.encode()),
        "503 in json": reply(503, json=envelope(code="x_" + key, msg=echo)),
        "429": reply(429, echo.encode()),
        "code": reply(json=envelope({"url": SIGNED}, "unauthorized", msg=echo)),
        "unknown code": reply(json=envelope({"url": SIGNED}, key, msg=echo)),
        "not json": reply(body=echo.encode()),
        "data is text": reply(json={"code": "success", "data": echo}),
        "bad uid": reply(json=envelope({"uid": echo, "url": SIGNED, "status": "failed", "detail": echo})),
        "no url": reply(json=envelope({"uid": "u1", "download": SIGNED})),
        "endless": flood(b"HTTP/1.1 200 OK\r\n\r\n", echo.encode() * 100),
        "redirect": reply(302, echo.encode(), headers=[("Location", SIGNED)]),
        "not gzip": reply(body=echo.encode(), headers=[("Content-Encoding", "gzip")]),
        "bad header": raw(b"HTTP/1.1 500 Bad\r\nContent-Length: 0\r\nno colon in here\r\nX: y\r\n\r\n"),
        "xml": reply(400, f"<Error><SignatureProvided>{SIGNATURE}</SignatureProvided></Error>".encode()),
    }


FAULTS = faults(KEY, ECHO)
PLAIN = faults("", "<html></html>")


def read(service: ServiceV2, url: SignedURL) -> None:
    """Download as a caller would, refusing what is no success."""
    with service.stream(url, "The download") as response:
        if response.raw.read(200_000, decode_content=True):
            raise ProtocolError("The download is something else")


class Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Iterator[list[logging.LogRecord]]:
    """All that is logged at any level by anybody."""
    caplog.set_level(logging.DEBUG)
    collector = Collector()
    logging.getLogger().addHandler(collector)
    yield collector.records
    logging.getLogger().removeHandler(collector)


@pytest.mark.faults("SE-01", "SE-02")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", CALLS)
def test_no_failure_shows_a_secret(name: str, fault: str, records: list[logging.LogRecord]) -> None:
    """A download's content is the caller's own, whose frames may show it; only its link is a secret."""
    caught: list[Doc2XError] = []
    limit = 0.1 if fault in ("timeout", "drip") else 5.0
    with (
        ScriptedServer((PLAIN if name == "download" else FAULTS)[fault]) as server,
        open_service(
            server,
            SkippingClock(),
            read_timeout=limit,
            stall_timeout=limit,
            call_timeout=2 * limit,
            retries=1,
            max_answer_bytes=100_000,
        ) as service,
    ):
        try:
            told = repr(CALLS[name](service))
        except Doc2XError as error:
            caught.append(error)
        else:
            assert leaks.found_in(told) == []
        if caught and limit < 1.0:
            server.wait_ended(1)  # what left has been read by then
    assert [leaks.of_error(error) for error in caught] == [[]] * len(caught)
    assert [leaks.of_object(pickle.loads(pickle.dumps(error))) for error in caught] == [[]] * len(caught)
    assert len(server.requests) > 0
    assert caught or (name, fault) in SUCCESSES
    assert len(records) > 0
    assert leaks.of_records(records) == []


@pytest.mark.faults("SE-01")
def test_the_leak_detector_finds_what_is_there() -> None:
    assert leaks.of_error(NetworkError(f"at {SIGNED}")) != []
    hider = {"frame": lambda key: data_of(Answer(200, {}, b"{}"), key)}
    with pytest.raises(ProtocolError) as caught:
        hider["frame"](KEY)
    assert leaks.of_error(caught.value) != []
    assert leaks.of_object({"key": KEY}) != []
    assert leaks.found_in(KEY.encode()) == [KEY] * 2


@pytest.mark.faults("SE-01")
def test_an_unsafe_link_is_not_shown(records: list[logging.LogRecord]) -> None:
    links = [f"http://evil.test/?Signature={SIGNATURE}", f"https://{SIGNATURE}@evil.test/", f"https://x y/?{SIGNATURE}"]
    with open_service("https://api.doc2x.test") as service:
        for link in links:
            for call in (
                lambda link=link: service.put(UploadSlot("u1", SignedURL(link)), Blob(b"x")),
                lambda link=link: read(service, SignedURL(link)),
            ):
                with pytest.raises(Doc2XError) as caught:
                    call()
                assert leaks.of_error(caught.value) == []
    assert leaks.of_records(records) == []


@pytest.mark.faults("SE-01")
def test_what_holds_the_key_does_not_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOC2X_APIKEY", KEY)
    configuration = load()
    assert configuration.key is not None
    assert configuration.key.reveal() == KEY
    with open_service("https://api.doc2x.test") as service:
        for holder in (
            configuration,
            configuration.key,
            service,
            service.transport,
            service.transport._api.session.headers,
            UploadSlot("u1", SignedURL(SIGNED)),
            SignedURL(SIGNED),
            Answer(401, {}, ECHO.encode(), configuration.key),
        ):
            assert leaks.of_object(holder) == []
            assert leaks.of_object([holder]) == []


@pytest.mark.faults("SE-01")
def test_a_prepared_request_does_not_show_its_key() -> None:
    request = prepared("GET", "https://api.doc2x.test/", bearer(APIKey(KEY, "the test")))
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert leaks.found_in(f"{request.headers!r} {request.headers} {vars(request)}") == []


@pytest.mark.faults("SE-01")
def test_what_holds_the_key_can_not_be_written_away() -> None:
    with open_service("https://api.doc2x.test") as service:
        for holder in (APIKey(KEY, "the test"), SignedURL(SIGNED), service, service.transport):
            with pytest.raises(TypeError):
                pickle.dumps(holder)
            with pytest.raises(TypeError):
                copy.deepcopy(holder)


@pytest.mark.faults("SE-02")
def test_no_log_line_of_a_working_document_shows_a_secret(records: list[logging.LogRecord]) -> None:
    slot = envelope({"uid": "u1", "url": "set below"})
    with ScriptedServer(reply(json=slot)) as server, open_service(server) as service:
        url = signed(server.origin).reveal()
        server.script = [
            reply(503),
            reply(json=envelope({"uid": "u1", "url": url})),
            reply(503),
            reply(),
            reply(json=envelope({"status": "success", "url": url.replace("&", "\\u0026")})),
            reply(503),
            reset(),
            reply(),
        ]
        given = service.preupload()
        service.put(given, Blob(b"%PDF"))
        export = service.export_result("u1")
        assert export.url is not None
        read(service, export.url)
    assert server.requests[-1].target == url.removeprefix(server.origin)
    lines = [record.getMessage() for record in records]
    assert any("/bucket/object" in line for line in lines)  # urllib3 does tell of the request
    assert leaks.of_records(records) == []
    assert leaks.of_object([given, export]) == []


@pytest.mark.faults("SE-05")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("name", ["get", "preupload", "paid", "export"])
def test_the_key_does_not_travel_on_with_a_redirect(name: str, status: int) -> None:
    with ScriptedServer(reply(json=envelope())) as other:
        redirect = reply(status, headers=[("Location", f"{other.origin}/api/v2/parse/status?uid=u1")])
        with (
            ScriptedServer(redirect) as server,
            open_service(server) as service,
            pytest.raises(ProtocolError, match="redirect"),
        ):
            CALLS[name](service)
        assert (len(server.requests), other.connections) == (1, 0)


TEXTS = st.text(max_size=60)


@pytest.mark.faults("SE-01")
@given(TEXTS, st.sampled_from([KEY, SIGNED, f"Bearer {KEY}", json.dumps(SIGNED), f"Signature={SIGNATURE}"]), TEXTS)
def test_no_excerpt_holds_a_secret(before: str, secret: str, after: str) -> None:
    answer = Answer(500, {}, f"{before} {secret} {after}".encode("utf-8", "replace"), APIKey(KEY, "the test"))
    excerpt = answer.excerpt()
    assert leaks.found_in(excerpt) == []
    assert len(excerpt) <= 200
    assert excerpt.isprintable()


KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40)


@pytest.mark.faults("SE-01")
@given(KEYS)
def test_no_key_is_quoted_however_it_is_written(text: str) -> None:
    assume(key_fault(text) is None)
    key = APIKey(text, "the test")
    for body in (text, json.dumps({"msg": text}), f"?{text}", f"x{text}x"):
        assert text not in Answer(500, {}, body.encode(), key).excerpt()
