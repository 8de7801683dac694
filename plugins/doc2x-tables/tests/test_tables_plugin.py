"""Workbooks opened again by openpyxl, CSV read again by the csv module."""

import csv
import zipfile
from pathlib import Path

import pytest
from doc2x_tables import Csv, Xlsx
from doc2x_tables.found import tables_of
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from doc2x_sdk.models import Bundle, Page
from doc2x_sdk.testing import check_exporter, run_exporter


def bundle_of(folder: Path, *pages: str) -> Bundle:
    folder.mkdir()
    main = folder / "a.md"
    main.write_text("\n\n".join(pages), encoding="utf-8")
    return Bundle("md", folder, main, tuple(Page(n, md) for n, md in enumerate(pages)), "a.pdf", "u", "5e" * 32)


def rows(path: Path, encoding: str = "utf-8") -> list[list[str]]:
    with path.open(encoding=encoding, newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("exporter", [Xlsx(), Csv()], ids=lambda exporter: exporter.name)
def test_it_conforms(exporter):
    check_exporter(exporter)


def test_every_table_is_a_sheet_with_page_caption_and_merged_cells():
    run = run_exporter(Xlsx(), "paper")
    book = load_workbook(run.main)
    assert book.sheetnames == ["1 p2 Table 1  Levels at both en", "2 p2"]
    levels, wind = book.worksheets
    assert (levels["A1"].value, levels["A2"].value) == ("Table 1: Levels at both ends.", "Page 2 of paper.pdf")
    assert sorted(map(str, levels.merged_cells.ranges)) == ["A4:A5", "B4:C4"]
    assert [[cell.value for cell in row] for row in levels.iter_rows(min_row=4)] == [
        ["Station", "Level \\( h \\) (m)", None],
        [None, "high", "low"],
        ["Mouth", "1.2\n(\\( \\pm {0.1} \\))", -1.1],
        ["Head", 1.9, None],
    ]
    assert wind["A1"].value is None
    assert [[cell.value for cell in row] for row in wind.iter_rows(min_row=4)] == [["Day", "Wind"], [1, "W & SW"]]


def test_nothing_is_computed(tmp_path):
    html = '<table><tr><td>=1+1</td><td>=HYPERLINK("http://x")</td><td>$=a$</td></tr></table>'
    run = run_exporter(Xlsx(), bundle=bundle_of(tmp_path / "b", html), heading="false")
    sheet = load_workbook(run.main).active
    assert [(cell.value, cell.data_type) for cell in sheet[1]] == [
        ("=1+1", "s"),
        ('=HYPERLINK("http://x")', "s"),
        ("$=a$", "s"),
    ]
    with zipfile.ZipFile(run.main) as archive:
        assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("1.20", 1.2, "0.00"),
        ("-7", -7, "0"),
        ("−3.5", -3.5, "0.0"),
        ("0", 0, "0"),
        ("007", "007", "General"),
        ("1e5", "1e5", "General"),
        ("1,234", "1,234", "General"),
        ("1234567890123456", "1234567890123456", "General"),
        ("12345678901234.56", "12345678901234.56", "General"),
        ("5 %", "5 %", "General"),
    ],
)
def test_numbers_are_numbers_where_no_digit_is_lost(tmp_path, text, value, shown):
    run = run_exporter(
        Xlsx(), bundle=bundle_of(tmp_path / "b", f"<table><tr><td>{text}</td></tr></table>"), heading=False
    )
    cell = load_workbook(run.main).active["A1"]
    assert (cell.value, cell.number_format) == (value, shown)
    kept = run_exporter(Xlsx(), bundle=run.bundle, heading=False, numbers="no")
    assert load_workbook(kept.main).active["A1"].value == text


def test_a_document_without_tables_says_so():
    run = run_exporter(Xlsx(), "empty")
    sheet = load_workbook(run.main).active
    assert sheet["A1"].value == "empty.pdf has no tables"
    assert run_exporter(Csv(), "empty").content == b""


def test_what_a_sheet_cannot_hold_is_cut_and_told(tmp_path):
    cell = "x" * 40_000
    html = f"<table><tr><td>{cell}</td><td>a\x01b</td></tr></table>"
    run = run_exporter(Xlsx(), bundle=bundle_of(tmp_path / "b", html), heading=False)
    sheet = load_workbook(run.main).active
    assert len(sheet["A1"].value) == 32_767
    assert sheet["B1"].value == "ab"
    assert any("1 cells were cut" in warning for warning in run.warnings)


def test_csv_has_a_file_for_each_table():
    run = run_exporter(Csv(), "paper")
    assert [file.name for file in run.files] == ["table-1.csv", "table-2.csv"]
    assert rows(run.files[0])[0] == ["Station", "Level \\( h \\) (m)", ""]
    assert rows(run.files[1]) == [["Day", "Wind"], ["1", "W & SW"]]


def test_csv_options(tmp_path):
    html = '<table><tr><td colspan="2">=a</td><td rowspan="2">-1.5</td></tr><tr><td>+x</td><td>-y</td></tr></table>'
    bundle = bundle_of(tmp_path / "b", html)
    filled = run_exporter(Csv(), bundle=bundle, fill="yes", bom="yes", guard="yes")
    assert filled.content.startswith(b"\xef\xbb\xbf")
    assert rows(filled.main, "utf-8-sig") == [["'=a", "'=a", "-1.5"], ["'+x", "'-y", "-1.5"]]
    plain = run_exporter(Csv(), bundle=bundle)
    assert rows(plain.main) == [["=a", "", "-1.5"], ["+x", "-y", ""]]


@pytest.mark.parametrize(
    ("text", "captions"),
    [
        ("Table 1: A\n\n{0}\n\nTable 2: B\n\n{1}", ["Table 1: A", "Table 2: B"]),
        ("{0}\n\nTable 1: A\n\n{1}\n\nTable 2: B", ["Table 1: A", "Table 2: B"]),
        ("{0}\n\n**表 1** 结果\n\ntext\n\n{1}", ["表 1** 结果", ""]),
        ("Table 1: A\n<!-- Media -->\n{0}\n\nThe table 9 shows\n\n{1}", ["Table 1: A", ""]),
        ("{0}\nTab. 3 near\n\n{1}", ["Tab. 3 near", ""]),
        ("Tables are fine\n\n{0}{1}", ["", ""]),
    ],
)
def test_captions_are_found_before_and_behind(tmp_path, text, captions):
    html = "<table><tr><td>a</td></tr></table>"
    bundle = bundle_of(tmp_path / "b", text.format(html, html))
    assert [found.caption for found in tables_of(bundle)] == captions


def test_a_caption_of_html_counts_first(tmp_path):
    html = "Table 1\n\n<table><caption>Own <b>one</b></caption><tr><td>a</td></tr></table>"
    (found,) = tables_of(bundle_of(tmp_path / "b", html))
    assert found.caption == "Own one"


CELLS = st.text(alphabet="a1=+-@,\"\n 是;'\t|", max_size=8)


@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1, max_size=4)))
@settings(max_examples=60, deadline=None)
def test_both_formats_say_what_the_cells_say(tmp_path_factory, texts):
    html = "".join(f"<tr>{''.join(f'<td>{text}</td>' for text in row)}</tr>" for row in texts)
    bundle = bundle_of(tmp_path_factory.mktemp("t") / "b", f"Text.\n\n<table>{html.replace(chr(10), '<br>')}</table>")
    expected = [
        ["\n".join(filter(None, (" ".join(line.split()) for line in text.split("\n")))) for text in row]
        for row in texts
    ]
    as_csv = run_exporter(Csv(), bundle=bundle)
    assert rows(as_csv.main) == expected
    as_xlsx = run_exporter(Xlsx(), bundle=bundle, heading=False, numbers=False)
    sheet = load_workbook(as_xlsx.main).active
    read = [[sheet.cell(r + 1, c + 1).value or "" for c in range(len(row))] for r, row in enumerate(expected)]
    assert read == expected
