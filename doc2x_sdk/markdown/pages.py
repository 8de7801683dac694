"""Pages of a document: joined to one text, split again, and found in an export that has no marks of them."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from doc2x_sdk.markdown.links import image_links
from doc2x_sdk.markdown.scan import Scan, scan

__all__ = ["join_pages", "page_at", "page_starts", "split_pages"]

MARK = re.compile(r"<!-- Page: ([0-9]{1,7}) -->")
NEWLINES = "\r\n"
LETTER = re.compile(r"[^\W_]")
CROP = re.compile(r"[?&]x=(\d+)&y=(\d+)&w=(\d+)&h=(\d+)&r=(\d+)|_(\d+)_(\d+)_(\d+)_(\d+)_(\d+)\.[a-z]+$")
HIDDEN = ("comment", "tag", "image", "target", "definition")
PROBE = 32  # letters of a page that are looked for at a time
STEPS = (0, 8, 24, 56, 120, 248, 504)  # letters into the page at which probes begin


def join_pages(pages: Sequence[str], *, marks: bool = False) -> str:
    """Join pages by blank lines; empty pages leave no trace.

    With `marks`, `<!-- Page: 1 -->` stands on a line before each page, empty ones included, for `split_pages`.
    """
    if marks:
        parts = [f"<!-- Page: {number} -->\n\n{page.strip(NEWLINES)}" for number, page in enumerate(pages, 1)]
        return "\n\n".join(part.rstrip(NEWLINES) for part in parts)
    return "\n\n".join(page.strip(NEWLINES) for page in pages if page.strip())


def split_pages(text: str) -> list[str]:
    """Split a text at the marks of `join_pages`; without them it is one page. What precedes the first belongs to it.

    A mark counts where a page can begin: on a line of its own, outside code, with the number that is due.
    """
    edges: list[tuple[int, int]] = []
    for span in scan(text).of("comment"):
        mark = MARK.fullmatch(text, span.start, span.end)
        alone = text[: span.start].rstrip(" ")[-1:] in ("", "\n", "\r")
        if mark and alone and int(mark[1]) == len(edges) + 1:
            edges.append((span.start, span.end))
    if not edges:
        return [text]
    ends = [start for start, _ in edges[1:]] + [len(text)]
    pages = [text[end:stop].strip(NEWLINES) for (_, end), stop in zip(edges, ends, strict=True)]
    head = text[: edges[0][0]].strip(NEWLINES)
    pages[0] = "\n\n".join(part for part in (head, pages[0]) if part)
    return pages


def page_at(starts: Sequence[int], offset: int) -> int:
    """Return the index of the page that an offset is on; `starts` as `page_starts` gives them."""
    return max(0, bisect_left(starts, offset + 1) - 1)


def page_starts(text: str, pages: Sequence[str], scanned: Scan | None = None) -> list[int]:
    """Find where each page begins in an export of the same document.

    An export is the pages in their order, but its picture links, formula delimiters and tables may be written
    differently, comments may be gone, and a table that runs over pages may be one. So a page is looked for by its
    letters, digits and the crops of its pictures, comments and HTML left out, near the place where it is due; probes
    go deeper into the page when its beginning is not found. A page that can't be found begins where the next one does.

    Returns one offset for each page, never falling: the beginning of a block of the top level, or the place inside one
    that runs over the page's edge.
    """
    scanned = scanned or scan(text)
    stream, places = letters(scanned)
    found: list[int | None] = []
    due = 0
    for page in pages:
        own, _ = letters(scan(page))
        at = place_of(own, stream, due)
        found.append(at)
        due = (due if at is None else at) + len(own)
    starts = [len(text)] * len(pages)
    edges = [block.start for block in scanned.blocks]
    following = len(text)
    for index in range(len(pages) - 1, -1, -1):
        at = found[index]
        if at is not None and at < len(places):
            edge = bisect_left(edges, places[at] + 1) - 1
            begins_block = edge >= 0 and (at == 0 or places[at - 1] < edges[edge])
            following = min(following, edges[edge] if begins_block else places[at])
        starts[index] = following
    if starts:
        starts[0] = 0
    return starts


def letters(scanned: Scan) -> tuple[str, list[int]]:
    """Return what every way of writing a text has in common, in characters, and where each of them stands.

    These are letters and digits; a picture of the service is the numbers of its crop, in an export or out of one.
    """
    text = scanned.text
    kept: list[str] = []
    places: list[int] = []
    links = {link.start: link for link in image_links(text, scanned)}
    at = 0
    for span in scanned.spans:
        if span.kind not in HIDDEN:
            continue
        for match in LETTER.finditer(text, at, max(at, span.start)):
            kept.append(match[0])
            places.append(match.start())
        crop = CROP.search(links[span.start].url) if span.start in links and span.kind != "definition" else None
        if crop:
            digits = "".join(number for number in crop.groups() if number)
            kept += digits
            places += [span.start] * len(digits)
        at = max(at, span.end)
    for match in LETTER.finditer(text, at):
        kept.append(match[0])
        places.append(match.start())
    return "".join(kept), places


def place_of(own: str, stream: str, due: int) -> int | None:
    """Return where a page begins in the stream of letters: the nearest place to where it is due."""
    for step in STEPS:
        probe = own[step : step + PROBE]
        if len(probe) < (PROBE if step else 1):
            return None
        expected = due + step
        if stream.startswith(probe, expected):
            return due
        after = stream.find(probe, max(0, expected))
        before = stream.rfind(probe, max(0, expected - len(own) // 2 - PROBE), max(0, expected) + len(probe))
        near = [at for at in (before, after) if at >= 0]
        if near:
            return max(0, min(near, key=lambda at: abs(at - expected)) - step)
    return None
