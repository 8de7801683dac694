"""The ledger's file: durable, private, refused when it is broken or strange, and never replaced silently."""

import logging
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from doc2x_sdk.errors import LedgerError, Locked
from doc2x_sdk.ledger import files
from doc2x_sdk.ledger import store as store_module
from doc2x_sdk.ledger.files import owners_of
from doc2x_sdk.ledger.ledger import Ledger
from doc2x_sdk.ledger.rows import read_jobs
from doc2x_sdk.ledger.store import Store
from tests.support.receipts import claim, no_room
from tests.support.scripted_service import told


def filled(path: Path, rows: int) -> None:
    ledger = Ledger(path)
    for number in range(rows):
        with claim(ledger, number) as receipt:
            receipt.uploading(f"uid-{number}")
    ledger.close()


def test_every_connection_that_writes_is_in_wal_mode_and_synchronous_full(path: Path) -> None:
    connection = files.connect(path) if files.prepare(path) else files.connect(path, existed=False)
    try:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    finally:
        connection.close()


@pytest.mark.faults("FS-08")
@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_files_and_folders_are_private_under_any_umask(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "ledger.sqlite3"
    before = os.umask(0)
    try:
        ledger = Ledger(path)
        with claim(ledger, 1):
            found = {each: stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "a").rglob("*")}
        ledger.close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    assert {path, path.with_name("ledger.sqlite3-wal"), owners_of(path)} <= set(found)
    for each, mode in found.items():
        assert mode == (0o700 if each.is_dir() else 0o600), each


@pytest.mark.faults("FS-08")
@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_ledger_that_others_could_read_is_closed_to_them(path: Path) -> None:
    filled(path, 1)
    path.chmod(0o644)
    filled(path, 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.faults("JR-06")
@pytest.mark.parametrize(
    "spoil", [lambda tail: b"", lambda tail: bytes(len(tail)), lambda tail: tail[: len(tail) // 2]]
)
def test_a_torn_tail_costs_no_older_row(spoil: Callable[[bytes], bytes], path: Path, tmp_path: Path) -> None:
    """The log is cut at twenty places, as a crash may leave it: what stays is a beginning of what was committed."""
    store = Store(path)
    store._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    sizes = []
    for number in range(20):
        store.write(lambda connection, number=number: insert(connection, number))  # type: ignore[misc]
        sizes.append(path.with_name("ledger.sqlite3-wal").stat().st_size)
    log = path.with_name("ledger.sqlite3-wal").read_bytes()
    for number, size in enumerate(sizes):
        copy = tmp_path / f"torn{number}" / "ledger.sqlite3"
        copy.parent.mkdir()
        shutil.copyfile(path, copy)
        cut = size - 1000  # inside the last frame of this row
        copy.with_name("ledger.sqlite3-wal").write_bytes(log[:cut] + spoil(log[cut:size]))
        opened = Store(copy)
        found = [row[0] for row in opened.read(lambda c: c.execute("SELECT source FROM parse ORDER BY id").fetchall())]
        opened.write(lambda connection: insert(connection, 99))
        opened.close()
        assert found == [str(each) for each in range(number)]
    store.close()


def sources(store: Store) -> list[str]:
    """The sources of the rows that are committed."""
    return [row[0] for row in store.read(lambda c: c.execute("SELECT source FROM parse").fetchall())]


def insert(connection: sqlite3.Connection, number: int) -> None:
    connection.execute(
        "INSERT INTO parse (account, sha256, options, source, size, pages, state, created_at, changed_at) "
        "VALUES ('a', ?, '{}', ?, 1, 1, 'planned', 0, 0)",
        (f"{number:064x}", str(number)),
    )


@pytest.mark.faults("JR-07")
def test_a_broken_ledger_is_refused_kept_and_copied(path: Path) -> None:
    filled(path, 50)
    content = bytearray(path.read_bytes())
    content[100:4000] = b"\xff" * 3900  # the first page's table of contents
    path.write_bytes(content)
    with pytest.raises(LedgerError) as caught:
        Ledger(path)
    told(caught.value, str(path), "broken", ".recover", "fetched by their uid")
    copy = path.with_name("ledger.sqlite3.broken")
    assert (path.read_bytes(), copy.read_bytes()) == (content, content)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600 or os.name != "posix"


@pytest.mark.faults("JR-07")
def test_pages_that_do_not_fit_are_found_after_a_stop_that_was_not_clean(path: Path) -> None:
    filled(path, 300)
    content = bytearray(path.read_bytes())
    content[4096 * 5 : 4096 * 6] = os.urandom(4096)
    path.write_bytes(content)
    path.with_name("ledger.sqlite3-wal").touch()
    with pytest.raises(LedgerError) as caught:
        Ledger(path)
    told(caught.value, "broken")


@pytest.mark.faults("JR-07")
def test_no_text_is_taken_for_a_ledger(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"my notes\n" * 1000)
    with pytest.raises(LedgerError) as caught:
        Ledger(path)
    told(caught.value, "broken", "--ledger")
    assert path.read_bytes() == b"my notes\n" * 1000


@pytest.mark.faults("JR-07")
def test_a_newer_ledger_is_left_alone(path: Path) -> None:
    filled(path, 1)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(LedgerError) as caught:
        Ledger(path)
    told(caught.value, "newer version", "schema 99", "Update doc2x-sdk")
    assert path.read_bytes() == before


@pytest.mark.faults("JR-07")
def test_another_programs_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(LedgerError) as caught:
        Ledger(path)
    told(caught.value, "another program", "--ledger")
    assert path.read_bytes() == before


def test_a_ledger_that_another_process_makes_at_this_moment_is_no_other_programs(path: Path) -> None:
    """All is made between two reads of what the file is, unless these are one."""
    path.parent.mkdir(exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    other = sqlite3.connect(path, isolation_level=None, timeout=0)

    def make(statement: str) -> None:
        if "sqlite_master" in statement:
            connection.set_trace_callback(None)
            with suppress(sqlite3.OperationalError):
                files.make_schema(other)

    connection.set_trace_callback(make)
    try:
        assert files.schema_version(connection, path) == 0
    finally:
        connection.close()
        other.close()


@pytest.mark.faults("JR-06")
def test_a_closed_ledger_is_whole_in_its_one_file(path: Path, tmp_path: Path) -> None:
    """A backup copies that file, and a cleaner of what looks temporary takes the others."""
    ledger, other = Ledger(path), Ledger(path)
    assert other.accounts(0.0) == {}
    with claim(ledger, 1) as receipt:
        receipt.uploading("uid-1")
    assert len(ledger.accounts(0.0)) == 1
    ledger.close()
    other.close()
    assert not path.with_name("ledger.sqlite3-wal").exists()
    copy = tmp_path / "copy.sqlite3"
    shutil.copyfile(path, copy)
    assert len(list(read_jobs(copy))) == 1


@pytest.mark.faults("JR-07")
def test_a_broken_ledger_is_left_with_its_log_as_it_is(path: Path) -> None:
    """An older file beside a live log, as after half of a restore."""
    filled(path, 50)
    older = path.read_bytes()
    store = Store(path)
    for number in range(100, 400):
        store.write(lambda connection, number=number: insert(connection, number))  # type: ignore[misc]
    log = path.with_name("ledger.sqlite3-wal").read_bytes()
    store.close()
    cut = older[: len(older) // 2 // 4096 * 4096]
    path.write_bytes(cut)
    path.with_name("ledger.sqlite3-wal").write_bytes(log)
    with pytest.raises(LedgerError) as caught:
        Ledger(path)
    told(caught.value, "broken")
    for name, content in (("ledger.sqlite3", cut), ("ledger.sqlite3-wal", log)):
        assert path.with_name(name).read_bytes() == content
        assert path.with_name(name.replace("sqlite3", "sqlite3.broken")).read_bytes() == content


@pytest.mark.faults("JR-07")
@pytest.mark.parametrize("content", ["nothing", "a header"])
def test_a_ledger_that_was_emptied_is_not_begun_anew(content: str, path: Path, tmp_path: Path) -> None:
    filled(path, 3)
    with closing(sqlite3.connect(tmp_path / "header.sqlite3")) as header:
        header.execute("PRAGMA journal_mode=WAL")
    shutil.copyfile(tmp_path / "header.sqlite3", path)
    assert path.stat().st_size == 4096
    if content == "nothing":
        path.write_bytes(b"")
    with pytest.raises(LedgerError) as caught:
        Ledger(path)
    told(caught.value, "empty", "in use")


@pytest.mark.faults("JR-07")
def test_a_ledger_that_was_removed_is_begun_anew_and_said(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    filled(path, 3)
    path.unlink()
    with caplog.at_level(logging.WARNING, "doc2x_sdk"):
        Ledger(path).close()
    assert "was removed since it was last used" in caplog.text
    assert list(read_jobs(path)) == []


@pytest.mark.faults("JR-08")
def test_a_locked_ledger_is_waited_for_and_then_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BUSY_SECONDS", 0.2)
    store = Store(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Locked) as caught:
        store.write(lambda connection: insert(connection, 1))
    told(caught.value, f"The ledger {path} is locked by another process", "Wait for the other")
    store._writer.execute("PRAGMA busy_timeout=60000").close()
    waiting = store.submit(lambda connection: insert(connection, 2))
    other.execute("COMMIT")
    waiting.result()
    store.close()
    assert [row[0] for row in other.execute("SELECT source FROM parse")] == ["2"]
    other.close()


@pytest.mark.faults("FS-02", "JR-08")
def test_a_claim_that_did_not_reach_the_disk_holds_nothing(path: Path) -> None:
    ledger = Ledger(path)
    with no_room(ledger) as full:
        with pytest.raises(LedgerError) as caught, claim(ledger, full):
            pytest.fail("nothing may be done under a receipt that is not written down")
        told(caught.value, f"No space is left for the ledger {path}", "Free some space there")
    with claim(ledger, full) as receipt:
        assert receipt.row.state == "planned"
    ledger.close()


@pytest.mark.faults("JR-10")
def test_each_that_waits_for_a_commit_has_an_error_of_his_own(path: Path) -> None:
    store = Store(path)
    store._writer.execute("PRAGMA busy_timeout=0").close()
    going, others = threading.Event(), threading.Event()

    def hold(connection: sqlite3.Connection) -> None:
        going.set()
        others.wait(60.0)
        connection.execute("COMMIT")  # so that the next transaction begins, and finds another's
        other.execute("BEGIN IMMEDIATE")

    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    first = store.submit(hold)
    going.wait(60.0)
    waiting = [store.submit(lambda connection, number=number: insert(connection, number)) for number in (1, 2)]
    others.set()
    errors = [future.exception() for future in waiting]
    other.execute("ROLLBACK")
    assert isinstance(first.exception(), LedgerError)
    assert [type(error) for error in errors] == [Locked, Locked]
    assert errors[0] is not errors[1]
    store.close()
    other.close()


@pytest.mark.faults("JR-10")
def test_a_ledger_that_turns_out_to_be_read_only_or_damaged_is_named(path: Path) -> None:
    store = Store(path)
    store._writer.execute("PRAGMA query_only=ON").close()
    with pytest.raises(LedgerError) as caught:
        store.write(lambda connection: insert(connection, 1))
    told(caught.value, f"The ledger {path} can't be written", "--ledger or DOC2X_LEDGER")
    with pytest.raises(LedgerError) as caught:
        store.read(lambda connection: connection.execute("SELECT 1 FROM gone"))
    told(caught.value, f"The ledger {path} can't be used: no such table", "Check the ledger's file and disk")
    store.close()
    with pytest.raises(LedgerError) as caught:
        store.write(lambda connection: insert(connection, 1))
    told(caught.value, f"The ledger {path} is closed")


@pytest.mark.faults("JR-10")
def test_a_place_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError) as caught:
        Ledger(tmp_path / "file" / "ledger.sqlite3")
    told(caught.value, "can't be written", "--ledger or DOC2X_LEDGER")


@pytest.mark.faults("JR-10")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the kind of a file system in a file")
def test_a_network_file_system_is_warned_about(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kind = files.file_system_of(path)
    assert kind
    monkeypatch.setattr(files, "NETWORK_FILE_SYSTEMS", ("nfs", kind))
    Ledger(path).close()
    assert f"network file system ({kind})" in caplog.text


@pytest.mark.faults("JR-12")
def test_many_threads_write_at_once(path: Path) -> None:
    ledger = Ledger(path)
    failures: list[Exception] = []

    def work(first: int) -> None:
        try:
            for number in range(first, first + 10):
                with claim(ledger, number) as receipt:
                    receipt.uploading(f"uid-{number}")
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(10 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.close()
    rows = list(read_jobs(path))
    assert not failures
    assert len(rows) == 80
    assert all(row.state == "uploading" and row.uid == f"uid-{int(row.sha256, 16)}" for row in rows)


@pytest.mark.faults("JR-12")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_can_neither_write_nor_give_up_its_parents_claims(path: Path) -> None:
    ledger = Ledger(path)
    with claim(ledger, 1):
        pid = os.fork()
        if pid == 0:
            try:
                with claim(ledger, 2):
                    os._exit(1)
            except LedgerError:
                ledger.close()
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        other = Ledger(path)
        (row,) = read_jobs(path)
        assert other.is_held(row)
        other.close()
    ledger.close()


@pytest.mark.faults("JR-12")
def test_what_nobody_waits_for_is_committed_with_the_next_write_in_its_turn(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "COMPANY", 600.0)
    store, commits = Store(path), list[str]()
    store._writer.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    store.later(lambda c: insert(c, 0))
    store.later(lambda c: insert(c, 1))
    store.write(lambda c: c.execute("UPDATE parse SET source = '-1' WHERE source = '1'").close())
    store.later(lambda c: insert(c, 2))
    assert sources(store) == ["0", "-1"]
    assert commits == ["COMMIT"]
    store.close()
    assert [row.source for row in read_jobs(path)] == ["0", "-1", "2"]


def test_what_nobody_waits_for_is_not_held_back_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "COMPANY", 0.001)
    store, committed = Store(path), threading.Event()
    store._writer.set_trace_callback(lambda sql: committed.set() if sql == "COMMIT" else None)
    for number in (1, 2):  # the second one soon after a commit
        store.later(lambda c, number=number: insert(c, number))  # type: ignore[misc]
        assert committed.wait(60.0)
        committed.clear()
    store.close()


LEAVER = """
import sys
from pathlib import Path
from doc2x_sdk.ledger import store
store.COMPANY = 600.0
store.Store(Path(sys.argv[1])).later(lambda c: c.execute("UPDATE pace SET met = 7"))
"""


def test_what_is_queued_is_written_when_a_process_ends_without_closing_the_ledger(path: Path) -> None:
    store = Store(path)
    store.write(lambda c: c.execute("INSERT INTO pace (account, tasks, pages) VALUES ('a', 1, 1)").close())
    subprocess.run([sys.executable, "-c", LEAVER, str(path)], check=True, timeout=60)
    assert store.read(lambda c: c.execute("SELECT met FROM pace").fetchone()[0]) == 7
    store.close()


def test_a_failing_write_undoes_itself_alone(path: Path) -> None:
    store = Store(path)

    def fail(connection: sqlite3.Connection) -> None:
        insert(connection, 1)
        raise KeyError("mine")

    held = threading.Event()
    holds = store.submit(lambda _: held.wait(60.0))
    first, bad, last = store.submit(lambda c: insert(c, 0)), store.submit(fail), store.submit(lambda c: insert(c, 2))
    store.later(fail)
    held.set()  # so that all four are of one transaction
    assert holds.result()
    with pytest.raises(KeyError):
        bad.result()
    assert (first.result(), last.result()) == (None, None)
    assert sources(store) == ["0", "2"]
    store.close()
    with pytest.raises(LedgerError):
        store.submit(lambda c: insert(c, 3))
