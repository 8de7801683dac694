"""`doc2x rescue`: what was paid for and is not there, fetched without another page paid."""

import signal
import sqlite3
import sys
from contextlib import closing

import pytest

from doc2x_sdk.ledger.ledger import Ledger
from doc2x_sdk.ledger.rows import ParseKey
from tests.cli.command import Working, account, doc2x, ended, start
from tests.support.scripted import ScriptedServer, reply
from tests.support.scripted_service import ScriptedService, failed, make_pdf


@pytest.fixture
def lost(tmp_path, monkeypatch):
    """A service with two documents that were paid for and whose export failed."""
    monkeypatch.setenv("DOC2X_LEDGER", str(tmp_path / "ledger.sqlite3"))
    for name in "ab":
        (tmp_path / f"{name}.pdf").write_bytes(make_pdf(mark=name))
    with ScriptedService() as service:
        service.always("export", failed("parse_file_lock"))
        out = ["--to", "tex", "--out", tmp_path / "out"]
        done = doc2x("convert", tmp_path / "a.pdf", tmp_path / "b.pdf", *out, env=account(service.origin))
        assert (done.code, service.paid) == (8, 2)
        service.always("export", None)
        yield service


def test_everything_comes_to_where_it_was_meant_to_go(tmp_path, lost):
    done = doc2x("rescue", env=account(lost.origin))
    assert (done.code, sorted(done.lines)) == (0, [str(tmp_path / "out" / name) for name in ("a.tex", "b.tex")])
    assert lost.paid == 2
    again = doc2x("rescue", env=account(lost.origin))
    assert (again.code, again.out) == (0, "")
    assert (
        again.err == "Nothing to rescue: all that the account of this key paid for in the last 24 hours was written.\n"
    )


def test_what_is_left_alone_is_told(tmp_path, lost):
    ledger = tmp_path / "ledger.sqlite3"
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("UPDATE parse SET uid_at = uid_at - 90000 WHERE source LIKE '%a.pdf'")
        [(account_name, digest, options)] = connection.execute(
            "SELECT account, sha256, options FROM parse WHERE source LIKE '%b.pdf'"
        )
    with (
        closing(Ledger(ledger)) as other,
        other.claim(ParseKey(account_name, digest, options), source="b.pdf", size=1, pages=1),
    ):
        done = doc2x("rescue", env=account(lost.origin))
    assert (done.code, done.out) == (0, "")
    assert "Left to another process, which works on them: 1." in done.err
    assert "Sent more than 24 hours ago by this machine's clock, and not fetched: 1." in done.err


def test_into_one_folder_as_json(tmp_path, lost):
    done = doc2x("rescue", "--out", tmp_path / "saved", "--json", env=account(lost.origin))
    assert done.code == 0
    files = sorted(row["files"]["tex"] for row in done.json)
    assert files == [str(tmp_path / "saved" / name) for name in ("a.tex", "b.tex")]
    assert not (tmp_path / "out" / "a.tex").exists()


@pytest.mark.faults("CL-05")
def test_what_can_not_be_had_is_told_and_the_rest_comes(lost):
    lost.on("export", failed("parse_file_lock"))
    done = doc2x("rescue", env=account(lost.origin))
    assert (done.code, len(done.lines)) == (8, 1)
    assert "2 documents: 1 done, 1 failed" in done.err


def test_what_the_service_still_has_did_not_fail(tmp_path, lost):
    lost.on("download", reply(503))
    done = doc2x("rescue", "--jobs", "1", env=account(lost.origin, DOC2X_PATIENCE="0.1"))
    assert len(done.lines) == 1
    assert "2 documents: 1 done, 1 paid and to be fetched; 1 pages. What is to be fetched is at" in done.err


@pytest.mark.faults("CL-01", "CL-03")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one child")
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_tells_what_was_fetched_and_what_remains(tmp_path, lost, name, code):
    working = Working()
    lost.on("result", None)  # the first comes, the second never does
    lost.always("result", working.step)
    process = start("rescue", "--json", "--jobs", "1", env=account(lost.origin))
    assert working.asked.wait(60.0)
    process.send_signal(getattr(signal, name))
    done = ended(process)
    assert (done.code, len(done.json)) == (code, 2), done.err
    assert "Run the same command to go on" in done.err
    assert "Traceback" not in done.err
    fetched, left = done.json
    assert (list(fetched["files"]), fetched["error"]) == (["tex"], None)
    assert (left["files"], left["error"]["type"], left["error"]["exit"]) == ({}, "NotFetched", code)
    assert {fetched["uid"], left["uid"]} == set(lost.uids)

    lost.always("result", None)
    again = doc2x("rescue", env=account(lost.origin))
    assert (again.code, len(again.lines), lost.paid) == (0, 1, 2)


def test_nothing_to_rescue_is_an_empty_list(tmp_path):
    with ScriptedServer(reply(500)) as server:
        done = doc2x("rescue", "--json", env=account(server.origin))
    assert (done.code, done.json, server.connections) == (0, [], 0)


@pytest.mark.faults("CL-06")
@pytest.mark.parametrize("wrong", [["--to", "nonsense"], ["--api", "v9"]], ids="-".join)
def test_a_wrong_option_is_2_without_a_request(lost, wrong):
    before = lost.server.connections
    done = doc2x("rescue", *wrong, env=account(lost.origin))
    assert (done.code, done.out, lost.server.connections) == (2, "", before)


@pytest.mark.faults("CL-06")
def test_without_a_key_it_is_2_without_a_request(lost):
    before = lost.server.connections
    done = doc2x("rescue", env={"DOC2X_BASE_URL": lost.origin})
    assert (done.code, done.out, lost.server.connections) == (2, "", before)
    assert "set-key" in done.err
