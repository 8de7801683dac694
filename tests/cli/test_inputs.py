"""From what was typed to documents."""

from pathlib import Path

import pytest

from doc2x_sdk.cli.inputs import Item, check_template, expand
from doc2x_sdk.errors import ConfigError, FileError
from tests.cli.command import LIKE_A_USER, account, doc2x
from tests.support.scripted_service import ScriptedService, make_pdf


def make(folder: Path, *names: str) -> list[Path]:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")
    return [folder / name for name in names]


def paths(items: list[Item], folder: Path) -> list[str]:
    return [item.path.relative_to(folder).as_posix() for item in items]


def test_a_folder_stands_for_its_documents_sorted_and_without_hidden_ones(tmp_path):
    make(tmp_path, "b.PDF", "a/z.jpeg", "a/b/c.png", "c.jpg", "notes.txt", ".hidden.pdf", ".git/x.pdf", "pdf")
    assert paths(expand([str(tmp_path)]), tmp_path) == ["a/b/c.png", "a/z.jpeg", "b.PDF", "c.jpg"]


def test_a_pattern_is_expanded_where_the_shell_did_not(tmp_path):
    make(tmp_path, "2.pdf", "1.pdf", "deep/3.pdf", "1.txt")
    assert paths(expand([str(tmp_path / "*.pdf")]), tmp_path) == ["1.pdf", "2.pdf"]
    assert paths(expand([str(tmp_path / "**" / "*.pdf")]), tmp_path) == ["1.pdf", "2.pdf", "deep/3.pdf"]
    assert paths(expand([str(tmp_path / "de*")]), tmp_path) == ["deep/3.pdf"]


def test_a_name_with_brackets_is_a_name_where_there_is_such_a_file(tmp_path):
    make(tmp_path, "a[1].pdf", "a1.pdf")
    assert paths(expand([str(tmp_path / "a[1].pdf")]), tmp_path) == ["a[1].pdf"]


def test_a_document_that_is_named_twice_is_converted_once(tmp_path, monkeypatch):
    make(tmp_path, "a.pdf", "b.pdf")
    monkeypatch.chdir(tmp_path)
    items = expand(["b.pdf", ".", "./a.pdf", str(tmp_path / "a.pdf")])
    assert [item.path.name for item in items] == ["b.pdf", "a.pdf"]


def test_pictures_of_results_are_no_documents_unless_they_are_named(tmp_path):
    make(tmp_path, "paper.pdf", "100%.pdf", "out/paper.md", "out/100%.dollar.md", "out/v1.2.tex")
    make(tmp_path, "out/paper_images/1.jpg", "out/100__images/deep/2.jpg", "out/v1.2_images/3.png")
    kept = ["100%.pdf", "out/page_images/5.jpg", "out/scan.png", "out/scan_images/4.jpg", "paper.pdf"]
    make(tmp_path, *kept)
    passed_by = []
    assert paths(expand([str(tmp_path)], passed_by=passed_by), tmp_path) == kept
    assert [path.name for path in passed_by] == ["100__images", "paper_images", "v1.2_images"]
    assert paths(expand([str(tmp_path / "out" / "paper_images")]), tmp_path) == ["out/paper_images/1.jpg"]


@pytest.mark.parametrize(
    ("typed", "advice"),
    [("https://example.org/a.pdf", "Download it"), ("-", "in a file"), ("docx", "--to docx")],
    ids=["address", "stdin", "format"],
)
def test_what_was_never_meant_as_a_path_is_told(tmp_path, monkeypatch, typed, advice):
    monkeypatch.chdir(tmp_path)
    [item] = expand([typed], ("md", "docx"))
    assert isinstance(item.error, FileError)
    assert advice in item.error.advice
    assert item.name == typed
    if typed == "docx":
        make(tmp_path, typed)
        assert expand([typed], ("md", "docx")) == [Item(Path(typed))]


@pytest.mark.faults("CL-06")
@pytest.mark.parametrize(
    "words",
    [
        ["convert", ""],
        ["convert", "a.pdf", "", "b.pdf"],
        ["convert", "--dry-run", ""],
        ["convert", "a.pdf", "--out", ""],
        ["convert", "a.pdf", "--ledger", ""],
        ["convert", "--local", ""],
        ["jobs", "--ledger", "", "prune", "--all"],
        ["jobs", "prune", "--all", "--ledger="],
        ["rescue", "--out", ""],
        ["serve", "--data", ""],
    ],
    ids=" ".join,
)
def test_an_empty_word_is_not_the_current_folder_and_nothing_is_sent(tmp_path, words):
    for name in "ab":
        (tmp_path / f"{name}.pdf").write_bytes(make_pdf(mark=name))
    with ScriptedService() as service:
        done = doc2x(*words, env=account(service.origin), cwd=tmp_path)
    assert (done.code, done.out, service.count("preupload"), service.paid) == (2, "", 0, 0)
    assert "it is empty. Is a variable of the shell not set?" in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "b.pdf"]


@pytest.mark.parametrize("name", ["*.pdf", "[x].pdf", "empty"])
def test_what_matches_nothing_is_an_input_error(tmp_path, name):
    (tmp_path / "empty").mkdir()
    [item] = expand([str(tmp_path / name)])
    assert isinstance(item.error, FileError)


@pytest.mark.skipif(LIKE_A_USER is None, reason="no modes of folders here, or root that can't be held to them")
def test_a_folder_that_is_closed_is_told(tmp_path):
    (tmp_path / "a.pdf").write_bytes(make_pdf())
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(0)
    try:
        done = doc2x("convert", tmp_path, "--local", "--dry-run", "--json", under=LIKE_A_USER or ())
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert done.code == 8
    assert [(Path(row["source"]).name, row["error"]) for row in done.json["documents"]] == [
        ("closed", "The folder can't be read: Permission denied"),
        ("a.pdf", None),
    ]


@pytest.mark.parametrize("template", ["{foo}", "{uid}-{foo}", "{stem", "{0}", "{stem.x}"])
def test_a_template_that_cannot_be_filled_is_told(template):
    with pytest.raises(ConfigError, match="template"):
        check_template(template)
