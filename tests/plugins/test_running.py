"""Exporters and post-processors at work: whatever they do, the document keeps its other formats."""

import _thread
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from doc2x_sdk import Bundle, Document, Option, Page, hookimpl
from doc2x_sdk.cli.exits import exit_of
from doc2x_sdk.errors import ExporterError
from doc2x_sdk.flow.derive import Exporters
from doc2x_sdk.formats.offers import checked_offer
from doc2x_sdk.testing import sample_bundle
from tests.plugins.conftest import Exporter, Plugin, formats_of, write_text
from tests.support.scripted_service import ScriptedService, make_pdf, told
from tests.support.wire import KEY

Convert = Callable[..., Document]


class OddError(BaseException):
    def __str__(self) -> str:
        raise ValueError("no text")


def failing(error: Any) -> Callable[..., Any]:
    def export(*_: object) -> list[Path]:
        raise error

    return export


def test_a_good_exporter_gives_its_file(convert: Convert, service: ScriptedService, tmp_path: Path) -> None:
    formats = formats_of(Plugin(Exporter(write_text), Exporter(write_text, "y")))
    document = convert(formats, ["x", "y"])
    assert document.files == {"x": tmp_path / "out/paper.x", "y": tmp_path / "out/paper.y"}
    assert document.files["x"].read_text() == "md: 38"
    assert service.count("export") == 1  # both need md, which nobody asked for
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["paper.x", "paper.y"]


@pytest.mark.faults("PL-01")
@pytest.mark.parametrize("where", ["main thread", "another thread"])
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RuntimeError("no luck"), "RuntimeError: no luck"),
        (SystemExit(0), "SystemExit: 0"),
        (KeyboardInterrupt("not the user"), "KeyboardInterrupt: not the user"),
        (GeneratorExit(), "GeneratorExit"),
        (OddError(), "OddError: its text can't be shown"),
        (ValueError("a\x1b[31m\ud800\n" + "long " * 1000), "ValueError: a [31m long long"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_whatever_an_exporter_raises_fails_only_its_format(
    error: BaseException, text: str, where: str, convert: Convert, tmp_path: Path
) -> None:
    formats = formats_of(Plugin(Exporter(failing(error)), Exporter(write_text, "y")))
    done: list[Document] = []

    def work() -> None:
        done.append(convert(formats, ["x", "md", "y"]))

    if where == "main thread":
        work()
    else:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert set(done[0].files) == {"md", "y"}
    assert all(path.is_file() for path in done[0].files.values())
    failure = done[0].failures["x"]
    assert isinstance(failure, ExporterError)
    told(failure, text, "doc2x-test 1.2", "paper.pdf")
    assert (failure.plugin, failure.version, failure.uid) == ("doc2x-test", "1.2", done[0].uid)
    assert exit_of(failure) == 7
    assert len(failure.message) < 600
    assert failure.message.isprintable()


def test_the_log_says_where_an_exporter_failed(convert: Convert, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "doc2x_sdk"):
        convert(formats_of(Plugin(Exporter(failing(RuntimeError("no luck"))))), ["x"])
    [line] = [record.getMessage() for record in caplog.records if "a plugin raised" in record.message]
    assert line.startswith("a plugin raised RuntimeError at\n")
    assert "raise error" in line
    assert "no luck" not in line, "its text is told once, made safe for a terminal"


@pytest.mark.faults("PL-01")
@pytest.mark.parametrize("swallowed", [False, True])
def test_a_real_ctrl_c_is_not_taken_for_the_exporters(swallowed: bool, convert: Convert, tmp_path: Path) -> None:
    def export(bundle: Bundle, out: Path, options: object) -> list[Path]:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000):
                time.sleep(0)
        except KeyboardInterrupt:
            if not swallowed:
                raise
        return write_text(bundle, out, {})

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        convert(formats_of(Plugin(Exporter(export))), ["x"])
    assert signal.getsignal(signal.SIGINT) is before
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.faults("PL-01")
def test_a_handler_that_only_takes_note_leaves_the_exporters_error_to_the_exporter(convert: Convert) -> None:
    seen: list[int] = []

    def export(*_: object) -> list[Path]:
        _thread.interrupt_main()
        for _ in range(1000):
            time.sleep(0)
        raise SystemExit(3)

    before = signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    try:
        document = convert(formats_of(Plugin(Exporter(export))), ["x"])
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]
    told(document.failures["x"], "SystemExit: 3")


def link_to(target: str) -> Callable[..., Any]:
    def export(bundle: Bundle, out: Path, options: object) -> list[Path]:
        (out / "x.txt").symlink_to(target)
        return [out / "x.txt"]

    return export


def linked_folder(bundle: Bundle, out: Path, options: object) -> list[Path]:
    (out / "sub").symlink_to(bundle.folder)
    return [out / "sub" / bundle.main.name]


def hard_link(bundle: Bundle, out: Path, options: object) -> list[Path]:
    mine = write_text(bundle, out, {})[0]
    os.link(mine, out.parent / "second-name")
    return [mine]


def swapped_folder(bundle: Bundle, out: Path, options: object) -> list[Path]:
    out.rename(out.with_name("elsewhere"))
    out.symlink_to(out.with_name("elsewhere"))
    return write_text(bundle, out, {})


def removed_folder(bundle: Bundle, out: Path, options: object) -> list[Path]:
    out.rmdir()
    return [out / "x"]


def twice(bundle: Bundle, out: Path, options: object) -> list[Path]:
    return write_text(bundle, out, {}) * 2


def dotted(bundle: Bundle, out: Path, options: object) -> list[Path]:
    (out.parent / "beside.txt").write_text("x")
    return [out / ".." / "beside.txt"]


def folder_itself(bundle: Bundle, out: Path, options: object) -> list[Path]:
    (out / "folder").mkdir()
    return [out / "folder"]


def odd_name(bundle: Bundle, out: Path, options: object) -> list[Path]:
    target = out / "odd-\udcff.txt"
    target.write_text("x")
    return [target]


def name_alone(bundle: Bundle, out: Path, options: object) -> list[Path]:
    (out / "x.txt").write_text("x")
    return [Path("x.txt")]


def pipe(bundle: Bundle, out: Path, options: object) -> list[Path]:
    os.mkfifo(out / "pipe")
    return [out / "pipe"]


@pytest.mark.parametrize(
    ("export", "text"),
    [
        pytest.param(lambda *_: None, "NoneType", marks=pytest.mark.faults("PL-04"), id="none"),
        pytest.param(lambda *_: "x" * 50_000_000, "type str", marks=pytest.mark.faults("PL-04"), id="long text"),
        pytest.param(lambda *_: [], "one of 0", marks=pytest.mark.faults("PL-04"), id="empty"),
        pytest.param(lambda *_: [3], "int", marks=pytest.mark.faults("PL-04"), id="numbers"),
        pytest.param(lambda *_: ["\ud800"], "no regular file", marks=pytest.mark.faults("PL-04"), id="surrogate"),
        pytest.param(lambda *_: ["a\0b"], "no regular file", marks=pytest.mark.faults("PL-04"), id="nul"),
        pytest.param(odd_name, "no regular file", marks=pytest.mark.faults("PL-04"), id="name that is no text"),
        pytest.param(twice, "twice", marks=pytest.mark.faults("PL-04"), id="twice"),
        pytest.param(
            lambda b, out, o: [out / "gone"],
            "in its folder: it is not there",
            marks=pytest.mark.faults("PL-04"),
            id="missing",
        ),
        pytest.param(name_alone, "`out` belongs before", marks=pytest.mark.faults("PL-04"), id="name alone"),
        pytest.param(folder_itself, "no regular file", marks=pytest.mark.faults("PL-05"), id="folder"),
        pytest.param(pipe, "no regular file", marks=pytest.mark.faults("PL-05"), id="pipe"),
        pytest.param(
            lambda *_: [Path("/etc/hostname")], "no regular file", marks=pytest.mark.faults("PL-05"), id="absolute"
        ),
        pytest.param(dotted, "no regular file", marks=pytest.mark.faults("PL-05"), id="dots"),
        pytest.param(
            link_to("/etc/hostname"), "no regular file", marks=pytest.mark.faults("PL-05"), id="symbolic link"
        ),
        pytest.param(linked_folder, "no regular file", marks=pytest.mark.faults("PL-05"), id="linked folder"),
        pytest.param(hard_link, "no regular file", marks=pytest.mark.faults("PL-05"), id="hard link"),
        pytest.param(swapped_folder, "removed its folder", marks=pytest.mark.faults("PL-05"), id="swapped folder"),
        pytest.param(removed_folder, "removed its folder", marks=pytest.mark.faults("PL-05"), id="removed folder"),
    ],
)
def test_a_result_against_the_contract_is_refused(
    export: Callable[..., Any], text: str, convert: Convert, tmp_path: Path
) -> None:
    document = convert(formats_of(Plugin(Exporter(export), Exporter(write_text, "y"))), ["x", "y"])
    told(document.failures["x"], text, "doc2x-test 1.2")
    assert len(str(document.failures["x"])) < 600
    assert list(document.files) == ["y"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["paper.y"]


def append(bundle: Bundle) -> None:
    with bundle.main.open("a") as file:
        file.write("mine")


def forge(bundle: Bundle) -> None:
    """Change a byte and put the times back."""
    state = bundle.main.stat()
    with bundle.main.open("r+b") as file:
        file.write(b"X")
    os.utime(bundle.main, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.faults("PL-06")
@pytest.mark.parametrize(
    "change",
    [
        append,
        forge,
        lambda bundle: bundle.images[0].unlink(),
        lambda bundle: (bundle.folder / "new.txt").write_text("x"),
        lambda bundle: bundle.main.rename(bundle.folder / "other.md"),
        lambda bundle: bundle.main.chmod(0o600 if bundle.main.stat().st_mode & 0o777 != 0o600 else 0o644),
    ],
    ids=["append", "forged times", "delete", "add", "rename", "mode"],
)
def test_an_exporter_that_changes_its_bundle_fails_and_the_next_gets_a_clean_one(
    change: Callable[[Bundle], object], convert: Convert, tmp_path: Path
) -> None:
    def export(bundle: Bundle, out: Path, options: object) -> list[Path]:
        files = write_text(bundle, out, {})
        change(bundle)
        return files

    def read(bundle: Bundle, out: Path, options: object) -> list[Path]:
        (out / "z").write_bytes(bundle.main.read_bytes() + bundle.images[0].read_bytes())
        return [out / "z"]

    formats = formats_of(Plugin(Exporter(export), Exporter(read, "z")))
    document = convert(formats, ["x", "z", "md"])
    told(document.failures["x"], "changed the bundle")
    assert document.files["z"].read_bytes().startswith(b"# Title\n\n![](images/0_1.jpg)")
    assert "mine" not in document.files["md"].read_text()
    assert list((tmp_path / "out/paper_images").iterdir())


@pytest.mark.faults("PL-06")
def test_what_an_exporter_does_to_pages_links_and_options_reaches_nobody(tmp_path: Path) -> None:
    bundle = sample_bundle("paper", tmp_path / "bundle")
    page = Page(0, "text", blocks=({"type": "Text", "bbox": [1, 2]},), extra={"a": [1]})
    bundle = replace(bundle, pages=(page,))

    def export(given: Bundle, out: Path, options: dict[str, Any]) -> list[Path]:
        given.pages[0].blocks[0]["bbox"].append(3)
        given.pages[0].extra["a"].append(2)  # type: ignore[index]
        given.links["images/x.jpg"] = "https://elsewhere.example/"
        options["size"] = 99
        return write_text(given, out, {})

    exporter = Exporter(export, options=(Option("size", int, 1),))
    values = {"size": 1}
    Exporters(tmp_path).run(checked_offer(exporter, package="p"), bundle, values)
    assert page == Page(0, "text", blocks=({"type": "Text", "bbox": [1, 2]},), extra={"a": [1]})
    assert bundle.links == {}
    assert values == {"size": 1}


@pytest.mark.faults("PL-06")
def test_the_working_directory_and_the_handlers_are_put_back(
    convert: Convert, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def export(bundle: Bundle, out: Path, options: object) -> list[Path]:
        os.chdir("/")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.environ["LEFT_BY_A_PLUGIN"] = "1"
        return write_text(bundle, out, {})

    before = Path.cwd(), signal.getsignal(signal.SIGTERM)
    try:
        convert(formats_of(Plugin(Exporter(export))), ["x"])
        assert (Path.cwd(), signal.getsignal(signal.SIGTERM)) == before
        # other threads run in the tests, and one of them may have set it
        assert "variables changed while doc2x-test ran: LEFT_BY_A_PLUGIN" in caplog.text
    finally:
        os.environ.pop("LEFT_BY_A_PLUGIN", None)


class Rewriting(Plugin):
    """Post-processes: marks the text and asks for the picture's link to be replaced."""

    def __init__(self, *exporters: Exporter, url: str = "https://img.example/a%20b.jpg?x=1") -> None:
        super().__init__(*exporters)
        self._url = url

    @hookimpl
    def doc2x_process_bundle(self, bundle: Bundle) -> None:
        bundle.main.write_text(bundle.main.read_text() + "\nprocessed\n")
        bundle.links["images/0_1.jpg"] = self._url
        bundle.warn("one picture moved")


def test_exporters_read_local_pictures_and_publish_rewrites_links_last(convert: Convert, tmp_path: Path) -> None:
    def export(bundle: Bundle, out: Path, options: object) -> list[Path]:
        text = bundle.main.read_text()
        picture = bundle.image("images/0_1.jpg")
        assert picture is not None
        target = out / "x"
        target.write_text(f"{text}\n{picture.read_bytes()!r}\n{bundle.links}")
        return [target]

    document = convert(formats_of(Rewriting(Exporter(export))), ["md", "x"])
    made = document.files["x"].read_text()
    assert "![](images/0_1.jpg)" in made
    assert "crop of a figure" in made
    assert "processed" in made
    assert "'https://img.example/a%20b.jpg?x=1'" in made
    assert "![](https://img.example/a%20b.jpg?x=1)" in document.files["md"].read_text()
    assert not (tmp_path / "out/paper_images").exists()
    assert document.warnings == ("one picture moved",)


@pytest.mark.parametrize("moved", [False, True])
def test_paths_in_a_derived_text_follow_the_published_pictures(moved: bool, convert: Convert, tmp_path: Path) -> None:
    def export(bundle: Bundle, out: Path, options: object) -> list[Path]:
        (out / "x").write_text('image("images/0_1.jpg") ./images/0_1.jpg, other-images/0_1.jpg images/0_1.jpgx')
        return [out / "x"]

    exporter = Exporter(export, linked_images=True)
    document = convert(formats_of(Rewriting(exporter) if moved else Plugin(exporter)), ["x"])
    link = "https://img.example/a%20b.jpg?x=1" if moved else "paper_images/0_1.jpg"
    expected = f'image("{link}") {link}, other-images/0_1.jpg images/0_1.jpgx'
    assert document.files["x"].read_text() == expected
    assert (tmp_path / "out/paper_images/0_1.jpg").is_file() is not moved


def test_post_processors_run_in_the_order_that_they_ask_for(convert: Convert) -> None:
    order: list[str] = []

    class First:
        @hookimpl(trylast=True)
        def doc2x_process_bundle(self, context: Any) -> None:
            order.append(f"last, for {', '.join(context.wanted)}")

    class Second:
        @hookimpl
        def doc2x_process_bundle(self, bundle: Bundle) -> None:
            order.append("middle")

    class Third:
        @hookimpl(tryfirst=True)
        def doc2x_process_bundle(self) -> None:
            order.append("first")

    convert(formats_of(First(), Third(), Second()), ["md"])
    assert order == ["first", "middle", "last, for md"]


def remove_main(bundle: Bundle) -> None:
    bundle.main.unlink()


def add_link(bundle: Bundle) -> None:
    (bundle.folder / "images" / "key.png").symlink_to("/etc/hostname")


def leave(bundle: Bundle) -> None:
    raise SystemExit("done for")


@pytest.mark.faults("PL-01")
@pytest.mark.parametrize(
    ("change", "text"),
    [(leave, "SystemExit: done for"), (remove_main, "removed the main file"), (add_link, "put a link")],
)
def test_a_failed_post_processor_fails_its_native_format_and_what_needs_it(
    change: Callable[[Bundle], None], text: str, convert: Convert, tmp_path: Path
) -> None:
    class Processor(Plugin):
        @hookimpl
        def doc2x_process_bundle(self, bundle: Bundle) -> None:
            if bundle.format == "md":
                change(bundle)

    document = convert(formats_of(Processor(Exporter(write_text))), ["md", "x", "tex", "txt"])
    told(document.failures["md"], text, "doc2x-test 1.2")
    told(document.failures["x"], "needs md, which failed", text)
    assert list(document.files) == ["tex", "txt"]
    assert not (tmp_path / "out/paper.md").exists()


def test_the_document_is_announced_and_its_listeners_can_fail_without_harm(convert: Convert) -> None:
    heard: list[Document] = []

    class Listener(Plugin):
        @hookimpl
        def doc2x_document_done(self, document: Document) -> None:
            heard.append(document)
            document.files.clear()  # type: ignore[attr-defined]
            document.contents.clear()  # type: ignore[attr-defined]

    class Broken(Plugin):
        @hookimpl
        def doc2x_document_done(self) -> None:
            raise SystemExit(1)

    document = convert(formats_of(Broken(), listener=Listener()), ["md"])
    assert heard[0].uid == document.uid
    assert list(document.files) == ["md"]
    assert document.warnings == ("doc2x-test 1.2 failed after the document was done: SystemExit: 1",)


def test_a_result_in_memory_outlives_its_listeners(service: ScriptedService, tmp_path: Path) -> None:
    class Listener(Plugin):
        @hookimpl
        def doc2x_document_done(self, document: Document) -> None:
            document.contents.clear()  # type: ignore[attr-defined]

    with service.client(formats=formats_of(Listener())) as client:
        assert "document.md" in client.convert(make_pdf(), to="md").contents


def test_the_paths_that_a_plugin_gets_hold_in_any_folder(
    service: ScriptedService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Processor(Plugin):
        @hookimpl
        def doc2x_process_bundle(self, bundle: Bundle) -> None:
            assert bundle.folder.is_absolute()

    def export(bundle: Bundle, out: Path, options: object) -> list[Path]:
        copy = "import pathlib, sys; pathlib.Path(sys.argv[2]).write_bytes(pathlib.Path(sys.argv[1]).read_bytes())"
        subprocess.run([sys.executable, "-c", copy, bundle.main, out / "r.txt"], cwd=bundle.folder, check=True)
        return [out / "r.txt"]

    monkeypatch.chdir(tmp_path)
    with service.client(formats=formats_of(Processor(Exporter(export)))) as client:
        document = client.convert(make_pdf(), to="x", out="relative")
    assert document.failures == {}
    assert document.files == {"x": Path("relative/document.x")}


def test_a_format_derived_from_a_derived_one(convert: Convert, service: ScriptedService, tmp_path: Path) -> None:
    def first(bundle: Bundle, out: Path, options: object) -> list[Path]:
        (out / "upper.md").write_text(bundle.main.read_text().upper().replace("IMAGES/0_1.JPG", "images/0_1.jpg"))
        return [out / "upper.md"]

    def second(bundle: Bundle, out: Path, options: object) -> list[Path]:
        assert (bundle.format, bundle.main.name) == ("upper", "upper.md")
        assert bundle.image("images/0_1.jpg") is not None
        (out / "y").write_text(bundle.main.read_text()[::-1])
        return [out / "y"]

    formats = formats_of(Plugin(Exporter(second, "y", "upper"), Exporter(first, "upper", "md")))
    assert [offer.name for offer in formats.plan("y").offers] == ["upper", "y"]
    document = convert(formats, ["y"])
    assert document.failures == {}
    assert document.files["y"].read_text()[::-1].startswith("# TITLE")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["paper.y"]
    both = convert(formats, ["upper", "y"], overwrite=True)
    assert set(both.files) == {"upper", "y"}
    assert service.count("export") == 2


def test_what_needs_a_failed_derived_format_says_so(convert: Convert) -> None:
    formats = formats_of(Plugin(Exporter(failing(OSError("disk")), "a"), Exporter(write_text, "b", "a")))
    document = convert(formats, ["b", "md"])
    told(document.failures["b"], "needs a, which failed", "disk")
    assert list(document.files) == ["md"]


def tables(count: int) -> Callable[..., list[Path]]:
    def export(bundle: Bundle, out: Path, options: object) -> list[Path]:
        names = [f"table-{number}.csv" for number in range(1, count + 1)]
        for name in names:
            (out / name).write_text(name)
        return [out / name for name in names]

    return export


def test_further_files_stand_beside_the_main_one(convert: Convert, tmp_path: Path) -> None:
    document = convert(formats_of(Plugin(Exporter(tables(3), "csv"))), ["csv"])
    out = tmp_path / "out"
    assert document.files["csv"] == out / "paper.csv"
    assert {path.name: path.read_text() for path in out.iterdir()} == {
        "paper.csv": "table-1.csv",
        "paper-table-2.csv": "table-2.csv",
        "paper-table-3.csv": "table-3.csv",
    }


@pytest.mark.faults("FS-05")
def test_a_further_file_never_replaces_what_is_there(convert: Convert, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/paper-table-2.csv").write_text("mine")
    document = convert(formats_of(Plugin(Exporter(tables(2), "csv"), Exporter(tables(2), "tsv"))), ["csv", "tsv", "md"])
    told(document.failures["csv"], "paper-table-2.csv is there already")
    told(document.failures["tsv"], "paper-table-2.csv is there already")
    assert list(document.files) == ["md"]
    assert (tmp_path / "out/paper-table-2.csv").read_text() == "mine"
    again = convert(formats_of(Plugin(Exporter(tables(2), "csv"), Exporter(tables(2), "tsv"))), ["csv", "tsv"],
                    overwrite=True)  # fmt: skip
    assert list(again.files) == ["csv"]  # the second would replace a file of the first
    told(again.failures["tsv"], "paper-table-2.csv is there already")


@pytest.mark.faults("PL-10")
def test_no_hook_is_given_the_key(service: ScriptedService, paper: Path, tmp_path: Path) -> None:
    seen: list[object] = []

    class Curious(Plugin):
        @hookimpl
        def doc2x_process_bundle(self, bundle: Bundle, context: Any) -> None:
            seen.extend([bundle, context])

        @hookimpl
        def doc2x_document_done(self, document: Document) -> None:
            seen.append(document)

    def export(bundle: Bundle, out: Path, options: object) -> list[Path]:
        seen.extend([bundle, out, options])
        return write_text(bundle, out, {})

    with service.client(formats=formats_of(Curious(Exporter(export)))) as client:
        client.convert(paper, to=["x", "md"], out=tmp_path / "out")
        assert len(seen) == 6
        for thing in seen:
            assert not reaches(thing, KEY), type(thing)
            assert not reaches(thing, client)


def reaches(start: object, wanted: object) -> bool:
    """Whether some chain of attributes and items leads from one object to a text that holds another, or to it."""
    todo, known = [start], set()
    while todo:
        one = todo.pop()
        if id(one) in known:
            continue
        known.add(id(one))
        if one is wanted or (isinstance(one, str) and isinstance(wanted, str) and wanted in one):
            return True
        if isinstance(one, dict):
            todo += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple | set | frozenset):
            todo += one
        else:
            todo += [getattr(one, name, None) for name in getattr(type(one), "__slots__", ())]
            todo += list(vars(one).values()) if hasattr(one, "__dict__") else []
    return False


def test_nothing_is_sent_when_an_option_is_wrong(service: ScriptedService, paper: Path) -> None:
    formats = formats_of(Plugin(Exporter(write_text, options=(Option("size", int, 1),))))
    with (
        service.client(formats=formats) as client,
        pytest.raises(RuntimeError, match=r"x\.size must be a whole number"),
    ):
        client.convert(paper, to="x", options={"x": {"size": "big"}})
    assert service.server.requests == []
