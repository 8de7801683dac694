"""Settings and the key: where they come from, what is refused, and how the key's file is written."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from doc2x_sdk import Doc2X
from doc2x_sdk.config import (
    APIKey,
    Settings,
    config_path,
    is_loopback,
    key_path,
    load,
    set_key,
)
from doc2x_sdk.config.base_url import check_base_url
from doc2x_sdk.config.key import find_key
from doc2x_sdk.errors import ConfigError, Doc2XError
from tests.support.scripted import ScriptedServer, reply
from tests.support.wire import KEY, Blob, open_service

posix = pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")


def write_config(text: str) -> Path:
    path = config_path()
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_setting_comes_from_argument_environment_file_default_in_this_order(monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_config("read_timeout = 1\ncall_timeout = 2\nretries = 3\n")
    monkeypatch.setenv("DOC2X_READ_TIMEOUT", "11")
    monkeypatch.setenv("DOC2X_CALL_TIMEOUT", "12.5")
    found = load(read_timeout=21)
    settings = found.settings
    assert (settings.read_timeout, settings.call_timeout, settings.retries) == (21.0, 12.5, 3)
    assert settings.connect_timeout == Settings().connect_timeout
    assert {name: found.origins[name] for name in ("read_timeout", "call_timeout", "retries", "connect_timeout")} == {
        "read_timeout": "argument",
        "call_timeout": "DOC2X_CALL_TIMEOUT",
        "retries": str(path),
        "connect_timeout": "default",
    }


def test_a_key_comes_from_argument_environment_file_in_this_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(apikey: str | None = None) -> tuple[str, str] | None:
        key = load(apikey=apikey).key
        return (key.reveal(), key.origin) if key else None

    assert found() is None
    path = set_key("sk-file")
    assert found() == ("sk-file", str(path))
    monkeypatch.setenv("DOC2X_API_KEY", "sk-second")
    assert found() == ("sk-second", "DOC2X_API_KEY")
    monkeypatch.setenv("DOC2X_APIKEY", "sk-first")
    assert found() == ("sk-first", "DOC2X_APIKEY")
    assert found("sk-argument") == ("sk-argument", "the argument")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ledger", False),
        ("account", 7),
        ("retries", "two"),
        ("retries", "1.5"),
        ("retries", 2.5),
        ("retries", -1),
        ("retries", True),
        ("connections", 0),
        ("connections", float("inf")),
        ("max_answer_bytes", float("nan")),
        ("read_timeout", 0),
        ("read_timeout", -1),
        ("read_timeout", "inf"),
        ("read_timeout", "nan"),
        ("read_timeout", "soon"),
        ("read_timeout", []),
        ("read_timeout", 10**400),
        ("poll_floor", "x"),
        ("archive", "perhaps"),
        ("archive", 2),
        ("archive_days", 0),
        ("archive_days", 1.5),
        ("archive_size", 0),
        ("archive_size", "0 MB"),
        ("archive_size", "5 XB"),
        ("archive_size", "-1"),
        ("storage_hosts", 5),
        ("storage_hosts", [5]),
        ("base_url", 5),
        ("base_url", "nonsense"),
    ],
)
def test_a_value_of_the_wrong_kind_is_a_configuration_error(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=name):
        load(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    ["read_timeout = []", "storage_hosts = 5", "retries = inf", "retries = 1979-05-27", "no_such = 1", "=", "\udc80"],
)
def test_a_config_file_of_the_wrong_kind_is_a_configuration_error(text: str) -> None:
    path = write_config("")
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError) as caught:
        load()
    assert str(path) in str(caught.value)


def test_no_account_has_the_name_of_this_machines_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its receipts would be taken for those of the engine, where nothing is paid."""
    with pytest.raises(ConfigError, match="account can't be 'local'"):
        load(account="local")
    with pytest.raises(ConfigError, match="account can't be 'local'"):
        Doc2X(KEY, account="local")
    with monkeypatch.context() as patch:
        patch.setenv("DOC2X_ACCOUNT", "local")
        with pytest.raises(ConfigError, match=r"another name\. Correct DOC2X_ACCOUNT, or unset it"):
            load()
    path = write_config("account = 'local'\n")
    with pytest.raises(ConfigError, match="another name") as caught:
        load()
    assert str(path) in str(caught.value)
    assert load(account="mine").settings.account == "mine"


def test_storage_hosts_are_read_from_text_and_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(storage_hosts=["Store.Example"]).settings.storage_hosts == ("store.example",)
    monkeypatch.setenv("DOC2X_STORAGE_HOSTS", ".a.example, b.example")
    assert load().settings.storage_hosts == (".a.example", "b.example")


def test_sizes_and_truths_are_read_as_people_write_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, size in {"5GB": 5 * 1024**3, "1.5 MiB": 1_572_864, "20k": 20_480, "7": 7, "2 tb": 2 * 1024**4}.items():
        assert load(archive_size=text).settings.archive_size == size
    for text, truth in {"1": True, "Yes": True, "on": True, "false": False, "OFF": False, "0": False}.items():
        monkeypatch.setenv("DOC2X_ARCHIVE", text)
        assert load().settings.archive is truth
    assert load(archive=True).settings.archive is True
    monkeypatch.delenv("DOC2X_ARCHIVE")
    write_config("archive = true\narchive_size = 1000\narchive_days = 2")
    found = load().settings
    assert (found.archive, found.archive_size, found.archive_days) == (True, 1000, 2)


# The key's file


@posix
def test_the_keys_file_is_the_owners_alone() -> None:
    before = os.umask(0)
    try:
        path = set_key(KEY)
    finally:
        os.umask(before)
    assert path == key_path()
    assert path.read_text() == KEY + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@posix
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_keys_file_that_others_can_read_is_refused(mode: int) -> None:
    path = set_key(KEY)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600") as caught:
        load()
    assert KEY not in str(caught.value)


def test_a_refused_key_leaves_the_old_one() -> None:
    path = set_key("sk-old")
    with pytest.raises(ConfigError):
        set_key("sk new")
    assert path.read_text() == "sk-old\n"


@posix
def test_a_key_is_written_whole_or_not_at_all() -> None:
    """A reader that holds the old file open keeps reading the old key: the file is replaced, not rewritten."""
    path = set_key("sk-old")
    with path.open() as old:
        set_key("sk-new")
        assert old.read() == "sk-old\n"
    assert path.read_text() == "sk-new\n"


def test_a_key_that_can_not_be_written_leaves_nothing_behind() -> None:
    key_path().mkdir(parents=True)
    with pytest.raises(ConfigError, match="could not be written"):
        set_key(KEY)
    assert [each.name for each in key_path().parent.iterdir()] == [key_path().name]


def test_a_keys_file_that_is_none_is_a_configuration_error() -> None:
    key_path().mkdir(parents=True, mode=0o700)
    with pytest.raises(ConfigError, match="can't be read"):
        load()


# What is refused before anything is sent


BAD_KEYS = [
    "",
    " ",
    "sk-a b",
    "sk-abc\n",
    "sk-abc\r\nX-Evil: 1",
    "\tsk-abc",
    "sk-abc\x00",
    "sk-ключ",
    "sk-密钥",
    "sk-é",
    "Bearer sk-abc",
    "bearer sk-abc",
    "BEARERsk-abc",
    "${DOC2X_APIKEY}",
    "$DOC2X_APIKEY",
    "sk-${VAR}",
    "'sk-abc'",
    '"sk-abc"',
]
BAD_KEYS_BY_SOURCE = [
    *(("argument", text) for text in BAD_KEYS),
    *(("environment", text) for text in BAD_KEYS if text and "\x00" not in text),  # an empty variable is an unset one
    *(("file", text) for text in BAD_KEYS if not text or text == text.strip()),  # the file's last line break is none
]


@pytest.mark.faults("SE-06")
@pytest.mark.parametrize(("source", "text"), BAD_KEYS_BY_SOURCE, ids=ascii)
def test_a_key_that_can_not_be_one_is_refused_unseen(source: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if source == "environment":
        monkeypatch.setenv("DOC2X_APIKEY", text)
    if source == "file":
        set_key("sk-old").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(apikey=text if source == "argument" else None)
    told = f"{caught.value!r} {caught.value} {caught.value.__cause__} {caught.value.__context__}"
    assert len(text.strip()) < 4 or text.strip() not in told
    assert "abc" not in told


@pytest.mark.faults("SE-06")
@pytest.mark.parametrize("value", [7, b"sk-abc", ["sk-abc"]])
def test_a_key_that_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(ConfigError):
        load(apikey=value)  # type: ignore[arg-type]


@pytest.mark.faults("SE-06")
@given(st.text(max_size=30))
def test_a_key_that_is_taken_can_be_sent(text: str) -> None:
    try:
        key = find_key(text, {})
    except ConfigError:
        return
    assert key is not None
    line = f"Bearer {key.reveal()}"
    assert line.encode("latin-1").decode() == line
    assert line.isprintable()
    assert line.split() == ["Bearer", text]


def test_without_a_key_nothing_is_sent_and_both_ways_out_are_named() -> None:
    with ScriptedServer(reply()) as server, open_service(server, key=None) as service:
        for call in (service.preupload, lambda: service.status("u1"), lambda: service.upload_direct(Blob(b"x"))):
            with pytest.raises(ConfigError, match=r"DOC2X_APIKEY.*local"):
                call()
    assert server.connections == 0


@pytest.mark.faults("SE-07")
@pytest.mark.parametrize(
    "url",
    [
        "http://v2.doc2x.noedgeai.com",
        "http://10.0.0.1:8000",
        "http://0.0.0.0:8000",
        "http://localhost.evil.test",
        "http://127.0.0.1.evil.test",
        "http://127.0.0.1@evil.test",
        "http://evil.test#127.0.0.1",
        "http://evil.test\\@127.0.0.1",
        "http://127.1",
        "https://user:word@v2.doc2x.noedgeai.com",
        "https://v2.doc2x.noedgeai.com/path",
        "https://v2.doc2x.noedgeai.com?x=1",
        "https://v2.doc2x.noedgeai.com?",
        "https://v2.doc2x.noedgeai.com#",
        "https://v2.doc2x.noedgeai.com:notaport",
        "https://v2.doc2x.noedgeai.com:0",
        "https://",
        "https:v2.doc2x.noedgeai.com",
        "ftp://v2.doc2x.noedgeai.com",
        "v2.doc2x.noedgeai.com",
        "https://v2.doc2x.noedgeai.com\n",
        "https://v2.doc2x.\tnoedgeai.com",
        "https://[::1",
    ],
)
@pytest.mark.parametrize("name", ["base_url", "v1_base_url"])
def test_a_base_url_where_the_key_is_not_safe_is_refused(url: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"DOC2X_{name.upper()}", url)
    with pytest.raises(ConfigError, match=name) as caught:
        load()
    assert "user:word" not in str(caught.value)


@pytest.mark.faults("SE-07")
@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/", "http://[::1]:8000", "http://localhost", "https://x.test:8"])
def test_a_base_url_that_is_safe(url: str) -> None:
    assert load(base_url=url).settings.base_url == url.rstrip("/")


PIECES = st.sampled_from(
    ["http://", "https://", "127.0.0.1", "localhost", "[::1]", "evil.test", ":80", *"/\\@?#.:%[]\t "]
)


@pytest.mark.faults("SE-07")
@given(st.one_of(st.lists(PIECES, max_size=6).map("".join), st.text(), st.text().map("http://127.0.0.1".__add__)))
def test_no_base_url_sends_the_key_in_the_clear(url: str) -> None:
    try:
        check_base_url(url, "base_url")
        Settings(base_url=url)
    except Doc2XError:
        return
    try:
        parts = parse_url(url.rstrip("/") + "/api/v2/parse/preupload")  # the parser that connects
    except LocationParseError:
        return  # nowhere
    assert parts.scheme == "https" or is_loopback(parts.host)
    assert (parts.auth, parts.query, parts.fragment) == (None, None, None)
    assert parts.path == "/api/v2/parse/preupload"


def test_a_key_object_tells_its_kind() -> None:
    assert APIKey("sk-abc", "x").is_access_token
    assert not APIKey("abc", "x").is_access_token
