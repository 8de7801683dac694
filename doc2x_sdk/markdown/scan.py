r"""Where everything stands in a Markdown text of the service: code, formulas, comments, tags, pictures, headings.

Blocks are found by markdown-it-py, and so is what stands in a line: its inline rules run over the raw text of each
block and record where they matched, so that every offset is one of the text as it was given. Two rules come on top,
for formulas in a line and for formulas that stand alone; they know `\( \)` and `\[ \]` as well as `$` and `$$`.

What counts as a formula: it holds no blank line, no closing tag and no other opening delimiter of its kind. In single
dollars it neither begins nor ends with a space, and `$5)-$6` is money: what begins with a digit is not followed by one.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import normalizeReference
from markdown_it.rules_block import StateBlock
from markdown_it.rules_block.reference import reference

from doc2x_sdk.markdown.lines import Span, destination, formula_at, inline

__all__ = ["Block", "Scan", "Span", "scan"]

OPENING = re.compile(r"[ \t]*(\\\[|\$\$)")
NEWLINE = re.compile(r"\r\n?|\n")
LABEL = re.compile(r"\s*(?:>\s*)*\[((?:[^\\\[\]]|\\.)*)\]:\s*", re.DOTALL)
KINDS = {"paragraph_open": "paragraph", "heading_open": "heading", "table_open": "table", "html_block": "html"}


@dataclass(frozen=True, slots=True)
class Block:
    """A block of the top level, in whole lines: `text[start:end]`; between two blocks are only blank lines.

    `kind` is "paragraph", "heading", "table" (of pipes), "html", "code", "formula", "definition", or "other" (lists,
    quotations, rules). `level` is 1 to 6 for headings, else 0.
    """

    kind: str
    start: int
    end: int
    level: int = 0


@dataclass(frozen=True, slots=True)
class Scan:
    """What stands in a text; spans never overlap, except that a link's words may hold others; all is sorted."""

    text: str
    spans: tuple[Span, ...]
    blocks: tuple[Block, ...]

    def of(self, *kinds: str) -> list[Span]:
        """Return the spans of some kinds."""
        return [span for span in self.spans if span.kind in kinds]

    def within(self, start: int, end: int, *kinds: str) -> list[Span]:
        """Return the spans of some kinds that lie wholly in a part of the text."""
        found: list[Span] = []
        for index in range(bisect_left(self.spans, start, key=lambda span: span.start), len(self.spans)):
            span = self.spans[index]
            if span.start >= end:
                break
            if span.end <= end and span.kind in kinds:
                found.append(span)
        return found


def scan(text: str) -> Scan:
    """Find everything; takes about a second for each megabyte.

    Text that is only indented is not taken for code: the service indents without meaning it.
    """
    starts = [0, *(match.end() for match in NEWLINE.finditer(text))]
    env: dict[str, Any] = {"definitions": []}
    tokens = block_parser().parse(text, env)
    blocks: list[Block] = []
    spans: list[Span] = []
    seen = 0  # the lines before it are done

    def offsets(lines: list[int]) -> tuple[int, int]:
        first, last = (starts[line] if line < len(starts) else len(text) for line in lines)
        return first, last

    for lines in env["definitions"]:
        first, last = offsets(list(lines))
        spans += definition(text[first:last], first)
        blocks.append(Block("definition", first, last))
    for token in tokens:
        if token.map is None:
            continue
        first, last = offsets(token.map)
        if token.level == 0 and token.nesting >= 0 and token.type != "inline":
            kind = "code" if token.type == "fence" else "formula" if token.type == "formula" else KINDS.get(token.type)
            level = int(token.tag[1]) if token.type == "heading_open" else 0
            blocks.append(Block(kind or "other", first, last, level))
        if token.map[0] < seen:
            continue
        if token.type == "fence":
            spans.append(Span("code", first, last, first, last))
        elif token.type in ("inline", "formula", "html_block", "table_open"):
            spans += inline(text[first:last], first, env, token.type)
        else:
            continue
        seen = token.map[1]
    spans.sort(key=lambda span: (span.start, span.end))
    return Scan(text, tuple(spans), tuple(top_level(blocks)))


def top_level(blocks: list[Block]) -> list[Block]:
    """Return blocks in their order, without the definitions that stand inside others."""
    kept: list[Block] = []
    for block in sorted(blocks, key=lambda block: (block.start, -block.end)):
        if not kept or block.start >= kept[-1].end:
            kept.append(block)
    return kept


@cache
def block_parser() -> MarkdownIt:
    """Return the parser of blocks; it leaves lines alone."""
    parser = MarkdownIt("commonmark").enable("table").disable("code")
    parser.core.ruler.enableOnly(["normalize", "block"])
    parser.block.ruler.at("reference", noted_reference)
    before: Any = {"alt": ["paragraph", "reference", "blockquote", "list", "table"]}
    parser.block.ruler.before("fence", "formula", formula_block, before)
    return parser


def formula_block(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    """Take a formula that stands alone over several lines, whatever these look like, and what follows on its last."""
    end = start = state.bMarks[first] + state.tShift[first]
    if not OPENING.match(state.src, start):  # this is asked of each line, and what follows looks at all behind it
        return False
    line = first
    while line + 1 < last and not state.isEmpty(line + 1) and state.sCount[line + 1] >= state.blkIndent:
        line += 1
    while opening := OPENING.match(state.src, end):
        found = formula_at(state.src, opening.start(1), state.eMarks[line])
        if found is None:
            break
        end = found[1][1] + 2
    if end == start:
        return False
    closing = next(number for number in range(first, line + 1) if end <= state.eMarks[number])
    if closing == first or re.search(r"\w", state.src[end : state.eMarks[closing]]):
        return False
    if not silent:
        token = state.push("formula", "", 0)
        token.map = [first, closing + 1]
        state.line = closing + 1
    return True


def noted_reference(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    """Record which lines define a reference."""
    done = bool(reference(state, first, last, silent))
    if done and not silent:
        state.env["definitions"].append((first, state.line))
    return done


def definition(source: str, offset: int) -> list[Span]:
    """Return a definition's span, with the place of its destination."""
    opening = LABEL.match(source)
    if opening is None:
        return []
    inner, outer = destination(source, opening.end())
    label = normalizeReference(opening[1])
    return [Span("definition", offset, offset + len(source), offset + inner, offset + outer, label=label)]
