"""The checked fetcher: what it must not reach, decided by the address that was connected to."""

import ipaddress
import json
import socket
from collections.abc import Iterator

import pytest

from doc2x_sdk.errors import DeadlineExceeded, DownloadError, NetworkError, ResponseTooLarge, UnsafeURL
from doc2x_sdk.fetching import Address, fetch, is_public
from doc2x_sdk.testing import check_exporter
from tests.plugins.conftest import Exporter, write_text
from tests.support.clocks import StillClock
from tests.support.scripted import ScriptedServer, Step, close, reply
from tests.support.scripted_service import told

HERE = ipaddress.ip_address("127.0.0.1")


def only_here(address: Address) -> bool:
    """Stands for "public" where the allowed server is on loopback: 127.0.0.1 alone, none of the other 127.x.x.x."""
    return address == HERE


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(reply(200, body=b"secret of this machine")) as one:
        yield one


@pytest.mark.faults("DL-13")
@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0"],
)
def test_no_spelling_of_this_machine_gets_through(host: str, server: ScriptedServer) -> None:
    port = server.origin.rpartition(":")[2]
    with pytest.raises(UnsafeURL, match="not public"):
        fetch(f"http://{host}:{port}/latest/meta-data")
    assert server.requests == []  # not a byte was sent


@pytest.mark.faults("DL-13")
def test_a_redirect_to_an_address_that_is_not_allowed_is_not_followed() -> None:
    with socket.create_server(("127.0.0.2", 0)) as inside:
        target = f"http://127.0.0.2:{inside.getsockname()[1]}/admin"
        with (
            ScriptedServer(reply(302, headers=[("Location", target)])) as front,
            pytest.raises(UnsafeURL, match="not public"),
        ):
            fetch(f"{front.origin}/picture.png", allowed=only_here)
        reached, _ = inside.accept()
        with reached:
            assert reached.recv(100) == b""  # connected, looked at, and closed without a byte


@pytest.mark.faults("DL-13")
def test_the_connected_address_decides_and_not_an_earlier_answer_for_the_name(server: ScriptedServer) -> None:
    """One name, two answers: allowed when first asked, private when it is connected to."""
    asked: list[Address] = []

    def changes_its_mind(address: Address) -> bool:
        asked.append(address)
        return len(asked) == 1

    port = server.origin.rpartition(":")[2]
    assert fetch(f"http://localhost:{port}/", allowed=changes_its_mind).content == b"secret of this machine"
    with pytest.raises(UnsafeURL):
        fetch(f"http://localhost:{port}/", allowed=changes_its_mind)
    assert len(server.requests) == 1
    assert set(asked) == {HERE}  # the peer of each connection, not what the name says


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
        ),
        *("255.255.255.255", "192.0.2.1", "240.0.0.1", "::1", "::", "fe80::1", "fd00::1", "ff02::1", "::ffff:10.0.0.1"),
        *("64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:53aa:64c::1", "2001:db8::1"),
    ],
)
@pytest.mark.faults("DL-13")
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.faults("PL-08")
@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://h/x", "../../key.png", "/etc/passwd", "", "http://", "data:text/plain,x"),
        *("http://user:pw@example.org/", "http://127.0.0.1:80\\@example.org/", "http://exa mple.org/", "javascript:0"),
        "http://example.org/\r\nX: y",
    ],
)
def test_only_plain_http_urls_are_fetched(url: str) -> None:
    with pytest.raises(UnsafeURL) as caught:
        fetch(url, allowed=only_here)
    told(caught.value, "A link in the document", "it is left as it is")
    assert "pw" not in str(caught.value)


def test_what_may_be_fetched_is_fetched(server: ScriptedServer) -> None:
    with ScriptedServer(
        reply(302, headers=[("Location", "/b?x=1")]),
        reply(200, body=b"picture", headers=[("Content-Type", "Image/PNG; x=y")]),
    ) as one:
        got = fetch(f"{one.origin}/a", allowed=only_here)
    assert (got.content, got.media_type, got.url) == (b"picture", "image/png", f"{one.origin}/b?x=1")
    assert [request.target for request in one.requests] == ["/a", "/b?x=1"]
    for request in one.requests:
        assert not {"authorization", "cookie"} & set(request.headers)
        assert request.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("length", [True, False])
def test_the_body_is_cut_at_its_cap(length: bool) -> None:
    body = b"x" * 300_000
    head = b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: 300000\r\n" if length else b"") + b"Connection: close\r\n\r\n"

    def serve(conversation: object, request: object) -> None:
        conversation.sock.sendall(head + body)  # type: ignore[attr-defined]
        conversation.sock.shutdown(socket.SHUT_WR)  # type: ignore[attr-defined]

    with ScriptedServer(Step(serve)) as one, pytest.raises(ResponseTooLarge, match="100000 bytes"):
        fetch(one.origin, max_bytes=100_000, allowed=only_here)


def test_failures_are_errors_of_the_one_tree(server: ScriptedServer) -> None:
    with ScriptedServer(reply(404)) as one, pytest.raises(DownloadError) as caught:
        fetch(one.origin, allowed=only_here)
    assert caught.value.status == 404
    with ScriptedServer(close()) as one, pytest.raises(NetworkError):
        fetch(one.origin, allowed=only_here)
    with ScriptedServer(reply(302, headers=[("Location", "/")])) as one:
        with pytest.raises(DownloadError, match="more than 5 redirects"):
            fetch(one.origin, allowed=only_here)
        assert len(one.requests) == 6
    with (
        ScriptedServer(reply(200, body=b"x", headers=[("Content-Encoding", "gzip")])) as one,
        pytest.raises(DownloadError, match="encoded"),
    ):
        fetch(one.origin, allowed=only_here)


def test_the_time_limit_is_for_everything() -> None:
    clock = StillClock()

    def slow(conversation: object, request: object) -> None:
        clock.clock.sleep(40)
        reply(302, headers=[("Location", "/")]).action(conversation, request)  # type: ignore[arg-type]

    with ScriptedServer(Step(slow)) as one, pytest.raises(DeadlineExceeded):
        fetch(one.origin, allowed=only_here, clock=clock.clock)
    assert len(one.requests) == 2


@pytest.mark.faults("PL-08")
def test_the_conformance_check_finds_an_exporter_that_follows_links_on_the_disk() -> None:
    def careless(bundle: object, out: object, options: object) -> object:
        text = bundle.main.read_text()  # type: ignore[attr-defined]
        for word in text.replace('"', " ").replace("(", " ").replace(")", " ").split():
            path = bundle.folder / word  # type: ignore[attr-defined]
            if word.startswith("../") and path.is_file():
                text += path.read_text()
        (out / "x").write_text(text)  # type: ignore[operator]
        return [out / "x"]  # type: ignore[operator]

    with pytest.raises(AssertionError, match="sample hostile: x holds a file from outside the bundle"):
        check_exporter(Exporter(careless))
    check_exporter(Exporter(write_text))


def test_the_conformance_check_finds_what_prints_and_what_keeps_state() -> None:
    count = 0

    def stateful(bundle: object, out: object, options: object) -> object:
        nonlocal count
        count += 1
        print(json.dumps(count))
        (out / f"{count}.txt").write_text("x")  # type: ignore[operator]
        return [out / f"{count}.txt"]  # type: ignore[operator]

    with pytest.raises(AssertionError) as caught:
        check_exporter(Exporter(stateful))
    assert "sample paper: it prints to stdout" in str(caught.value)
    assert "from threads: other file names than alone" in str(caught.value)
