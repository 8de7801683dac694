"""A client that is closed while other threads convert single documents: they end soon, and say what is safe."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from doc2x_sdk import Doc2X
from doc2x_sdk.clock import Clock
from doc2x_sdk.errors import ConfigError, Doc2XError
from doc2x_sdk.models import Progress
from tests.batch.conftest import Papers
from tests.support.scripted import Conversation, Request, Step
from tests.support.scripted_service import ScriptedService, make_pdf, processing, told
from tests.support.wire import KEY

UID = "0192d745-5776-7261-abbd-000000000001"
UNPAID = "Nothing of it was sent"
UNKNOWN = "It may have been sent"
PAID = f"It is paid: within 24 hours `doc2x fetch {UID} --to FMT`"
BLOCKS = 128 * 1024 + 100  # bytes that leave in two blocks


def client_of(service: ScriptedService, **settings: Any) -> Doc2X:
    """A client with the machine's clocks."""
    return Doc2X(KEY, clock=Clock(), base_url=service.server.origin, read_timeout=5.0, stall_timeout=5.0, **settings)


class Scene:
    """Where a document is when its client is closed."""

    def __init__(self, service: ScriptedService, step: str) -> None:
        self._service = service
        self._step = step
        self._there, self._closing = threading.Event(), threading.Event()
        actions = {"preupload": self._hold, "status": self._pass, "result": self._pass}
        if step in actions:
            service.always(step, Step(actions[step]))

    def _hold(self, conversation: Conversation, request: Request) -> None:
        """Answer as usual once the client is being closed."""
        self._stay()
        self._service._preupload(request).action(conversation, request)

    def _pass(self, conversation: Conversation, request: Request) -> None:
        processing(40).action(conversation, request)
        self._there.set()

    def _stay(self) -> None:
        self._there.set()
        assert self._closing.wait(10.0)
        time.sleep(0.1)  # `close` is in it by then

    def on_progress(self, progress: Progress) -> None:
        """Stay at the first block of an upload."""
        if self._step == "put" and progress.stage == "upload" and not self._there.is_set():
            self._stay()

    def errors(self, client: Doc2X, *calls: Callable[[], object]) -> list[Doc2XError]:
        """Return what each call raises when the client is closed at that step, soon."""
        with ThreadPoolExecutor(len(calls)) as pool:
            begun = [pool.submit(call) for call in calls]
            assert self._there.wait(10.0)
            time.sleep(0.1)
            began = time.monotonic()
            self._closing.set()
            try:
                client.close()
                errors = [each.exception(5.0) for each in begun]
                assert time.monotonic() - began < 3.0
            finally:  # or the threads would never end
                self._service.always(self._step, None)
        found = [error for error in errors if isinstance(error, ConfigError)]
        assert len(found) == len(errors), errors
        for error in found:
            assert error.message == "This client was closed before it was done"
        return list(found)


@pytest.mark.parametrize(
    ("step", "left", "advice"),
    [
        ("preupload", "planned", UNPAID),
        ("put", "uploading", UNKNOWN),
        ("status", "submitted", PAID),
        ("result", "parsed", PAID),
    ],
    ids=["preupload", "put", "status", "result"],
)
def test_a_document_of_another_thread_ends_with_its_client(
    step: str, left: str, advice: str, service: ScriptedService, paper: Path
) -> None:
    out = paper.parent / "out"
    paper.write_bytes(make_pdf(1, size=BLOCKS))
    client, scene = client_of(service), Scene(service, step)
    (error,) = scene.errors(client, lambda: client.convert(paper, to="md", out=out, on_progress=scene.on_progress))
    told(error, advice)
    assert (error.uid, error.source) == (None if step == "preupload" else UID, str(paper))
    assert service.paid == int(advice == PAID)
    with service.client() as again:
        (row,) = again.jobs()
        assert (row.state, row.uid) == (left, error.uid)
        assert again.convert(paper, to="md", out=out).files["md"].is_file()
    assert service.paid == 1


def test_who_waits_for_the_same_document_ends_with_its_client_too(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    (path,) = papers(1)
    client, scene = client_of(service), Scene(service, "status")
    errors = scene.errors(client, *[lambda: client.convert(path, to="md", out=out)] * 2)
    assert UID in {error.uid for error in errors}
    for error in errors:
        told(error, PAID if error.uid else UNPAID)


@pytest.mark.parametrize("call", ["fetch", "wait", "export"])
def test_what_works_on_a_uid_ends_with_its_client(
    call: str, service: ScriptedService, papers: Papers, out: Path
) -> None:
    with service.client() as client:
        client.upload(papers(1)[0])
    client, scene = client_of(service), Scene(service, "result" if call == "export" else "status")
    calls: dict[str, Callable[[], object]] = {
        "fetch": lambda: client.fetch(UID, to="md", out=out),
        "wait": lambda: client.wait(UID),
        "export": lambda: client.export(UID, "md"),
    }
    (error,) = scene.errors(client, calls[call])
    assert error.uid == UID
    told(error, PAID)


@pytest.mark.parametrize("kind", ["pdf", "jpg"])
def test_without_a_ledger_the_uid_or_that_nobody_knows_is_told(
    kind: str, service: ScriptedService, tmp_path: Path
) -> None:
    """A picture has no uid before its answer; the last block of its body was read when it was stopped."""
    (tmp_path / "file").touch()
    client = client_of(service, ledger=str(tmp_path / "file" / "ledger.sqlite3"))
    given = make_pdf(1) if kind == "pdf" else b"\xff\xd8\xff\xe0" + b"x" * BLOCKS
    scene = Scene(service, "status" if kind == "pdf" else "put")
    (error,) = scene.errors(client, lambda: client.convert(given, on_progress=scene.on_progress))
    assert error.uid == (UID if kind == "pdf" else None)
    told(error, f"there is no receipt: `doc2x fetch {UID}" if kind == "pdf" else UNKNOWN)


def test_a_callback_may_close_its_client(service: ScriptedService, papers: Papers) -> None:
    client = client_of(service)
    began = time.monotonic()
    with pytest.raises(ConfigError, match="closed before it was done"):
        client.convert(papers(1)[0], on_progress=lambda _: client.close())
    assert time.monotonic() - began < 2.0
    assert service.paid == 0
