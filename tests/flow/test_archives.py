"""Archives are not trusted: what is wrong with one is found before anything of it is published."""

import io
import random
import stat
import zipfile
import zlib
from pathlib import Path

import pytest

from doc2x_sdk.errors import ArchiveError, Doc2XError, DownloadError, UnsafeArchive
from doc2x_sdk.flow.unpack import unpack
from tests.flow.folders import tree
from tests.flow.hostile import Member, pack
from tests.support.scripted_service import ScriptedService, make_zip, told

UID = "0192d745-5776-7261-abbd-000000000001"
MD = Member(b"md.md", b"# fine\n")


def refused(service: ScriptedService, archive: bytes, paper: Path, out: Path, to: str = "md") -> Doc2XError:
    """Convert with this archive for the export; it must be refused, paid once, and leave no trace."""
    out.mkdir()
    (out / "paper.md").write_bytes(b"older")
    service.exports[to] = archive
    with service.client() as client:
        with pytest.raises(Doc2XError) as caught:
            client.convert(paper, to=to, out=out, overwrite=True)  # in memory
        told(caught.value, "paper.pdf", UID)
        assert tree(out) == {"paper.md": b"older"}
        document = client.convert(paper, to=[to, "txt"], out=out, overwrite=True)  # in a folder, for exporters
    failure = document.failures[to]
    assert (str(failure), document.files) == (str(caught.value), {"txt": out / "paper.txt"})
    assert service.paid == 1
    assert tree(out) == {"paper.md": b"older", "paper.txt": b"Page 1. \\( x_0 \\)\n"}
    assert sorted(path.name for path in out.parent.iterdir()) == ["out", "paper.pdf"]
    return caught.value


@pytest.mark.faults("AR-01")
@pytest.mark.parametrize(
    "name",
    [b"../x.md", b"/x.md", b"a/../../x.md", b"C:\\x.md", b"C:/x.md", b"c:x.md", b"\\\\srv\\share\\x.md", b"..\\x.md",
     b"images/..", b"./x.md", b"images//x.jpg", b"", b"//srv/x", b"images/\\..\\x.jpg", b"..", b"../paper.md"],
)  # fmt: skip
def test_a_member_that_leads_out_is_refused(name: bytes, service: ScriptedService, paper: Path, out: Path) -> None:
    error = refused(service, pack(MD, Member(name, b"evil")), paper, out)
    assert isinstance(error, UnsafeArchive)
    told(error, "Nothing was unpacked")


@pytest.mark.faults("AR-01")
def test_all_members_are_checked_before_the_first_is_written(tmp_path: Path) -> None:
    archive, folder = tmp_path / "a.zip", tmp_path / "folder"
    archive.write_bytes(pack(MD, *(Member(b"images/%d.jpg" % number) for number in range(50)), Member(b"../x")))
    folder.mkdir()
    with pytest.raises(UnsafeArchive):
        unpack(archive, folder)
    assert list(folder.rglob("*")) == []


@pytest.mark.faults("AR-02")
@pytest.mark.parametrize(
    "mode",
    [stat.S_IFLNK | 0o777, stat.S_IFCHR | 0o666, stat.S_IFBLK | 0o666, stat.S_IFIFO | 0o666, stat.S_IFSOCK | 0o777,
     stat.S_IFREG | stat.S_ISUID | 0o755, stat.S_IFREG | stat.S_ISGID | 0o755],
    ids=["link", "character device", "block device", "fifo", "socket", "setuid", "setgid"],
)  # fmt: skip
def test_links_and_special_files_are_refused(mode: int, service: ScriptedService, paper: Path, out: Path) -> None:
    error = refused(service, pack(MD, Member(b"images/x.jpg", b"/etc/passwd", mode=mode)), paper, out)
    assert isinstance(error, UnsafeArchive)


@pytest.mark.faults("AR-03")
@pytest.mark.parametrize(
    "archive",
    [
        pytest.param(pack(MD, Member(b"images/x.jpg", bytes(50_000_000))), id="ratio"),
        pytest.param(pack(MD, Member(b"images/x.jpg", b"x", declared=3 * 1024**3)), id="one large"),
        pytest.param(pack(MD, *[Member(b"images/%d.jpg" % n, b"", declared=2**28, crc=0) for n in range(9)]), id="sum"),
        pytest.param(pack(MD, *[Member(b"images/%d" % n, b"") for n in range(10_001)]), id="many"),
    ],
)
def test_a_bomb_is_refused_before_it_is_inflated(
    archive: bytes, service: ScriptedService, paper: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []
    real = zipfile.ZipFile.open
    monkeypatch.setattr(
        zipfile.ZipFile, "open", lambda self, *args, **more: opened.append(args) or real(self, *args, **more)
    )
    error = refused(service, archive, paper, out)
    assert isinstance(error, UnsafeArchive)
    assert opened == []


@pytest.mark.faults("AR-03")
def test_a_bomb_in_a_word_file_is_refused(service: ScriptedService, paper: Path, out: Path) -> None:
    bomb = pack(Member(b"word/document.xml"), Member(b"word/media/x", b"x", declared=3 * 1024**3))
    error = refused(service, bomb, paper, out, to="docx")
    assert isinstance(error, UnsafeArchive)


@pytest.mark.faults("AR-03")
def test_a_nested_archive_is_not_opened(service: ScriptedService, paper: Path, out: Path) -> None:
    inner = pack(Member(b"../x", b"evil"))
    service.exports["md"] = pack(MD, Member(b"images/inner.zip", inner))
    with service.client() as client:
        client.convert(paper, to="md", out=out)
    assert tree(out) == {"paper.md": b"# fine\n", "paper_images/inner.zip": inner}


@pytest.mark.faults("AR-04")
@pytest.mark.parametrize("honest_crc", [True, False])
@pytest.mark.parametrize("to", ["md", "docx"])
def test_a_member_that_is_larger_than_its_header_says_is_refused(
    to: str, honest_crc: bool, service: ScriptedService, paper: Path, out: Path
) -> None:
    """The checksum may fit what the header promises: then only the count of what comes tells."""
    data = bytes(range(256)) * 4000
    crc = None if honest_crc else zlib.crc32(data[:10])
    main = MD if to == "md" else Member(b"word/document.xml")
    error = refused(service, pack(main, Member(b"images/x.jpg", data, declared=10, crc=crc)), paper, out, to)
    assert isinstance(error, UnsafeArchive)
    told(error, "larger than its header says")


@pytest.mark.faults("AR-04")
def test_no_more_is_written_than_the_header_says(tmp_path: Path) -> None:
    archive, folder = tmp_path / "a.zip", tmp_path / "folder"
    archive.write_bytes(pack(Member(b"big", bytes(30_000_000), declared=10)))
    folder.mkdir()
    with pytest.raises(UnsafeArchive):
        unpack(archive, folder)
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 10


@pytest.mark.faults("AR-04", "AR-07")
def test_a_member_that_is_smaller_than_its_header_says_is_refused(
    service: ScriptedService, paper: Path, out: Path
) -> None:
    error = refused(service, pack(MD, Member(b"images/x.jpg", b"short", declared=5000)), paper, out)
    assert isinstance(error, ArchiveError)


@pytest.mark.faults("AR-05")
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("images/a.jpg", "images/a.jpg"),
        ("images/a.jpg", "images/A.JPG"),
        ("images/stra\u00dfe.jpg", "images/STRASSE.jpg"),
        ("images/caf\u00e9.jpg", "images/cafe\u0301.jpg"),
        ("images/a", "images/a/b.jpg"),
        ("images/a/b.jpg", "images/A"),
        ("Images/a.jpg", "images"),
        ("images/a/", "images/A"),
    ],
)
def test_two_names_that_some_system_takes_for_one_are_refused(
    first: str, second: str, service: ScriptedService, paper: Path, out: Path
) -> None:
    archive = pack(MD, Member(first.encode(), b"one"), Member(second.encode(), b"two"))
    assert isinstance(refused(service, archive, paper, out), UnsafeArchive)


@pytest.mark.faults("AR-05")
def test_folders_may_be_named_twice(tmp_path: Path) -> None:
    archive, folder = tmp_path / "a.zip", tmp_path / "folder"
    archive.write_bytes(pack(Member(b"images/", b""), MD, Member(b"images/", b""), Member(b"images/a.jpg", b"one")))
    folder.mkdir()
    assert unpack(archive, folder) == [Path("md.md"), Path("images/a.jpg")]
    assert tree(folder) == {"md.md": b"# fine\n", "images/a.jpg": b"one"}


@pytest.mark.faults("AR-06")
@pytest.mark.parametrize(
    "name",
    ["CON", "images/aux.md", "images/NUL.tar.gz", "images/Com1.jpg", "images/LPT\u00b9.jpg", "images/a:b.jpg",
     "images/a.", "images/a ", "images. /a.jpg", "images/a\0.jpg", "images/" + "x" * 256, "x/" * 130 + "y",
     "images/a?.jpg", "images/a*.jpg", 'images/a".jpg', "images/a<b>.jpg", "images/a|b", "images/a\n.jpg",
     "images/\u4e2d" * 30, "images/" + "\u4e2d" * 86],
)  # fmt: skip
def test_a_name_that_some_system_can_not_write_is_refused_on_all(
    name: str, service: ScriptedService, paper: Path, out: Path
) -> None:
    assert isinstance(refused(service, pack(MD, Member(name.encode(), b"x")), paper, out), UnsafeArchive)


@pytest.mark.faults("AR-06")
@pytest.mark.parametrize("name", ["images/console.jpg", "images/\u56fe 1.jpg", "images/.hidden", "images/a..b.jpg"])
def test_other_names_are_kept(name: str, service: ScriptedService, paper: Path, out: Path) -> None:
    service.exports["md"] = make_zip({"md.md": f"![]({name})", name: b"picture"})
    with service.client() as client:
        client.convert(paper, to="md", out=out)
    assert tree(out)[f"paper_{name}"] == b"picture"


GOOD = make_zip({"md.md": "# fine\n" * 500, "images/a.jpg": bytes(range(256)) * 20})


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]


@pytest.mark.faults("AR-07")
@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
@pytest.mark.parametrize("at", [45, 60, 75])
def test_what_is_packed_in_another_way_is_read_and_its_faults_are_told(
    at: int, method: int, service: ScriptedService, paper: Path, out: Path
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as made:
        made.writestr("md.md", "# Title\n" + "text " * 100)
    service.exports["md"] = packed.getvalue()
    with service.client() as client:
        assert b"text" in client.convert(paper, to="md").contents["paper.md"]
    broken = bytearray(packed.getvalue())
    broken[at] ^= 0xFF
    error = refused(service, bytes(broken), paper, out)
    assert isinstance(error, ArchiveError)


@pytest.mark.faults("AR-07")
@pytest.mark.parametrize(
    "archive",
    [
        pytest.param(flipped(GOOD, 60), id="bit flip"),
        pytest.param(pack(Member(b"md.md", b"# fine\n", crc=4711)), id="checksum"),
        pytest.param(pack(MD, Member(b"images/a.jpg", b"x", flags=0x801)), id="encrypted"),
        pytest.param(GOOD[: len(GOOD) // 2], id="half"),
        pytest.param(GOOD[:-1], id="one byte short"),
        pytest.param(GOOD + b"junk", id="junk behind"),
        pytest.param(make_zip({}), id="empty"),
        pytest.param(make_zip({"images/": b""}), id="folders only"),
        pytest.param(GOOD[len(GOOD) - 100 :], id="end only"),
        pytest.param(pack(MD, Member(b"images/a.jpg", local_name=b"images/b.jpg")), id="two names for one"),
        pytest.param(pack(Member(b"md.md\xff\xfe")), id="name not UTF-8"),
        pytest.param(make_zip({"images/a.jpg": b"x"}), id="no main file"),
        pytest.param(make_zip({"a.md": b"x", "b.md": b"y"}), id="two main files"),
    ],
)
def test_a_broken_archive_is_refused(archive: bytes, service: ScriptedService, paper: Path, out: Path) -> None:
    error = refused(service, archive, paper, out)
    assert isinstance(error, ArchiveError | DownloadError)


@pytest.mark.faults("AR-07")
@pytest.mark.parametrize("at", range(50, 300, 60))
def test_a_broken_word_file_is_refused(at: int, service: ScriptedService, paper: Path, out: Path) -> None:
    archive = flipped(make_zip({"word/document.xml": random.Random(4711).randbytes(400)}), at)
    error = refused(service, archive, paper, out, to="docx")
    assert isinstance(error, ArchiveError)


def test_an_archive_with_a_comment_is_taken(service: ScriptedService, paper: Path, out: Path) -> None:
    service.exports["md"] = pack(MD, comment=b"made by nobody")
    with service.client() as client:
        client.convert(paper, to="md", out=out)
    assert tree(out) == {"paper.md": b"# fine\n"}


@pytest.mark.faults("AR-08")
def test_what_the_markdown_lacks_is_told(service: ScriptedService, paper: Path, out: Path) -> None:
    text = '![](images/there.jpg) ![](images/gone%201.jpg)\n<img src="images/gone2.jpg"/>'
    service.exports["md"] = make_zip({"md.md": text, "images/there.jpg": b"picture"})
    service.exports["tex"] = make_zip({"tex.tex": " \n\n"})
    with service.client() as client:
        document = client.convert(paper, to=["md", "tex"], out=out)
    assert document.warnings == (
        "paper.md names 2 pictures that the export lacks: images/gone 1.jpg, images/gone2.jpg",
        "paper.tex has no text",
    )
    assert document.files["md"].read_text() == text.replace("images/there", "paper_images/there")
    assert service.paid == 1


@pytest.mark.faults("AR-08")
def test_a_whole_result_has_no_warnings(service: ScriptedService, paper: Path, out: Path) -> None:
    with service.client() as client:
        assert client.convert(paper, to=["md", "tex"], out=out).warnings == ()


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("to", ["md", "tex"])
def test_what_is_published_from_memory_is_what_is_published_from_a_folder(
    to: str, overwrite: bool, service: ScriptedService, paper: Path, tmp_path: Path
) -> None:
    link = "![]({})" if to == "md" else "\\includegraphics{{{}}}"
    names = ["images/a b.jpg", "images/deeper/a.jpg", "other/c.png", "images/missing.jpg"]
    text = "\r\n".join(["# caf\u00e9", *map(link.format, names)]).encode() + b"\xff\r"
    service.exports[to] = make_zip({f"{to}.{to}": text} | {name: name for name in names[:3]})
    found = []
    with service.client() as client:
        for number, wanted in enumerate(([to], [to, "txt"])):
            out = tmp_path / str(number)
            document = client.convert(paper, to=wanted, out=out, overwrite=overwrite)
            found.append((tree(out), document.warnings))
    files = {name: content for name, content in found[1][0].items() if not name.endswith(".txt")}
    assert (files, found[1][1]) == found[0]
    assert len(files) == 4
