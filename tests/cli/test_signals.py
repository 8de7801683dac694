"""Signals while a batch runs: nothing new is begun, the ledger holds, and the same command goes on."""

import os
import signal
import sqlite3
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from doc2x_sdk.ledger.rows import read_jobs
from tests.cli.command import LIMIT, account, doc2x, ended, start
from tests.support.scripted import Conversation, Request, Step, reply
from tests.support.scripted_service import Done, ScriptedService, make_pdf, processing

DOCUMENTS, AT_ONCE = 8, 3
SOON = 5.0  # seconds, of the fault matrix


@pytest.fixture
def papers(tmp_path):
    folder = tmp_path / "papers"
    folder.mkdir()
    for number in range(DOCUMENTS):
        (folder / f"{number}.pdf").write_bytes(make_pdf(mark=f"paper {number}"))
    return folder


class Slow:
    """A service that is at work for ever on what it has; `full` is set once it was asked about so many uids."""

    def __init__(self, wanted: int) -> None:
        self.full = threading.Event()
        self._wanted = wanted
        self._asked: set[str] = set()

    def act(self, conversation: Conversation, request: Request) -> None:
        processing(40).action(conversation, request)
        self._asked.update(parse_qs(urlsplit(request.target).query)["uid"])
        if len(self._asked) == self._wanted:
            self.full.set()


class Held:
    """Uploads whose answer does not come before `release` is set; `begun` counts them."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.release = threading.Event()

    def act(self, conversation: Conversation, request: Request) -> None:
        self.begun.release()
        self.release.wait(LIMIT)
        reply(200).action(conversation, request)


def check_ledger() -> list[str]:
    """The states in the ledger, which must be whole."""
    path = Path(os.environ["DOC2X_LEDGER"])
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return sorted(row.state for row in read_jobs(path) if row.uid is not None)


@pytest.fixture(autouse=True)
def ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("DOC2X_LEDGER", str(tmp_path / "state" / "ledger.sqlite3"))


def words(papers: Path, *more: str) -> list[str | Path]:
    return ["convert", papers, "--to", "txt", "--out", papers.parent / "out", "--jobs", str(AT_ONCE), *more]


@pytest.mark.faults("CL-01", "CL-03")
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_one_signal_stops_in_order(papers, name, code):
    slow = Slow(AT_ONCE)
    with ScriptedService() as service:
        service.always("status", Step(slow.act))
        process = start(*words(papers, "--json"), env=account(service.origin))
        assert slow.full.wait(LIMIT)
        began = time.monotonic()
        process.send_signal(getattr(signal, name))
        done = ended(process)
        took = time.monotonic() - began
        assert done.code == code
        assert took < SOON
        assert f"Stopping, {AT_ONCE} in flight, run the same command to go on." in done.err
        assert "Traceback" not in done.err
        assert (service.count("preupload"), service.paid) == (AT_ONCE, AT_ONCE), "nothing that was queued went out"
        assert check_ledger() == ["submitted"] * AT_ONCE
        kinds = [row["error"]["type"] for row in done.json]
        assert (kinds.count("Interrupted"), kinds.count("NotDone")) == (AT_ONCE, DOCUMENTS - AT_ONCE)
        assert {row["error"]["exit"] for row in done.json} == {code}

        service.always("status", None)
        again = doc2x(*words(papers), env=account(service.origin))
        assert (again.code, len(again.lines)) == (0, DOCUMENTS), again.err
        assert (service.paid, len(service.stored)) == (DOCUMENTS, DOCUMENTS), "each was sent and paid once"


@pytest.mark.faults("CL-03")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no terminals that can be opened from here")
@pytest.mark.parametrize("hangs_up", [True, False], ids=["hung-up", "left-alone"])
def test_a_terminal_that_is_closed_ends_it_in_order_or_not_at_all(papers, hangs_up):
    slow = Slow(AT_ONCE)
    with ScriptedService() as service:
        service.always("status", Step(slow.act))
        ours, its = os.openpty()
        process = start(*words(papers), env=account(service.origin), stdout=its, stderr=its)
        os.close(its)
        assert slow.full.wait(LIMIT)
        os.close(ours)  # without a session of its own nobody is told
        if hangs_up:
            process.send_signal(signal.SIGHUP)
        else:
            service.always("status", None)
        try:
            code = process.wait(LIMIT)
        finally:
            process.kill()
        assert code == (129 if hangs_up else 0)
        if hangs_up:
            assert check_ledger() == ["submitted"] * AT_ONCE
        else:
            assert len(list((papers.parent / "out").glob("*.txt"))) == DOCUMENTS


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no terminals that can be opened from here")
def test_a_long_message_above_the_bar_is_not_broken_into_lines(tmp_path, papers):
    broken = tmp_path / ("a-name-that-takes-more-than-a-line" * 4) / "broken.pdf"
    broken.parent.mkdir()
    broken.write_bytes(b"%PDF-1.4 and no more")
    ours, its = os.openpty()
    with ScriptedService() as service:
        env = account(service.origin, COLUMNS="80", TERM="xterm")
        process = start("convert", broken, papers / "1.pdf", "--out", tmp_path, env=env, stderr=its)
        os.close(its)
        said = b""
        with suppress(OSError):  # what Linux says at the end of a terminal
            while block := os.read(ours, 65536):
                said += block
        os.close(ours)
        process.communicate(timeout=LIMIT)
    assert process.returncode == 8
    assert f"{broken}: The PDF is broken and can't be opened.".encode() in said


@pytest.mark.faults("CL-01", "CL-03")
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_during_uploads_pays_nothing_twice(papers, name, code):
    held = Held()
    with ScriptedService() as service:
        service.on("put", *[Done(Step(held.act))] * AT_ONCE)
        process = start(*words(papers), env=account(service.origin))
        for _ in range(AT_ONCE):
            assert held.begun.acquire(timeout=LIMIT)
        began = time.monotonic()
        process.send_signal(getattr(signal, name))
        done = ended(process)
        took = time.monotonic() - began
        held.release.set()
        assert (done.code, took < SOON) == (code, True), done.err
        assert service.count("preupload") == AT_ONCE
        assert check_ledger() == ["uploading"] * AT_ONCE

        again = doc2x(*words(papers), env=account(service.origin))
        assert again.code == 0, again.err
        assert (service.paid, len(service.stored)) == (DOCUMENTS, DOCUMENTS)


@pytest.mark.faults("CL-02")
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_the_second_ends_it_at_once(papers, name, code):
    held = Held()
    with ScriptedService() as service:
        service.on("put", *[Done(Step(held.act))] * AT_ONCE)
        process = start(*words(papers, "--json"), env=account(service.origin))
        for _ in range(AT_ONCE):
            assert held.begun.acquire(timeout=LIMIT)
        process.send_signal(getattr(signal, name))
        assert process.stderr is not None
        for line in process.stderr:
            if b"Stopping" in line:
                break
        process.send_signal(getattr(signal, name))
        done = ended(process)
        held.release.set()
        assert (done.code, done.out) == (code, ""), "it did not wait for the uploads, nor for its own report"
        assert check_ledger() == ["uploading"] * AT_ONCE

        again = doc2x(*words(papers), env=account(service.origin))
        assert again.code == 0, again.err
        assert (service.paid, len(service.stored)) == (DOCUMENTS, DOCUMENTS)


@pytest.mark.faults("CL-03")
def test_a_signal_that_the_parent_ignores_stays_ignored(papers):
    slow = Slow(AT_ONCE)
    with ScriptedService() as service:
        service.always("status", Step(slow.act))
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            process = start(*words(papers), env=account(service.origin))
        finally:
            signal.signal(signal.SIGHUP, before)
        assert slow.full.wait(LIMIT)
        process.send_signal(signal.SIGHUP)
        service.always("status", None)
        done = ended(process)
    assert (done.code, len(done.lines)) == (0, DOCUMENTS)
