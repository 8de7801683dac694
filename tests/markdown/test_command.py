"""`--clean` and `--tables`: what is published, and what exporters read, by the engine on this machine."""

import json
from pathlib import Path

import pytest

from doc2x_sdk.cli.main import main
from doc2x_sdk.errors import ExporterError
from doc2x_sdk.flow.derive import post_process
from doc2x_sdk.formats.registry import Formats
from doc2x_sdk.hookspecs import Context
from doc2x_sdk.markdown import find_tables
from doc2x_sdk.testing import sample_bundle

PAPER = Path(__file__).parents[2] / "docs" / "examples" / "paper.pdf"


def processed(bundle, **options):
    formats = Formats()
    plan = formats.plan(["md"], {"clean": options} if options else {})
    post_process(bundle, formats, Context(plan.wanted, plan.options))
    return bundle.main.read_text(encoding="utf-8")


@pytest.mark.parametrize("needs", ["md", "md_dollar"])
def test_comments_and_tables_change_in_both_kinds_of_markdown(tmp_path, needs):
    text = processed(sample_bundle("paper", tmp_path / "a", needs=needs), comments="false", tables="pipe")
    assert "<!--" not in text
    assert [(table.is_html, table.has_merged) for table in find_tables(text)] == [(True, True), (False, False)]
    assert "| Day | Wind |" in text


@pytest.mark.parametrize("options", [{}, {"comments": True, "tables": "html"}])
def test_without_being_asked_nothing_changes(tmp_path, options):
    before = sample_bundle("paper", tmp_path / "a").main.read_bytes()
    bundle = sample_bundle("paper", tmp_path / "b")
    processed(bundle, **options)
    assert bundle.main.read_bytes() == before


def test_latex_is_left_alone(tmp_path):
    before = sample_bundle("paper", tmp_path / "a", needs="tex").main.read_bytes()
    bundle = sample_bundle("paper", tmp_path / "b", needs="tex")
    processed(bundle, comments=False, tables="pipe")
    assert bundle.main.read_bytes() == before


def test_line_ends_stay_as_they_are(tmp_path):
    bundle = sample_bundle("paper", tmp_path / "a")
    bundle.main.write_bytes(b"a\r\n\r\n<!-- Media -->\r\n\r\nb\r\n")
    processed(bundle, comments=False)
    assert bundle.main.read_bytes() == b"a\r\n\r\nb\r\n"


def test_what_is_not_utf8_fails_its_format_by_name(tmp_path):
    bundle = sample_bundle("paper", tmp_path / "a")
    bundle.main.write_bytes(b"\xff\xfe")
    with pytest.raises(ExporterError, match="not UTF-8"):
        processed(bundle, comments=False)


def test_the_command_hands_both_on(tmp_path, capsys):
    out, plain = tmp_path / "out", tmp_path / "plain"
    cleaned = ["--clean", "--tables", "pipe", "--json"]
    assert main(["convert", str(PAPER), "--local", "--quiet", "--out", str(out), *cleaned]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["pages"]
    text = (out / "paper.md").read_text(encoding="utf-8")
    tables = find_tables(text)
    assert "<!--" not in text
    assert {table.is_html for table in tables} == {table.has_merged for table in tables} != set()
    assert main(["convert", str(PAPER), "--local", "--quiet", "--out", str(plain)]) == 0
    assert all(table.is_html for table in find_tables((plain / "paper.md").read_text(encoding="utf-8")))
