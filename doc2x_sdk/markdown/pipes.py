r"""HTML tables as tables of pipes, where nothing is lost by it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from doc2x_sdk.markdown.scan import Scan, scan
from doc2x_sdk.markdown.tables import find_tables, html_table, html_tables, masked, rows_of, table_node, written

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

__all__ = ["tables_to_pipes"]

KEPT_TAGS = frozenset({"a", "b", "strong", "i", "em", "sub", "sup", "u", "s", "del", "small"})
SPECIAL = re.compile(
    r"[*`~|$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|\\(?=[!-/:-@\[-`{-~])|<|>|&(?=#?\w+;)|\](?=[(\[])|!(?=\[)"
)
NO_PIPES = re.compile(r"\\(?:begin|text\w*|mbox|hbox|operatorname|tag|label|verb)\b")
BLANK_LINES = re.compile(r"(?:[ \t]*(?:\r\n?|\n))*(?:[ \t]*\Z)?")
DEEPEST = 20
PIPE = re.compile(r"\\(.)|\|", re.DOTALL)


class Kept(Exception):
    """The table says something that pipes can't."""


def tables_to_pipes(text: str) -> str:
    """Turn each HTML table that pipes can hold into one of pipes; the others stay HTML, as they are.

    A table stays when it has merged cells, a caption, a table, list, paragraph or unknown element in a cell, a formula
    whose `|` has no other way of being written, or when it does not stand on lines of its own. Its first row becomes
    the header, and short rows are filled up; a cell's line break stays `<br>`. What HTML takes literally, such as `*`,
    is escaped.
    """
    scanned = scan(text)
    paragraphs = [block for block in scanned.blocks if block.kind in ("html", "paragraph")]
    at = 0
    parts: list[str] = []
    for start, end in html_tables(scanned):
        first, last = line_of(text, start, end)
        if text[first:start].strip(" ") or start - first > 3 or text[end:last].strip():
            continue
        if not any(block.start <= start and end <= block.end for block in paragraphs):
            continue
        pipes = as_pipes(scanned, start, end)
        if pipes is None:
            continue
        before = text[at:first].rstrip()
        blank = BLANK_LINES.match(text, last)
        at = blank.end() if blank else last
        parts += [before, "\n\n" if before else "", pipes]
        parts.append("\n\n" if at < len(text) else "\n" if at > last else "")
    return "".join([*parts, text[at:]])


def line_of(text: str, start: int, end: int) -> tuple[int, int]:
    """Return where the line of `start` begins and the line of `end` ends."""
    first = max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1
    ends = [at for at in (text.find("\n", end), text.find("\r", end)) if at >= 0]
    return first, min(ends, default=len(text))


def as_pipes(scanned: Scan, start: int, end: int) -> str | None:
    """Return one table as pipes; None when it must stay."""
    if scanned.within(start, end, "code", "definition"):
        return None
    table = html_table(scanned, start, end)
    if table.caption or not table.rows or not table.columns:
        return None
    source, masks = masked(scanned, start, end)
    node = table_node(source)
    if node is None or any(each.tag in ("caption", "colgroup", "col") for each in node.iter()):
        return None
    if any((cell.attributes.get(name) or "1") != "1" for cell in node.css("td, th") for name in ("rowspan", "colspan")):
        return None
    formulas = {mask: written(scanned.text, span) for mask, span in masks.items()}
    try:
        inside = {mask: on_one_line(text) for mask, text in formulas.items()}
        rows = [[as_cell(cell, inside) for cell in row.iter() if cell.tag in ("td", "th")] for row in rows_of(node)]
    except Kept:
        return None
    rows = [row + [""] * (table.columns - len(row)) for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, f"|{' --- |' * table.columns}")
    pipes = "\n".join(lines)
    return pipes if says_the_same(pipes, rows, scanned, len(masks)) else None


def says_the_same(pipes: str, rows: list[list[str]], scanned: Scan, formulas: int) -> bool:
    """Check a new table as a reader will see it: one table of this size with as many formulas, nothing else."""
    seen = scan(pipes)
    found = find_tables(pipes, seen)
    return (
        len(found) == 1
        and (found[0].start, found[0].end) == (0, len(pipes))
        and (found[0].rows, found[0].columns) == (len(rows), len(rows[0]))
        and len(seen.of("formula")) == formulas
        and not seen.of("code")
        and not (seen.of("target") and scanned.of("definition"))
    )


def as_cell(node: LexborNode, formulas: Mapping[str, str]) -> str:
    """Return a cell as Markdown on one line; raises `Kept`."""
    text = " ".join("".join(pieces(node)).split())
    return "".join(formulas.get(letter, letter) for letter in text)


def pieces(node: LexborNode, depth: int = 0) -> Iterator[str]:
    """Yield a cell as Markdown, in pieces, with the masks of its formulas; raises `Kept`."""
    if depth > DEEPEST:
        raise Kept
    for child in node.iter(include_text=True):
        if child.tag == "-text":
            yield escaped(child.text_content or "")
        elif child.tag == "br":
            yield "<br>"
        elif child.tag == "img":
            yield tag_of(child)
        elif child.tag == "span" and not child.attributes:
            yield from pieces(child, depth + 1)
        elif child.tag in KEPT_TAGS:
            yield tag_of(child)
            yield from pieces(child, depth + 1)
            yield f"</{child.tag}>"
        else:
            raise Kept


def escaped(text: str) -> str:
    """Escape what Markdown would take for more than text, by entities where a backslash would begin a formula."""

    def one(match: re.Match[str]) -> str:
        letter = match[0]
        return f"\\{letter}" if letter in "*`~|$_" else f"&#{ord(letter)};"

    return SPECIAL.sub(one, re.sub(r"\s+", " ", text))


def on_one_line(text: str) -> str:
    """Return a formula for a cell of pipes: on one line, without a `|`. Raises `Kept` where TeX has no other way."""
    text = re.sub(r"[ \t]*[\r\n]\s*", " ", text)
    if "|" not in text:
        return text
    if NO_PIPES.search(text):
        raise Kept

    def named(match: re.Match[str]) -> str:
        if match[1] not in (None, "|"):
            return match[0]
        name = r"\vert" if match[1] is None else r"\Vert"
        return name + (" " if text[match.end() : match.end() + 1].isalpha() else "")

    return PIPE.sub(named, text)


def tag_of(node: LexborNode) -> str:
    """Return an element's opening tag. Raises `Kept` for a tag in which a formula was taken out, or with a line end."""
    attributes = "".join(
        f' {name}="{html.escape(value or "", quote=True).replace("|", "&#124;")}"'
        for name, value in node.attributes.items()
    )
    if re.search(r"[\r\n\U000F0000-\U0010FFFD]", attributes):
        raise Kept
    return f"<{node.tag}{attributes}{'/' if node.tag == 'img' else ''}>"
