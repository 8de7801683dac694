"""What the service says, and what may pass for it: codes, gateways' pages, sizes, and hostile JSON."""

import gzip
import json
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from doc2x_sdk import errors
from doc2x_sdk.config import APIKey
from doc2x_sdk.errors import Doc2XError, IncompleteResult, NetworkError, OutcomeUnknown, ProtocolError, ResponseTooLarge
from doc2x_sdk.models import ParseStatus, UploadSlot
from doc2x_sdk.service.answers import Answer, data_of
from doc2x_sdk.service.readers import check_uid, export_status, failed_parse, pages_of, percent, zip_of
from doc2x_sdk.service.v2 import ServiceV2
from tests.support.scripted import ScriptedServer, Step, envelope, flood, raw, reply
from tests.support.wire import KEY, Blob, open_service, open_transport, signed

MEGABYTE = 1024 * 1024
CODES = {
    "parse_task_limit_exceeded": errors.RateLimit,
    "parse_concurrency_limit": errors.RateLimit,
    "parse_create_task_error": errors.TaskFailed,
    "parse_error": errors.TaskFailed,
    "internal_error": errors.TaskFailed,
    "parse_status_not_found": errors.TaskFailed,
    "parse_quota_limit": errors.QuotaExceeded,
    "parse_file_too_large": errors.FileError,
    "parse_page_limit_exceeded": errors.PagesLimitExceeded,
    "parse_file_page_limit": errors.PagesLimitExceeded,
    "parse_file_not_pdf": errors.FileError,
    "parse_pdf_invalid": errors.FileError,
    "parse_file_invalid": errors.FileError,
    "parse_file_not_image": errors.FileError,
    "parse_file_lock": errors.TaskFailed,
    "parse_timeout": errors.TaskFailed,
    "unauthorized": errors.AuthError,
    "something_new": Doc2XError,
}


@pytest.mark.faults("AP-01")
@pytest.mark.parametrize(("code", "kind"), CODES.items(), ids=list(CODES))
def test_a_code_in_a_200_is_a_failure(code: str, kind: type[Doc2XError]) -> None:
    answer = reply(json=envelope({"status": "success"}, code, msg="told by the service"), headers=[("Trace-ID", "t-1")])
    with ScriptedServer(answer) as server, open_service(server) as service, pytest.raises(Doc2XError) as caught:
        service.status("u1")
    error = caught.value
    assert type(error) is kind
    assert (error.code, error.trace_id, error.uid, error.status) == (code, "t-1", "u1", 200)
    assert "told by the service" in str(error)
    assert error.advice


@pytest.mark.faults("AP-02")
def test_an_unknown_status_word_is_handed_on_and_not_taken_for_an_end() -> None:
    answer = reply(json=envelope({"status": "waiting_for_moon", "progress": 3}))
    with ScriptedServer(answer) as server, open_service(server) as service:
        status = service.status("u1")
        export = service.export_result("u1")
    assert (status.uid, status.state, status.done, status.pages) == ("u1", "waiting_for_moon", False, ())
    assert (export.state, export.url) == ("waiting_for_moon", None)


PAGES = {
    "html": b"<html><title>Sign in to the hotel's network</title></html>",
    "empty": b"",
    "cut off": b'{"code": "success", "data": {"status": "succ',
    "NaN": b'{"code": "success", "data": {"status": "processing", "progress": NaN}}',
    "nested": b"[" * 100_000,
    "nested objects": b'{"a":' * 100_000,
    "long number": b'{"code": "success", "data": ' + b"9" * 5000 + b"}",
    "not utf-8": b'{"code": "success", "data": {"status": "\xff"}}',
    "list": b"[1, 2]",
    "no code": b'{"data": {"status": "processing"}}',
    "code is a number": b'{"code": 0, "data": {"status": "processing"}}',
    "no data": b'{"code": "success"}',
    "data is a list": b'{"code": "success", "data": []}',
    "data is null": b'{"code": "success", "data": null}',
    "no status": b'{"code": "success", "data": {}}',
    "status is a list": b'{"code": "success", "data": {"status": ["success"]}}',
}


@pytest.mark.faults("AP-03")
@pytest.mark.parametrize("body", PAGES.values(), ids=list(PAGES))
def test_a_body_that_is_not_the_services_is_a_protocol_error(body: bytes) -> None:
    with (
        ScriptedServer(reply(body=body)) as server,
        open_service(server) as service,
        pytest.raises(ProtocolError) as caught,
    ):
        service.status("u1")
    assert len(caught.value.message) < 300
    assert caught.value.__context__ is None


@pytest.mark.faults("AP-03")
def test_the_error_quotes_the_page_that_came() -> None:
    with (
        ScriptedServer(reply(body=PAGES["html"])) as server,
        open_service(server) as service,
        pytest.raises(ProtocolError, match="Sign in to the hotel"),
    ):
        service.preupload()


def page(index: object, **more: object) -> dict[str, object]:
    return {"page_idx": index, "md": f"page {index}", "page_width": 10, "page_height": 20, **more}


def finished(*pages: object) -> Step:
    return reply(json=envelope({"status": "success", "result": {"version": "v2", "pages": list(pages)}}))


@pytest.mark.faults("AP-08")
@pytest.mark.parametrize(
    "pages",
    [
        [],
        [page(0), {"md": "no number"}],
        [page(0), page(1), page(1)],
        [page(0), page(0), page(2)],
        [page(-1), page(1)],
        [page(0), page(2)],
        [page(1), page(2)],
        [page(0), page(-1)],
        [page("first")],
        [page(True), page(0)],
        [page(0), page(1.5)],
    ],
    ids=[
        "none",
        "no number",
        "twice",
        "twice and a gap",
        "negative and a gap",
        "gap",
        "first missing",
        "negative",
        "text",
        "bool",
        "fraction",
    ],
)
def test_missing_or_doubled_pages_are_told(pages: list[object]) -> None:
    with (
        ScriptedServer(finished(*pages)) as server,
        open_service(server) as service,
        pytest.raises(IncompleteResult) as caught,
    ):
        service.status("u1")
    assert (caught.value.uid, caught.value.got) == ("u1", len(pages))


@pytest.mark.faults("AP-08")
@pytest.mark.parametrize("numbers", [["0", "1"], [0.0, 1.0]], ids=["texts", "fractions"])
def test_numbers_of_pages_are_read_however_they_are_written(numbers: list[object]) -> None:
    with ScriptedServer(finished(*map(page, numbers))) as server, open_service(server) as service:
        assert [each.index for each in service.status("u1").pages] == [0, 1]


@pytest.mark.faults("AP-08")
def test_a_gap_tells_how_many_pages_there_should_be() -> None:
    with (
        ScriptedServer(finished(page(4), page(0))) as server,
        open_service(server) as service,
        pytest.raises(IncompleteResult) as caught,
    ):
        service.status("u1")
    assert (caught.value.expected, caught.value.got) == (5, 2)


@pytest.mark.faults("AP-08")
def test_pages_come_sorted() -> None:
    with ScriptedServer(finished(page(2), page(0), page(1))) as server, open_service(server) as service:
        assert [each.md for each in service.status("u1").pages] == ["page 0", "page 1", "page 2"]


@pytest.mark.faults("AP-09")
@pytest.mark.parametrize(
    "uid",
    ["a/b", "../x", "a..b", "", "a b", "a\n", "\x00", "-rf", ".", "x" * 10_000, "ü", "a?b=1", "a%2f", 7, None, ["a"]],
    ids=str,
)
def test_a_uid_that_could_become_a_path_is_refused(uid: object) -> None:
    answer = reply(json=envelope({"uid": uid, "url": "https://x.aliyuncs.com/"}))
    with ScriptedServer(answer) as server, open_service(server) as service:
        with pytest.raises(ProtocolError, match="is not a uid") as reserved:
            service.preupload()
        with pytest.raises((ProtocolError, OutcomeUnknown)) as paid:
            service.upload_direct(Blob(b"%PDF"))
    assert len(reserved.value.message) < 150
    assert len(paid.value.message) < 350


@pytest.mark.faults("AP-09")
@given(st.one_of(st.text(), st.from_regex(r"[\w./\\%?#-]{0,140}", fullmatch=True)))
def test_a_uid_that_passes_is_safe_in_names_and_queries(uid: str) -> None:
    try:
        passed = check_uid(uid, "The test")
    except ProtocolError:
        return
    assert passed == uid
    assert 0 < len(uid) <= 128
    assert uid.isascii()
    assert uid[0].isalnum()
    assert all(character.isalnum() or character in "-_." for character in uid)
    assert ".." not in uid


@pytest.mark.faults("AP-10")
def test_fields_that_are_not_known_are_ignored_and_kept() -> None:
    block = {"id": "b1", "type": "Hologram", "bbox": [0, 0, 1, 1], "depth": 3}
    first = page(0, score=97.5, layout={"blocks": [block]}, mood="calm")
    answer = reply(json=envelope({"status": "success", "result": {"pages": [first]}, "cost": 1}, shard="s1"))
    with ScriptedServer(answer) as server, open_service(server) as service:
        status = service.status("u1")
    assert status.raw["cost"] == 1
    assert status.pages[0].extra == {"mood": "calm"}
    assert status.pages[0].blocks == (block,)
    assert status.pages[0].score == 97.5


# Sizes


def gzip_bomb(size: int) -> bytes:
    return gzip.compress(b'{"code": "success", "data": {"x": "' + b"0" * size + b'"}}')


ENDLESS = flood(b"HTTP/1.1 200 OK\r\n\r\n", b'{"x": "' + b"0" * 65536)
HUGE = {
    "endless": ENDLESS,
    "chunked": flood(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"0" * 65536 + b"\r\n"),
    "300 MB": flood(b"HTTP/1.1 200 OK\r\nContent-Length: 300000000\r\n\r\n", b"0" * 65536),
    "gzip bomb": reply(body=gzip_bomb(50 * MEGABYTE), headers=[("Content-Encoding", "gzip")]),
    "gzip twice": reply(body=gzip.compress(gzip_bomb(50 * MEGABYTE)), headers=[("Content-Encoding", "gzip, gzip")]),
}


@pytest.mark.faults("TR-18")
@pytest.mark.parametrize("script", HUGE.values(), ids=list(HUGE))
def test_a_huge_answer_is_refused_before_it_fills_the_memory(script: Step) -> None:
    with (
        ScriptedServer(script) as server,
        open_service(server, max_answer_bytes=MEGABYTE) as service,
    ):
        tracemalloc.start()
        try:
            with pytest.raises(ResponseTooLarge):
                service.status("u1")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 12 * MEGABYTE
    assert server.connections == 1


@pytest.mark.faults("TR-18")
@pytest.mark.parametrize("status", [302, 500])
def test_a_huge_page_behind_a_redirect_or_an_error_is_not_read(status: int) -> None:
    page = reply(status, b"x" * 20 * MEGABYTE, headers=[("Location", "/elsewhere")])
    with (
        ScriptedServer(page) as server,
        open_service(server, max_answer_bytes=MEGABYTE) as service,
        pytest.raises(ResponseTooLarge),
    ):
        service.status("u1")


@pytest.mark.faults("TR-18")
def test_a_storage_hosts_endless_error_page_is_cut() -> None:
    endless = flood(b"HTTP/1.1 403 Forbidden\r\n\r\n", b"<Error> " * 8192)
    with (
        ScriptedServer(endless) as server,
        open_service(server) as service,
        pytest.raises(Doc2XError, match=r"may have expired.*<Error>"),
    ):
        service.put(UploadSlot("u1", signed(server.origin)), Blob(b"%PDF"))


@pytest.mark.faults("TR-18")
@pytest.mark.parametrize(
    "script",
    [
        flood(b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n" * 100),
        flood(b"HTTP/1.1 200 OK\r\nX-More: ", b"1" * 65536),
        flood(b"HTTP/1.1 200 ", b"1" * 65536),
    ],
    ids=["headers", "one header", "status line"],
)
def test_an_endless_head_is_a_network_error(script: Step) -> None:
    with ScriptedServer(script) as server, open_service(server, retries=0) as service, pytest.raises(NetworkError):
        service.status("u1")


@pytest.mark.faults("TR-18")
def test_an_answer_at_the_limit_is_taken() -> None:
    body = json.dumps(envelope({"status": "processing"})).encode().ljust(MEGABYTE)
    with ScriptedServer(reply(body=body)) as server, open_service(server, max_answer_bytes=MEGABYTE) as service:
        assert service.status("u1").state == "processing"


@pytest.mark.faults("TR-04")
def test_a_broken_compression_is_a_network_error() -> None:
    broken = reply(body=b"\x1f\x8bnot gzip at all", headers=[("Content-Encoding", "gzip")])
    with (
        ScriptedServer(broken) as server,
        open_service(server) as service,
        pytest.raises(NetworkError, match="decompressed"),
    ):
        service.status("u1")
    assert len(server.requests) == 3


def test_bytes_left_over_from_a_lying_length_do_not_become_the_next_answer() -> None:
    forged = json.dumps(envelope({"status": "success", "result": {"pages": [page(0, md="forged")]}})).encode()
    honest = json.dumps(envelope({"status": "processing"})).encode()
    data = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(honest), honest)
    data += b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(forged), forged)
    with (
        ScriptedServer(raw(data), reply(body=honest)) as server,
        open_transport(server) as transport,
    ):
        service = ServiceV2(transport)
        assert [service.status("u1").state, service.status("u1").state] == ["processing", "processing"]


# Properties

FIELDS = ["code", "data", "status", "result", "pages", "page_idx", "page_width", "md", "url", "uid", "layout", "blocks"]
FIELDS += ["score", "progress", "detail", "convert_zip"]
FLOATS = st.floats(allow_nan=False, allow_infinity=False)  # those two are no JSON
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(10**320, 10**321) | FLOATS | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(FIELDS) | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


def read_everything(value: object) -> None:
    """Every reader on one value, inside a successful answer and instead of one."""
    answer = Answer(200, {}, json.dumps(value).encode(), APIKey(KEY, "the test"))
    data = data_of(answer, "The test")
    for reader in (
        lambda: export_status(answer, "The test", "u1"),
        lambda: pages_of(data.get("result"), "u1", numbered=True),
        lambda: pages_of(data.get("result"), "u1", numbered=False),
        lambda: zip_of(data, "u1"),
        lambda: check_uid(data.get("uid"), "The test", answer),
        lambda: percent(data.get("progress")),
    ):
        try:
            str(reader())
        except Doc2XError as error:
            str(error).encode()  # no lone surrogate, which no terminal takes
    status = ParseStatus("u1", "failed", detail=answer.clean(str(data.get("detail"))), raw=dict(data))
    str(failed_parse(status)).encode()


@pytest.mark.faults("AP-03")
@given(JSON)
@example({"result": {"pages": [{"page_idx": 0, "page_width": 10**400}]}, "progress": 10**400})
@example({"uid": "\ud800", "detail": "parse_\ud800"})
def test_no_json_gives_another_error_than_ours(value: object) -> None:
    read_everything({"code": "success", "data": value if isinstance(value, dict) else {"result": value}})
    for whole in (
        value,
        {"code": value, "msg": value},
        {"code": "x", "msg": value},
        {"code": "success", "data": value},
    ):
        try:
            read_everything(whole)
        except Doc2XError as error:
            str(error).encode()


@pytest.mark.faults("AP-03")
@given(st.binary(max_size=300), st.integers(100, 599))
def test_no_bytes_give_another_error_than_ours(body: bytes, status: int) -> None:
    with pytest.raises(Doc2XError):
        data_of(Answer(status, {"trace-id": "\x00"}, body), "The test")
