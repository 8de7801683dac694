r"""What stands in the raw text of one block: code, formulas, HTML, pictures, the targets of links.

These are the inline rules of markdown-it-py, which record where they match, and two more: for formulas, and for HTML
elements whose content is not text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from markdown_it import MarkdownIt
from markdown_it.common.utils import normalizeReference
from markdown_it.helpers import parseLinkDestination, parseLinkLabel
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.backticks import backtick
from markdown_it.rules_inline.html_inline import html_inline
from markdown_it.rules_inline.image import image
from markdown_it.rules_inline.link import link

__all__ = ["Span", "destination", "formula_at", "inline"]

BLANK_LINE = re.compile(r"(?:\r\n?|\n)[ \t]*(?:\r|\n)")
NO_FORMULA = re.compile(r"</[A-Za-z]|<t(?:d|h|r|able)[\s>]|<!--", re.IGNORECASE)
BODIES = {
    r"\(": re.compile(r"(?:[^\\]|\\[^()])*+(?=\\\))", re.DOTALL),
    r"\[": re.compile(r"(?:[^\\]|\\[^\[\]])*+(?=\\\])", re.DOTALL),
    "$$": re.compile(r"(?:[^\\$]|\\.|\$(?!\$))++(?=\$\$)", re.DOTALL),
    "$": re.compile(r"(?:[^\\$]|\\.)++(?=\$)", re.DOTALL),
}
BARE_PIPE = re.compile(r"(?<!\\)\|")
RAW = re.compile(r"<(pre|code|script|style|textarea|svg|math)(?:\s[^>]*)?(?<!/)>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Span:
    r"""Something that stands in a line: `text[start:end]`; what matters of it is `text[inner:outer]`.

    Attributes:
        kind: "code" (spans, fences, and raw elements such as `<pre>`), "formula", "comment", "tag" (any other piece of
            HTML), "image", "target" (the rest of a link behind its words) or "definition" (of a reference).
        start, end: offsets of the whole.
        inner, outer: offsets of a formula's body, or of the destination of a picture or definition; else the whole.
        display: the formula stands in `\[ \]` or `$$`.
        label: what a picture or definition is called by, in reference style.
    """

    kind: Literal["code", "formula", "comment", "tag", "image", "target", "definition"]
    start: int
    end: int
    inner: int
    outer: int
    display: bool = False
    label: str = ""


@cache
def line_parser(where: str) -> MarkdownIt:
    """Return the parser of what stands in lines: where "html_block", without Markdown."""
    parser = MarkdownIt("commonmark")
    rules = parser.inline.ruler
    rules.at("backticks", recorded(backtick, "code"))
    rules.at("html_inline", noted_tag)
    rules.at("image", noted_image)
    rules.at("link", noted_link)
    rules.before("escape", "formula", noted_formula)
    rules.before("html_inline", "raw", noted_raw)
    known = ["text", "formula", "escape", "raw", "html_inline"]
    rules.enableOnly(known if where == "html_block" else [*known, "backticks", "link", "image", "autolink"])
    parser.inline.ruler2.enableOnly([])
    return parser


def inline(source: str, offset: int, env: dict[str, Any], where: str) -> list[Span]:
    """Return what stands in the raw text of one block that begins at `offset`."""
    found: list[Span] = []
    parser = line_parser("html_block" if where == "html_block" else "")
    mine = {
        "references": env.get("references", {}),
        "source": source,
        "found": found,
        "code": code_spans(source) if where != "html_block" else [],
        "in_table": where == "table_open",
    }
    state = StateInline(source, parser, mine, [])
    parser.inline.tokenize(state)
    if where == "html_block" and source.lstrip().startswith("<!--") and not any(s.kind == "comment" for s in found):
        found = [Span("comment", 0, len(source), 0, len(source))]  # never closed: all of it is hidden
    return [
        Span(s.kind, s.start + offset, s.end + offset, s.inner + offset, s.outer + offset, s.display, s.label)
        for s in found
    ]


def code_spans(source: str) -> list[tuple[int, int]]:
    """Return where backticks pair in a paragraph: a run of them up to the next run of the same length."""
    runs = [(match.start(), match.end()) for match in re.finditer("`+", source)]
    by_length: dict[int, list[int]] = {}
    for index, (start, end) in enumerate(runs):
        by_length.setdefault(end - start, []).append(index)
    pairs: list[tuple[int, int]] = []
    at = 0
    while at < len(runs):
        start, end = runs[at]
        peers = by_length[end - start]
        closing = bisect_right(peers, at)
        if closing == len(peers):
            at += 1
            continue
        pairs.append((start, runs[peers[closing]][1]))
        at = peers[closing] + 1
    return pairs


def note(state: StateInline, silent: bool, span: Span) -> None:
    """Record a span, unless this is a look ahead or a part of the text that was cut out."""
    if not silent and state.src is state.env.get("source"):
        state.env["found"].append(span)


def recorded(rule: Any, kind: Any) -> Any:
    """Return an inline rule that also records where it matched more than one delimiter."""

    def run(state: StateInline, silent: bool) -> bool:
        start, tokens = state.pos, len(state.tokens)
        done = bool(rule(state, silent))
        if done and len(state.tokens) > tokens:
            note(state, silent, Span(kind, start, state.pos, start, state.pos))
        return done

    return run


def noted_tag(state: StateInline, silent: bool) -> bool:
    """Record comments and other HTML."""
    start = state.pos
    if state.src.startswith("<!--", start):
        return noted_comment(state, silent)
    if not html_inline(state, silent):
        return False
    note(state, silent, Span("tag", start, state.pos, start, state.pos))
    return True


def noted_comment(state: StateInline, silent: bool) -> bool:
    """Record a comment: it ends at the first `-->`, whatever stands in it."""
    start = state.pos
    short = next((mark for mark in ("<!-->", "<!--->") if state.src.startswith(mark, start)), None)
    if short is not None:
        end = start + len(short)
    else:
        if state.env.get("unclosed", len(state.src)) <= start:
            return False
        at = state.src.find("-->", start + 4)
        if at < 0:
            state.env["unclosed"] = start
            return False
        end = at + 3
    if end > state.posMax:
        return False
    state.pos = end
    note(state, silent, Span("comment", start, end, start, end))
    return True


def noted_raw(state: StateInline, silent: bool) -> bool:
    """Record elements whose content is not text, such as `<code>`, up to their end."""
    start = state.pos
    opening = RAW.match(state.src, start, state.posMax) if state.src[start] == "<" else None
    if opening is None:
        return False
    closing = re.compile(rf"</{opening[1]}\s*>", re.IGNORECASE).search(state.src, opening.end(), state.posMax)
    if closing is None:
        return False
    state.pos = closing.end()
    note(state, silent, Span("code", start, state.pos, start, state.pos))
    return True


def noted_formula(state: StateInline, silent: bool) -> bool:
    """Record a formula in a line."""
    found = formula_at(state.src, state.pos, state.posMax)
    if found is None:
        return False
    delimiter, body = found
    start, end = state.pos, body[1] + len(delimiter)
    code = state.env.get("code", ()) if state.src is state.env.get("source") else ()
    if any(first < end and start < last for first, last in code):
        return False
    if state.env.get("in_table") and BARE_PIPE.search(state.src, body[0], body[1]):
        return False
    state.pos = end
    note(state, silent, Span("formula", start, end, *body, display=delimiter in (r"\[", "$$")))
    return True


def formula_at(source: str, at: int, limit: int) -> tuple[str, tuple[int, int]] | None:
    """Return the delimiter and the body's place of the formula that begins at an offset; None where none does."""
    if source[at] not in "\\$":
        return None
    delimiter = source[at : at + 2]
    if delimiter not in BODIES:
        delimiter = delimiter[:1]
    body = BODIES[delimiter].match(source, at + len(delimiter), limit) if delimiter in BODIES else None
    if body is None or not body[0].strip() or NO_FORMULA.search(body[0]) or BLANK_LINE.search(body[0]):
        return None
    if delimiter == "$":
        after = source[body.end() + 1 : body.end() + 2]
        if body[0] != body[0].strip() or (body[0][0].isdigit() and after.isdigit()):
            return None
    return delimiter, body.span()


def destination(source: str, at: int) -> tuple[int, int]:
    """Return the place of the destination that begins at an offset, without angle brackets."""
    found = parseLinkDestination(source, at, len(source))
    end = found.pos if found.ok else at
    return (at + 1, end - 1) if source[at:end].startswith("<") else (at, end)


def noted_image(state: StateInline, silent: bool) -> bool:
    """Record a picture and the place of its destination."""
    start = state.pos
    if state.src[start] != "!" or not image(state, True):
        return False
    label_end = int(parseLinkLabel(state, start + 1, False))
    if state.src[label_end + 1 : label_end + 2] == "(" and state.pos > label_end + 2:
        at = label_end + 2
        while state.src[at] in " \t\r\n":
            at += 1
        inner, outer = destination(state.src, at)
        note(state, silent, Span("image", start, state.pos, inner, outer))
        return True
    label = state.src[label_end + 2 : state.pos - 1] or state.src[start + 2 : label_end]
    note(state, silent, Span("image", start, state.pos, start, state.pos, label=normalizeReference(label)))
    return True


def noted_link(state: StateInline, silent: bool) -> bool:
    """Record what stands behind a link's words; the words themselves are text."""
    start = state.pos
    if state.src[start] != "[":
        return False
    label_end = int(parseLinkLabel(state, start, True))
    state.pos = start
    if label_end < 0 or not link(state, silent):
        return False
    note(state, silent, Span("target", label_end, state.pos, label_end, state.pos))
    return True
