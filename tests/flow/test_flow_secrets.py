"""Failing whole-way runs show neither the key nor a signature; and without a key nothing is sent."""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from doc2x_sdk import Doc2X
from doc2x_sdk.errors import ConfigError, Doc2XError
from doc2x_sdk.models import Progress
from tests.flow.folders import tree
from tests.support import leaks
from tests.support.clocks import StillClock
from tests.support.scripted import Step, close, envelope, reply, reset
from tests.support.scripted_service import ScriptedService, make_pdf, make_zip
from tests.support.wire import KEY, SIGNATURE

SIGNED = f"https://bucket.aliyuncs.com/x?Expires=1&Signature={SIGNATURE}"
ECHO = f"you asked {SIGNED} <SignatureProvided>{SIGNATURE}</SignatureProvided>"


def echoed(echo: str, key: str) -> list[Step]:
    """Failures whose answers say back what must not be told."""
    data = {"detail": echo, "url": SIGNED}
    return [
        reply(200, echo.encode()),
        reply(403, echo.encode()),
        reply(500, echo.encode()),
        reply(json=envelope({"status": "failed", **data}, code=f"parse_{key}", msg=echo)),
        reply(json=envelope({"status": "failed", **data})),
        reply(json=envelope({"status": "success", "uid": echo, "url": SIGNED, "result": echo})),
        reply(302, echo.encode(), headers=[("Location", SIGNED)]),
        reply(302, headers=[("Location", f"https://[x?Signature={SIGNATURE}")]),
        reply(200, echo.encode() * 50, length=100_000, then="close"),
        reset(),
        close(),
    ]


STORAGE = echoed(ECHO, "x")  # it is never sent the key
API = echoed(f"you sent Bearer {KEY} and {ECHO}", KEY)
ROUTES = ["preupload", "put", "status", "export", "result", "download", "image", "image_status"]


def everything_said(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, folders: tuple[Path, ...]
) -> list[str]:
    captured = capfd.readouterr()
    found = leaks.found_in(captured.out + captured.err) + leaks.of_records(caplog.records)
    for folder in folders:
        for name, content in tree(folder).items():
            found += leaks.found_in(name) + leaks.found_in(content)
    return found


def failure_of(client: Doc2X, given: bytes, out: Path) -> Exception:
    """What went wrong: with the parse, or with the md alone."""
    try:
        return client.convert(given, to=["md", "json"], out=out).failures["md"]
    except Doc2XError as error:
        return error


@pytest.mark.faults("SE-04")
@pytest.mark.parametrize("number", range(len(API)))
@pytest.mark.parametrize("route", ROUTES)
def test_a_failing_run_shows_no_secret_anywhere(
    route: str, number: int, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Looked through: stdout, stderr, all logs at DEBUG, results, ledger, and tracebacks with their locals."""
    logging.getLogger().setLevel(logging.DEBUG)
    caplog.set_level(logging.DEBUG)
    home = Path(os.environ["HOME"])
    given = b"\xff\xd8\xff some picture" if "image" in route else make_pdf()
    with ScriptedService() as service:
        service.always(route, (STORAGE if route in ("put", "download") else API)[number])
        with service.client(patience=5, export_timeout=5, parse_timeout=20) as client:
            failure = failure_of(client, given, tmp_path / "out")
        assert service.count(route) >= 1
        assert service.server.said(KEY)
    assert leaks.of_error(failure) == []
    assert everything_said(capfd, caplog, (tmp_path, home)) == []
    assert any(record.name == "doc2x_sdk" for record in caplog.records)
    assert any(record.name.startswith("urllib3") for record in caplog.records)
    assert any(path.suffix in (".db", ".sqlite", ".sqlite3") for path in home.rglob("*"))  # the ledger was read, too


@pytest.mark.faults("SE-04")
def test_a_successful_run_shows_no_secret_anywhere(
    service: ScriptedService, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[Progress] = []
    with service.client() as client:
        document = client.convert(make_pdf(), to=["md", "docx", "json"], out=tmp_path / "out", on_progress=seen.append)
        objects = [client, document, *seen, client.export(document.uid or "", "md"), client.status(document.uid or "")]
    assert [found for each in objects for found in leaks.of_object(each)] == []
    assert everything_said(capfd, caplog, (tmp_path, Path(os.environ["HOME"]))) == []
    assert service.server.said(SIGNATURE)


@pytest.mark.faults("SE-04")
@pytest.mark.parametrize("stage", ["upload", "parse", "export", "download"])
@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_what_a_callback_raises_shows_no_secret(
    kind: type[BaseException], stage: str, service: ScriptedService, tmp_path: Path
) -> None:
    def fail(progress: Progress) -> None:
        if progress.stage == stage:
            raise kind("the caller's own")

    with service.client() as client, pytest.raises(kind, match="the caller's own") as caught:
        client.convert(make_pdf(), to="md", out=tmp_path / "out", on_progress=fail)
    assert leaks.of_error(caught.value) == []


@pytest.mark.faults("SE-04")
def test_a_hostile_archive_puts_no_secret_into_its_error(service: ScriptedService, tmp_path: Path) -> None:
    service.exports["md"] = make_zip({"md.md": "x", f"../x?Signature={SIGNATURE}": "y"})
    with service.client() as client, pytest.raises(Doc2XError) as caught:
        client.convert(make_pdf(), to="md", out=tmp_path / "out")
    assert "unsafe" in type(caught.value).__name__.lower()


# CL-06


@pytest.mark.faults("CL-06")
def test_without_a_key_there_is_an_error_and_no_request(service: ScriptedService) -> None:
    with pytest.raises(ConfigError) as caught:
        Doc2X(base_url=service.server.origin)
    for word in ("DOC2X_APIKEY", "set-key", "Doc2X.local()", "--local"):
        assert word in str(caught.value)
    assert service.server.connections == 0


BAD: list[Callable[[Doc2X, Path, Path], object]] = [
    lambda client, paper, out: client.convert(paper, to="word", out=out),
    lambda client, paper, out: client.convert(paper, to=["md", "dcox"], out=out),
    lambda client, paper, out: client.fetch("0192d745-5776", to="pdf", out=out),
    lambda client, paper, out: client.export("0192d745-5776", "json"),
    lambda client, paper, out: client.convert(paper, to="md", out=out, result_name="{name}"),
    lambda client, paper, out: client.fetch("../../etc/passwd", to="md", out=out),
    lambda client, paper, out: client.status("a b"),
    lambda client, paper, out: client.upload(paper, model="v2", direct=True),
]


@pytest.mark.faults("CL-06")
@pytest.mark.parametrize("number", range(len(BAD)))
def test_a_bad_option_is_told_before_any_request(number: int, service: ScriptedService, paper: Path, out: Path) -> None:
    with service.client() as client, pytest.raises(ConfigError) as caught:
        BAD[number](client, paper, out)
    assert caught.value.advice
    assert (service.server.connections, tree(out)) == (0, {})


@pytest.mark.faults("CL-06")
def test_an_unknown_format_names_those_that_there_are(service: ScriptedService, paper: Path) -> None:
    with service.client() as client, pytest.raises(ConfigError) as caught:
        client.convert(paper, to="word")
    for name in ("'word'", "md", "md_dollar", "tex", "docx", "json", "txt"):
        assert name in str(caught.value)


@pytest.mark.faults("CL-06")
@pytest.mark.parametrize("setting", [{"no_such_setting": 1}, {"retries": "many"}, {"base_url": "http://example.com"}])
def test_a_bad_setting_is_told_before_any_request(setting: dict[str, object], service: ScriptedService) -> None:
    with pytest.raises(ConfigError) as caught:
        Doc2X(KEY, clock=StillClock().clock, **({"base_url": service.server.origin} | setting))
    assert next(iter(setting)) in str(caught.value)
    assert json.dumps(KEY) not in str(caught.value)
    assert service.server.connections == 0
