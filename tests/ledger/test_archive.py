"""The archive's files: whole or not there, private, kept for so long and so many bytes, in use by many at once."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doc2x_sdk.errors import LedgerError
from doc2x_sdk.ledger.archive import Archive
from doc2x_sdk.ledger.parts import HEAD_BYTES, Damaged
from tests.support.clocks import StillClock

DAY = 24 * 3600.0
UID = "uid-1"
WRITER = """
import os, signal, sys
from pathlib import Path
from doc2x_sdk.ledger.archive import Archive
def instead(descriptor):
    print("written", flush=True)
    if sys.argv[2] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.read()
os.fsync = instead
archive = Archive(Path(sys.argv[1]), days=30, size=10**9)
archive.put(archive.entry("sha", "{}"), "parse", "uid-1", b"x" * 100_000)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite3.archive"


def made(folder: Path, clock: StillClock | None = None, **limits: object) -> Archive:
    """An archive of 1 GB and 30 days, unless the limits say otherwise."""
    given = {"days": 30, "size": 10**9, "service": "one", "clock": (clock or StillClock()).clock}
    return Archive(folder, **(given | limits))  # type: ignore[arg-type]


def took(archive: Archive, entry: str, part: str = "parse", uid: str | None = None) -> bytes | None:
    """The bytes of a part."""
    with archive.opened(entry, part, uid=uid) as found:
        return None if found is None else b"".join(found.blocks())


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def sizes(folder: Path) -> int:
    return sum(path.stat().st_size for path in files(folder))


def test_what_was_put_is_found_by_content_and_options_and_of_one_service_alone(folder: Path, tmp_path: Path) -> None:
    archive = made(folder)
    path = tmp_path / "native.zip"
    path.write_bytes(b"PK" * 2_000_000)
    entry = archive.entry("sha", '{"model":"v2"}')
    archive.put(entry, "parse", UID, b"the pages")
    archive.put(entry, "md-0", UID, path)
    again = made(folder)
    assert took(again, again.entry("sha", '{"model":"v2"}')) == b"the pages"
    assert took(again, entry, "md-0", UID) == path.read_bytes()
    assert took(again, entry, "md-0", "another uid") is None
    assert took(again, entry, "docx-0") is None
    assert took(again, again.entry("sha", "{}")) is None
    assert took(again, again.entry("ahs", '{"model":"v2"}')) is None
    other = made(folder, service="two")
    assert took(other, other.entry("sha", '{"model":"v2"}')) is None


def test_a_part_that_is_put_again_takes_the_place_of_the_older_one(folder: Path) -> None:
    archive = made(folder)
    entry = archive.entry("sha", "{}")
    for content, uid in ((b"first", "uid-1"), (b"second", "uid-2")):
        archive.put(entry, "parse", uid, content)
    assert (took(archive, entry), took(archive, entry, uid="uid-1")) == (b"second", None)
    assert len(list(files(folder))) == 1


@pytest.mark.faults("FS-08")
@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_all_of_it_is_private_under_any_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        folder.mkdir(parents=True, mode=0o755)
        archive = made(folder)
        archive.put(archive.entry("sha", "{}"), "parse", UID, b"the pages")
    finally:
        os.umask(before)
    found = {path: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}
    assert len(found) == 4
    for path, mode in found.items():
        assert mode == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.skipif(os.name != "posix", reason="owners are POSIX's")
def test_the_folder_of_somebody_else_and_a_link_are_refused(folder: Path, tmp_path: Path) -> None:
    folder.parent.mkdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(LedgerError, match="no folder of your own"):
        made(folder)
    folder.unlink()
    folder.write_text("a file")
    with pytest.raises(LedgerError):
        made(folder)
    if os.geteuid() == 0:
        folder.unlink()
        folder.mkdir()
        os.chown(folder, 12345, -1)
        with pytest.raises(LedgerError, match="no folder of your own"):
            made(folder)


# damage


@given(data=st.data(), content=st.binary(max_size=200))
@settings(max_examples=200)
def test_whatever_is_changed_or_cut_never_comes_back_as_something_else(data: st.DataObject, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        archive = made(Path(name) / "archive")
        entry = archive.entry("sha", "{}")
        archive.put(entry, "parse", UID, content)
        (path,) = files(archive.folder)
        whole = path.read_bytes()
        at = data.draw(st.integers(0, len(whole) - 1), label="at")
        how = data.draw(st.sampled_from(["change", "cut", "insert", "append"]), label="how")
        other = data.draw(st.binary(min_size=1, max_size=3), label="other")
        broken = {
            "change": whole[:at] + other + whole[at + len(other) :],
            "cut": whole[:at],
            "insert": whole[:at] + other + whole[at:],
            "append": whole + other,
        }[how]
        path.write_bytes(broken)
        try:
            with archive.opened(entry, "parse") as found:
                assert found is not None
                came = found.uid, b"".join(found.blocks())
        except Damaged:
            assert broken != whole
        else:
            assert came == (UID, content)


def test_a_part_that_lies_in_the_place_of_another_is_damaged(folder: Path) -> None:
    archive = made(folder)
    mine, other = archive.entry("sha", "{}"), archive.entry("ahs", "{}")
    archive.put(mine, "md-0", UID, b"mine")
    archive.put(other, "md-0", UID, b"the other's")
    archive.put(other, "md-1", UID, b"another format")
    group = folder / other[:2] / other
    (group / "md-0").replace(folder / mine[:2] / mine / "md-0")
    (group / "md-1").replace(group / "md-0")
    for entry in (mine, other):
        with pytest.raises(Damaged):
            took(archive, entry, "md-0")


@pytest.mark.skipif(os.name != "posix", reason="making links needs a right on Windows")
def test_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    archive = made(folder)
    entry = archive.entry("sha", "{}")
    archive.put(entry, "parse", UID, b"the pages")
    (path,) = files(folder)
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    with pytest.raises(Damaged):
        took(archive, entry)


# kills


def writer(folder: Path, how: str) -> subprocess.Popen[bytes]:
    """A process that stops, or is killed, when it has written a part and before it syncs and names it."""
    command = [sys.executable, "-c", WRITER, str(folder), how]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"written\n"
    return process


@pytest.mark.faults("JR-01")
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_kill_while_a_part_is_written_leaves_nothing_that_the_next_does_not_remove(folder: Path) -> None:
    with writer(folder, "kill") as process:
        assert process.wait(30) == -signal.SIGKILL
    assert [path.name[:5] for path in files(folder)] == [".new-"]
    archive = made(folder, service="")
    assert list(folder.iterdir()) == []
    assert took(archive, archive.entry("sha", "{}")) is None


def test_a_part_that_another_process_is_writing_is_left_to_it(folder: Path) -> None:
    with writer(folder, "wait") as process:
        archive = made(folder, service="")
        archive.prune(everything=True)
        assert [path.name[:5] for path in files(folder)] == [".new-"]
        process.communicate(b"", timeout=30)
        assert process.returncode == 0
    assert took(archive, archive.entry("sha", "{}")) == b"x" * 100_000


def test_what_a_killed_prune_had_set_aside_is_removed(folder: Path) -> None:
    archive = made(folder)
    archive.put(archive.entry("sha", "{}"), "parse", UID, b"the pages")
    (group,) = folder.iterdir()
    (entry,) = group.iterdir()
    entry.rename(folder / ".gone-1234")
    made(folder)
    assert list(folder.glob(".gone-*")) == []


# how long and how much


def test_an_entry_is_over_so_many_days_after_its_last_use(folder: Path) -> None:
    clock = StillClock()
    archive = made(folder, clock)
    used, unused = archive.entry("used", "{}"), archive.entry("unused", "{}")
    archive.put(used, "parse", UID, b"1")
    archive.put(unused, "parse", UID, b"2")
    clock.advance(20 * DAY)
    archive.touch(used)
    clock.advance(11 * DAY)
    assert (took(archive, used), took(archive, unused)) == (b"1", None)
    assert len(list(files(folder))) == 2
    new = made(folder, clock)
    new.put(new.entry("new", "{}"), "parse", UID, b"3")
    assert len(list(files(folder))) == 2, "what is over goes when something new comes"
    assert took(new, used) == b"1"


@given(
    steps=st.lists(st.tuples(st.integers(0, 9), st.integers(1000, 3000), st.booleans()), min_size=8, max_size=40),
    cap=st.integers(HEAD_BYTES + 3000, 16_000),
)
@settings(max_examples=60)
def test_it_never_grows_over_its_size_and_what_was_used_last_stays(
    steps: list[tuple[int, int, bool]], cap: int
) -> None:
    clock = StillClock()
    with tempfile.TemporaryDirectory() as name:
        archive = made(Path(name) / "archive", clock, size=cap)
        used: dict[str, float] = {}
        for number, size, is_use in steps:
            clock.advance(1.0)
            entry = archive.entry(str(number), "{}")
            there = {each for each in used if took(archive, each) is not None}
            if not is_use:
                archive.put(entry, "parse", UID, bytes(size))
            elif entry in there:
                archive.touch(entry)
            else:
                continue
            used[entry] = clock.now()
            left = {each for each in used if took(archive, each) is not None}
            assert sizes(archive.folder) <= cap
            assert entry in left
            gone = there - left
            assert max((used[each] for each in gone), default=0.0) <= min(used[each] for each in left)
            used = {each: at for each, at in used.items() if each in left}


def test_two_that_do_not_know_of_each_other_stay_near_the_size(folder: Path) -> None:
    clock = StillClock()
    both = [made(folder, clock, size=200_000) for _ in range(2)]
    for number in range(60):
        clock.advance(1.0)
        archive = both[number % 2]
        archive.put(archive.entry(str(number), "{}"), "parse", UID, bytes(10_000))
        assert sizes(folder) <= 200_000 * (1 + 2 / 16)


def test_what_is_larger_than_all_of_it_is_not_kept_and_pushes_nothing_out(folder: Path) -> None:
    archive = made(folder, size=20_000)
    archive.put(archive.entry("small", "{}"), "parse", UID, b"small")
    with pytest.raises(LedgerError, match="larger"):
        archive.put(archive.entry("large", "{}"), "parse", UID, bytes(20_000))
    assert took(archive, archive.entry("small", "{}")) == b"small"


def test_a_prune_says_what_went_and_what_is_left(folder: Path) -> None:
    clock = StillClock()
    archive = made(folder, clock)
    for day in range(10):
        archive.put(archive.entry(str(day), "{}"), "parse", UID, bytes(1000))
        archive.put(archive.entry(str(day), "{}"), "md-0", UID, bytes(500))
        clock.advance(DAY)
    (folder / "not-ours").mkdir()
    (folder / "not-ours" / "file").write_bytes(b"stays")
    one = (sizes(folder) - 5) // 10
    assert vars_of(archive.prune(days=20)) == (0, 0, 10, 10 * one)
    assert vars_of(archive.prune(days=7)) == (3, 3 * one, 7, 7 * one)
    assert vars_of(archive.prune(size=5 * one)) == (2, 2 * one, 5, 5 * one)
    assert [took(archive, archive.entry(str(day), "{}")) is not None for day in range(10)] == [False] * 5 + [True] * 5
    assert vars_of(archive.prune(everything=True)) == (5, 5 * one, 0, 0)
    assert [path.name for path in folder.iterdir()] == ["not-ours"]


def vars_of(pruned: object) -> tuple[int, ...]:
    return tuple(getattr(pruned, name) for name in ("removed", "freed", "left", "size"))


def test_many_put_take_and_prune_at_once_and_nobody_gets_what_is_not_his(folder: Path) -> None:
    seen: list[bytes | None] = []
    faults: list[BaseException] = []

    def work(number: int) -> None:
        archive = made(folder, size=60_000)
        try:
            for turn in range(60):
                entry = archive.entry(str(turn % 5), "{}")
                archive.put(entry, "parse", f"uid-{number}", bytes([turn % 5]) * 3000)
                seen.append(took(archive, entry))
                assert seen[-1] in (None, bytes([turn % 5]) * 3000)
                if turn % 7 == number:
                    archive.prune(everything=True)
        except BaseException as error:  # noqa: BLE001 - told below
            faults.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert sum(found is not None for found in seen) > 60
