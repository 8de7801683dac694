"""The tables of a bundle, each with its page and its caption."""

from __future__ import annotations

import re
from dataclasses import dataclass

from doc2x_sdk.markdown import Block, Table, drop_comments, find_tables, page_at, page_starts, scan
from doc2x_sdk.models import Bundle

__all__ = ["Found", "tables_of"]

CAPTION = re.compile(
    r"[*_\s]*(?:(?:table|tab\.|tabelle|tableau|tabla|tabella|таблица)\s*(?:[A-Z]?\d|[IVX]+\b)|(?:续?附?表)\s*[A-Z]?\s*[\d一二三四五六七八九十])",
    re.IGNORECASE,
)
BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """A table, its number in the document from 1, its page from 1, and its caption or ""."""

    table: Table
    number: int
    page: int
    caption: str


def tables_of(bundle: Bundle) -> list[Found]:
    """Return the tables in their order."""
    text = bundle.main.read_text(encoding="utf-8", errors="replace")
    scanned = scan(text)
    tables = find_tables(text, scanned)
    starts = page_starts(text, [page.md for page in bundle.pages], scanned) if tables else []
    captions = captions_of(text, scanned.blocks, tables)
    return [
        Found(table, number, page_at(starts, table.start) + 1, caption)
        for number, (table, caption) in enumerate(zip(tables, captions, strict=True), 1)
    ]


def captions_of(text: str, blocks: tuple[Block, ...], tables: list[Table]) -> list[str]:
    """Return each table's caption: of its own, before it, or behind it; a paragraph serves one table only."""
    captions: list[str] = []
    used: set[str] = set()
    for index, table in enumerate(tables):
        least = tables[index - 1].end if index else 0
        most = tables[index + 1].start if index + 1 < len(tables) else len(text)
        before = paragraphs(text, blocks, least, table.start)[-1:]
        after = paragraphs(text, blocks, table.end, most)[:1]
        near = [each for each in before + after if CAPTION.match(each[1]) and each[0] not in used]
        caption = table.caption or (near[0][1] if near else "")
        if near and not table.caption:
            used.add(near[0][0])
        captions.append(" ".join(caption.strip("*_ ").split()))
    return captions


def paragraphs(text: str, blocks: tuple[Block, ...], first: int, last: int) -> list[tuple[str, str]]:
    """Return the pieces of text between two offsets that are no comments: a name for each, and its words."""
    found: list[tuple[str, str]] = []
    for block in blocks:
        start, end = max(block.start, first), min(block.end, last)
        words = drop_comments(text[start:end]).strip() if start < end else ""
        if words:
            found.append((str(end if start > block.start else start), BREAK.sub(" ", words)))
    return found
