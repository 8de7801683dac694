"""A text split at its headings."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from doc2x_sdk.markdown.scan import Scan, scan

__all__ = ["Section", "split_headings"]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what follows it, up to the next heading.

    Attributes:
        text: `whole[start:end]`, the heading's line included.
        level: 1 to 6; 0 for what stands before the first heading.
        title: the heading's words, as written.
        path: the titles above it, outermost first, and its own. Levels that were skipped leave no gap.
        start, end: offsets in the whole text.
        body: the offset behind the heading's line.
        pages: the indices of the pages that it stands on; empty where they are not known.
    """

    text: str = field(repr=False)
    level: int
    title: str
    path: tuple[str, ...]
    start: int
    end: int
    body: int
    pages: tuple[int, ...] = ()


def split_headings(text: str, *, deepest: int = 6, scanned: Scan | None = None) -> list[Section]:
    """Split a text at its headings of levels 1 to `deepest`; the parts in their order are the whole text.

    Headings inside lists and quotations split nothing.
    """
    blocks = (scanned or scan(text)).blocks
    headings = [block for block in blocks if block.kind == "heading" and block.level <= deepest]
    edges = [block.start for block in headings] + [len(text)]
    sections: list[Section] = []
    if edges[0] > 0:
        sections.append(Section(text[: edges[0]], 0, "", (), 0, edges[0], 0))
    above: list[tuple[int, str]] = []
    for block, end in zip(headings, edges[1:], strict=True):
        title = title_of(text[block.start : block.end])
        above = [each for each in above if each[0] < block.level] + [(block.level, title)]
        path = tuple(words for _, words in above)
        sections.append(Section(text[block.start : end], block.level, title, path, block.start, end, block.end))
    return sections


def title_of(heading: str) -> str:
    """Return a heading's words without the marks that make it one."""
    text = heading.strip()
    marked = re.match(r"#{1,6}(?=\s|\Z)", text)
    if marked is None:  # underlined
        return " ".join(re.sub(r"\s*[\r\n][ \t]*(?:=+|-+)\Z", "", text).split())
    return " ".join(re.sub(r"(?:\A|[ \t])#+\Z", "", text[marked.end() :].strip()).split())
