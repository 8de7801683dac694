r"""Exports: from the pages of a task to the files that the service hands out.

md and tex are zips of `<filename>.md` or `.tex` and `images/`; docx is the file itself (Doc2X API v2, export). The
HTML between pandoc's two passes is kept beside the pages, so that the second format of a document costs one run.
"""

from __future__ import annotations

import re
import threading
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from doc2x_sdk import pandoc
from doc2x_sdk.local import formulas
from doc2x_sdk.local.store import Task

__all__ = ["ExportRequest", "document_markdown", "write_export"]

_IMAGE = re.compile(r'<img src="(images/[0-9_]+\.jpg)"/>')
_TABLE = r"<table>(?P<{0}>(?:(?!</?table\b).)*)</table>"
_SPLIT_TABLE = (
    re.compile(_TABLE.format("upper") + r"\s*\Z", re.DOTALL),
    re.compile(r"\A\s*" + _TABLE.format("lower"), re.DOTALL),
)
_ROW = re.compile(r"<tr\b.*?</tr>", re.DOTALL)
_CELL = re.compile(r"<t[dh]\b([^>]*)>")
_SPAN = re.compile(r'colspan="(\d+)"')
_html_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What `convert/parse` asks for (Doc2X API v2)."""

    to: Literal["md", "tex", "docx"]
    dollars: bool = False
    filename: str = ""
    level: int = 0
    merge_tables: bool = False

    @property
    def suffix(self) -> str:
        """How the file ends that is handed out."""
        return "docx" if self.to == "docx" else "zip"


def document_markdown(pages: Iterable[Mapping[str, Any]], *, level: int = 0, merge_tables: bool = False) -> str:
    """One Markdown text of all pages, which stand apart by a blank line.

    Args:
        pages: with `md` each.
        level: `formula_level`.
        merge_tables: join a table that ends a page with one of as many columns that begins the next.
    """
    texts: list[str] = []
    for page in pages:
        text = page["md"].strip()
        if merge_tables and texts and (merged := _merge(texts[-1], text)):
            texts[-1] = merged
        elif text:
            texts.append(text)
    return formulas.flatten("\n\n".join(texts), level, pandoc.formulas_to_text) + "\n"


def bundle(task: Task, markdown: str, name: str, target: Path) -> None:
    """A zip of `<name>` with the text, and the pictures under `images/`."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, markdown)
        for path in _pictures(task):
            archive.write(path, f"images/{path.name}", zipfile.ZIP_STORED)


def write_export(task: Task, request: ExportRequest, target: Path) -> None:
    """Make an export of a parsed task and write it to `target`. Blocks; up to two runs of pandoc.

    Raises:
        ConfigError: pandoc is not installed.
        PandocError: pandoc failed.
    """
    name = request.filename or task.uid
    if request.to == "md":
        text = document_markdown(task.read_pages(), level=request.level, merge_tables=request.merge_tables)
        text = _IMAGE.sub(r"![](\1)", text)
        bundle(task, formulas.to_dollars(text) if request.dollars else text, f"{name}.md", target)
        return
    html = _html(task, request)
    if request.to == "docx":
        pictures = {f"images/{path.name}": path for path in _pictures(task)}
        pandoc.html_to("docx", html, target, images=pictures)
        return
    tex = target.with_suffix(".tex")
    pandoc.html_to("latex", html, tex)
    bundle(task, tex.read_text(encoding="utf-8"), f"{name}.tex", target)
    tex.unlink()


def _html(task: Task, request: ExportRequest) -> str:
    cache = task.folder / f"document-{request.level}-{request.merge_tables:d}.html"
    with _html_lock:  # two formats of one document at once share the pass
        if not cache.exists():
            text = document_markdown(task.read_pages(), level=request.level, merge_tables=request.merge_tables)
            part = cache.with_suffix(".part")
            part.write_text(pandoc.markdown_to_html(text), encoding="utf-8")
            part.replace(cache)
    return cache.read_text(encoding="utf-8")


def _pictures(task: Task) -> list[Path]:
    return sorted(task.images.glob("*.jpg")) if task.images.is_dir() else []


def _merge(above: str, below: str) -> str | None:
    """The two pages as one text when a table runs over the break; a repeated header row is left out."""
    upper, lower = _SPLIT_TABLE[0].search(above), _SPLIT_TABLE[1].search(below)
    if upper is None or lower is None:
        return None
    upper_rows, lower_rows = _ROW.findall(upper["upper"]), _ROW.findall(lower["lower"])
    if not upper_rows or not lower_rows or _columns(upper_rows[0]) != _columns(lower_rows[0]):
        return None
    if lower_rows[0] == upper_rows[0]:
        del lower_rows[0]
    table = f"<table>{''.join(upper_rows)}{''.join(lower_rows)}</table>"
    return f"{above[: upper.start()]}{table}{below[lower.end() :]}"


def _columns(row: str) -> int:
    """How many columns a row without rowspans from above has."""
    spans = (_SPAN.search(attributes) for attributes in _CELL.findall(row))
    return sum(int(span[1]) if span else 1 for span in spans)
