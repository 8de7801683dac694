"""The service's comments, which it writes between the text.

They are running headers (`Meanless`), marks around figures (`Media`), words seen inside a figure (`figureText`) and
marks of footnotes (`Footnote`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from doc2x_sdk.markdown.scan import scan

__all__ = ["SERVICE_COMMENTS", "drop_comments"]

SERVICE_COMMENTS = ("Meanless", "Media", "figureText", "Footnote")
NAME = re.compile(r"<!--\s*([A-Za-z]+)\b")
BLANK_LINES = re.compile(r"(?:[ \t]*(?:\r\n?|\n))*(?:[ \t]*\Z)?")


def drop_comments(text: str, names: Collection[str] = SERVICE_COMMENTS) -> str:
    """Drop the service's comments of some names; every other comment stays.

    A line that held nothing else goes with them. What a comment kept apart stays apart, by one blank line.
    """
    while (shorter := dropped(text, names)) != text:
        text = shorter  # what is left may close up to a new comment
    return text


def dropped(text: str, names: Collection[str]) -> str:
    """Drop the comments that are seen now."""
    newline = "\r\n" if "\r\n" in text else "\n"
    at, parts = 0, []
    is_open = False  # whether text was kept that no gap follows yet
    for first, last, alone in places(text, names):
        kept = text[at:first]
        if alone:
            kept = kept.rstrip()
            after = BLANK_LINES.match(text, last)
            last = after.end() if after else last  # noqa: PLW2901 - the blank lines go with it
            gap = newline if last == len(text) else 2 * newline
            parts += [kept, gap if kept or is_open else ""]
            is_open = False
        else:
            parts.append(kept)
            is_open = is_open or bool(kept.strip())
        at = last
    return "".join([*parts, text[at:]])


def places(text: str, names: Collection[str]) -> Iterator[tuple[int, int, bool]]:
    """Yield what goes with each comment, and whether it stood between blocks: then blank lines around it are one."""
    scanned = scan(text)
    html = iter([block for block in scanned.blocks if block.kind == "html"])
    block = next(html, None)
    for span in scanned.of("comment"):
        name = NAME.match(text, span.start, span.end)
        if name is None or name[1] not in names:
            continue
        while block is not None and block.end <= span.start:
            block = next(html, None)
        first, last, is_line = whole_lines(text, span.start, span.end)
        # In the midst of a piece of HTML, such as a table, a blank line would end it.
        amid = (
            block is not None
            and block.start <= span.start
            and bool(text[block.start : first].strip() or text[last : block.end].strip())
        )
        yield first, last, is_line and not amid


def whole_lines(text: str, start: int, end: int) -> tuple[int, int, bool]:
    """Return the lines that a comment fills alone and True; else its own place and False."""
    first = start
    while first > 0 and text[first - 1] in " \t":
        first -= 1
    last = end
    while last < len(text) and text[last] in " \t":
        last += 1
    if first > 0 and text[first - 1] not in "\r\n":
        return start, end, False
    if last < len(text) and text[last] not in "\r\n":
        return start, last, False
    return first, last + (2 if text.startswith("\r\n", last) else last < len(text)), True
