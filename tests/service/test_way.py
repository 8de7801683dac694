"""The way to the host: certificates, proxies and .netrc."""

import sys
import traceback
from pathlib import Path

import pytest

from doc2x_sdk.errors import ConfigError, DeadlineExceeded, NetworkError
from tests.support.clocks import SkippingClock, StillClock
from tests.support.scripted import Conversation, Request, ScriptedServer, Step, drip, envelope, reply, reset, stall
from tests.support.socks import REFUSED, SocksProxy
from tests.support.wire import KEY, SIGNATURE, Authority, open_service, open_transport, signed

PROCESSING = reply(json=envelope({"status": "processing"}))
API = "https://api.doc2x.test"  # a name that only the proxy knows
STORE = "https://bucket.oss-cn-hangzhou.aliyuncs.com"


@pytest.fixture
def ca(authority: Authority, tmp_path: Path) -> dict[str, str]:
    """An environment that trusts the test's authority."""
    return {"REQUESTS_CA_BUNDLE": authority.write(tmp_path / "ca.pem")}


@pytest.mark.faults("TR-12")
@pytest.mark.parametrize("trusted", [False, True], ids=["unknown authority", "another host's certificate"])
def test_a_certificate_that_does_not_fit_is_refused_once(
    trusted: bool, authority: Authority, ca: dict[str, str]
) -> None:
    clock = StillClock()
    context = authority.server_context("other.doc2x.test" if trusted else "127.0.0.1")
    with (
        ScriptedServer(PROCESSING, tls=context) as server,
        open_service(server, clock, environ=ca if trusted else {}) as service,
        pytest.raises(NetworkError, match="certificate was not accepted") as caught,
    ):
        service.status("u1")
    assert "REQUESTS_CA_BUNDLE" in caught.value.advice
    assert (server.connections, server.requests, clock.sleeps) == (1, [], [])


@pytest.mark.faults("TR-12")
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_environments_authority_is_trusted(variable: str, authority: Authority, ca: dict[str, str]) -> None:
    environ = {variable: ca["REQUESTS_CA_BUNDLE"]}
    with (
        ScriptedServer(PROCESSING, tls=authority.server_context()) as server,
        open_service(server, environ=environ) as service,
    ):
        assert service.status("u1").state == "processing"


@pytest.mark.faults("TR-12")
@pytest.mark.parametrize("content", [None, b"", b"not a certificate", b"\xff\x00" * 100])
def test_an_unusable_authority_is_a_configuration_error(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with (
        pytest.raises(ConfigError, match="REQUESTS_CA_BUNDLE"),
        open_transport(API, environ={"REQUESTS_CA_BUNDLE": str(path)}),
    ):
        pass


def hear_and_close(conversation: Conversation, request: Request) -> None:
    """Close in order once the client's hello is read: unread bytes would make it a reset."""
    conversation.sock.recv(65536)
    conversation.close()


@pytest.mark.faults("TR-12")
@pytest.mark.parametrize("broken", [Step(hear_and_close, "connect"), reset(at="connect")], ids=["close", "reset"])
def test_a_handshake_that_breaks_off_is_tried_again(broken: Step, authority: Authority, ca: dict[str, str]) -> None:
    clock = StillClock()
    with (
        ScriptedServer(broken, PROCESSING, tls=authority.server_context()) as server,
        open_service(server, clock, environ=ca) as service,
    ):
        assert service.status("u1").state == "processing"
    assert (server.connections, clock.sleeps) == (2, [0.5])


@pytest.mark.faults("TR-13")
def test_netrc_does_not_replace_the_key(isolated_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = isolated_environment / ".netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with ScriptedServer(PROCESSING, reply()) as server, open_service(server) as service:
        service.status("u1")
        with service.stream(signed(server.origin), "The download"):
            pass
    api, storage = server.requests
    assert api.headers["authorization"] == f"Bearer {KEY}"
    assert "authorization" not in storage.headers


@pytest.mark.faults("TR-13")
@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_loopback_is_never_proxied(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(reply(502)) as proxy, ScriptedServer(PROCESSING) as server, open_service(server) as service:
        monkeypatch.setenv(variable, proxy.origin)
        assert service.status("u1").state == "processing"
    assert proxy.connections == 0


@pytest.mark.faults("TR-13")
def test_a_proxy_sees_neither_key_nor_signature(
    authority: Authority, ca: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = authority.server_context("api.doc2x.test", "*.oss-cn-hangzhou.aliyuncs.com")
    with (
        ScriptedServer(PROCESSING, reply(body=b"zip"), proxy_to=context) as proxy,
        open_service(API, environ=ca) as service,
    ):
        monkeypatch.setenv("ALL_PROXY", "socks5h://127.0.0.1:9")  # where both are set, HTTPS_PROXY counts
        monkeypatch.setenv("HTTPS_PROXY", proxy.origin)
        service.status("u1")
        with service.stream(signed(STORE), "The download") as response:
            assert response.raw.read() == b"zip"
    assert [tunnel.target for tunnel in proxy.tunnels] == [
        "api.doc2x.test:443",
        "bucket.oss-cn-hangzhou.aliyuncs.com:443",
    ]
    outside = b"".join(tunnel.head for tunnel in proxy.tunnels)
    assert KEY.encode() not in outside
    assert SIGNATURE.encode() not in outside
    assert proxy.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.faults("TR-13")
def test_no_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(reply(502)) as proxy, open_service("https://api.doc2x.invalid", retries=0) as service:
        monkeypatch.setenv("HTTPS_PROXY", proxy.origin)
        monkeypatch.setenv("NO_PROXY", "doc2x.invalid")
        with pytest.raises(NetworkError, match="name is not known"):
            service.status("u1")
    assert proxy.connections == 0


@pytest.mark.faults("TR-13")
@pytest.mark.parametrize("scheme", ["socks5h", "SOCKS5H"])
def test_a_socks_proxy_is_gone_through_and_sees_no_key(
    scheme: str, authority: Authority, ca: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = authority.server_context("api.doc2x.test", "*.oss-cn-hangzhou.aliyuncs.com")
    with (
        ScriptedServer(PROCESSING, PROCESSING, reply(body=b"zip"), tls=context) as server,
        SocksProxy(server.address) as proxy,
        open_service(API, environ=ca) as service,
    ):
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://someone:word@127.0.0.1:{proxy.address[1]}")
        assert [service.status("u1").state for _ in range(2)] == ["processing", "processing"]
        with service.stream(signed(STORE), "The download") as response:
            assert response.raw.read() == b"zip"
    assert proxy.asked == [("api.doc2x.test", 443), ("bucket.oss-cn-hangzhou.aliyuncs.com", 443)]
    assert proxy.logins == [("someone", "word")] * 2
    assert KEY.encode() not in proxy.outside
    assert SIGNATURE.encode() not in proxy.outside
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.faults("TR-01")
@pytest.mark.parametrize("reply_code", [REFUSED, None], ids=["refused", "silent"])
def test_a_socks_proxy_that_lets_nobody_through_is_one_of_our_errors(
    reply_code: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        SocksProxy(("127.0.0.1", 9), reply=reply_code) as proxy,
        open_service(API, retries=0, connect_timeout=0.15) as service,
    ):
        monkeypatch.setenv("ALL_PROXY", f"socks5h://someone:pa55@127.0.0.1:{proxy.address[1]}")
        with pytest.raises(NetworkError) as caught:
            service.status("u1")
    assert proxy.asked == [("api.doc2x.test", 443)]
    assert caught.value.sent == "nothing"
    assert "pa55" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.faults("TR-02")
def test_a_service_that_drips_behind_a_socks_proxy_is_cut_off(
    authority: Authority, ca: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        ScriptedServer(
            drip(b"X: 1\r\n", first=b"HTTP/1.1 200 OK\r\n"), tls=authority.server_context("api.doc2x.test")
        ) as server,
        SocksProxy(server.address) as proxy,
        open_service(API, SkippingClock(), environ=ca, call_timeout=0.2, read_timeout=0.15, retries=0) as service,
    ):
        monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{proxy.address[1]}")
        with pytest.raises(DeadlineExceeded, match="within the time limit"):
            service.status("u1")


@pytest.mark.faults("TR-13")
def test_a_socks_proxy_without_its_extra_or_its_version_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with open_service(API) as service:
        monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:9")
        with pytest.raises(ConfigError, match="does not tell the version"):
            service.status("u1")
        monkeypatch.setitem(sys.modules, "socks", None)  # as if it were not installed
        monkeypatch.setenv("ALL_PROXY", "socks5h://127.0.0.1:9")
        with pytest.raises(ConfigError, match="extra `socks`") as caught:
            service.status("u1")
        assert "pip install" in caught.value.advice


@pytest.mark.faults("TR-13")
@pytest.mark.parametrize("proxy", ["http://127.0.0.1:notaport", "http://[::1", "://", "http://user:pa ss@:1"])
def test_an_unusable_proxy_is_one_of_our_errors(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with open_service(API) as service, pytest.raises(NetworkError) as caught:
        service.status("u1")
    assert "pa ss" not in str(caught.value)


@pytest.mark.faults("TR-01")
@pytest.mark.parametrize("where", ["tunnel", "handshake", "origin"])
def test_a_silent_proxy_is_given_up(
    where: str, authority: Authority, ca: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    established = b"HTTP/1.1 200 Connection established\r\n\r\n"
    context = authority.server_context("api.doc2x.test") if where == "origin" else None
    script = stall(established if where == "handshake" else b"")
    with (
        ScriptedServer(script, proxy_to=context) as proxy,
        open_service(API, environ=ca, read_timeout=0.15, connect_timeout=0.15, retries=0) as service,
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy.origin)
        with pytest.raises(NetworkError, match=r"no answer in time|proxy|stood still|no connection"):
            service.status("u1")


@pytest.mark.faults("TR-12")
def test_plain_http_is_no_way_out_of_a_tls_failure() -> None:
    with (
        ScriptedServer(stall(b"HTTP/1.1 400 This is no TLS\r\n\r\n", at="connect")) as server,
        open_service(server.origin.replace("http:", "https:")) as service,
        pytest.raises(NetworkError, match="TLS connection was not accepted"),
    ):
        service.status("u1")
    assert (server.connections, server.requests) == (1, [])
