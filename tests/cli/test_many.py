"""`doc2x convert` over many documents, and what it would cost."""

import hashlib
import re
import threading
from pathlib import Path

import pytest

from doc2x_sdk.cli.inputs import Item
from doc2x_sdk.cli.rows import NotDone, Row
from doc2x_sdk.cli.run import Run
from doc2x_sdk.errors import DiskFull
from tests.cli.command import EXAMPLE, UID, account, doc2x, refused
from tests.support.scripted import ScriptedServer, Step, close, reply, reset
from tests.support.scripted_service import PICTURE, ScriptedService, failed, make_pdf


@pytest.fixture
def papers(tmp_path):
    """Three documents of one page, one of them twice."""
    folder = tmp_path / "papers"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.pdf").write_bytes(make_pdf(mark=name))
    (folder / "copy.pdf").write_bytes((folder / "a.pdf").read_bytes())
    return folder


@pytest.fixture
def long(papers):
    """A document of three pages."""
    path = papers / "long.pdf"
    path.write_bytes(make_pdf(3, mark="long"))
    return path


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.faults("CL-07")
def test_a_finished_batch_has_nothing_to_do(tmp_path, papers):
    words = ["convert", papers, "--to", "txt", "--to", "md", "--out", tmp_path / "out"]
    with ScriptedService() as service:
        first = doc2x(*words, env=account(service.origin))
        assert (first.code, len(first.lines)) == (0, 8), first.err
        assert re.search(r"^\d\d:\d\d:\d\d \[1/4\] ", first.err, re.MULTILINE), "a log tells when"
        assert service.paid == 3, "the copy is not paid for"
        before, asked = times(tmp_path / "out"), len(service.server.requests)
        again = doc2x(*words, env=account(service.origin))
        as_json = doc2x(*words, "--json", env=account(service.origin))
    assert (again.code, again.out) == (0, "")
    assert "4 documents: nothing to do" in again.err
    assert [row["skipped"] for row in as_json.json] == [["txt", "md"]] * 4
    assert times(tmp_path / "out") == before
    assert len(service.server.requests) == asked, "nothing is asked for what is there"


def test_what_failed_in_a_batch_is_told_with_the_time(tmp_path, papers):
    (papers / "broken.pdf").write_bytes(b"%PDF-1.4 and no more")
    with ScriptedService() as service:
        done = doc2x("convert", papers, "--to", "txt", "--out", tmp_path / "out", env=account(service.origin))
        alone = doc2x("convert", papers / "broken.pdf", "--out", tmp_path / "out", env=account(service.origin))
    assert (done.code, alone.code) == (8, 5)
    assert re.search(r"^Error: \d\d:\d\d:\d\d .*broken\.pdf: ", done.err, re.MULTILINE)
    assert alone.err.startswith(f"Error: {papers / 'broken.pdf'}: ")


@pytest.mark.faults("CL-07")
def test_one_finished_document_has_nothing_to_do(tmp_path):
    words = ["convert", EXAMPLE, "--to", "txt", "--out", tmp_path / "out"]
    with ScriptedService(pages=2) as service:
        assert doc2x(*words, env=account(service.origin)).code == 0
        before, asked = times(tmp_path / "out"), len(service.server.requests)
        again = doc2x(*words, env=account(service.origin))
    assert (again.code, again.out) == (0, "")
    assert "nothing to do" in again.err
    assert (times(tmp_path / "out"), len(service.server.requests)) == (before, asked)


@pytest.mark.faults("CL-07")
def test_results_below_their_inputs_are_not_paid_for_by_the_next_run(papers):
    words = ["convert", papers, "--out", papers / "out"]
    with ScriptedService() as service:
        assert doc2x(*words, env=account(service.origin)).code == 0
        assert len(list(papers.glob("out/*_images/*.jpg"))) == 4
        again = doc2x(*words, env=account(service.origin))
        assert service.paid == 3
    assert again.code == 0
    assert "The pictures of results are left out: " in again.err
    assert "a_images and 3 more" in again.err


@pytest.mark.faults("FS-09")
def test_of_one_name_the_first_by_path_keeps_it_whatever_the_order(tmp_path):
    paths = [tmp_path / name for name in ("a/x.pdf", "b/X.pdf", "c/y.pdf")]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(make_pdf(mark=str(path)))
    mark = hashlib.sha256(paths[1].read_bytes()).hexdigest()[:8]
    with ScriptedService() as service:
        done = doc2x("convert", *reversed(paths), "--to", "txt", "--out", tmp_path / "out", env=account(service.origin))
    assert done.code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(["x.txt", f"X-{mark}.txt", "y.txt"])


def test_the_report_is_in_the_order_of_the_inputs(tmp_path, papers):
    order = [papers / name for name in ("b.pdf", "none.pdf", "c.pdf", "a.pdf")]
    with ScriptedService() as service:
        done = doc2x("convert", *order, "--to", "txt", "--out", tmp_path, "--json", env=account(service.origin))
    assert done.code == 8
    assert [row["source"] for row in done.json] == [str(path) for path in order]
    assert "4 documents: 3 done, 1 failed; 3 pages." in done.err


@pytest.mark.faults("CL-05")
def test_fail_fast_begins_nothing_more(tmp_path, papers):
    words = ["convert", papers, "--to", "txt", "--out", tmp_path / "out", "--jobs", "1", "--fail-fast", "--json"]
    with ScriptedService() as service:
        service.on("status", failed("parse_file_lock"))
        done = doc2x(*words, env=account(service.origin))
        assert (done.code, service.paid) == (8, 1)
        kinds = sorted(row["error"]["type"] for row in done.json)
        assert kinds == ["NotDone", "NotDone", "NotDone", "TaskFailed"]
        kept = doc2x("convert", papers, "--to", "txt", "--out", tmp_path / "out", env=account(service.origin))
        assert (kept.code, service.paid) == (8, 3)
        assert "--retry-failed" in kept.err
        retried = doc2x(*words[:-1], "--retry-failed", env=account(service.origin))
        assert (retried.code, service.paid) == (0, 4)


@pytest.mark.faults("CL-05")
def test_a_budget_is_not_passed(tmp_path, papers):
    words = ["convert", papers, "--to", "txt", "--out", tmp_path / "out", "--jobs", "1"]
    with ScriptedService() as service:
        done = doc2x(*words, "--max-pages", "2", env=account(service.origin))
        assert done.code == 4
        assert service.paid == 2
        assert "--max-pages" in done.err
        assert doc2x(*words, "--max-pages", "1", env=account(service.origin)).code == 0
        assert service.paid == 3
        one = doc2x("convert", EXAMPLE, "--max-pages", "1", "--out", tmp_path / "out", env=account(service.origin))
        assert (one.code, service.paid) == (4, 3)


@pytest.mark.faults("AP-04")
@pytest.mark.parametrize("limit", ["budget", "quota"])
def test_what_budget_or_quota_refused_is_not_done_with_one_error_for_all(tmp_path, limit):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number}.pdf").write_bytes(make_pdf(mark=str(number)))
    words = ["convert", folder, "--to", "txt", "--out", tmp_path / "out", "--ledger", tmp_path / "ledger"]
    more = ["--max-pages", "5"] if limit == "budget" else []
    with ScriptedService() as service:
        if limit == "quota":
            service.on("preupload", *[None] * 5)
            service.always("preupload", failed("parse_quota_limit"))
        done = doc2x(*words, "--json", "--quiet", *more, env=account(service.origin))
        assert service.paid == 5
        kinds = [row["error"]["type"] for row in done.json if row["error"]]
        assert (done.code, kinds) == (4, ["NotDone"] * 25)
        assert done.err.count("Error:") == 1, done.err
        assert ("--max-pages" if limit == "budget" else "Top up") in done.err
        again = doc2x(*words, *more, env=account(service.origin))
        assert again.code == 4
        assert again.err.count("Error:") == again.err.count("Stopped:") == 1
        assert "not done" in again.err
        assert " failed" not in again.err
        if limit == "quota":
            service.always("preupload", None)
        assert doc2x(*words, env=account(service.origin)).code == 0
        assert service.paid == 30


def test_force_pays_again(tmp_path, papers):
    words = ["convert", papers / "a.pdf", papers / "b.pdf", "--to", "txt", "--out", tmp_path / "out", "--overwrite"]
    with ScriptedService() as service:
        for more, paid in (([], 2), ([], 2), (["--force"], 4)):
            assert doc2x(*words, *more, env=account(service.origin)).code == 0
            assert service.paid == paid


def test_receipts_stand_in_the_file_of_choice(tmp_path, papers):
    ledger = tmp_path / "mine" / "receipts.sqlite3"
    words = ["convert", papers / "a.pdf", papers / "b.pdf", "--to", "txt", "--out", tmp_path / "out"]
    with ScriptedService() as service:
        assert doc2x(*words, "--ledger", ledger, env=account(service.origin)).code == 0
    assert len(doc2x("jobs", "--ledger", ledger).lines) == 2
    assert doc2x("jobs").lines == []


@pytest.mark.faults("CL-06")
def test_a_batch_without_a_ledger_does_not_begin(tmp_path, papers):
    (tmp_path / "file").write_text("in the way")
    words = ["convert", papers, "--out", tmp_path / "out", "--ledger", tmp_path / "file" / "ledger"]
    with ScriptedService() as service:
        done = doc2x(*words, env=account(service.origin))
    assert (done.code, service.server.connections) == (11, 0)
    assert "--ledger" in done.err


@pytest.mark.faults("CL-05")
def test_what_may_have_been_paid_is_sent_again_on_purpose_only(tmp_path):
    picture = tmp_path / "sign.jpg"
    picture.write_bytes(PICTURE + bytes(200))
    words = ["convert", picture, "--to", "txt", "--out", tmp_path / "out"]
    with ScriptedService() as service:
        env = account(service.origin)
        service.on("image", reset())
        for _ in range(2):
            done = doc2x(*words, env=env)
            assert (done.code, service.count("image")) == (9, 1)
        quoted = doc2x(*words, "--dry-run", "--json", env=env)
        assert (quoted.code, quoted.json["counts"]) == (9, {"unknown": 1})
        [row] = doc2x("jobs", "--state", "unknown", "--json").json
        assert row["reason"]
        done = doc2x(*words, "--retry-unknown", env=env)
        assert (done.code, service.count("image")) == (0, 2)


# what it would cost


def test_a_dry_run_tells_the_cost_and_sends_nothing(tmp_path, papers, long):
    (papers / "broken.pdf").write_bytes(b"%PDF-1.7\nbroken")
    words = ["convert", papers, papers / "none.pdf", "--to", "txt", "--out", tmp_path / "out", "--dry-run"]
    with ScriptedService() as service:
        env = account(service.origin)
        assert doc2x("convert", papers / "b.pdf", "--to", "json", "--out", tmp_path, env=env).code == 0
        assert doc2x("convert", papers / "c.pdf", "--to", "txt", "--out", tmp_path / "out", env=env).code == 0
        asked = len(service.server.requests)
        done, as_json = doc2x(*words, env=env), doc2x(*words, "--json", env=env)
        assert len(service.server.requests) == asked
    assert done.code == as_json.code == 8
    assert "7 documents, 7 pages" in done.err
    assert "4 pages at most" in done.err
    verdicts = {row["source"].rpartition("/")[2]: row["verdict"] for row in as_json.json["documents"]}
    assert verdicts == {
        "a.pdf": "new",
        "b.pdf": "paid",
        "broken.pdf": "broken",
        "c.pdf": "done",
        "copy.pdf": "duplicate",
        "long.pdf": "new",
        "none.pdf": "missing",
    }
    assert (as_json.json["files"], as_json.json["pages"], as_json.json["to_pay"]) == (7, 7, 4)
    assert done.lines[0].split("\t")[:4] == [str(papers / "a.pdf"), "1", "1", "new"]


def test_a_dry_run_says_when_the_budget_is_too_small(tmp_path, papers, long):
    words = ["convert", papers, "--out", tmp_path / "out", "--dry-run"]
    with ScriptedService() as service:
        env = account(service.origin)
        assert doc2x(*words, "--max-pages", "6", env=env).code == 0
        done = doc2x(*words, "--max-pages", "5", "--json", env=env)
    assert (done.code, done.json["over_budget"], done.json["to_pay"]) == (4, True, 6)
    assert not (tmp_path / "out").exists()


def test_a_dry_run_of_pages(tmp_path, long):
    with ScriptedService() as service:
        words = ["convert", long, "--pages", "2-", "--dry-run", "--json", "--out", tmp_path]
        done = doc2x(*words, env=account(service.origin))
    assert (done.code, done.json["to_pay"]) == (0, 2)


# pages, generations, clusters


def test_only_the_chosen_pages_are_sent(tmp_path, service):
    before = service.stats().pages_parsed
    words = ["convert", EXAMPLE, "--pages", "2", "--to", "txt", "--out", tmp_path]
    done = doc2x(*words, env=account(service.url))
    assert (done.code, done.lines) == (0, [str(tmp_path / "paper.txt")])
    assert service.stats().pages_parsed - before == 1


@pytest.mark.faults("CL-06")
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["b.pdf", "--pages", "1"], "--pages"),
        (["--pages", "9-1"], "9-1"),
        (["--pages", "x"], "x"),
        (["--jobs", "0"], "--jobs"),
        (["--max-pages", "0"], "--max-pages"),
        (["--dask", "tcp://127.0.0.1:1"], "--local"),
        (["--api", "v3"], "--api"),
        (["--api", "v1", "--model", "v2"], "v1"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_option_is_2_without_a_request(papers, long, wrong, told):
    with ScriptedServer(reply(500)) as server:
        env = account(server.origin) | {"DOC2X_V1_BASE_URL": server.origin}
        done = doc2x("convert", long, *wrong, env=env, cwd=papers)
    assert (done.code, done.out, server.connections) == (2, "", 0), done.err
    assert told in done.err


@pytest.mark.faults("CL-06")
def test_pages_that_are_none_are_told_where_the_result_is_there(papers):
    (papers / "out").mkdir()
    (papers / "out" / "a.md").write_text("an earlier result")
    with ScriptedServer(reply(500)) as server:
        env = account(server.origin)
        done = doc2x("convert", "a.pdf", "--pages", "1;2", env=env, cwd=papers)
        empty = doc2x("convert", "a.pdf", "--pages", "", env=env, cwd=papers)
    assert (done.code, empty.code, server.connections) == (2, 2, 0)
    assert "no choice of pages" in done.err


@pytest.mark.faults("CL-06")
def test_v1_without_a_key_is_2(papers):
    done = doc2x("convert", papers / "a.pdf", "--api", "v1", cwd=papers)
    assert (done.code, done.out) == (2, "")
    assert "set-key" in done.err


def test_the_first_generation_converts_too(tmp_path, service):
    env = account("http://127.0.0.1:9", DOC2X_V1_BASE_URL=service.url)
    done = doc2x("convert", EXAMPLE, "--api", "v1", "--to", "txt", "--out", tmp_path, "--json", env=env)
    assert done.code == 0, done.err
    [row] = done.json
    assert row["files"] == {"txt": str(tmp_path / "paper.txt")}
    status = doc2x("status", row["uid"], "--api", "v1", env=env)
    assert "state\tsuccess" in status.lines
    words = status.err.partition("doc2x ")[2].split()
    assert words[-2:] == ["--api", "v1"]
    fetched = doc2x(*words, "--out", tmp_path / "more", env=env)
    assert (fetched.code, fetched.lines) == (0, [str(tmp_path / "more" / f"{row['uid']}.md")])


def test_many_by_the_first_generation_are_paid_once(tmp_path, papers, service):
    env = account("http://127.0.0.1:9", DOC2X_V1_BASE_URL=service.url)
    words = ["convert", papers, "--api", "v1", "--to", "txt", "--out", tmp_path / "out"]
    before = service.stats().pages_parsed
    assert doc2x(*words, env=env).code == 0
    again = doc2x(*words, env=env)
    assert (again.code, service.stats().pages_parsed - before) == (0, 3)
    assert "nothing to do" in again.err


def test_a_cluster_that_is_not_there_is_2(tmp_path):
    done = doc2x("convert", EXAMPLE, "--local", "--dask", "tcp://127.0.0.1:9", "--out", tmp_path / "out")
    assert (done.code, done.out) == (2, "")
    assert "127.0.0.1:9" in done.err
    assert "Traceback" not in done.err


@pytest.mark.faults("CL-05")
def test_a_refused_key_ends_a_batch(tmp_path, papers):
    with ScriptedServer(refused("unauthorized", 401)) as server:
        done = doc2x("convert", papers, "--jobs", "1", "--out", tmp_path / "out", env=account(server.origin))
    assert (done.code, len(server.requests)) == (3, 1)
    summary, stopped, advice = done.err.splitlines()[-3:]
    assert summary == "4 documents: 1 failed, 3 not done."
    assert stopped.startswith(f"Stopped: {papers / 'a.pdf'}: The service refused the key")
    assert "doc2x config set-key" in advice
    assert "The same command goes on" in advice


@pytest.mark.faults("TR-17")
@pytest.mark.parametrize(("jobs", "rest"), [(2, ", 1 not done"), (3, "")], ids=["one not begun", "all begun"])
def test_an_outage_that_ends_a_batch_is_told_as_such_and_what_is_paid_is_no_failure(tmp_path, papers, jobs, rest):
    (papers / "copy.pdf").write_bytes(b"%PDF-1.4 and no more")
    ledger = str(tmp_path / "ledger.sqlite3")
    words = ["convert", papers, "--to", "txt", "--jobs", str(jobs), "--out", tmp_path / "out", "--ledger", ledger]
    with ScriptedService() as service:

        def fall_silent(conversation, request):
            while service.paid < jobs:
                threading.Event().wait(0.01)
            close().action(conversation, request)

        service.always("status", Step(fall_silent))
        done = doc2x(*words, env=account(service.origin, DOC2X_OUTAGE="0.1", DOC2X_PATIENCE="0.1"))
        runs = doc2x("jobs", "runs", env={"DOC2X_LEDGER": ledger})
        service.always("status", None)
        again = doc2x(*words, env=account(service.origin))
        assert (again.code, service.paid) == (8, 3)
    assert done.code == 10
    summary, stopped, advice = done.err.splitlines()[-3:]
    counts = f"1 failed, {jobs} paid and to be fetched{rest}"
    assert summary.startswith(f"4 documents: {counts}. What is to be fetched is at the service")
    told = r"Stopped: The service gave no usable answer for \d+ s, since [\d:]{8}; the last cause: The "
    assert re.match(told, stopped)
    assert "`outage` (DOC2X_OUTAGE), here 0.1 s" in advice
    assert "The same command goes on" in advice
    assert runs.lines[0].split("\t")[4] == f"{counts}; stopped: {stopped.removeprefix('Stopped: ').rstrip('.')}"
    assert "`outage` (DOC2X_OUTAGE), here 0.1 s" in runs.err


@pytest.mark.faults("TR-17")
def test_what_an_outage_kept_from_being_sent_is_not_done_and_did_not_fail(tmp_path, papers):
    ledger = str(tmp_path / "ledger.sqlite3")
    words = ["convert", papers, "--to", "txt", "--json", "--out", tmp_path / "out", "--ledger", ledger]
    with ScriptedService() as service:
        service.always("preupload", close())
        done = doc2x(*words, env=account(service.origin, DOC2X_OUTAGE="0.1"))
        runs = doc2x("jobs", "runs", env={"DOC2X_LEDGER": ledger})
    assert done.code == 10
    assert [(row["error"]["type"], row["error"]["exit"]) for row in done.json] == [("NotDone", 10)] * 4
    assert "4 documents: 4 not done." in done.err.splitlines()
    assert "error:" not in done.err.casefold()
    assert runs.lines[0].split("\t")[4].startswith("4 not done; stopped: The service gave no usable answer for")


def test_what_ended_a_batch_leads_to_the_same_command_not_to_one_document(capsys):
    run = Run([Item(Path(name)) for name in "ab"], to=("md",), out="out", quiet=False, as_json=False)
    run.stopped = DiskFull("no space is left", source="a").about(uid=UID)
    run.add(Row("a", error=run.stopped))
    run.add(Row("b", error=NotDone(11, run.stopped)))
    assert run.finish() == 11
    err = capsys.readouterr().err
    assert f"then `doc2x fetch {UID} --to md`" in err, "of the document itself"
    assert "Free some space, then run the same command; nothing has to be paid again." in err.splitlines()[-1]
