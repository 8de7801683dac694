r"""Formulas in Markdown: from the engine's dollars to the service's delimiters, on to dollars again, or to plain text.

The service writes `\( \)` in a line and `\[ \]` for a formula of its own (Doc2X API, "What the Markdown looks like").
Code spans and fences are never touched.

What counts as a formula in the engine's text: the engine leaves a printed dollar sign as it is, so `$5 and $6` looks
like a marked formula. A pair of dollars is taken for a formula only when no space stands inside its ends, no digit
follows it, and there is a sign of TeX between: a command, a subscript, a superscript, a brace or an equals sign. All
other dollars stay text. So a formula of a single letter in dollars would stay text as well; the engine writes such
letters without dollars.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

__all__ = ["flatten", "from_dollars", "is_display", "to_dollars"]

_CODE = (
    r"(?P<fence>^ {0,3}(?P<mark>`{3,}|~{3,}).*?(?:^ {0,3}(?P=mark)[`~]*[ \t]*$|\Z))"
    r"|(?P<code>(?<!`)(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))"
)
_MARKED = re.compile(
    _CODE + r"|(?P<escape>\\[\\$])"
    r"|\$\$(?P<display>[^$]+?)\$\$"
    r"|\$(?P<inline>(?!\s)[^$\n]*?(?<!\s)(?<!\\))\$(?!\d)",
    re.DOTALL | re.MULTILINE,
)
_TEX = re.compile(r"\\[A-Za-z]|[_^{}=]")
_DELIMITED = re.compile(
    _CODE + r"|(?P<table><table\b.*?</table>)|(?P<escape>\\[\\$])"
    r"|\\\((?P<inline>.+?)\\\)|\\\[(?P<display>.+?)\\\]|(?P<dollar>\$)",
    re.DOTALL | re.MULTILINE,
)
_DISPLAY = re.compile(r"\\\[(?:(?!\\\]).)+\\\]\s*[.,;，。；]?", re.DOTALL)


def from_dollars(text: str) -> str:
    r"""The engine's `$..$` and `$$..$$` as `\( \)` and `\[ \]`; prices and code stay as they are."""
    parts: list[str] = []
    position = 0
    while match := _MARKED.search(text, position):
        parts.append(text[position : match.start()])
        formula = match["inline"] or match["display"]
        if formula is None:
            parts.append(match[0])
            position = match.end()
        elif not _TEX.search(formula):  # a price: this dollar is text, the next one may still begin a formula
            parts.append("$")
            position = match.start() + 1
        else:
            core = formula.strip().lstrip(",;")  # the engine takes in the comma of the sentence before
            comma = formula.strip()[: -len(core)]
            parts.append(f"{comma} \\( {core} \\)".lstrip(" ") if match["inline"] else rf"\[ {formula.strip()} \]")
            position = match.end()
    return "".join(parts) + text[position:]


def is_display(text: str) -> bool:
    """Whether a paragraph is one display formula, and perhaps the punctuation after it."""
    return _DISPLAY.fullmatch(text.strip()) is not None


def to_dollars(markdown: str) -> str:
    r"""Markdown with `$..$` and `$$..$$` instead of `\( \)` and `\[ \]`; a dollar sign of the text becomes `\$`."""

    def replace(match: re.Match[str]) -> str:
        if match["table"]:
            return _map_formulas(match["table"], _dollars)
        return r"\$" if match["dollar"] else _dollars(match)

    return _DELIMITED.sub(replace, markdown)


def flatten(markdown: str, level: int, to_text: Callable[[Sequence[str]], list[str]]) -> str:
    """Markdown with its formulas as plain text: level 0 keeps all, 1 flattens inline ones, 2 all of them.

    Source: Doc2X API v2, convert/parse, `formula_level`. `to_text` turns many formulas at once.
    """
    if level == 0:
        return markdown
    found: list[str] = []

    def collect(match: re.Match[str]) -> str:
        found.extend(_wanted(match, level))
        return match[0]

    _map_formulas(markdown, collect)
    texts = iter(to_text(found))

    def replace(match: re.Match[str]) -> str:
        return next(texts) if _wanted(match, level) else match[0]

    return _map_formulas(markdown, replace)


def _map_formulas(markdown: str, replace: Callable[[re.Match[str]], str]) -> str:
    def choose(match: re.Match[str]) -> str:
        if match["table"]:
            head, body = match["table"][:6], match["table"][6:]
            return head + _map_formulas(body, replace)
        return replace(match)

    return _DELIMITED.sub(choose, markdown)


def _dollars(match: re.Match[str]) -> str:
    if match["inline"]:
        return f"${match['inline'].strip()}$"
    if match["display"]:
        return f"$$ {match['display'].strip()} $$"
    return match[0]


def _wanted(match: re.Match[str], level: int) -> list[str]:
    if match["inline"]:
        return [match["inline"].strip()]
    if match["display"] and level == 2:
        return [match["display"].strip()]
    return []
