"""What holds for every document: transforms change nothing twice, and never what they don't understand."""

import itertools

import pytest
from hypothesis import example, given

from doc2x_sdk.markdown import (
    clean,
    drop_comments,
    image_links,
    join_pages,
    rewrite_images,
    scan,
    split_headings,
    split_pages,
    tables_to_pipes,
    to_brackets,
    to_dollars,
)
from tests.markdown.manner import documents, noise


def moved(text):
    return rewrite_images(text, lambda url: url if url.startswith("s3://") else f"s3://bucket/{url[-12:]}")


def cleaned(text):
    return clean(text, tables="pipe", formulas="dollar")


TRANSFORMS = [to_dollars, to_brackets, drop_comments, tables_to_pipes, moved, cleaned]
each = pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda transform: transform.__name__)


def bodies(text):
    return [(span.display, text[span.inner : span.outer].strip()) for span in scan(text).of("formula")]


def in_order(text, pieces):
    at = 0
    for piece in pieces:
        at = text.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return True


@each
@given(documents())
def test_a_document_changes_once_and_keeps_its_code_and_html(transform, made):
    once = transform(made.text)
    assert transform(once) == once
    assert in_order(once, made.kept), "code, unknown HTML and unknown comments stay to the letter"


@each
@given(noise)
@example("<<!-- Media -->!-- Media -->")
@example("$\\(a\\)")
@example("a\n<!-- Media -->\n\n\n<!-- Media -->\nb")
@example("a <!-- Media -->\n<!-- Media -->\n```\n$\n```")
def test_noise_changes_once(transform, text):
    once = transform(text)
    assert transform(once) == once


@given(documents())
def test_all_formulas_are_found_and_none_besides(made):
    assert bodies(made.text) == [(shown, body.strip()) for shown, body in made.formulas]


@given(documents())
def test_delimiters_change_and_formulas_do_not(made):
    for transform, gone in ((to_dollars, "\\([{"), (to_brackets, "$")):
        text = transform(made.text)
        assert bodies(text) == bodies(made.text)
        openings = {text[span.start] + text[span.start + 1] for span in scan(text).of("formula")}
        assert not {opening for opening in openings if opening[0] == gone[0]}
    assert bodies(to_brackets(to_dollars(made.text))) == bodies(made.text)


@given(documents())
def test_no_comment_of_the_service_stays_and_all_else_does(made):
    text = drop_comments(made.text)
    outside = text
    for kept in made.kept:
        outside = outside.replace(kept, "", 1)
    assert not [comment for comment in made.comments if comment in outside]
    before = made.text
    for comment in made.comments:
        before = before.replace(comment, "", 1) if comment not in "".join(made.kept) else before
    if not set(made.comments) & {"<!-- Media -->"}:  # which also stands in code
        assert "".join(text.split()) == "".join(before.split())
    assert bodies(text) == bodies(made.text)


@given(documents())
def test_pictures_are_listed_and_each_can_be_moved(made):
    assert [link.url for link in image_links(made.text)] == made.images
    assert rewrite_images(made.text, lambda url: url) == made.text
    new = {url: f"https://pic.example/a b({number})&lt=<{number}>.jpg" for number, url in enumerate(made.images)}
    text = rewrite_images(made.text, new)
    assert [link.url for link in image_links(text)] == [new[url] for url in made.images]
    assert bodies(text) == bodies(made.text)


@given(documents())
def test_sections_are_the_whole_text_and_know_their_headings(made):
    sections = split_headings(made.text)
    assert "".join(section.text for section in sections) == made.text
    assert [(part.level, part.title) for part in sections if part.level] == made.headings
    for part in sections:
        assert made.text[part.start : part.end] == part.text
        assert part.path[-1:] == ((part.title,) if part.level else ())


@given(noise)
def test_noise_is_scanned_without_overlaps_and_split_without_loss(text):
    scanned = scan(text)
    for spans in (scanned.spans, scanned.blocks):
        assert all(0 <= span.start < span.end <= len(text) for span in spans)
        assert all(one.end <= other.start for one, other in itertools.pairwise(spans))
    assert "".join(part.text for part in split_headings(text)) == text


@given(documents(), documents(), documents())
def test_joined_pages_are_split_into_the_same_pages(one, two, three):
    pages = [made.text.strip("\n") for made in (one, two, three)]
    marked = join_pages(pages, marks=True)
    assert split_pages(marked) == pages
    assert join_pages(split_pages(marked), marks=True) == marked
    assert join_pages([join_pages(pages)]) == join_pages(pages)
