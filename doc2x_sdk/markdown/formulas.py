r"""Formulas: which delimiters stand around them. Code, comments and tags are left alone."""

from __future__ import annotations

import re
from typing import Literal

from doc2x_sdk.markdown.scan import Scan, Span, scan

__all__ = ["code_ranges", "to_brackets", "to_dollars"]

DOLLAR = re.compile(r"(?<!\\)((?:\\\\)*)\$")
UNESCAPED = re.compile(r"(?:[^\\$]|\\.)*", re.DOTALL)
BRACKET = re.compile(r"(?:[^\\]|\\[^()\[\]])*", re.DOTALL)


def code_ranges(text: str) -> list[tuple[int, int]]:
    """Return where fenced code, code spans and raw elements (`<pre>`, `<code>`) are: sorted offsets of start and end.

    Text that is only indented is not taken for code: the service indents without meaning it.
    """
    return [(span.start, span.end) for span in scan(text).of("code")]


def to_dollars(text: str) -> str:
    r"""Turn `\( \)` into `$` and `\[ \]` into `$$`.

    A formula that dollars can't hold, such as one with a dollar inside, keeps its brackets. One that touches another
    gets a blank between them, and one of several lines ends its line. Where a dollar of the text would be taken for a
    delimiter afterwards, the text's dollars become `\$`.
    """
    return convert(text, "dollars")


def to_brackets(text: str) -> str:
    r"""Turn `$ $` into `\( \)` and `$$ $$` into `\[ \]`; a formula that brackets can't hold keeps its dollars."""
    return convert(text, "brackets")


def convert(text: str, to: Literal["dollars", "brackets"]) -> str:
    """Give every formula the delimiters wanted; the formulas stay the same ones, each with its body."""
    before = scan(text)
    formulas = before.of("formula")
    for escape in (False, True):
        result = "".join(pieces(before, to, escape=escape))
        if result == text:
            return text
        after = scan(result).of("formula")
        if bodies(text, formulas) == bodies(result, after):
            return result
    return text


def bodies(text: str, formulas: list[Span]) -> list[tuple[bool, str]]:
    """Return what formulas say, whatever stands around them."""
    return [(span.display, text[span.inner : span.outer].strip()) for span in formulas]


def pieces(before: Scan, to: Literal["dollars", "brackets"], *, escape: bool) -> list[str]:
    r"""Return the text with its formulas rewritten, in pieces; with `escape`, the text's own dollars become `\$`."""
    text, at, parts, touches = before.text, 0, [], False
    for span in before.spans:
        if span.start < at:
            continue
        plain = text[at : span.start]
        parts.append(DOLLAR.sub(r"\1\\$", plain) if escape else plain)
        whole = text[span.start : span.end]
        piece = rewritten(whole, text[span.inner : span.outer], span, to) if span.kind == "formula" else whole
        is_new = piece != whole and to == "dollars"
        is_block = is_new and span.display and "\n" in piece
        if is_new and touches and not plain:
            parts.append("\n" if is_block else " ")  # dollars that touch would be other delimiters
        parts.append(piece)
        touches = piece.endswith("$")
        if is_block and text[span.end : span.end + 1] not in ("", "\n", "\r"):
            parts.append("\n")  # dollars that close a block end their line
            touches = False
        at = span.end
    plain = text[at:]
    return [*parts, DOLLAR.sub(r"\1\\$", plain) if escape else plain]


def rewritten(whole: str, body: str, span: Span, to: Literal["dollars", "brackets"]) -> str:
    """Return one formula in other delimiters; as it was where they can't hold it."""
    is_dollars = whole.startswith("$")
    if is_dollars == (to == "dollars"):
        return whole
    if to == "dollars":
        if not UNESCAPED.fullmatch(body):
            return whole
        return f"$${body}$$" if span.display else f"${body.strip()}$"
    if not BRACKET.fullmatch(body):
        return whole
    return rf"\[{body}\]" if span.display else rf"\( {body} \)"
