"""The choice of pages, and the parts of a document over the limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doc2x_sdk.config import Settings
from doc2x_sdk.errors import ConfigError
from doc2x_sdk.flow.book import label_of, parts_of
from doc2x_sdk.flow.source import Source


def book(pages: int) -> Source:
    return Source("book.pdf", "book", "pdf", size=1, sha256="0" * 64, pages=pages)


@pytest.mark.parametrize(
    ("choice", "pages"),
    [("1-3,5", (0, 1, 2, 4)), ("5,1-3", (0, 1, 2, 4)), ("2,2-3", (1, 2)), (" 9 - ", (8, 9)), ("10", (9,))],
)
def test_a_choice_is_taken_in_the_documents_order(choice: str, pages: tuple[int, ...]) -> None:
    (part,) = parts_of(book(10), Settings(), choice)
    assert part.pages == pages


@pytest.mark.parametrize("choice", ["", "0", "1-11", "3-2", "a", "1--2", "-3", "1,,2", "1-10-11", "99999999999"])
def test_what_is_no_choice_is_told_before_anything_is_sent(choice: str) -> None:
    with pytest.raises(ConfigError) as error:
        parts_of(book(10), Settings(), choice)
    assert "1" in error.value.advice


def test_a_whole_document_within_the_limit_is_sent_as_it_is() -> None:
    assert parts_of(book(10), Settings(), None) == ()
    assert parts_of(book(10), Settings(), "1-10") == ()


@given(pages=st.integers(1, 300), limit=st.integers(1, 60), data=st.data())
def test_parts_hold_each_chosen_page_once_in_order_and_keep_the_limit(
    pages: int, limit: int, data: st.DataObject
) -> None:
    chosen = sorted(data.draw(st.sets(st.integers(0, pages - 1), min_size=1)))
    parts = parts_of(book(pages), Settings(max_file_pages=limit), label_of(chosen))
    if not parts:
        assert len(chosen) == pages <= limit
        return
    assert [page for part in parts for page in part.pages] == chosen
    assert all(len(part.pages) <= limit for part in parts)
    assert len({part.label for part in parts}) == len(parts)


def test_a_choice_that_is_no_text_is_told() -> None:
    with pytest.raises(ConfigError, match="text, not list"):
        parts_of(book(9), Settings(), [1, 2])  # type: ignore[arg-type]
