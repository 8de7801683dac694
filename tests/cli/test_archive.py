"""`--archive` and what `doc2x jobs prune` does about it."""

import os
import time

import pytest

from doc2x_sdk.cli.receipts import bytes_text
from tests.cli.command import account, doc2x
from tests.flow.folders import tree
from tests.support.scripted_service import ScriptedService, make_pdf

DAY = 24 * 3600.0


@pytest.fixture
def service():
    with ScriptedService() as one:
        yield one


@pytest.fixture
def papers(tmp_path):
    """Four documents."""
    folder = tmp_path / "papers"
    folder.mkdir()
    for number in range(4):
        (folder / f"paper{number}.pdf").write_bytes(make_pdf(mark=str(number)))
    return folder


def of(service, name):
    """The environment of an account."""
    return account(service.origin, DOC2X_ACCOUNT=name)


def entries(ledger):
    """The archive's entries, those that were not used for longest first."""
    found = ledger.with_name("ledger.sqlite3.archive").glob("??/*")
    return sorted(found, key=lambda path: path.stat().st_mtime)


def archive_size(ledger):
    return sum(path.stat().st_size for entry in entries(ledger) for path in entry.iterdir())


def test_one_document_is_taken_from_the_archive_and_that_is_told(tmp_path, service, ledger, papers):
    paper = papers / "paper0.pdf"
    options = ["--to", "md", "--to", "json", "--archive"]
    first = doc2x("convert", paper, *options, "--out", tmp_path / "one", env=of(service, "one"))
    asked = len(service.server.requests)
    second = doc2x("convert", paper, *options, "--out", tmp_path / "two", env=of(service, "two"))
    assert (first.code, second.code, "archive" in first.err) == (0, 0, False)
    assert "taken from the archive, nothing was sent" in second.err
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    third = doc2x("convert", paper, *options, "--out", tmp_path / "three", "--json", env=of(service, "three"))
    assert (third.json[0]["archived"], third.json[0]["pages"]) == (True, 1)
    assert len(service.server.requests) == asked
    off = doc2x("convert", paper, "--no-archive", "--json", "--out", tmp_path / "four", env=of(service, "four") | {
        "DOC2X_ARCHIVE": "1"})  # fmt: skip
    assert (off.code, off.json[0]["archived"], service.paid) == (0, False, 2)


def test_many_are_counted_and_a_dry_run_tells_them_apart(tmp_path, service, ledger, papers):
    env = of(service, "one") | {"DOC2X_ARCHIVE": "on"}
    assert doc2x("convert", papers / "paper0.pdf", papers / "paper1.pdf", "--out", tmp_path / "one", env=env).code == 0
    env["DOC2X_ACCOUNT"] = "two"
    quote = doc2x("convert", papers, "--dry-run", "--json", "--out", tmp_path / "two", env=env).json
    assert (quote["counts"], quote["to_pay"]) == ({"new": 2, "archived": 2}, 2)
    dollar = doc2x("convert", papers, "--dry-run", "--json", "--formula", "dollar", env=env).json
    assert dollar["counts"] == {"new": 4}
    run = doc2x("convert", papers, "--max-pages", "2", "--out", tmp_path / "two", env=env)
    assert run.code == 0
    assert "4 documents: 2 done, 2 from the archive; 4 pages." in run.err
    rows = [row for row in doc2x("jobs", "--json").json if row["account"] == "two" and row["state"] == "planned"]
    assert len(rows) == 2
    shown = doc2x("jobs", "show", str(rows[0]["id"]))
    assert "came from the archive" in shown.out
    assert "nothing was paid" in shown.err
    assert len(doc2x("jobs", "--json", "--unfinished").json) == 0


def test_fetch_and_rescue_keep_what_they_fetch(tmp_path, service, ledger, papers):
    env = of(service, "one")
    for number, words in enumerate((["fetch", service.parsed(make_pdf()), "--to", "md"], ["rescue"])):
        if words[0] == "rescue":
            service.exports["md"], whole = b"no zip", service.exports["md"]
            assert doc2x("convert", papers / "paper0.pdf", "--out", tmp_path / "one", env=env).code == 7
            service.exports["md"] = whole
        done = doc2x(*words, "--archive", *(["--out", tmp_path / "two"] if number == 0 else []), env=env)
        assert done.code == 0, done.err
        assert len(entries(ledger)) == number  # of a uid without a receipt the content is not known


def test_prune_removes_what_is_old_or_too_much_and_says_so(tmp_path, service, ledger, papers):
    env = of(service, "one")
    assert doc2x("convert", papers, "--archive", "--out", tmp_path / "one", env=env).code == 0
    day = time.time()
    for age, entry in zip((40, 20, 6, 0), entries(ledger), strict=True):
        os.utime(entry, (day - age * DAY, day - age * DAY))
    one, size = archive_size(ledger) // 4, archive_size(ledger)
    done = doc2x("jobs", "prune", env={"DOC2X_ARCHIVE_DAYS": "50"})
    told = f"Archive: 0 documents removed, 0 bytes freed; 4 left, {bytes_text(size)}."
    assert (done.code, done.out, done.err) == (0, "", f"0 receipts were forgotten.\n{told}\n")
    done = doc2x("jobs", "prune")
    assert f"Archive: 1 documents removed, {bytes_text(one)} freed; 3 left, {bytes_text(size - one)}." in done.err
    assert doc2x("jobs", "prune", "--days", "7", "--json").json == {
        "receipts": 0, "archive": {"removed": 1, "freed": one, "left": 2, "size": 2 * one}}  # fmt: skip
    assert doc2x("jobs", "prune", "--max-size", f"{one}", "--json").json["archive"]["left"] == 1
    assert [entry.stat().st_mtime > day - DAY for entry in entries(ledger)] == [True]
    assert doc2x("jobs", "prune", "--all", "--json").json["archive"]["left"] == 0
    assert archive_size(ledger) == 0
    assert len(doc2x("jobs", "--json").json) == 4, "receipts of today stay"
    assert len(tree(tmp_path / "one")) >= 4, "results stay"


@pytest.mark.faults("CL-06")
@pytest.mark.parametrize("size", ["much", "-1", "5XB", ""])
def test_a_size_that_is_none_is_2(size, ledger):
    done = doc2x("jobs", "prune", "--max-size", size)
    assert (done.code, done.out) == (2, "")
    assert "--max-size" in done.err
    assert not ledger.exists()


def test_without_an_archive_a_prune_makes_none(ledger, tmp_path):
    done = doc2x("jobs", "prune", "--all")
    assert (done.code, done.err) == (0, "0 receipts were forgotten.\n")
    assert not ledger.parent.exists()


def test_a_broken_setting_is_2(tmp_path, papers):
    done = doc2x("convert", papers, "--out", tmp_path, env={"DOC2X_ARCHIVE": "perhaps", "DOC2X_APIKEY": "sk-x"})
    assert done.code == 2
    assert "DOC2X_ARCHIVE" in done.err
