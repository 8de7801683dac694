"""Full disks, kills, races and names: a result is there whole or not at all, and nobody's file is overwritten."""

import errno
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from doc2x_sdk.errors import ConfigError, DiskFull, OutputError
from doc2x_sdk.flow import inside
from doc2x_sdk.flow import staging as flow_staging
from doc2x_sdk.flow.disk import taken
from doc2x_sdk.flow.inside import HELD
from doc2x_sdk.models import Progress
from tests.flow import racers
from tests.flow.folders import tree
from tests.support.scripted_service import ScriptedService, make_pdf, make_zip, told
from tests.support.wire import KEY

UID = "0192d745-5776-7261-abbd-000000000001"
ROUNDS = 60


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB. `test_a_limit_on_file_sizes...` below covers the row where nobody may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user can't mount a file system of 2 MB")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


FULL = {
    "download": {"md": make_zip({"md.md": "x", "images/a.jpg": noise(2_500_000)})},
    "unpack": {"md": make_zip({"md.md": "x", "images/a.jpg": noise(100_000) * 40})},
    "publish pictures": {
        "md": make_zip({"md.md": "x", "images/a.jpg": noise(400_000), "images/b.jpg": noise(620_000)})
    },
    "publish text": {"md": make_zip({"md.md": noise(520_000).hex() + "é"})},
    "publish docx": {"docx": make_zip({"word/document.xml": noise(1_200_000)})},
}


@pytest.mark.faults("FS-01")
@pytest.mark.parametrize(("where", "overwrite"), [(where, overwrite) for where in FULL for overwrite in (False, True)])
def test_a_full_disk_leaves_no_part_of_a_file_and_the_paid_parse(
    where: str, overwrite: bool, service: ScriptedService, small_disk: Path, out: Path
) -> None:
    paper = out.parent / "paper.pdf"
    paper.write_bytes(make_pdf())
    service.exports |= FULL[where]
    (to,) = FULL[where]
    wanted = [to, "txt"]  # what no exporter comes after is moved, and needs no room
    older = {f"paper.{to}": b"an older result", "paper_images/a.jpg": b"an older picture"} if overwrite else {}
    for name, content in older.items():
        (small_disk / name).parent.mkdir(exist_ok=True)
        (small_disk / name).write_bytes(content)
    (small_disk / "filler").write_bytes(bytes(50_000))  # the first picture fits twice, the second does not
    with service.client() as client:
        with pytest.raises(DiskFull) as caught:
            client.convert(paper, to=wanted, out=small_disk, overwrite=overwrite)
        told(caught.value, "paper.pdf", UID, "no space", str(small_disk), "Free some space", "doc2x fetch")
        assert caught.value.path is not None
        left = tree(small_disk)
        del left["filler"]
        assert {name: left.pop(name) for name in older} == older
        whole = {"paper_images/a.jpg": noise(400_000), "paper_images/b.jpg": noise(620_000)}
        assert left.items() <= whole.items()  # pictures may be there already, each of them whole
        assert not any(path.name.startswith(".doc2x") for path in small_disk.iterdir())
        document = client.convert(paper, to=wanted, out=out)  # where there is room, the same parse goes on
    assert (document.uid, service.paid, service.count("preupload"), service.count("put")) == (UID, 1, 1, 1)
    assert f"paper.{to}" in tree(out)


@pytest.mark.faults("FS-01")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a process's files")
def test_a_limit_on_file_sizes_leaves_no_part_of_a_file(
    service: ScriptedService, paper: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOC2X_APIKEY", KEY)
    service.exports["md"] = make_zip({"md.md": "x" * 100_000 + "\n![](images/a.jpg)", "images/a.jpg": noise(800_000)})
    # of the ledger's files the shared memory is the largest with 32 kB, its log grows to some 200 kB
    child = run_racer("convert_with_room", service.server.origin, str(paper), str(out), "600000")
    assert child.returncode == 0, child.stderr
    assert child.stdout.startswith("OutputError: ")
    for word in ("paper.pdf", UID, str(out), "still good"):
        assert word in child.stdout
    assert (tree(out), service.paid) == ({}, 1)


def run_racer(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.flow.racers", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


# FS-03


def a_file(folder: Path) -> Path:
    (folder / "taken").write_text("not a folder")
    return folder / "taken"


def below_a_file(folder: Path) -> Path:
    return a_file(folder) / "deeper"


def a_dead_link(folder: Path) -> Path:
    (folder / "link").symlink_to(folder / "nowhere" / "at all")
    return folder / "link"


def no_folder_can_be_made(_: Path) -> Path:
    return Path("/proc/doc2x")


def read_only(folder: Path) -> Path:
    subprocess.run(["mount", "-o", "remount,ro", str(folder / "disk")], check=True)
    return folder / "disk"


@pytest.mark.faults("FS-03")
@pytest.mark.parametrize("make", [a_file, below_a_file, a_dead_link, no_folder_can_be_made, read_only])
def test_an_output_folder_that_can_not_be_written_is_told_before_the_upload(
    make: Callable[[Path], Path], service: ScriptedService, paper: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if make is read_only:
        request.getfixturevalue("small_disk")
    folder = make(tmp_path)
    with service.client() as client, pytest.raises(OutputError) as caught:
        client.convert(paper, to="md", out=folder)
    told(caught.value, "paper.pdf", str(folder), "`out`")
    assert "paid" not in str(caught.value), "nothing was"
    assert (service.server.connections, service.paid) == (0, 0)


@pytest.mark.faults("FS-03")
def test_unfinished_work_is_on_the_disk_of_the_results(service: ScriptedService, paper: Path, out: Path) -> None:
    """A rename can't cross file systems. What is small stays in memory."""
    service.exports["md"] = make_zip({"md.md": "x", "images/a.jpg": noise(1_200_000)})
    seen: list[list[str]] = []

    def look(progress: Progress) -> None:
        if progress.stage == "download":
            seen.append([path.name for path in out.glob(".doc2x-*/**/*")])

    with service.client() as client:
        client.convert(paper, to="md", out=out, on_progress=look)
    assert seen
    assert "md.download" in seen[-1]


@pytest.mark.faults("FS-03")
@pytest.mark.parametrize("template", ["{uid}-{nothing}", "{stem}{", "{}", "{stem.nothing}", "{0}", ""])
def test_a_name_that_can_not_be_filled_in_is_told_before_the_upload(
    template: str, service: ScriptedService, paper: Path, out: Path
) -> None:
    with service.client() as client, pytest.raises(ConfigError) as caught:
        client.convert(paper, to="md", out=out, result_name=template)
    told(caught.value, "{stem}, {uid} and {date}")
    assert (service.server.connections, tree(out)) == (0, {})


# FS-04


@pytest.mark.faults("FS-04")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_kill_between_write_and_rename_leaves_whole_files_only(
    overwrite: bool, service: ScriptedService, paper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOC2X_APIKEY", KEY)
    folder = tmp_path / "killed"
    folder.mkdir()
    older = {"paper.md": b"older", "paper.docx": b"older word"} if overwrite else {}
    for name, content in older.items():
        (folder / name).write_bytes(content)
    with service.client() as client:
        expected = client.convert(make_pdf(mark="model"), name="paper.pdf", to=["md", "tex", "docx"]).contents
    kills = 0
    for number in range(1, 20):
        child = run_racer("convert", service.server.origin, str(paper), str(folder), str(number), str(overwrite))
        if child.returncode == 0:
            break
        assert child.returncode == -signal.SIGKILL, child.stderr
        kills += 1
        for name, content in tree(folder).items():
            if not name.startswith(".doc2x-"):
                assert content in (expected[name], older.get(name)), name
    assert kills >= 3
    done = {name: content for name, content in tree(folder).items() if not name.startswith(".doc2x-")}
    assert done == expected
    assert [content for _, content in service.stored[1:]] == [paper.read_bytes()]
    assert (service.paid, service.count("put"), service.count("preupload")) == (2, 2, 2)  # the model is one of them


# FS-05


@pytest.mark.faults("FS-05")
@pytest.mark.parametrize("way", ["place", "claim", "publish_file"])
def test_of_two_processes_that_want_a_name_one_gets_it(way: str, tmp_path: Path) -> None:
    """`claim` is what `place` does where a file system has no hard links."""
    context = multiprocessing.get_context("spawn")
    barrier, wins = context.Barrier(2), context.Queue()
    runners = [
        context.Process(target=racers.race, args=(who, tmp_path, ROUNDS, way, (barrier, wins))) for who in range(2)
    ]
    for each in runners:
        each.start()
    won = dict(wins.get(timeout=60) for _ in runners)
    for each in runners:
        each.join(30)
        assert each.exitcode == 0
    wins.close()
    wins.join_thread()
    assert sorted(won[0] + won[1]) == list(range(ROUNDS))  # each round one winner
    for who, rounds in won.items():
        for number in rounds:
            assert (tmp_path / f"{number}.md").read_bytes() == racers.content(who, number)
    assert len(list(tmp_path.iterdir())) == ROUNDS


@pytest.mark.faults("FS-05")
def test_a_name_that_is_taken_at_the_last_moment_is_left(tmp_path: Path) -> None:
    """Between a look at the name and the rename: the look alone would not do."""
    child = run_racer("taken_late", str(tmp_path))
    assert (child.returncode, child.stdout) == (0, "False theirs"), child.stderr


@pytest.mark.faults("FS-05")
def test_a_result_that_is_there_is_left_and_reported(service: ScriptedService, paper: Path, out: Path) -> None:
    out.mkdir()
    (out / "paper.md").write_bytes(b"mine")
    with service.client() as client:
        document = client.convert(paper, to="md", out=out)
        assert (document.skipped, document.files, document.uid) == (("md",), {"md": out / "paper.md"}, None)
        assert (service.server.connections, tree(out)) == (0, {"paper.md": b"mine"})
        document = client.convert(paper, to=["md", "docx"], out=out)
        assert document.skipped == ("md",)
    assert sorted(tree(out)) == ["paper.docx", "paper.md"]
    assert tree(out)["paper.md"] == b"mine"
    assert service.count("export") == 1


@pytest.mark.faults("FS-05")
def test_a_name_that_is_taken_under_way_is_left_to_the_other(service: ScriptedService, paper: Path, out: Path) -> None:
    def take(progress: Progress) -> None:
        if progress.stage == "download" and not (out / "paper.md").exists():
            (out / "paper.md").write_bytes(b"somebody else's")

    with service.client() as client:
        document = client.convert(paper, to=["md", "docx"], out=out, on_progress=take)
    assert document.skipped == ("md",)
    assert sorted(tree(out)) == ["paper.docx", "paper.md"]
    assert tree(out)["paper.md"] == b"somebody else's"


@pytest.mark.faults("FS-05")
def test_a_picture_of_another_document_is_not_overwritten(service: ScriptedService, paper: Path, out: Path) -> None:
    (out / "paper_images").mkdir(parents=True)
    (out / "paper_images" / "0_1.jpg").write_bytes(b"another picture")
    with service.client() as client:
        document = client.convert(paper, to=["md", "tex"], out=out)
    files = tree(out)
    assert files.pop("paper_images/0_1.jpg") == b"another picture"
    (ours,) = (name for name in files if name.startswith("paper_images/"))
    assert f"![]({ours})" in document.files["md"].read_text()
    assert f"{{{ours}}}" in document.files["tex"].read_text()


@pytest.mark.faults("FS-05")
def test_a_dead_link_in_the_place_of_a_result_is_taken_for_a_result(
    service: ScriptedService, paper: Path, out: Path, tmp_path: Path
) -> None:
    out.mkdir()
    (out / "paper.md").symlink_to(tmp_path / "elsewhere")
    with service.client() as client:
        assert client.convert(paper, to="md", out=out).skipped == ("md",)
        client.convert(paper, to="md", out=out, overwrite=True)
    assert not (tmp_path / "elsewhere").exists()
    assert not (out / "paper.md").is_symlink()


# FS-06


@pytest.mark.faults("FS-06")
@pytest.mark.skipif(not HELD, reason="this system has no handles of folders")
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("picture", ["images/a.jpg", "images/deeper/a.jpg"])
def test_a_folder_that_becomes_a_link_under_way_leads_nowhere(
    picture: str, overwrite: bool, service: ScriptedService, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is swapped between the look at it and the write: just before the system is asked to name a picture."""
    outside, moved = out.parent / "outside", out / "moved"
    (outside / "deeper").mkdir(parents=True)
    service.exports["md"] = make_zip(
        {"md.md": f"![]({picture}) ![](images/b.jpg)", picture: b"a", "images/b.jpg": b"b"}
    )
    named = "replace" if overwrite else "link"
    plain, swaps = getattr(os, named), []

    def swap_before(source: Path, name: Path, **options: int | None) -> None:
        if Path(name).name == "a.jpg" and not swaps:
            (out / "paper_images").rename(moved)
            (out / "paper_images").symlink_to(outside, target_is_directory=True)
            swaps.append(name)
        plain(source, name, **options)

    with service.client() as client:
        monkeypatch.setattr(os, named, swap_before)
        with pytest.raises(OutputError, match="link") as caught:
            client.convert(make_pdf(), name="paper.pdf", to="md", out=out, overwrite=overwrite)
        told(caught.value, "paper.pdf", UID, "paper_images")
        assert (len(swaps), tree(outside)) == (1, {})
        assert tree(moved)[picture.removeprefix("images/")] == b"a"
        (out / "paper_images").unlink()
        assert not (out / "paper.md").exists()
        client.convert(make_pdf(), name="paper.pdf", to="md", out=out, overwrite=overwrite)
    assert set(tree(out)) >= {"paper.md", f"paper_{picture}", "paper_images/b.jpg"}
    assert service.paid == 1


@pytest.mark.faults("FS-06")
@pytest.mark.skipif(sys.platform == "win32", reason="links need a right on Windows")
def test_where_folders_have_no_handles_a_link_is_looked_for(
    service: ScriptedService, paper: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (inside, flow_staging):
        monkeypatch.setattr(module, "HELD", False)
    out.mkdir()
    outside = out.parent / "outside"
    outside.mkdir()
    (out / "paper_images").symlink_to(outside, target_is_directory=True)
    with service.client() as client:
        with pytest.raises(OutputError, match="is a link"):
            client.convert(paper, to="md", out=out)
        (out / "paper_images").unlink()
        client.convert(paper, to="md", out=out)
        client.convert(paper, to="tex", out=out)
    assert sorted(tree(out)) == ["paper.md", "paper.tex", "paper_images/0_1.jpg"]
    assert tree(outside) == {}


@pytest.mark.faults("FS-06")
@pytest.mark.skipif(not HELD, reason="this system has no handles of folders")
def test_another_folder_in_the_place_of_the_pictures_is_told(
    service: ScriptedService, paper: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, images = os.link, out / "paper_images"

    def swap_after(source: Path, name: Path, **options: int | None) -> None:
        plain(source, name, **options)
        if Path(name).name == "0_1.jpg":
            images.rename(out / "moved")
            images.mkdir()

    monkeypatch.setattr(os, "link", swap_after)
    with service.client() as client, pytest.raises(OutputError, match="was replaced"):
        client.convert(paper, to="md", out=out)
    assert sorted(tree(out)) == ["moved/0_1.jpg"]


@pytest.mark.faults("FS-06")
@pytest.mark.skipif(not HELD, reason="this system has no handles of folders")
@pytest.mark.parametrize("when", ["at the end", "in a sweep", "of one document"])
def test_a_staging_folder_that_becomes_a_link_costs_nobody_a_file(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside"
    (outside / "deeper").mkdir(parents=True)
    for name in ("mine", ".lock", "deeper/mine"):
        (outside / name).write_text("mine")
    before = tree(outside)
    dead = out / ".doc2x-dead"

    def swap(stage: Path) -> None:
        (stage / "ours").write_text("x")
        stage.rename(tmp_path / "moved")
        stage.symlink_to(outside, target_is_directory=True)

    def lock(descriptor: int) -> bool:
        swap(dead)
        return plain_lock(descriptor)

    plain_lock = flow_staging.lock
    shared = flow_staging.SharedStaging()
    if when != "in a sweep":
        with shared.folder(out) if when == "of one document" else flow_staging.staging(out) as stage:
            swap(stage)
    else:
        dead.mkdir(parents=True)
        (dead / ".lock").touch()
        monkeypatch.setattr(flow_staging, "lock", lock)
        assert flow_staging.sweep(out) == 0
    assert tree(outside) == before
    assert tree(tmp_path / "moved") == {}
    assert flow_staging.sweep(out) == 0  # nor is a link that is there swept
    assert tree(outside) == before


# FS-09


@pytest.mark.faults("FS-09")
def test_two_inputs_of_one_name_get_two_results(tmp_path: Path, out: Path) -> None:
    paths = []
    for place in "ab":
        (tmp_path / place).mkdir()
        paths.append(tmp_path / place / "x.pdf")
        paths[-1].write_bytes(make_pdf(mark=place))
    with ScriptedService() as service, service.client() as client:
        first = {done.source: done for done in client.convert_many(paths, to=["md", "json"], out=out)}
        files = tree(out)
        again = {done.source: done for done in client.convert_many(paths, to=["md", "json"], out=out)}
    assert all(done.error is None for done in [*first.values(), *again.values()])
    assert len([name for name in files if name.endswith(".md")]) == 2
    for done in first.values():
        assert done.document is not None
        assert done.source in done.document.files["json"].read_text()
    assert tree(out) == files
    documents = [(each.document, again[each.source].document) for each in first.values()]
    assert all(one and two and one.files == two.files for one, two in documents)  # the mapping is stable
    assert (service.paid, service.count("put")) == (2, 2)


def test_results_have_the_permissions_of_the_umask(service: ScriptedService, paper: Path, out: Path) -> None:
    before = os.umask(0o027)
    try:
        with service.client() as client:
            document = client.convert(paper, to=["md", "docx", "json"], out=out)
    finally:
        os.umask(before)
    assert {oct(path.stat().st_mode & 0o777) for path in document.files.values()} == {"0o640"}
    assert oct((out / "paper_images").stat().st_mode & 0o777) == "0o750"


# what is published is nobody else's


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right on Windows")
def test_a_file_is_moved_only_where_it_has_no_other_name(tmp_path: Path) -> None:
    plain, shared, link = (tmp_path / name for name in ("plain", "shared", "link"))
    for path in (plain, shared):
        path.write_bytes(b"picture")
    (tmp_path / "another name").hardlink_to(shared)
    link.symlink_to(plain)
    copy = tmp_path / "copy"
    assert taken(plain, copy, move=True) == plain
    for path, move in ((plain, False), (shared, True), (link, True)):
        assert taken(path, copy, move=move) == copy
        assert (copy.read_bytes(), copy.is_symlink(), copy.stat().st_nlink) == (b"picture", False, 1)
        copy.unlink()


# documents that are at work at the same time share a staging folder


def test_documents_share_a_staging_folder_that_the_last_of_them_removes(out: Path) -> None:
    shared = flow_staging.SharedStaging()
    with shared.folder(out) as first:
        with shared.folder(out) as second:
            assert first != second
            assert first.parent == second.parent
            (second / "file").write_text("x")
            assert flow_staging.sweep(out) == 0
        assert (first.exists(), second.exists()) == (True, False)
        shutil.rmtree(first.parent)
        with shared.folder(out) as third:  # somebody cleared up
            assert third.parent != first.parent
            assert third.is_dir()
    assert list(out.iterdir()) == []


@pytest.mark.skipif(not HELD, reason="the system has no handles of folders")
def test_an_empty_staging_folder_goes_on_to_the_next_document(out: Path) -> None:
    shared = flow_staging.SharedStaging()
    with shared.folder(out) as first:
        with shared.folder(out) as second:
            (second / "file").write_text("x")
            (second / "file").rename(first / "file")
        assert second.is_dir()
        with shared.folder(out) as third, shared.folder(out) as fourth:
            assert third == second
            assert fourth not in (first, second)
    assert list(out.iterdir()) == []


@pytest.mark.skipif(not HELD, reason="the system has no handles of folders")
def test_a_staging_folder_that_is_another_by_now_goes_to_nobody(out: Path, tmp_path: Path) -> None:
    shared = flow_staging.SharedStaging()
    outside = tmp_path / "outside"
    outside.mkdir()
    with shared.folder(out):
        with shared.folder(out) as second:
            second.rename(tmp_path / "moved")
            second.symlink_to(outside, target_is_directory=True)
        with shared.folder(out) as third:
            assert third != second
            (third / "file").write_text("x")
        second.unlink()
    assert (tree(outside), list(out.iterdir())) == ({}, [])


@pytest.mark.skipif(not HELD, reason="the system has no handles of folders")
def test_a_staging_folder_that_can_not_be_opened_leaves_nothing(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_many(path: Path, name: Path) -> int:
        if path.parent.name.startswith(".doc2x-"):
            raise OSError(errno.EMFILE, "Too many open files")
        return inside.hold(path, name)

    shared = flow_staging.SharedStaging()
    monkeypatch.setattr(flow_staging, "hold", too_many)
    with pytest.raises(OutputError) as caught, shared.folder(out):
        pass
    assert list(out.iterdir()) == []  # also while somebody keeps the error, and with it the frames it came from
    assert "too many files open" in str(caught.value)
    monkeypatch.undo()
    with shared.folder(out) as stage:
        assert stage.is_dir()
