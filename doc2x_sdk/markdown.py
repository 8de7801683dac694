r"""Transforms of the service's Markdown that leave formulas and code alone.

Formulas stand in `\( \)` and `\[ \]`, or in `$` and `$$`; see Doc2X API, "What the Markdown looks like".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt

__all__ = ["code_ranges", "to_dollars"]

TICKS = re.compile(r"`+")
FORMULA = re.compile(r"(?<!\\)\\\((?P<inline>.+?)(?<!\\)\\\)|(?<!\\)\\\[(?P<display>.+?)(?<!\\)\\\]", re.DOTALL)


def code_ranges(text: str) -> list[tuple[int, int]]:
    """Return where fenced code and code spans are: sorted pairs of start and end, in characters.

    Text that is only indented is not taken for code: the service indents without meaning it.
    """
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    parser = MarkdownIt("commonmark").disable("code")
    ranges: list[tuple[int, int]] = []
    for token in parser.parse(text):
        if token.map is None or token.type not in ("fence", "inline"):
            continue
        first, last = starts[min(token.map[0], len(starts) - 1)], starts[min(token.map[1], len(starts) - 1)]
        if token.type == "fence":
            ranges.append((first, last))
        else:
            ranges += [(first + start, first + end) for start, end in spans(text[first:last])]
    return sorted(ranges)


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield the code spans of one paragraph: a run of backticks up to the next run of the same length."""
    runs = list(TICKS.finditer(text))
    at = 0
    while at < len(runs):
        opening = runs[at]
        closing = next((k for k in range(at + 1, len(runs)) if len(runs[k][0]) == len(opening[0])), None)
        if closing is None:
            at += 1
            continue
        yield opening.start(), runs[closing].end()
        at = closing + 1


def to_dollars(text: str) -> str:
    r"""Turn `\( \)` into `$` and `\[ \]` into `$$`, outside code spans and fences only."""
    code = code_ranges(text)

    def replaced(match: re.Match[str]) -> str:
        if any(start < match.end() and match.start() < end for start, end in code):
            return match.group()
        inline = match["inline"]
        return f"${inline.strip()}$" if inline is not None else f"$${match['display']}$$"

    return FORMULA.sub(replaced, text)
