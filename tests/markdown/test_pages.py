"""Pages found again in an export, which has no marks of them; and what a Document does with its Markdown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doc2x_sdk.markdown import drop_comments, join_pages, page_at, page_starts, split_pages, tables_to_pipes, to_dollars
from doc2x_sdk.models import Document, Page
from tests.markdown.manner import documents

FILL = "The ice drifts {0} degrees in {0} hours, which the {0}th experiment shows."


def page(number: int, *more: str) -> str:
    return "\n\n".join([f"## Page {number}", FILL.format(number * 7), *more])


@given(st.lists(documents(), min_size=1, max_size=4))
def test_pages_of_an_export_begin_where_they_were_joined(made):
    """Headings with a number that no other page has begin each page, as far as the pages differ at all."""
    pages = [f"Opening of part {number * 7919}\n\n{each.text.strip()}".strip() for number, each in enumerate(made, 1)]
    text = join_pages(pages)
    starts, at = [], 0
    for each in pages:
        starts.append(at)
        at += len(each) + 2
    assert page_starts(text, pages) == starts
    for written in (to_dollars(text), drop_comments(text)):
        found = page_starts(written, pages)
        assert [written[start:].startswith(each[:20]) for start, each in zip(found, pages, strict=True)] == [
            True
        ] * len(pages)


def test_a_page_that_begins_with_a_picture_begins_at_it():
    pages = [page(1), '<img src="https://cdn.x.cn/ab_1.jpg?x=23&y=34&w=120&h=38&r=0"/>\n\nFigure 1', page(3)]
    text = "\n\n".join([page(1), "![](images/1_23_34_120_38_0.jpg)", "Figure 1", page(3)])
    assert page_starts(text, pages) == [0, text.index("![]"), text.index("## Page 3")]


def test_a_page_without_anything_begins_where_the_next_does():
    pages = [page(1), "", "<!-- Meanless: 2 -->", page(4), ""]
    text = f"{page(1)}\n\n{page(4)}\n"
    assert page_starts(text, pages) == [0, *[text.index("## Page 4")] * 3, len(text)]


def test_pages_that_begin_alike_are_told_apart():
    pages = [f"Confidential. Do not distribute this report to anybody.\n\n{page(number)}" for number in range(30)]
    text = join_pages(pages)
    starts = page_starts(text, pages)
    assert [text[start:].startswith(each) for start, each in zip(starts, pages, strict=True)] == [True] * 30
    assert [page_at(starts, start) for start in starts] == list(range(30))
    assert [page_at(starts, max(0, start - 1)) for start in starts[1:]] == list(range(29))


def test_a_table_that_was_joined_over_pages_belongs_to_both():
    rows = [f"<tr><td>row {number}</td><td>{number * 37}</td></tr>" for number in range(12)]
    pages = [f"{page(1)}\n\n<table>{''.join(rows[:6])}</table>", f"<table>{''.join(rows[6:])}</table>\n\n{page(2)}"]
    text = f"{page(1)}\n\n<table>{''.join(rows)}</table>\n\n{page(2)}"
    starts = page_starts(text, pages)
    assert text[starts[1] :].startswith("row 6")
    pipes = tables_to_pipes(text)
    assert pipes[page_starts(pipes, pages)[1] :].startswith("row 6")


def test_a_text_without_marks_is_one_page():
    assert split_pages("a\n\n<!-- Page: 2 -->\n\nb") == ["a\n\n<!-- Page: 2 -->\n\nb"]
    assert split_pages("```\n<!-- Page: 1 -->\n```") == ["```\n<!-- Page: 1 -->\n```"]


PAGES = ("# A\n\n<!-- Media -->\n\ntext \\(a<b\\)", "## B\n\n<table><tr><td>1</td></tr></table>", "", "more\n\n# C\n")


@pytest.fixture
def document() -> Document:
    return Document("a.pdf", "u-1", tuple(Page(index, md, 10, 20) for index, md in enumerate(PAGES)))


def test_a_document_cleans_its_pages_and_nothing_else(document):
    cleaned = document.clean(tables="pipe", formulas="dollar")
    assert [each.md for each in cleaned.pages] == ["# A\n\ntext $a<b$", "## B\n\n| 1 |\n| --- |", "", "more\n\n# C\n"]
    assert (cleaned.uid, cleaned.pages[0].width, cleaned.pages[3].index) == ("u-1", 10, 3)
    assert [each.md for each in document.pages] == list(PAGES)
    assert document.clean(comments=True).pages == document.pages


def test_a_document_splits_at_headings_and_knows_the_pages(document):
    parts = document.split()
    assert [(part.path, part.pages) for part in parts] == [(("A",), (0,)), (("A", "B"), (1, 2, 3)), (("C",), (3,))]
    assert "".join(part.text for part in parts) == document.markdown
    assert [part.path for part in document.split(deepest=1)] == [("A",), ("C",)]
    assert Document("a.pdf", None, ()).split() == []
