r"""HTML tables: read as a browser reads them, and turned into pipes only where nothing is lost."""

import lxml.html
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from doc2x_sdk.markdown import find_tables, scan, tables_to_pipes
from tests.markdown.manner import BODIES, tables

PLAIN = st.text(alphabet="ab1是*_`|~$\\[]()!#-. &;", max_size=12).map(lambda text: " ".join(text.split()))
WRITTEN = {"&": "&amp;", "<": "&lt;"}


def cell_texts(html: str) -> list[list[str]]:
    """The texts of a table's cells, read by another parser."""
    rows = lxml.html.fromstring(html).xpath("//tr")
    return [[" ".join(cell.text_content().split()) for cell in row.xpath("./td|./th")] for row in rows]


def has_no_formula(texts: list[list[str]]) -> bool:
    return not any(scan(f"<table><td>{text}</td></table>").of("formula") for row in texts for text in row)


@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(PLAIN, min_size=n, max_size=n), min_size=1, max_size=4)))
def test_literal_text_of_cells_reads_the_same_as_pipes(texts):
    if not has_no_formula(texts):
        return
    cells = ["".join(f"<td>{text.translate(str.maketrans(WRITTEN))}</td>" for text in row) for row in texts]
    html = f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"
    pipes = tables_to_pipes(html)
    assert "<table" not in pipes
    drawn = MarkdownIt("commonmark").enable("table").render(pipes)
    assert cell_texts(drawn) == cell_texts(html) == texts


@given(tables(merged=False))
def test_formulas_and_breaks_of_cells_reach_the_pipes(made):
    before, pipes = find_tables(made.source)[0], tables_to_pipes(f"So\n\n{made.source}\n\nend")
    (after,) = find_tables(pipes)
    assert not after.is_html
    assert (after.rows, after.columns) == (before.rows, before.columns)
    for row_before, row_after in zip(before.grid(), after.grid(), strict=True):
        for old, new in zip(row_before, row_after, strict=True):
            assert new.count("<br>") == old.count("\n")
            assert said(new) == said(old)


def said(cell: str) -> list[str]:
    found = [cell[span.inner : span.outer] for span in scan(cell).of("formula")]
    return [body.replace("\\Vert", "\\|").replace("\\vert", "|").replace(" ", "") for body in found]


@given(tables(merged=True))
def test_merged_cells_stay_html_to_the_letter(made):
    text = f"So\n\n{made.source}\n\nend"
    assert tables_to_pipes(text) == text


@pytest.mark.parametrize(
    "table",
    [
        '<table><tr><td colspan="2">a</td></tr><tr><td>b</td><td>c</td></tr></table>',
        "<table><caption>Costs</caption><tr><td>a</td></tr></table>",
        "<table><tr><td><table><tr><td>a</td></tr></table></td></tr></table>",
        "<table><tr><td><ul><li>a</li></ul></td></tr></table>",
        "<table><tr><td><my-tag>a</my-tag></td></tr></table>",
        r"<table><tr><td>$\begin{array}{c|c} a & b \end{array}$</td></tr></table>",
        r"<table><tr><td>$\text{a|b}$</td></tr></table>",
        "<table></table>",
        "<table><tr><td>never closed</td></tr>",
        "- <table><tr><td>in a list</td></tr></table>",
        "> <table><tr><td>in a quotation</td></tr></table>",
        "text <table><tr><td>in a line</td></tr></table>",
        "`<table><tr><td>code</td></tr></table>`",
        "```\n<table><tr><td>code</td></tr></table>\n```",
        "<pre>\n<table><tr><td>raw</td></tr></table>\n</pre>",
    ],
)
def test_what_pipes_cannot_say_stays(table):
    assert tables_to_pipes(table) == table


def test_pipes_stand_apart_from_the_lines_around_them():
    text = "Table 1\n\n<table><tr><td>a</td></tr></table>\nNote\n\n<table><tr><td>b</td></tr></table>\n"
    assert tables_to_pipes(text) == "Table 1\n\n| a |\n| --- |\n\nNote\n\n| b |\n| --- |\n"


def test_formulas_in_cells_keep_their_signs():
    text = r"<table><tr><td>$a<b$</td><td>\( |x| \geq \|y\|_{2} \)</td><td>\[ a &lt; b \]</td></tr></table>"
    expected = r"| $a<b$ | \( \vert x\vert \geq \Vert y\Vert_{2} \) | \[ a < b \] |"
    assert tables_to_pipes(text).splitlines()[0] == expected


def test_money_is_no_formula_across_cells():
    table = find_tables("<table><tr><td>$5</td><td>6$</td></tr></table>")[0]
    assert table.grid() == [["$5", "6$"]]
    assert tables_to_pipes("<table><tr><td>$5</td><td>6$</td></tr></table>").startswith(r"| \$5 | 6\$ |")


def test_merged_cells_take_their_places():
    html = (
        '<table><tr><td rowspan="2">a</td><td colspan="2">b</td></tr><tr><td>c</td><td rowspan="9">d<br>e</td></tr>'
        "<tr><td>f<td>g</table>"
    )
    (table,) = find_tables(html)
    assert (table.rows, table.columns, table.has_merged) == (3, 3, True)
    assert [(c.text, c.row, c.column, c.rowspan, c.colspan) for c in table.cells] == [
        ("a", 0, 0, 2, 1),
        ("b", 0, 1, 1, 2),
        ("c", 1, 1, 1, 1),
        ("d\ne", 1, 2, 2, 1),
        ("f", 2, 0, 1, 1),
        ("g", 2, 1, 1, 1),
    ]


def test_absurd_spans_cost_nothing():
    cell = '<td rowspan="65534" colspan="1000">x</td>'
    (table,) = find_tables(f"<table>{f'<tr>{cell * 20}</tr>' * 80}</table>")
    assert sum(each.rowspan * each.colspan for each in table.cells) <= 1_002_000
    assert len(table.cells) == 1600


@pytest.mark.parametrize("tag", ["b", "div", "table><tr><td"])
def test_elements_nested_absurdly_deep_are_read_and_stay(tag):
    text = "".join(["<table><tr><td>", f"<{tag}>" * 3000, "x", f"</{tag.split('>')[0]}>" * 3000, "</td></tr></table>"])
    (table,) = find_tables(text)
    assert "x" in table.grid()[0][0]
    assert tables_to_pipes(text) == text


def test_tables_of_pipes_are_read_too():
    (table,) = find_tables("| a | b\\|c |\n|---|:-:|\n| `x` | $y$ |\n")
    assert (table.is_html, table.grid()) == (False, [["a", "b|c"], ["`x`", "$y$"]])
    assert [cell.is_header for cell in table.cells] == [True, True, False, False]


@pytest.mark.parametrize("body", BODIES)
def test_no_formula_breaks_a_table(body):
    (table,) = find_tables(f"<table><tr><td>${body}$</td><td>after</td></tr></table>")
    assert table.grid()[0][1] == "after"
