"""Links to storage: whatever text comes as a link, a connection goes to an allowed host or nowhere."""

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st
from urllib3.util import parse_url

from doc2x_sdk.config import Settings, is_loopback
from doc2x_sdk.errors import UnsafeURL
from doc2x_sdk.models import SignedURL
from doc2x_sdk.service.prepared import AS_SENT, url_as_sent
from doc2x_sdk.service.storage import check_storage_url, link_text

ALLOWED = Settings().storage_hosts
GOOD = "bucket.oss-cn-hangzhou.aliyuncs.com"


def passes(url: str, *, loopback: bool = False) -> bool:
    try:
        check_storage_url(SignedURL(url), ALLOWED, loopback=loopback)
    except UnsafeURL:
        return False
    return True


@pytest.mark.faults("DL-11")
@pytest.mark.parametrize(
    "url",
    [
        f"http://{GOOD}/x",
        f"ftp://{GOOD}/x",
        f"//{GOOD}/x",
        f"{GOOD}/x",
        "file:///etc/passwd",
        "data:text/plain,x",
        f"https://user@{GOOD}/x",
        f"https://user:word@{GOOD}/x",
        f"https://@{GOOD}/x",
        f"https://127.0.0.1:80\\@{GOOD}/",
        f"https://evil.test\\@{GOOD}/",
        f"https://evil.test\t{GOOD}/",
        f"https://evil.test/{GOOD}",
        f"https://evil.test#{GOOD}",
        f"https://evil.test?{GOOD}",
        f"https://{GOOD}.evil.test/x",
        "https://evilaliyuncs.com/x",
        "https://aliyuncs.com.evil.test/x",
        "https://127.0.0.1/x",
        "https://127.1/x",
        "https://2130706433/x",
        "https://0x7f000001/x",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://localhost/x",
        "https://169.254.169.254/x",
        "https://10.0.0.1/x",
        f"https://{GOOD}:notaport/x",
        "https:///x",
        "https://",
        "",
        f" https://{GOOD}/x",
        f"https://{GOOD}/x\n",
    ],
)
def test_a_link_that_must_not_be_followed(url: str) -> None:
    assert not passes(url)


@pytest.mark.parametrize(
    "url",
    [
        f"https://{GOOD}/x?Expires=1&Signature=a%2Fb",
        f"https://{GOOD.upper()}:443/x",
        f"HTTPS://{GOOD}./x",
        "https://doc2x.s3.cn-north-1.amazonaws.com.cn/x",
        "https://cdn.noedgeai.com/x#part",
    ],
)
def test_a_link_of_the_services_storage(url: str) -> None:
    assert passes(url)


def test_loopback_only_beside_an_api_on_loopback() -> None:
    assert passes("http://127.0.0.1:8000/x", loopback=True)
    assert passes("http://[::1]:8000/x", loopback=True)
    assert not passes("http://127.0.0.1:8000/x")
    assert not passes("http://user@127.0.0.1:8000/x", loopback=True)
    assert not passes(f"http://{GOOD}/x", loopback=True)


def test_the_error_names_host_and_setting_and_not_the_query() -> None:
    with pytest.raises(UnsafeURL, match=r"evil\.test.*storage_hosts") as caught:
        check_storage_url(SignedURL("https://evil.test/x?Signature=abc"), ALLOWED, loopback=False)
    assert "abc" not in str(caught.value)


HOSTS = st.sampled_from(
    [
        GOOD,
        "evil.test",
        "127.0.0.1",
        "[::1]",
        "localhost",
        "evil.test.",
        ".aliyuncs.com",
        "aliyuncs.com",
        "ａliyuncs.com",
    ]
)
GLUE = st.sampled_from([*"/\\@:?#.%\t \n[];&,", "%2f", "%40", "//", "\\\\", "\u3002", "\u2044", "\x00", "xn--"])
SCHEMES = st.sampled_from(["https://", "http://", "https:", "https:/", "//", "HTTPS://", "https:\\\\", ""])
LINKS = st.builds(
    lambda scheme, parts: scheme + "".join(parts),
    SCHEMES,
    st.lists(st.one_of(HOSTS, GLUE, st.text(max_size=3)), min_size=1, max_size=7),
)
NEARLY_GOOD = st.builds(
    lambda position, piece: f"https://{GOOD}/x"[:position] + piece + f"https://{GOOD}/x"[position:],
    st.integers(0, len(GOOD) + 10),
    st.one_of(HOSTS, GLUE, st.text(max_size=3)),
)


@pytest.mark.faults("DL-11")
@given(st.one_of(NEARLY_GOOD, LINKS, st.text()), st.booleans())
@example(f"https://evil.test\\@{GOOD}/", False)
@example(f"https://{GOOD}\u2044@evil.test/", False)
def test_what_passes_connects_to_an_allowed_host(url: str, loopback: bool) -> None:
    """The host is compared with that of the pool which requests would take, not with a parser of our choice."""
    if not passes(url, loopback=loopback):
        return
    with requests.Session() as session:
        try:
            prepared = session.prepare_request(requests.Request("GET", url))
            assert prepared.url is not None
            pool = session.get_adapter(prepared.url).get_connection_with_tls_context(prepared, verify=True)
        except requests.RequestException:
            return  # nowhere
        host = pool.host.strip("[]").lower().rstrip(".")
        assert "authorization" not in prepared.headers
    if is_loopback(host):
        assert loopback
    else:
        assert pool.scheme == "https"
        assert any(host.endswith(suffix) for suffix in ALLOWED)
    assert parse_url(prepared.url).auth is None


def test_an_escaped_ampersand_is_one() -> None:
    assert link_text(r"https://x/y?a=1\u0026b=2\U0026c") == "https://x/y?a=1&b=2&c"
    assert link_text(7) == ""


@given(st.from_regex(AS_SENT, fullmatch=True))
def test_in_a_link_that_is_taken_as_it_stands_requests_would_change_nothing(url: str) -> None:
    draft = requests.PreparedRequest()
    draft.prepare_url(url, None)
    assert draft.url == url


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        (f"https://{GOOD}/a/../b", f"https://{GOOD}/b"),
        (f"https://{GOOD}/./b", f"https://{GOOD}/b"),
        (f"https://{GOOD}/%61", f"https://{GOOD}/a"),
        (f"https://{GOOD}/a b", f"https://{GOOD}/a%20b"),
        (f"https://{GOOD}/?", f"https://{GOOD}/"),
        (f"https://{GOOD.upper()}/x", f"https://{GOOD}/x"),
        (f"https://{GOOD}", f"https://{GOOD}/"),
        (f"https://{GOOD}/x?a=%2B%2f", f"https://{GOOD}/x?a=%2B%2F"),
        (f"https://{GOOD}/x?a=/../%2E", f"https://{GOOD}/x?a=/../."),
        ("https://bücher.aliyuncs.com/x", "https://xn--bcher-kva.aliyuncs.com/x"),
    ],
)
def test_any_other_link_is_put_right_as_requests_does(url: str, sent: str) -> None:
    assert url_as_sent(SignedURL(url)) == sent
