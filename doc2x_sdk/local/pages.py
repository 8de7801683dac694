"""From the engine's blocks to a page as the service writes it: Markdown, layout blocks and the pictures to crop.

A picture stands in the Markdown as `<img src="images/<page>_<x>_<y>_<w>_<h>_<r>.jpg"/>`, the name that it has in an
export; `links` turns it into the address that a status answer carries.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from doc2x_sdk.local import formulas

__all__ = ["Box", "Crop", "Page", "build_page", "figures", "image_name", "one_line_table"]

_TAG = re.compile(r"(?<!\\)<(?=[A-Za-z/!?])")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_CAPTION = re.compile(r"\W*(?:fig(?:ure|\.)|table|tab\.|图|圖|表)\s*\d", re.IGNORECASE)
_ALONE = re.compile(r"\\\( (.+) \\\)([.,;，。；]?)(?:\s*[(（](\d+(?:\.\d+)*[a-z]?)[)）])?")  # and perhaps its number
_TYPES = {"heading": "Title", "table": "Table", "figure": "Figure", "code": "Code", "grid_fallback": "Code"}


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in page pixels, from the top left corner."""

    x: int
    y: int
    width: int
    height: int

    @property
    def corners(self) -> list[int]:
        """`[x0, y0, x1, y1]`, the form of the service's layout blocks."""
        return [self.x, self.y, self.x + self.width, self.y + self.height]


@dataclass(frozen=True, slots=True)
class Crop:
    """A picture cut out of a page: of which, from 0, where, and its JPEG bytes."""

    page: int
    box: Box
    jpeg: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Page:
    """One parsed page. `index` counts from 0, `width` and `height` are pixels, `score` is 0 to 100."""

    index: int
    width: int
    height: int
    markdown: str = field(repr=False)
    blocks: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    score: float = 100.0
    needs_ocr: bool = False


def image_name(page: int, box: Box) -> str:
    """The name of a crop in an export: `<page>_<x>_<y>_<w>_<h>_<r>.jpg`, where r (rotation) is 0 here."""
    return f"{page}_{box.x}_{box.y}_{box.width}_{box.height}_0.jpg"


def figures(blocks: Iterable[Mapping[str, Any]]) -> list[Box]:
    """The places of the pictures among a page's layout blocks."""
    corners = [block["bbox"] for block in blocks if block["type"] == "Figure"]
    return [Box(x0, y0, x1 - x0, y1 - y0) for x0, y0, x1, y1 in corners]


def one_line_table(rows: Iterable[Sequence[str]]) -> str:
    """A table as one line of HTML, as the service writes it; dollar formulas of the engine become the service's."""
    lines = []
    for row in rows:
        cells = (html.escape(formulas.from_dollars(_readable(cell)), quote=False) for cell in row)
        lines.append("<tr>" + "".join(f"<td>{cell.replace(chr(10), '<br>')}</td>" for cell in cells) + "</tr>")
    return f"<table>{''.join(lines)}</table>"


def build_page(parsed: Any, index: int, scale: float, *, pictures: bool) -> Page:
    """A page of the service from a page of the engine (`liteparse.ParsedPage`).

    Args:
        parsed: the engine's page, parsed with `extract_blocks=True`.
        index: the page's number from 0.
        scale: pixels of the service's page to one point of the engine's.
        pictures: whether figures are kept; on pages read by OCR and in strips they are not worth keeping.
    """
    width, height = round(parsed.width * scale), round(parsed.height * scale)
    writer = _Writer(index, Box(0, 0, width, height), scale)
    for block in parsed.blocks or ():
        if pictures or block.kind != "figure":
            writer.add(block)
    writer.group_captions()
    return Page(index, width, height, writer.markdown(), tuple(writer.blocks))


class _Writer:
    """Collects the Markdown pieces and layout blocks of one page."""

    def __init__(self, index: int, frame: Box, scale: float) -> None:
        self.index = index
        self.frame = frame
        self.scale = scale
        self.blocks: list[dict[str, Any]] = []
        self._pieces: list[tuple[str, str]] = []  # Markdown, and of which kind of list it is an item

    def add(self, block: Any) -> None:
        text = self._text(block)
        if not text:
            return
        self._pieces.append((text, f"list {bool(block.ordered)}" if block.kind == "list_item" else ""))
        kind = "Formula" if block.kind == "paragraph" and formulas.is_display(text) else _TYPES.get(block.kind, "Text")
        if block.kind == "rule":
            return
        box = self._box(block.bbox)
        entry: dict[str, Any] = {"id": str(len(self.blocks)), "type": kind, "bbox": box.corners, "text": text}
        if kind == "Figure":
            entry |= {"text": "", "src": text.split('"')[1]}
        elif kind == "Title":
            entry["text"] = text.lstrip("# ")
        self.blocks.append(entry)

    def markdown(self) -> str:
        parts: list[str] = []
        before = ""
        for text, of_list in self._pieces:
            if parts:
                parts.append("\n" if of_list and of_list == before else "\n\n")
            parts.append(text)
            before = of_list
        return "".join(parts)

    def group_captions(self) -> None:
        """Put a figure and the caption right after it into a FigureGroup (Doc2X API v2, layout blocks)."""
        grouped: list[dict[str, Any]] = []
        for block in self.blocks:
            last = grouped[-1] if grouped else None
            if last and last["type"] == "Figure" and "parent_id" not in last and _CAPTION.match(block["text"]):
                group = {
                    "id": f"{last['id']}g",
                    "type": "FigureGroup",
                    "bbox": _union(last["bbox"], block["bbox"]),
                    "text": "",
                }
                last["parent_id"] = group["id"]
                grouped.insert(-1, group)
                block |= {"type": "Caption", "parent_id": group["id"]}
            grouped.append(block)
        self.blocks = grouped

    def _text(self, block: Any) -> str:
        write: dict[str, Callable[[Any], str]] = {
            "heading": _heading,
            "list_item": _list_item,
            "code": _code,
            "grid_fallback": _code,
            "table": _table,
            "figure": self._figure,
            "rule": lambda _: "---",
        }
        return write.get(block.kind, _paragraph)(block)

    def _figure(self, block: Any) -> str:
        return f'<img src="images/{image_name(self.index, self._box(block.bbox))}"/>'

    def _box(self, bbox: Any) -> Box:
        if bbox is None:
            return self.frame
        x = min(max(round(bbox.x * self.scale), 0), self.frame.width - 1)
        y = min(max(round(bbox.y * self.scale), 0), self.frame.height - 1)
        width = min(max(round(bbox.width * self.scale), 1), self.frame.width - x)
        height = min(max(round(bbox.height * self.scale), 1), self.frame.height - y)
        return Box(x, y, width, height)


def _heading(block: Any) -> str:
    text = _prose(block.text)
    return f"{'#' * (block.level or 1)} {text}" if text else ""


def _list_item(block: Any) -> str:
    marker = block.marker if block.ordered and block.marker else "-"
    return f"{'  ' * (block.level or 0)}{marker} {_prose(block.text)}"


def _table(block: Any) -> str:
    header = [block.header] if block.header else []
    return one_line_table([cell.text for cell in row] for row in [*header, *(block.rows or [])])


def _paragraph(block: Any) -> str:
    text = _prose(block.text)
    formula = _ALONE.fullmatch(text)
    if formula and r"\(" not in formula[1]:
        tag = rf"\tag{{{formula[3]}}} " if formula[3] else ""
        return rf"\[ {formula[1]} {tag}\]{formula[2]}"
    mark = ("**" if block.bold else "") + ("*" if block.italic else "")
    return f"{mark}{text}{mark}" if text and not text.startswith("*") else text


def _prose(text: str | None) -> str:
    """Text of the engine, with the service's formulas and without anything that reads as an HTML tag."""
    return formulas.from_dollars(_TAG.sub(r"\\<", _readable(text or "")))


def _readable(text: str) -> str:
    """Text without the signs that LaTeX, XML and so Word can't have: PDFs with fonts of their own hold some."""
    return _CONTROL.sub("", text).strip()


def _code(block: Any) -> str:
    return _fence(block.lines or [], block.lang or ("" if block.kind == "code" else "text"))


def _fence(lines: Sequence[str], language: str) -> str:
    if not "".join(lines).strip():
        return ""  # the engine's empty fence of a page without text
    body = _CONTROL.sub("", "\n".join(lines))
    mark = "`" * max([3, *(len(run) + 1 for run in re.findall("`{3,}", body))])
    return f"{mark}{language}\n{body}\n{mark}"


def _union(first: Sequence[int], second: Sequence[int]) -> list[int]:
    return [
        min(first[0], second[0]),
        min(first[1], second[1]),
        max(first[2], second[2]),
        max(first[3], second[3]),
    ]
