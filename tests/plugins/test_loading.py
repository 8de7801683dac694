"""Plugins as pip leaves them: found, limited, and told about; a broken one harms nobody."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pluggy
import pytest

from doc2x_sdk import Document, Option, hookimpl
from doc2x_sdk.errors import ConfigError
from doc2x_sdk.formats.options import parse_options
from doc2x_sdk.formats.plugins import PluginRow, new_manager
from doc2x_sdk.formats.registry import Formats
from doc2x_sdk.formats.shipped import SHIPPED
from tests.plugins.conftest import GOOD, Exporter, Install, Plugin, formats_of, write_text
from tests.support.scripted_service import told

ROOT = Path(__file__).parents[2]
Convert = Callable[..., Document]
OWN = ("doc2x-test", "doc2x-good", "doc2x-bad", "doc2x-other")


def rows(formats: Formats) -> dict[str, PluginRow]:
    """The rows by package, without plugins that happen to be installed beside."""
    return {row.package: row for row in formats.rows if row.package in (*OWN, "doc2x-sdk")}


def test_an_installed_plugin_is_found(install: Install) -> None:
    install("doc2x-good", GOOD, version="3.1", name="fine")
    row = rows(Formats.installed({}))["doc2x-good"]
    assert row == PluginRow(
        "doc2x-good", "3.1", "fine", ("doc2x_register_exporters",), ("good",), "loaded", "", "doc2x_good"
    )
    assert json.loads(json.dumps(row.as_json()))["formats"] == ["good"]


def test_the_built_in_formats_come_by_the_same_hook() -> None:
    row = rows(Formats())["doc2x-sdk"]
    assert "doc2x_register_exporters" in row.hooks
    assert row.formats == ("json", "txt")
    assert row.version == importlib.metadata.version("doc2x-sdk")


PROCESSOR = """
    from doc2x_sdk import Option, hookimpl

    @hookimpl
    def doc2x_register_exporters(register):
        register.processor("NAME", [Option("base")])

    @hookimpl
    def doc2x_process_bundle(bundle, context):
        context.options["NAME"]["base"]
"""

BAD = {
    "import error": ("import no_such_module_of_doc2x", "ModuleNotFoundError: No module named 'no_such_module"),
    "syntax error": ("def (", "SyntaxError"),
    "leaves": ("raise SystemExit(0)", "SystemExit: 0"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "misspelt": (
        "from doc2x_sdk import hookimpl\n@hookimpl\ndef doc2x_register_exporter(register): pass",
        "there is no hook doc2x_register_exporter (there are doc2x_register_exporters, doc2x_process_bundle, "
        "doc2x_document_done, doc2x_register_commands); doc2x_register_exporters is meant?",
    ),
    "not marked": ("def doc2x_process_bundle(bundle): pass", "doc2x_process_bundle is not marked with doc2x_sdk.hook"),
    "newer": (
        "from doc2x_sdk import hookimpl\n@hookimpl\ndef doc2x_process_bundle(bundle, cloud): pass",
        "doc2x_process_bundle takes bundle, context; is it made for a newer doc2x-sdk than",
    ),
    "nothing": ("x = 1", "it has no hook"),
    "wrapper": (
        "from doc2x_sdk import hookimpl\n@hookimpl(wrapper=True)\ndef doc2x_process_bundle():\n    return (yield)",
        "its doc2x_process_bundle is a wrapper",
    ),
    "fails to register": (
        "from doc2x_sdk import hookimpl\n@hookimpl\ndef doc2x_register_exporters(): raise SystemExit(1)",
        "its formats can't be registered: SystemExit: 1",
    ),
    "offers a native": (GOOD.replace('"good", ".good"', '"docx", ".docx"'), "offers 'docx', which the service itself"),
    "a class": (GOOD.replace("register(Good())", "register(Good)"), "registers the class Good, not an object: Good()"),
    "odd options": (
        GOOD.replace("def export", "options = (Option('size', list),)\n\n        def export").replace(
            "import hookimpl", "import Option, hookimpl"
        ),
        "The options of good can't be used: each needs a name of its own in lower case, and one of the types str",
    ),
    "takes over clean": (PROCESSOR.replace("NAME", "clean"), "has the name 'clean' of doc2x-sdk"),
    "takes over md": (PROCESSOR.replace("NAME", "md"), "has the name 'md' of doc2x-sdk"),
    "takes over txt": (PROCESSOR.replace("NAME", "txt"), "'txt' is offered twice: by doc2x-bad and by doc2x-sdk"),
    "no name": (PROCESSOR.replace("NAME", "Bad Name!"), "A post-processor of doc2x-bad has no name in lower case"),
    "no suffix": (GOOD.replace('".good"', '"good"'), "has no suffix such as '.epub'"),
}


@pytest.mark.faults("PL-07")
@pytest.mark.parametrize("kind", BAD)
def test_a_broken_plugin_is_listed_with_its_reason_and_the_rest_works(
    kind: str, install: Install, convert: Convert
) -> None:
    source, reason = BAD[kind]
    install("doc2x-bad", source)
    install("doc2x-good", GOOD)
    formats = Formats.installed({})
    row = rows(formats)["doc2x-bad"]
    assert (row.state, row.version, row.formats) == ("broken", "1.2", ())
    assert reason in row.reason
    assert rows(formats)["doc2x-good"].state == "loaded"
    document = convert(formats, ["md", "json", "good"])
    assert set(document.files) == {"md", "json", "good"}


@pytest.mark.faults("PL-07")
def test_the_core_works_with_all_plugins_broken(install: Install, convert: Convert) -> None:
    for number, (source, _) in enumerate(BAD.values()):
        install(f"doc2x-bad{number}", source)
    formats = Formats.installed({})
    states = {row.state for row in formats.rows if row.package.startswith("doc2x-bad")}
    assert states == {"broken"}
    assert set(convert(formats, ["md", "docx", "txt"]).files) == {"md", "docx", "txt"}


@pytest.mark.faults("PL-07")
def test_two_offers_of_one_name_name_both_packages_and_hurt_only_that_name(install: Install, convert: Convert) -> None:
    install("doc2x-good", GOOD)
    install("doc2x-other", GOOD)
    formats = Formats.installed({})
    with pytest.raises(ConfigError) as caught:
        formats.plan("good")
    told(caught.value, "'good' is offered twice: by doc2x-good and by doc2x-other", "DOC2X_PLUGINS")
    assert "good" not in formats.names
    for name in ("doc2x-good", "doc2x-other"):
        assert "by doc2x-good and by doc2x-other" in rows(formats)[name].reason
    assert list(convert(formats, ["md"]).files) == ["md"]
    assert Formats.installed({"DOC2X_PLUGINS": "doc2x-other"}).offer("good").package == "doc2x-other"


def test_a_plugin_may_not_take_over_a_built_in_name() -> None:
    formats = formats_of(Plugin(Exporter(write_text, "txt")))
    with pytest.raises(ConfigError) as caught:
        formats.plan("txt")
    told(caught.value, "by doc2x-sdk and by doc2x-test")


@pytest.mark.faults("PL-07")
@pytest.mark.parametrize(
    ("value", "good", "bad"),
    [
        ("", "blocked", "blocked"),
        ("doc2x-good", "loaded", "blocked"),
        (" DOC2X_Good , ", "loaded", "blocked"),
        ("fine", "loaded", "blocked"),
        (None, "loaded", "broken"),
    ],
)
def test_the_variable_limits_what_is_imported(
    value: str | None, good: str, bad: str, install: Install, tmp_path: Path
) -> None:
    trace = tmp_path / "imported"
    install("doc2x-good", GOOD, name="fine")
    install("doc2x-bad", f"open({str(trace)!r}, 'w').close()\nraise ValueError")
    found = rows(Formats.installed({} if value is None else {"DOC2X_PLUGINS": value}))
    assert (found["doc2x-good"].state, found["doc2x-bad"].state) == (good, bad)
    assert trace.exists() is (bad == "broken")


def test_a_name_in_the_variable_that_is_not_installed_is_told() -> None:
    found = [row for row in Formats.installed({"DOC2X_PLUGINS": "doc2x-nowhere"}).rows if row.state == "missing"]
    assert [(row.package, row.reason) for row in found] == [
        ("doc2x-nowhere", "DOC2X_PLUGINS names it, and no such plugin is installed")
    ]


def test_managers_are_each_clients_own() -> None:
    first, second = formats_of(Plugin(Exporter(write_text))), Formats()
    assert "x" in first.names
    assert "x" not in second.names
    assert isinstance(new_manager(), pluggy.PluginManager)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("epub", ["pip install ./plugins/doc2x-pandoc", "There are: md, md_dollar, tex, docx, json, txt"]),
        ("parquet", ["pip install ./plugins/doc2x-rag"]),
        ("xlsx", ["pip install ./plugins/doc2x-tables"]),
        ("wordcount", ["pip install ./plugins/doc2x-example"]),
        ("jsn", ["There is no format 'jsn'", "Is json meant?"]),
        ("MD", ["There is no format 'MD'", "Is md meant?"]),
        ("Word", ["There is no format 'Word'", "Is docx meant?"]),
        ("markdown", ["The service's is md.", "To get markdown, install the plugin doc2x-pandoc of"]),
        ("parse", ["There is no format 'parse'"]),
        ("md,docx", ["There is no format 'md,docx'", "--to md --to docx"]),
    ],
)
def test_an_unknown_name_is_told_with_what_exists_and_what_to_install(name: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        Formats().plan(["md", name])
    told(caught.value, *words, "md_dollar")


def test_what_is_said_to_be_installed_lies_there() -> None:
    for package, names in SHIPPED.items():
        with pytest.raises(ConfigError) as caught:
            Formats().plan(min(names))
        advised = re.findall(r"pip install (\S+)\. ", str(caught.value))
        assert [(ROOT / path / "pyproject.toml").is_file() for path in advised] == [True], package


def test_an_unknown_name_of_a_plugin_that_is_there_but_not_used_says_why(install: Install) -> None:
    install("doc2x-rag", "raise ValueError('no pyarrow')")
    with pytest.raises(ConfigError) as caught:
        Formats.installed({}).plan("jsonl")
    told(caught.value, "doc2x-rag would offer it, but it is broken", "no pyarrow")
    with pytest.raises(ConfigError) as caught:
        Formats.installed({"DOC2X_PLUGINS": ""}).plan("jsonl")
    told(caught.value, "doc2x-rag would offer it, but it is blocked", "DOC2X_PLUGINS")


def test_each_native_is_planned_once() -> None:
    plugin = Plugin(*(Exporter(write_text, name, needs) for name, needs in [("a", "md"), ("b", "md"), ("c", "tex")]))
    plan = formats_of(plugin).plan(["a", "b", "c", "md", "a"])
    assert plan.natives == ("md", "tex")
    assert plan.wanted == ("a", "b", "c", "md")


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ([("a", "b"), ("b", "a")], ["wait for each other: a needs b needs a", "doc2x-test"]),
        ([("a", "a")], ["a needs a"]),
        ([("a", "b"), ("b", "c"), ("c", "b")], ["b needs c needs b"]),
        ([("a", "gone")], ["'a' of doc2x-test needs 'gone': There is no format 'gone'"]),
        ([("a", "epub")], ["pip install ./plugins/doc2x-pandoc"]),
    ],
)
def test_a_cycle_or_an_unknown_need_is_an_error_before_anything_is_sent(
    pairs: list[tuple[str, str]], words: list[str]
) -> None:
    formats = formats_of(Plugin(*(Exporter(write_text, name, needs) for name, needs in pairs)))
    with pytest.raises(ConfigError) as caught:
        formats.plan("a")
    told(caught.value, *words, "There are: ")
    needs = dict(pairs)["a"]
    reason = rows(formats)["doc2x-test"].reason
    assert reason == ("" if needs in dict(pairs) else f"The format 'a' needs {needs!r}, which nobody offers")


def test_formats_of_one_extension_do_not_meet_in_one_file(convert: Convert) -> None:
    latex, other = Exporter(write_text, "latex", suffix=".tex"), Exporter(write_text, "other", suffix=".tex")
    document = convert(formats_of(Plugin(latex, other)), ["latex", "tex", "other"])
    assert {name: path.name for name, path in document.files.items()} == {
        "latex": "paper.latex.tex",
        "tex": "paper.tex",
        "other": "paper.other.tex",
    }
    alone = convert(formats_of(Plugin(latex)), ["latex"], overwrite=True)
    assert alone.files["latex"].name == "paper.tex"


OPTIONS = (
    Option("count", int, 3, "how many"),
    Option("scale", float, 1.0),
    Option("toc", bool, False),
    Option("style", str, None, choices=("plain", "rich")),
    Option("css", Path, (), multiple=True),
)


def plan_options(given: dict[str, object]) -> object:
    return formats_of(Plugin(Exporter(write_text, options=OPTIONS))).plan("x", {"x": given}).options["x"]


def test_options_are_typed(tmp_path: Path) -> None:
    given = parse_options(["x.count=-5", "x.scale=2", "x.toc=Yes", "x.style=rich", f"x.css={tmp_path}", "x.css=/"])
    expected = {"count": -5, "scale": 2.0, "toc": True, "style": "rich", "css": (tmp_path, Path("/"))}
    assert plan_options(given["x"]) == expected
    assert plan_options({}) == {"count": 3, "scale": 1.0, "toc": False, "style": None, "css": ()}
    assert plan_options({"count": 4, "css": [tmp_path], "scale": 3}) == {
        "count": 4,
        "css": (tmp_path,),
        "scale": 3.0,
        "toc": False,
        "style": None,
    }
    assert parse_options(["x.a=b=c", "y.k=", "x.a=2", "x.a=3"]) == {"x": {"a": ["b=c", "2", "3"]}, "y": {"k": ""}}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"count": "five"}, ["x.count must be a whole number", "'five'", "how many"]),
        ({"count": True}, ["x.count must be a whole number"]),
        ({"count": 2.5}, ["x.count must be a whole number"]),
        ({"count": ["1", "2"]}, ["x.count takes one value, not 2"]),
        ({"scale": "nan"}, ["x.scale must be a number"]),
        ({"toc": "maybe"}, ["x.toc must be true or false"]),
        ({"style": "wild"}, ["x.style can't be 'wild'", "Choose from: plain, rich"]),
        ({"css": "/no/such/file"}, ["x.css must be the path of a file or folder that exists"]),
        ({"colour": "red"}, ["x has no option 'colour'", "count, scale, toc, style, css"]),
    ],
)
def test_an_option_that_does_not_fit_is_refused(given: dict[str, object], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_options(given)
    told(caught.value, *words)


def test_options_for_a_format_that_was_not_asked_for_are_refused() -> None:
    formats = formats_of(Plugin(Exporter(write_text, options=OPTIONS)))
    with pytest.raises(ConfigError, match="which was not asked for"):
        formats.plan("md", {"x": {"count": 1}})
    with pytest.raises(ConfigError, match=r"pip install \./plugins/doc2x-pandoc"):
        formats.plan("md", {"epub": {"toc": True}})
    for text in ("x.count", "count=3", ".k=v", "x.=v"):
        with pytest.raises(ConfigError, match=r"FORMAT\.KEY=VALUE"):
            parse_options([text])


def test_a_post_processor_declares_options_and_finds_them_typed(convert: Convert) -> None:
    seen: list[object] = []

    class Processor:
        @hookimpl
        def doc2x_register_exporters(self, register: object) -> None:
            register.processor("rehost", [Option("to"), Option("limit", int, 5)], "moves pictures")  # type: ignore[attr-defined]

        @hookimpl
        def doc2x_process_bundle(self, context: object) -> None:
            seen.append(context.options["rehost"])  # type: ignore[attr-defined]

    formats = formats_of(Processor())
    convert(formats, ["md"], options={"rehost": {"to": "memory://x", "limit": "7"}})
    convert(formats, ["tex"])
    assert seen == [{"to": "memory://x", "limit": 7}, {"to": None, "limit": 5}]
    own = [(each.name, each.help) for each in formats.processors if each.package == "doc2x-test"]
    assert own == [("rehost", "moves pictures")]


@pytest.mark.faults("PL-07")
def test_two_post_processors_of_one_name_are_both_named_and_neither_is_used(install: Install, convert: Convert) -> None:
    install("doc2x-other", PROCESSOR.replace("NAME", "cdn"))
    install("doc2x-bad", PROCESSOR.replace("NAME", "cdn").replace('"base"', '"server"'))
    formats = Formats.installed({})
    with pytest.raises(ConfigError) as caught:
        formats.plan("md", {"cdn": {"base": "https://pictures.example.org"}})
    told(caught.value, "'cdn' is offered twice: by doc2x-bad and by doc2x-other", "DOC2X_PLUGINS")
    assert {rows(formats)[name].state for name in ("doc2x-bad", "doc2x-other")} == {"broken"}
    assert list(convert(formats, ["md"]).files) == ["md"]
    alone = Formats.installed({"DOC2X_PLUGINS": "doc2x-other"})
    assert alone.plan("md", {"cdn": {"base": "x"}}).options["cdn"] == {"base": "x"}


@pytest.mark.faults("PL-09")
def test_nothing_here_unpickles_or_reads_unsafe_yaml() -> None:
    """A child's job and result are JSON; no module for reading objects is even loaded for plugins."""
    code = (
        "import sys; import doc2x_sdk.formats.child, doc2x_sdk.formats.registry; "
        "print([name for name in ('pickle', '_pickle', 'yaml', 'shelve', 'dill') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "DOC2X_PLUGINS": ""},
    )
    assert done.stdout.strip() == "[]"
