"""`doc2x jobs`, `jobs show` and `jobs prune`: receipts, without a key and without a request."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.command import EXAMPLE, account, doc2x
from tests.support.scripted_service import ScriptedService, failed, make_pdf

WEEK = 7 * 24 * 3600.0


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """Receipts of a document that is done, of one that failed, and of one that nobody knows about."""
    path = tmp_path / "ledger.sqlite3"
    monkeypatch.setenv("DOC2X_LEDGER", str(path))
    for name in ("good", "bad"):
        (tmp_path / f"{name}.pdf").write_bytes(make_pdf(mark=name))
    with ScriptedService() as service:
        service.uids += ["another's"] * 100  # a test's own service begins its uids at 1
        env = account(service.origin)
        assert doc2x("convert", tmp_path / "good.pdf", "--to", "txt", "--out", tmp_path / "out", env=env).code == 0
        service.on("status", failed("parse_file_lock"))
        assert doc2x("convert", tmp_path / "bad.pdf", "--to", "txt", "--out", tmp_path / "out", env=env).code == 6
    return path


def states(done):
    return [(line.split("\t")[1], line.split("\t")[5]) for line in done.lines]


def test_the_newest_come_first_and_no_key_is_needed(ledger):
    done = doc2x("jobs")
    assert (done.code, done.err) == (0, "")
    assert states(done) == [("failed", "bad.pdf"), ("parsed", "good.pdf")]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--state", "parsed"], ["good.pdf"]),
        (["--state", "parsed", "--state", "failed"], ["bad.pdf", "good.pdf"]),
        (["--state", "unknown"], []),
        (["--unfinished"], ["bad.pdf"]),
        (["--source", "good.pdf"], ["good.pdf"]),
        (["--last", "1"], ["bad.pdf"]),
    ],
    ids=lambda value: "-".join(value).replace("--", ""),
)
def test_filters(ledger, words, expected):
    done = doc2x("jobs", *words)
    assert [name for _, name in states(done)] == expected
    assert [row["source"].rpartition("/")[2] for row in doc2x("jobs", *words, "--json").json] == expected
    assert ("No such document" in done.err) is (not expected)
    assert ("doc2x rescue" in done.err) is (words == ["--unfinished"])


def test_what_is_all_done_is_said_so(ledger, tmp_path):
    assert doc2x("convert", tmp_path / "bad.pdf", "--to", "txt", "--local", "--out", tmp_path / "out").code == 0
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("UPDATE result SET state = 'done'")
        connection.execute("UPDATE parse SET state = 'parsed'")
    done = doc2x("jobs", "--unfinished")
    assert (done.code, done.out, done.err) == (0, "", f"Nothing is unfinished in {ledger}.\n")


def test_a_format_is_told_once_whatever_the_number_of_places(ledger, tmp_path):
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("UPDATE parse SET uid_at = uid_at - ?", (WEEK,))  # another service, which knows of none
    with ScriptedService() as service:
        words = ["convert", tmp_path / "good.pdf", "--to", "txt", "--out", tmp_path / "more"]
        assert doc2x(*words, env=account(service.origin)).code == 0
    [line] = doc2x("jobs", "--state", "parsed").lines
    assert line.split("\t")[4] == "txt"


def test_what_the_service_has_forgotten_says_what_that_means(ledger):
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("UPDATE parse SET uid_at = uid_at - ?", (WEEK,))
    assert "All results were written." in doc2x("jobs", "show", "1").err
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("UPDATE result SET state = 'wanted'")
    assert "pays for it again" in doc2x("jobs", "show", "1").err


def test_a_result_that_was_taken_away_is_told(ledger):
    assert "\tdone\t" in doc2x("jobs", "show", "1").out
    [row] = doc2x("jobs", "--state", "parsed", "--json").json
    Path(row["results"][0]["target"]).unlink()
    assert "\tdone, and gone since\t" in doc2x("jobs", "show", "1").out


def test_a_line_of_json_each_whatever_the_locale(tmp_path, ledger):
    named = tmp_path / "论文.pdf"
    named.write_bytes(make_pdf(mark="named"))
    with ScriptedService() as service:
        assert doc2x("convert", named, "--to", "txt", "--out", tmp_path, env=account(service.origin)).code == 0
    done = doc2x("jobs", "--export", "jsonl", env={"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"})
    rows = [json.loads(line) for line in done.raw.decode("utf-8").splitlines()]
    assert [row["source"].rpartition("/")[2] for row in rows] == ["good.pdf", "bad.pdf", "论文.pdf"]
    assert rows[0]["results"][0]["state"] == "done"
    assert rows[0]["uid"]
    assert len(doc2x("jobs", "--export", "jsonl", "--state", "failed").lines) == 1


def test_one_by_uid_and_by_number(tmp_path, ledger):
    [row] = doc2x("jobs", "--state", "parsed", "--json").json
    by_uid, by_number = doc2x("jobs", "show", row["uid"]), doc2x("jobs", "show", str(row["id"]))
    assert by_uid == by_number
    assert by_uid.code == 0
    facts = dict(line.split("\t")[:2] for line in by_uid.lines)
    assert (facts["state"], facts["pages"], facts["uid"]) == ("parsed", "1", row["uid"])
    assert facts["txt"] == "done"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", facts["last change"])
    assert str(tmp_path / "out" / "good.txt") in by_uid.out
    assert f"doc2x fetch {row['uid']}" in by_uid.err
    assert doc2x("jobs", "show", row["uid"], "--json").json == row


def test_what_failed_says_why_and_how_to_go_on(ledger):
    [row] = doc2x("jobs", "--state", "failed", "--json").json
    done = doc2x("jobs", "show", row["uid"])
    assert "code\tparse_file_lock" in done.lines
    assert "trace id\ttrace-4711" in done.lines
    assert "--retry-failed" in done.err


@pytest.mark.faults("CL-06")
@pytest.mark.parametrize("uid", ["0192d745-0000-0000-0000-000000000000", "99", "nonsense"])
def test_one_that_is_not_there_is_2(ledger, uid):
    done = doc2x("jobs", "show", uid)
    assert (done.code, done.out) == (2, "")
    assert uid in done.err


def test_without_a_ledger_there_is_nothing_and_none_is_made(tmp_path):
    missing = tmp_path / "none.sqlite3"
    for words in (["jobs"], ["jobs", "prune"], ["jobs", "--export", "jsonl"]):
        done = doc2x(*words, "--ledger", missing)
        assert (done.code, done.out) == (0, "")
    assert doc2x("jobs", "--ledger", missing, "--json").json == []
    assert not missing.exists()


def test_a_file_that_is_no_ledger_is_11(tmp_path):
    wrong = tmp_path / "notes.txt"
    wrong.write_text("no ledger " * 100)
    for words in (["jobs"], ["jobs", "prune"]):
        done = doc2x(*words, "--ledger", wrong)
        assert (done.code, done.out) == (11, "")
        assert "Traceback" not in done.err
    assert wrong.read_text() == "no ledger " * 100


def test_prune_forgets_what_is_old_and_keeps_what_may_be_owed(ledger, tmp_path):
    assert "0 receipts" in doc2x("jobs", "prune").err
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("UPDATE parse SET changed_at = changed_at - ?", (WEEK,))
    assert "0 receipts" in doc2x("jobs", "prune").err, "a week is less than the month"
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("UPDATE parse SET state = 'unknown' WHERE state = 'failed'")
    assert "1 receipts" in doc2x("jobs", "prune", "--days", "6").err
    assert states(doc2x("jobs")) == [("unknown", "bad.pdf")]
    assert (tmp_path / "out" / "good.txt").exists()
    [row] = doc2x("jobs", "--json").json
    assert "--retry-unknown" in doc2x("jobs", "show", str(row["id"])).err


@pytest.mark.faults("CL-06")
@pytest.mark.parametrize("wrong", [["--state", "lost"], ["--last", "0"], ["--export", "csv"], ["prune", "--days", "0"]])
def test_a_wrong_option_is_2(wrong):
    done = doc2x("jobs", *wrong)
    assert (done.code, done.out) == (2, "")


def test_a_ledger_named_before_the_subcommand_is_the_one_that_is_pruned(tmp_path, ledger):
    other = tmp_path / "other.sqlite3"
    with ScriptedService() as service:
        words = ["convert", tmp_path / "good.pdf", "--to", "txt", "--archive", "--out", tmp_path / "more"]
        for path in (ledger, other):
            env = account(service.origin) | {"DOC2X_LEDGER": str(path)}
            assert doc2x(*words, "--overwrite", "--force", env=env).code == 0
    done = doc2x("jobs", "--ledger", other, "prune", "--all", "--json")
    assert (done.code, done.json["archive"]["removed"], done.json["archive"]["left"]) == (0, 1, 0)
    assert doc2x("jobs", "prune", "--json").json["archive"]["left"] == 1
    assert doc2x("jobs", "--ledger", tmp_path / "none", "show", "1").code == 2
    assert doc2x("jobs", "--ledger", tmp_path / "none", "show", "1", "--ledger", other).code == 0, "the later one wins"
    told = doc2x("jobs", "--ledger", tmp_path / "none", "runs").err
    assert str(tmp_path / "none") in told


@pytest.mark.faults("CL-06")
@pytest.mark.parametrize(
    ("before", "below", "way"),
    [
        (["--json"], "runs", "Put it behind 'runs'"),
        (["--last", "1"], "runs", "Put it behind 'runs'"),
        (["--unfinished"], "prune", "Leave it out"),
        (["--state", "parsed"], "prune", "Leave it out"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_an_option_before_a_subcommand_does_not_get_lost(ledger, before, below, way):
    done = doc2x("jobs", *before, below)
    assert (done.code, done.out) == (2, "")
    assert f"{before[0]} does nothing before '{below}'. {way}." in done.err


def test_what_this_machine_converted_is_kept_by_no_service(tmp_path):
    assert doc2x("convert", EXAMPLE, "--to", "txt", "--local", "--out", tmp_path / "out").code == 0
    done = doc2x("jobs", "show", "1")
    facts = dict(line.split("\t")[:2] for line in done.lines)
    assert facts["account"] == "local"
    assert "kept until" not in facts
    assert "nothing was paid" in done.err


@pytest.mark.parametrize("name", ["{stem}", "{uid}"])
def test_what_a_wrong_key_left_is_finished_once_the_right_key_has_done_it(name, tmp_path, ledger):
    papers = tmp_path / "papers"
    papers.mkdir()
    for mark in "abc":
        (papers / f"{mark}.pdf").write_bytes(make_pdf(mark=mark))
    words = ["convert", papers, "--to", "txt", "--out", tmp_path / "out", "--name", name, "--jobs", "1"]
    unfinished = ["jobs", "--unfinished", "--source", "papers"]
    with ScriptedService() as service:
        service.on("preupload", failed("unauthorized", 401))
        assert doc2x(*words, env=account(service.origin, DOC2X_APIKEY="sk-wrong")).code == 3
        (papers / "a.pdf").rename(tmp_path / "a.pdf")
        assert doc2x(*words, env=account(service.origin)).code == 0
        assert states(doc2x(*unfinished)) == [("planned", "a.pdf")], "it is still to be done"
        (tmp_path / "a.pdf").rename(papers / "a.pdf")
        assert doc2x(*words, env=account(service.origin)).code == 0
    assert states(doc2x(*unfinished)) == []


def test_one_that_was_refused_before_it_was_paid_says_why(tmp_path, ledger):
    paper = tmp_path / "poor.pdf"
    paper.write_bytes(make_pdf(mark="poor"))
    with ScriptedService() as service:
        service.on("preupload", failed("parse_quota_limit"))
        assert doc2x("convert", paper, "--to", "txt", "--out", tmp_path, env=account(service.origin)).code == 4
    [row] = doc2x("jobs", "--unfinished", "--source", "poor.pdf", "--json").json
    shown = doc2x("jobs", "show", str(row["id"]))
    facts = dict(line.split("\t")[:2] for line in shown.lines)
    assert (facts["state"], facts["reason"]) == ("planned", "No pages are left on this account")
    assert (facts["code"], facts["trace id"]) == ("parse_quota_limit", "trace-4711")
    assert "Nothing was paid for it. `doc2x convert` sends it." in shown.err
