"""From what was typed to documents and the names of their results."""

import hashlib
import os
from pathlib import Path

import pytest

from doc2x_sdk.cli.inputs import Item, expand
from doc2x_sdk.errors import ConfigError, FileError


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
    assert paths(expand([str(tmp_path)], "{stem}"), tmp_path) == ["a/b/c.png", "a/z.jpeg", "b.PDF", "c.jpg"]


def test_a_pattern_is_expanded_where_the_shell_did_not(tmp_path):
    make(tmp_path, "2.pdf", "1.pdf", "deep/3.pdf", "1.txt")
    assert paths(expand([str(tmp_path / "*.pdf")], "{stem}"), tmp_path) == ["1.pdf", "2.pdf"]
    assert paths(expand([str(tmp_path / "**" / "*.pdf")], "{stem}"), tmp_path) == ["1.pdf", "2.pdf", "deep/3.pdf"]
    assert paths(expand([str(tmp_path / "de*")], "{stem}"), tmp_path) == ["deep/3.pdf"]


def test_a_name_with_brackets_is_a_name_where_there_is_such_a_file(tmp_path):
    make(tmp_path, "a[1].pdf", "a1.pdf")
    assert paths(expand([str(tmp_path / "a[1].pdf")], "{stem}"), tmp_path) == ["a[1].pdf"]


def test_a_document_that_is_named_twice_is_converted_once(tmp_path, monkeypatch):
    make(tmp_path, "a.pdf", "b.pdf")
    monkeypatch.chdir(tmp_path)
    items = expand(["b.pdf", ".", "./a.pdf", str(tmp_path / "a.pdf")], "{stem}")
    assert [item.path.name for item in items] == ["b.pdf", "a.pdf"]


@pytest.mark.parametrize("name", ["*.pdf", "[x].pdf", "empty"])
def test_what_matches_nothing_is_an_input_error(tmp_path, name):
    (tmp_path / "empty").mkdir()
    [item] = expand([str(tmp_path / name)], "{stem}")
    assert isinstance(item.error, FileError)


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0, reason="root reads every folder; Windows has no such modes"
)
def test_a_folder_that_is_closed_is_told(tmp_path):
    make(tmp_path, "a.pdf", "closed/b.pdf")
    (tmp_path / "closed").chmod(0)
    try:
        errors = [item.error for item in expand([str(tmp_path)], "{stem}")]
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert sum(isinstance(error, FileError) for error in errors) == 1


def test_two_results_of_one_name_do_not_meet_whatever_the_order(tmp_path):
    first, second, third = make(tmp_path, "a/x.pdf", "b/X.pdf", "c/x.png")
    marks = {path: hashlib.sha256(path.read_bytes()).hexdigest()[:8] for path in (second, third)}
    expected = {first: "{stem}", second: f"{{stem}}-{marks[second]}", third: f"{{stem}}-{marks[third]}"}
    for order in ([first, second, third], [third, second, first]):
        items = expand(map(str, order), "{stem}")
        assert [item.path for item in items] == order
        assert {item.path: item.template for item in items} == expected


def test_copies_of_one_name_are_numbered(tmp_path):
    copies = make(tmp_path, "a/x.pdf", "b/x.pdf", "c/x.pdf", "d/x.pdf")
    for path in copies:
        path.write_text("the same")
    mark = hashlib.sha256(b"the same").hexdigest()[:8]
    templates = [item.template for item in expand(map(str, copies), "{stem}")]
    assert templates == ["{stem}", f"{{stem}}-{mark}", f"{{stem}}-{mark}-2", f"{{stem}}-{mark}-3"]


def test_a_template_without_the_stem_makes_every_name_one(tmp_path):
    make(tmp_path, "a.pdf", "b.pdf")
    first, second = (item.template for item in expand([str(tmp_path)], "scan-{date}"))
    assert first == "scan-{date}"
    assert second.startswith("scan-{date}-")


def test_with_the_uid_every_name_is_its_own_already(tmp_path):
    make(tmp_path, "a/x.pdf", "b/x.pdf")
    assert {item.template for item in expand([str(tmp_path)], "{stem}-{uid}")} == {"{stem}-{uid}"}


@pytest.mark.parametrize("template", ["{foo}", "{uid}-{foo}", "{stem", "{0}", "{stem.x}"])
def test_a_template_that_cannot_be_filled_is_told_before_any_file_is_looked_at(template):
    with pytest.raises(ConfigError, match="template"):
        expand(["nothing.pdf"], template)
