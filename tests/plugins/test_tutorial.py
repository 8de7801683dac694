"""docs/guide/write-a-plugin.md, followed literally in a fresh virtual environment."""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.venvs import ROOT, Environment

PAGE = ROOT / "docs" / "guide" / "write-a-plugin.md"
BLOCK = re.compile(r"(<!-- not run: [^>]*-->\n)?^```(python|toml|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NAME = re.compile(r"`([\w.]+\.(?:py|toml))`")


def steps() -> list[tuple[str, str, str]]:
    """The page's blocks in their order: kind, the file name told last before it, and the text."""
    text = PAGE.read_text(encoding="utf-8")
    found = []
    for match in BLOCK.finditer(text):
        if match[1] is None:
            names = NAME.findall(BLOCK.sub("", text[: match.start()]))
            found.append((match[2], names[-1] if names else "", match[3]))
    return found


def expected(shown: list[str]) -> str:
    """The output that a console block shows, as a pattern: `...` stands for anything."""
    lines = [re.escape(line).replace(re.escape("..."), ".*") for line in shown]
    return "\n".join(lines)


@pytest.mark.slow
def test_the_tutorial_works_as_it_is_written(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "venv")
    desk = tmp_path / "desk"
    (desk / "doc2x-outline").mkdir(parents=True)
    shutil.copyfile(ROOT / "docs" / "examples" / "paper.pdf", desk / "paper.pdf")
    ran = []
    for kind, name, text in steps():
        if kind != "console":
            (desk / "doc2x-outline" / name).write_text(text, encoding="utf-8")
            continue
        for command in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            line, *shown = command.rstrip("\n").split("\n")
            words = shlex.split(line)
            ran.append(words[0])
            if words[:2] == ["pip", "install"]:
                environment.install(*words[2:], cwd=desk)
                continue
            done = environment.run(*words, cwd=desk)
            assert re.fullmatch(expected(shown), done.stdout.strip(), re.DOTALL), done.stdout
    assert ran == ["pip", "doc2x", "doc2x", "doc2x", "pytest"]
    outline = (desk / "out" / "paper.outline.txt").read_text(encoding="utf-8")
    assert outline.strip()
    assert len(outline.splitlines()) < 30


def test_the_post_processor_of_the_tutorial_passes_its_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## Change what the service made")[2].partition("\n## ")[0]
    piece, test = (match[3] for match in BLOCK.finditer(section))
    (tmp_path / "doc2x_cdn.py").write_text(f"from doc2x_sdk import Option, hookimpl\n\n{piece}", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(test, str(PAGE), "exec"), names)
    names["test_pictures_are_linked"](tmp_path)


def test_the_plugin_of_the_tutorial_is_short() -> None:
    source = next(text for kind, name, text in steps() if name == "doc2x_outline.py")
    assert len([line for line in source.splitlines() if line.strip()]) < 30
