"""`doc2x jobs runs`: what became of batches, for whoever has neither terminal nor log."""

import json
import os
import shlex
import signal
import stat
import threading
from pathlib import Path

import pytest

from doc2x_sdk.cli.record import LONGEST, Ended, read_runs, record_of, recorded
from doc2x_sdk.errors import LedgerError
from tests.cli.command import LIMIT, Working, account, doc2x, ended, refused, start
from tests.support.scripted import ScriptedServer
from tests.support.scripted_service import ScriptedService, make_pdf
from tests.support.wire import KEY


@pytest.fixture
def papers(tmp_path):
    folder = tmp_path / "my papers"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.pdf").write_bytes(make_pdf(mark=name))
    return folder


def words(papers, *more):
    return ["convert", papers, "--to", "txt", "--out", papers.parent / "out", "--jobs", "1", *more]


def test_what_stopped_a_batch_is_there_the_day_after(tmp_path, papers, ledger):
    assert "No batch is written down" in doc2x("jobs", "runs").err
    with ScriptedServer(refused("unauthorized", 401)) as server:
        assert doc2x(*words(papers), "--quiet", env=account(server.origin), cwd=tmp_path).code == 3
    done = doc2x("jobs", "runs")
    [row] = [line.split("\t") for line in done.lines]
    assert row[2:4] == ["3", "3"]
    assert row[4].startswith(f"1 failed, 2 not done; stopped: {papers / 'a.pdf'}: The service refused the key")
    assert "trace id trace-4711" in row[4]
    assert "doc2x config set-key" in done.err
    line = done.err.splitlines()[-1].strip()
    assert shlex.split(line) == ["doc2x", *map(str, words(papers)), "--quiet"]
    assert f"in {tmp_path}:" in done.err

    with ScriptedService() as service:
        assert doc2x(*words(papers), env=account(service.origin)).code == 0
    done = doc2x("jobs", "runs")
    assert [line.split("\t")[3:] for line in done.lines] == [["0", "3 done"], row[3:]]
    assert done.err == "", "the newest ended well"
    [newest] = doc2x("jobs", "runs", "--last", "1", "--json").json
    assert newest["end"] == {"exit": 0, "counts": {"done": 3, "pages": 3}, "stopped": None}
    assert KEY not in record_of(ledger).read_text()
    if os.name == "posix":
        assert stat.S_IMODE(record_of(ledger).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("SIGINT", "1 in flight, 2 not done; stopped by Ctrl-C"),
        ("SIGKILL", "no end was written: it was killed, or the machine went down"),
    ],
)
def test_a_batch_that_was_ended_from_outside_is_told(papers, ledger, name, told):
    working = Working()
    with ScriptedService() as service:
        service.always("status", working.step)
        process = start(*words(papers), env=account(service.origin))
        assert working.asked.wait(LIMIT)
        assert doc2x("jobs", "runs").lines[0].split("\t")[3:] == ["", "at work"]
        process.send_signal(getattr(signal, name))
        ended(process)
    done = doc2x("jobs", "runs")
    assert done.lines[0].split("\t")[4] == told
    assert "To go on" in done.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("more", [[], ["--json"]], ids=["paths", "json"])
def test_output_that_cannot_be_written_ends_a_batch_and_is_its_end(papers, ledger, unbuffered, more):
    with ScriptedService() as service, open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        env = account(service.origin) | {"PYTHONUNBUFFERED": unbuffered}
        done = ended(start(*words(papers, *more), stdout=full, env=env))
        assert done.code == 11
        assert "Error: Standard output can't be written: No space left on device" in done.err
        for listing in (["jobs"], ["jobs", "--export", "jsonl"]):
            assert ended(start(*listing, stdout=full, env=env)).code == 11, listing
    [row] = doc2x("jobs", "runs", "--json").json
    assert row["end"]["exit"] == 11
    assert row["end"]["stopped"]["type"] == "OutputError"


def line_told(err):
    line = err.splitlines()[-1]
    assert line.startswith("  doc2x convert ")
    return shlex.split(line)[1:]


def test_the_line_that_goes_on_pays_nothing_again_and_makes_the_same_names(tmp_path, papers, ledger):
    working = Working()
    with ScriptedService() as service:
        service.always("status", working.step)
        wanted = ["--model", "v3-2026", "--name", "x {stem}", "--clean", "--no-archive", "-o", "out"]
        process = start("convert", *wanted, papers.name, "--jobs", "1", env=account(service.origin), cwd=tmp_path)
        assert working.asked.wait(LIMIT)
        process.kill()
        ended(process)
        service.always("status", None)
        told = doc2x("jobs", "runs", "--last", "1", cwd=tmp_path).err
        assert "To go on with the newest:\n" in told, "nobody has to change the folder"
        assert doc2x(*line_told(told), env=account(service.origin), cwd=tmp_path).code == 0
        assert service.paid == 3
    assert {path.name for path in (tmp_path / "out").glob("*.md")} == {"x a.md", "x b.md", "x c.md"}


def test_a_password_in_a_url_is_not_written_down_and_the_ledger_asked_for_is_in_the_line(tmp_path, papers, ledger):
    secret = "://me:hunter2@host/"
    with ScriptedServer(refused("unauthorized", 401)) as server:
        given = [papers, f"https{secret}x.pdf", "--name", f"{{stem}}s3{secret}", "--force", "--tables", "pipe"]
        doc2x("convert", *given, env=account(server.origin), cwd=tmp_path)
    assert "hunter2" not in record_of(ledger).read_text()
    done = doc2x("jobs", "runs", "--ledger", "state/ledger.sqlite3", cwd=tmp_path, env={"DOC2X_LEDGER": ""})
    name = "{stem}s3://***@host/"
    url = "https://***@host/x.pdf"
    kept = ["convert", str(papers), url, "--name", name, "--force", "--tables", "pipe", "--ledger", str(ledger)]
    assert line_told(done.err) == kept
    assert "With --force it pays again" in done.err
    assert "***@ stands for a user and password" in done.err


def test_the_line_of_very_many_inputs_is_short_and_holds_all_options(tmp_path, papers, ledger):
    (tmp_path / "-d.pdf").write_bytes(make_pdf(mark="d"))
    inputs = [f"missing{number}.pdf" for number in range(400)]
    with ScriptedServer(refused("unauthorized", 401)) as server:
        env = account(server.origin)
        doc2x("convert", papers, *inputs, "--clean", "--ledger", ledger, env=env, cwd=tmp_path)
        line = doc2x("jobs", "runs", "--ledger", ledger, cwd=tmp_path).err.splitlines()[-1]
        assert line.endswith(f"missing48.pdf --ledger {ledger} --clean  # and the other 351 inputs")
        assert shlex.split(line, comments=True)[-4:] == ["missing48.pdf", "--ledger", str(ledger), "--clean"]
        assert record_of(ledger).stat().st_size < 8000
        doc2x("convert", "--ledger", ledger, "--", papers.name, "-d.pdf", env=env, cwd=tmp_path)
        done = doc2x("jobs", "runs", "--ledger", ledger, cwd=tmp_path)
    assert line_told(done.err) == ["convert", "--ledger", str(ledger), "--", papers.name, "-d.pdf"]


def test_a_batch_of_an_older_version_is_told_with_what_it_wrote_down(papers, ledger):
    ledger.parent.mkdir()
    began = {"documents": 2, "inputs": ["p"], "more_inputs": 0, "to": ["md"], "out": "b", "folder": "/there"}
    record_of(ledger).write_text(json.dumps({"run": "x", "at": 5.0, "began": began}) + "\n")
    done = doc2x("jobs", "runs")
    assert line_told(done.err) == ["convert", "p", "--to", "md", "--out", "b"]
    assert "in /there and with the other options that it had:" in done.err
    assert doc2x("jobs", "runs", "--json").json[0]["options"] is None


def test_one_document_has_its_receipt_alone(papers, ledger):
    with ScriptedService() as service:
        assert doc2x(*words(papers / "a.pdf"), env=account(service.origin)).code == 0
    assert not record_of(ledger).exists()


# the record itself


@pytest.fixture
def there(ledger):
    ledger.parent.mkdir()
    ledger.touch()
    return ledger


def run(ledger, error=None, inputs=("papers",)):
    with recorded(
        ledger,
        inputs,
        documents=len(inputs),
        to=("md",),
        out="out",
        options=(),
        end=lambda: Ended(8, {"done": 1, "failed": 1}),
    ):
        if error is not None:
            raise error


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (LedgerError("it is gone"), 11, "it is gone"),
        (BrokenPipeError(), 141, None),
        (KeyboardInterrupt(), 130, None),
        (ValueError("of a private document"), 1, None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_what_was_raised_is_the_end(there, error, code, message):
    with pytest.raises(type(error)):
        run(there, error)
    [row] = read_runs(there)
    assert row.end is not None
    assert (row.end.exit, row.end.counts) == (code, {"done": 1, "failed": 1})
    assert row.end.stopped is not None
    assert (row.end.stopped["type"], row.end.stopped["message"]) == (type(error).__name__, message)
    assert "private" not in record_of(there).read_text()


def test_a_long_record_makes_room_and_what_is_no_line_of_it_is_passed_over(there):
    run(there, inputs=tuple(map(str, range(57))))
    run(there)
    with record_of(there).open("a") as file:
        file.write('[1]\n{"at": 1}\n{"run": "x", "at": 2, "began": {"documents": "many"}}\n')
        file.write('{"run": "x", "at": 2, "ended": {"of another version": 1}}\n')
        file.write("\ud7ff" * LONGEST)
    run(there)
    assert record_of(there).stat().st_size < LONGEST
    rows = read_runs(there)
    assert [row.documents for row in rows] == [1, 1, 57]
    assert (rows[2].inputs, rows[2].more_inputs) == (tuple(map(str, range(50))), 7)
    run(there)
    record_of(there).write_text(json.dumps({}) + "\n" + "x" * LONGEST + "\n")
    run(there)
    assert len(read_runs(there)) == 1, "what is older than that is gone"


def test_batches_side_by_side_have_a_record_each(there):
    inside = threading.Barrier(4)

    def one():
        with recorded(there, ["p"], documents=2, to=("md",), out="o", options=(), end=lambda: Ended(0)):
            inside.wait(LIMIT)
            assert [row.running for row in read_runs(there)] == [True] * 4
            inside.wait(LIMIT)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert [row.end for row in read_runs(there)] == [Ended(0)] * 4


def test_a_record_that_cannot_be_written_stops_nothing(there, tmp_path):
    record_of(there).mkdir()
    run(there)
    missing = tmp_path / "no" / "ledger.sqlite3"
    run(missing)
    assert not missing.parent.exists()
    assert read_runs(there) == []
    assert Path(there).exists()
