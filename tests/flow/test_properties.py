"""Rules that hold for every input, tried on inputs that nobody thought of."""

import hashlib
import itertools
import ntpath
import random
import sys
import tempfile
import unicodedata
import zipfile
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from doc2x_sdk.config import Settings
from doc2x_sdk.errors import ConfigError, Doc2XError
from doc2x_sdk.flow.body import BLOCK_MOST, SourceBody
from doc2x_sdk.flow.filenames import NAME_BYTES, result_name, safe_name
from doc2x_sdk.flow.links import rewrite
from doc2x_sdk.flow.pace import GrowingPace, ParsePace
from doc2x_sdk.flow.source import Source, open_source
from doc2x_sdk.flow.unpack import check_archive, read_small, unpack
from doc2x_sdk.markdown import to_dollars
from doc2x_sdk.service.adapter import UPLOAD_BLOCK
from doc2x_sdk.service.multipart import MultipartBody
from tests.flow.folders import tree
from tests.flow.hostile import Member, pack
from tests.support.clocks import StillClock
from tests.support.scripted_service import make_pdf, make_zip

QUICK = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def is_reserved(path: str) -> bool:
    """Tell whether Windows keeps a name to itself; from Python 3.13 on another module says so, and more strictly."""
    return ntpath.isreserved(path) if sys.version_info >= (3, 13) else PureWindowsPath(path).is_reserved()


# archives

part = st.sampled_from(
    ["..", ".", "", "a", "A", "b.md", "con", "nul.txt", "x" * 260, "\u4e2d", "e\u0301", "\u00e9",
     "a ", "b.", "c:", "\\", "..\\x",
     "a\0", "\x1b", "~", "images", "-rf", "aux"]
)  # fmt: skip
names = st.one_of(
    st.lists(part, min_size=1, max_size=5).map("/".join).map(lambda name: name.encode("utf-8", "surrogatepass")),
    st.text(max_size=30).map(lambda name: name.encode("utf-8", "surrogatepass")),
    st.binary(max_size=20),
)
members = st.builds(
    Member,
    names,
    st.binary(max_size=40),
    declared=st.one_of(st.none(), st.integers(0, 2**32 - 1)),
    crc=st.one_of(st.none(), st.integers(0, 2**32 - 1)),
    mode=st.one_of(st.just(0o100644), st.integers(0, 0xFFFF)),
    flags=st.sampled_from([0x800, 0, 0x1, 0x801]),
)
ordinary = st.builds(Member, st.sampled_from([b"md.md", b"images/a.jpg", b"images/b.jpg", b"images/"]))


@QUICK
@given(st.lists(st.one_of(members, ordinary), max_size=6), st.binary(max_size=5))
@example([Member(b"md.md"), Member(b"../x")], b"")
@example([Member(b"")], b"")
def test_no_archive_writes_outside_its_folder_or_anything_before_it_is_checked(
    archive: list[Member], junk: bytes
) -> None:
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        (here / "a.zip").write_bytes(pack(*archive) + junk)
        folder = here / "deep" / "folder"
        folder.mkdir(parents=True)
        try:
            check_archive(here / "a.zip", "The archive")
            files = unpack(here / "a.zip", folder)
        except Doc2XError:
            files = None
        assert sorted(path.name for path in here.iterdir()) == ["a.zip", "deep"]
        assert [path.name for path in (here / "deep").iterdir()] == ["folder"]
        assert not any(path.is_symlink() for path in folder.rglob("*"))
        if files is not None:
            assert sorted(tree(folder)) == sorted(path.as_posix() for path in files)
            assert len({unicodedata.normalize("NFC", str(path)).casefold() for path in files}) == len(files)
            for path in files:
                assert not is_reserved(path)
                assert not PureWindowsPath(path).drive


@QUICK
@given(st.lists(st.one_of(members, ordinary), max_size=6), st.binary(max_size=5))
@example([Member(b"md.md"), Member(b"images/a.jpg")], b"")
def test_in_memory_an_archive_is_what_it_is_in_a_folder(archive: list[Member], junk: bytes) -> None:
    content = pack(*archive) + junk
    with tempfile.TemporaryDirectory() as name:
        found: dict[Path, bytes] | str | None
        expected: dict[Path, bytes] | str
        try:
            expected = {path: (Path(name) / path).read_bytes() for path in unpack(content, Path(name))}
        except Doc2XError as error:
            expected = repr(error)
        try:
            found = read_small(content)
        except Doc2XError as error:
            found = repr(error)
        assert found == expected


def test_what_unpacks_to_more_than_4_mb_is_not_held_in_memory() -> None:
    noise = random.Random(1).randbytes(4_194_304)
    assert read_small(make_zip({"md.md": noise[1:], "a": "x"})) is not None
    assert read_small(make_zip({"md.md": noise, "a": "x"})) is None


@QUICK
@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 255))
def test_a_damaged_archive_ends_as_one_of_our_errors_or_as_it_was(tail: bytes, at: int, value: int) -> None:
    content = bytearray(make_zip({"md.md": "# fine\n" * 9, "images/a.jpg": b"picture"}))
    content[at % len(content)] = value
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        folder = here / "folder"
        folder.mkdir()
        (here / "a.zip").write_bytes(bytes(content) + tail)
        try:
            check_archive(here / "a.zip", "The archive")
            unpack(here / "a.zip", folder)
        except Doc2XError:
            return
        assert set(tree(folder).values()) <= {b"# fine\n" * 9, b"picture", b""}


# names

anything = st.text(st.characters(exclude_categories=[]), max_size=200)


def assert_portable(name: str) -> None:
    assert name
    assert 1 <= len(name.encode()) <= NAME_BYTES
    assert not set(name) & set('<>:"/\\|?*\0\n')
    assert name.isprintable()
    assert not name.endswith((" ", "."))
    assert not name.startswith((" ", "-"))
    for suffix in (".md", ".docx", "_images", ""):
        assert not is_reserved(name + suffix)
    assert name not in (".", "..")


@QUICK
@given(anything)
@example("con")
@example("aux.x")
@example("-- -")
@example(". .")
@example("\u4e2d" * 100)
@example("x" * 118 + "\u4e2d. .")
@example("COM\u00b9")
@example("- con")
@example("con .x")
def test_a_safe_name_is_a_name_on_every_system(text: str) -> None:
    name = safe_name(text)
    assert_portable(name)
    assert safe_name(name) == name


@QUICK
@given(st.one_of(anything, st.sampled_from(["{stem}", "{uid}-{stem}", "{date}/{stem}", "{stem}" * 9])), anything)
def test_a_name_template_gives_a_name_or_a_config_error(template: str, stem: str) -> None:
    source = Source("x.pdf", stem or "document", "pdf", size=1, sha256="", pages=1)
    try:
        name = result_name(template, source, uid="0192d745", clock=StillClock().clock)
    except ConfigError:
        return
    assert_portable(name)


@given(st.lists(st.text("ab\u4e2d", min_size=200, max_size=220), min_size=2, max_size=2, unique=True))
@QUICK
def test_long_names_that_differ_stay_different(stems: list[str]) -> None:
    assert safe_name(stems[0]) != safe_name(stems[1])


# links

picture = st.sampled_from(["images/0_1.jpg", "images/a b.jpg", "images/\u4e2d.png", "images/x/y.jpg", "images/%41.jpg"])
link = st.sampled_from(
    ["![]({})", '<img src="{}"/>', "<img src={}>", "\\includegraphics[width=1cm]{{{}}}", "![a](./{})", "{}", "](/{})",
     "![](https://x/{})", "[{}]", "`{}`", "src='{}'"]
)  # fmt: skip
text_with_links = st.lists(
    st.one_of(st.builds(lambda frame, path: frame.format(path), link, picture), st.text(max_size=20)), max_size=12
).map(" ".join)


@QUICK
@given(text_with_links, st.sets(picture), st.booleans(), st.text("ab (\u4e2d", min_size=1, max_size=5).map(safe_name))
def test_rewriting_touches_the_links_that_it_knows_and_no_others(
    text: str, known: set[str], escape: bool, name: str
) -> None:
    links = {path: path.replace("images/", f"{name}_images/") for path in known}
    done = rewrite(text, links, escape=escape)
    assert rewrite(done, links, escape=escape) == done
    assert rewrite(text, {}, escape=escape) == text
    unknown = rewrite(text, {"images/other.jpg": "x"}, escape=escape)
    assert unknown == text
    for path in {"images/0_1.jpg", "images/x/y.jpg"} - known:
        assert done.count(path) == text.count(path)
    for path in known & {"images/0_1.jpg", "images/x/y.jpg"}:
        assert f"]({path})" not in done


# uploads

LARGE = make_pdf(size=5 * 1024 * 1024)


@QUICK
@given(st.lists(st.floats(1e3, 1e9), min_size=1, max_size=6), st.integers(0, 200))
def test_a_body_is_sent_whole_in_blocks_that_never_take_long(speeds: list[float], again: int) -> None:
    clock = StillClock()
    speed = itertools.cycle(speeds)  # bytes a second, which changes after each block
    steady = len(speeds) == 1
    with open_source(LARGE, Settings()) as source, SourceBody(source, clock=clock.clock) as body:
        for _ in range(again):
            clock.advance(len(body.read(UPLOAD_BLOCK)) / next(speed))
        body.seek(0)
        sent, longest = hashlib.sha256(), 0
        while block := body.read(UPLOAD_BLOCK):
            sent.update(block)
            longest = max(longest, len(block))
            clock.advance(len(block) / next(speed))
        assert sent.hexdigest() == source.sha256
        assert body.read(UPLOAD_BLOCK) == b""
    assert longest <= BLOCK_MOST
    if steady:  # as large as the line allows, and no larger
        assert longest <= max(2 * 64 * 1024, 0.2 * speeds[0])
        assert longest == BLOCK_MOST or speeds[0] < 12e6


def test_a_form_that_is_read_at_once_has_each_block_of_its_file() -> None:
    with open_source(LARGE, Settings()) as source, SourceBody(source) as body:
        form = MultipartBody({}, body, "paper.pdf", "application/pdf")
        whole = bytes(form.read())
    assert len(whole) == len(form)
    assert LARGE in whole


# pace


@QUICK
@given(
    st.integers(1, 2000),
    st.sampled_from([0.05, 0.3, 1.0]),
    st.floats(0.0, 1.0),
    st.lists(st.integers(0, 99), min_size=1, max_size=40),
)
def test_the_pace_keeps_its_bounds(pages: int, floor: float, share: float, seen: list[int]) -> None:
    clock = StillClock(share=share)
    pace = ParsePace(clock.clock, pages, floor=floor)
    clock.sleep(pace.first_pause())
    whole = 0.5 + 0.15 * pages
    first = 1.08 * whole if whole < 2 * floor else whole / 2
    assert floor <= clock.sleeps[0] <= max(floor, min(8.0, first)) * 1.06
    for progress in seen:
        pause = pace.pause(progress)
        assert floor <= pause <= 8.0 * 1.06
        clock.sleep(pause)


@QUICK
@given(st.floats(1.0, 3600.0), st.integers(1, 2000), st.floats(0.0, 1.0), st.sampled_from([0.05, 0.3, 1.0]))
def test_a_parse_of_any_length_takes_a_bounded_number_of_looks_and_little_waste(
    seconds: float, pages: int, share: float, floor: float
) -> None:
    clock = StillClock(share=share)
    began = clock.monotonic()
    pace = ParsePace(clock.clock, pages, floor=floor)
    clock.sleep(pace.first_pause())
    while clock.monotonic() - began < seconds:
        progress = int(100 * (clock.monotonic() - began) / seconds)
        clock.sleep(pace.pause(min(progress, 99)))
    assert len(clock.sleeps) <= 30 + seconds / 6 + 0.1 * seconds / floor
    waste = clock.monotonic() - began - seconds
    assert waste <= 8.5


@QUICK
@given(st.floats(0.05, 1.0), st.floats(0.0, 1.0))
def test_a_growing_pace_grows_to_its_end(first: float, share: float) -> None:
    pace = GrowingPace(StillClock(share=share).clock, first=first)
    pauses = [pace.pause() for _ in range(30)]
    assert first * 0.95 <= pauses[0] <= first * 1.05
    assert all(before <= after for before, after in itertools.pairwise(pauses))
    assert 3.0 * 0.95 <= pauses[-1] <= 3.0 * 1.05


# formulas

pieces = st.one_of(
    st.sampled_from(
        ["\\( a_1 \\)", "\\[ x \\]", "\\[\n\\begin{array}{l} a \\\\[2pt] b \\end{array}\n\\]", "\n\n", "\n", " "]
    ),
    st.sampled_from(["word", "\u4e2d\u6587", "$5", "\\$", "<br>", "|", "# H", "\\\\(", "a \\\\[2pt]", "- item"]),
)
codes = st.sampled_from(["`\\( code \\)`", "``a ` \\[ b \\]``", "\n\n```\n\\( fenced \\)\n\\[ x \\]\n```\n\n",
                         "\n\n~~~tex\n\\(x\\)\n~~~\n\n"])  # fmt: skip


@QUICK
@given(st.lists(pieces, max_size=15), st.lists(codes, max_size=3))
@example(["\\[\na \\\\[2pt] b\n\\]"] * 3, [])
@example(["\\[\na\n\\]", " ", "\\[\n- b\n\\]"], [])
def test_dollars_leave_code_alone_and_are_not_doubled(words: list[str], code: list[str]) -> None:
    text = "\n\n".join(["".join(words), *code, "".join(words)])
    done = to_dollars(text)
    assert to_dollars(done) == done
    for each in code:
        assert done.count(each.strip()) >= code.count(each)
    assert "\\( a_1 \\)" not in "".join(words) or "\\( a_1 \\)" not in done or done == text  # all or, in a muddle, none


@pytest.mark.parametrize(
    ("brackets", "dollars"),
    [
        ("\\( x \\)\\( y \\)", "$x$ $y$"),
        ("\\( x \\)\\[ y \\]", "$x$ $$ y $$"),
        ("\\[\nx\n\\]\\( y \\)\n\\[\nz\n\\]", "$$\nx\n$$\n$y$\n$$\nz\n$$"),
        ("\\( x \\)\\[\ny\n\\], then", "$x$\n$$\ny\n$$\n, then"),
    ],
)
def test_formulas_that_touch_are_told_apart_by_their_dollars(brackets: str, dollars: str) -> None:
    assert to_dollars(brackets) == dollars


# inputs


def what_is_said(given_input: str | bytes, name: str | None = None) -> str:
    """The printed error of an input, or its checked name."""
    try:
        with open_source(given_input, Settings(), name=name) as source:
            assert source.kind in ("pdf", "jpg", "png")
            assert isinstance(given_input, str) or source.size == len(given_input)
            assert_portable(result_name("{stem}", source, uid=None, clock=StillClock().clock))
            return source.name
    except Doc2XError as error:
        return str(error)


@QUICK
@given(st.one_of(st.binary(max_size=2000), st.binary(max_size=500).map(lambda tail: make_pdf()[:-20] + tail)),
       st.sampled_from([b"", b"%PDF-1.7\n", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]), anything)  # fmt: skip
def test_any_bytes_are_a_source_or_one_of_our_errors(content: bytes, start: bytes, name: str) -> None:
    assert what_is_said(start + content, name).isprintable()


@QUICK
@given(anything)
def test_any_path_is_a_source_or_one_of_our_errors(path: str) -> None:
    assert what_is_said(f"/nowhere/{path}").isprintable()


def test_the_archives_of_these_tests_are_archives() -> None:
    """Else every one of them would be refused for that reason."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "a.zip"
        path.write_bytes(pack(Member(b"md.md", b"text"), Member(b"images/", b"")))
        with zipfile.ZipFile(path) as packed:
            assert packed.testzip() is None
            assert packed.namelist() == ["md.md", "images/"]
