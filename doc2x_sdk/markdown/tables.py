"""Tables, of HTML and of pipes: what stands in which cell.

The HTML of one table is parsed by selectolax, a binding of lexbor: it builds the tree that a browser builds, missing
end tags included, which `html.parser` of the standard library does not do. Formulas are taken out before, so that a
`<` inside one is no tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from doc2x_sdk.markdown.scan import Scan, Span, scan

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

__all__ = ["Cell", "Table", "find_tables", "html_table", "html_tables", "masked", "rows_of", "table_node", "written"]

TAG = re.compile(r"<(/?)table[\s/>]", re.IGNORECASE)
SLOTS = 1_000_000
"""Places in a grid; spans that would need more count as 1."""
MASKS = range(0xF0000, 0x10FFFE)
ENTITIES = {"&lt;": "<", "&gt;": ">", "&amp;": "&", "&quot;": '"', "&#39;": "'"}
BLOCK_TAGS = frozenset({"p", "div", "li", "ul", "ol", "table", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "pre"})


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text and the places that it takes.

    `text` is plain, with line breaks, formulas as written and pictures as `![words](link)`. `row` and `column` count
    from 0 and name the upper left place.
    """

    text: str
    row: int
    column: int
    rowspan: int = 1
    colspan: int = 1
    is_header: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table: `whole[start:end]`, its cells by row and column, and the size of its grid in places."""

    start: int
    end: int
    cells: tuple[Cell, ...] = field(repr=False)
    rows: int
    columns: int
    is_html: bool
    caption: str = ""

    @property
    def has_merged(self) -> bool:
        """Whether a cell takes more than one place."""
        return any(cell.rowspan > 1 or cell.colspan > 1 for cell in self.cells)

    def grid(self) -> list[list[str]]:
        """Return the texts by row and column; of a merged cell at its first place, with "" at its others."""
        rows = [[""] * self.columns for _ in range(self.rows)]
        for cell in self.cells:
            rows[cell.row][cell.column] = cell.text
        return rows


def find_tables(text: str, scanned: Scan | None = None) -> list[Table]:
    """Return the tables of a text in their order. A table inside another one's cell is a part of that cell's text."""
    scanned = scanned or scan(text)
    tables = [html_table(scanned, start, end) for start, end in html_tables(scanned)]
    tables += [pipe_table(text, block.start, block.end) for block in scanned.blocks if block.kind == "table"]
    return sorted((table for table in tables if table.rows and table.columns), key=lambda table: table.start)


def html_tables(scanned: Scan) -> Iterator[tuple[int, int]]:
    """Yield where the outermost `<table>` elements are; one that is never closed is none."""
    opened: list[int] = []
    for span in scanned.of("tag"):
        tag = TAG.match(scanned.text, span.start)
        if tag is None:
            continue
        if not tag[1]:
            opened.append(span.start)
        elif opened:
            start = opened.pop()
            if not opened:
                yield start, span.end


def masked(scanned: Scan, start: int, end: int) -> tuple[str, dict[str, Span]]:
    """Return a part of the text with one private character for each formula, and which stands for which."""
    text = scanned.text
    used = set(text[start:end])
    free = (chr(number) for number in MASKS if chr(number) not in used)
    formulas: dict[str, Span] = {}
    at, parts = start, []
    for span in scanned.within(start, end, "formula"):
        mask = next(free)
        formulas[mask] = span
        parts += [text[at : span.start], mask]
        at = span.end
    return "".join([*parts, text[at:end]]), formulas


def table_node(source: str) -> LexborNode | None:
    """Return the table of a piece of HTML."""
    from selectolax.lexbor import LexborHTMLParser  # noqa: PLC0415 - only where there are tables

    return LexborHTMLParser(source).css_first("table")


def rows_of(table: LexborNode) -> list[LexborNode]:
    """Return the rows of a table, not those of tables inside it."""
    rows: list[LexborNode] = []
    for node in table.iter():
        if node.tag == "tr":
            rows.append(node)
        elif node.tag in ("thead", "tbody", "tfoot"):
            rows += [each for each in node.iter() if each.tag == "tr"]
    return rows


def span_of(node: LexborNode, name: str, most: int) -> int:
    """Return a cell's rowspan or colspan, from 1 to `most`; 0 rows are all that are left."""
    value = (node.attributes.get(name) or "1").strip()
    number = int(value) if re.fullmatch(r"[0-9]{1,6}", value) else 1
    return max(1, min(most if number == 0 and name == "rowspan" else number, most))


def html_table(scanned: Scan, start: int, end: int) -> Table:
    """Read the table at a place."""
    source, masks = masked(scanned, start, end)
    formulas = {mask: written(scanned.text, span) for mask, span in masks.items()}
    table = table_node(source)
    rows = rows_of(table) if table is not None else []
    cells: list[Cell] = []
    taken: set[tuple[int, int]] = set()
    caption = ""
    for number, row in enumerate(rows):
        column = 0
        for node in row.iter():
            if node.tag not in ("td", "th"):
                continue
            while (number, column) in taken:
                column += 1
            down, wide = span_of(node, "rowspan", len(rows) - number), span_of(node, "colspan", 1000)
            wide = next((width for width in range(1, wide) if (number, column + width) in taken), wide)
            if len(taken) + down * wide > SLOTS:
                down = wide = 1
            free = all((number + y, column + x) not in taken for y in range(1, down) for x in range(wide))
            down = down if free else 1
            taken.update((number + y, column + x) for y in range(down) for x in range(wide))
            cells.append(Cell(text_of(node, formulas), number, column, down, wide, node.tag == "th"))
            column += wide
    if table is not None:
        caption = next((text_of(node, formulas) for node in table.iter() if node.tag == "caption"), "")
    columns = max((cell.column + cell.colspan for cell in cells), default=0)
    return Table(start, end, tuple(cells), len(rows), columns, is_html=True, caption=caption)


def written(text: str, span: Span) -> str:
    """Return a formula of HTML as Markdown writes it: without the entities that HTML needs for `<` and `&`."""
    return re.sub("|".join(ENTITIES), lambda match: ENTITIES[match[0]], text[span.start : span.end])


def text_of(node: LexborNode, formulas: Mapping[str, str]) -> str:
    """Return the text of a cell, its formulas put back."""
    text = "".join(texts(node))
    lines = (" ".join(line.split()) for line in text.split("\n"))
    text = "\n".join(line for line in lines if line)
    return "".join(formulas.get(letter, letter) for letter in text)


def texts(node: LexborNode) -> Iterator[str]:
    """Yield the pieces of an element's text; line breaks of the source are spaces. Elements may be nested deeply."""
    waiting: list[LexborNode | str] = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            yield each
        elif each.tag == "-text":
            yield re.sub(r"\s", " ", each.text_content or "")
        elif each.tag == "br":
            yield "\n"
        elif each.tag == "img":
            yield f"![{each.attributes.get('alt') or ''}]({each.attributes.get('src') or ''})"
        elif each.tag and each.tag[0].isalpha():  # no comment or the like
            edge = "\n" if each.tag in BLOCK_TAGS else " " if each.tag in ("td", "th") else ""
            yield edge
            waiting += [edge, *reversed(list(each.iter(include_text=True)))]


@cache
def pipe_parser() -> MarkdownIt:
    """Return the parser of tables of pipes."""
    parser = MarkdownIt("commonmark").enable("table").disable("code")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


def pipe_table(text: str, start: int, end: int) -> Table:
    """Read a table of pipes; its cells are Markdown as written."""
    cells: list[Cell] = []
    row = column = 0
    in_head = False
    for token in pipe_parser().parse(text[start:end]):
        if token.type == "tr_open":
            column = 0
        elif token.type == "tr_close":
            row += 1
        elif token.type in ("th_open", "td_open"):
            in_head = token.type == "th_open"
        elif token.type == "inline":
            cells.append(Cell(token.content, row, column, is_header=in_head))
            column += 1
    columns = max((cell.column + 1 for cell in cells), default=0)
    return Table(start, end, tuple(cells), row, columns, is_html=False)
