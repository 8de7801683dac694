"""Books: a document over the service's page limit, or a choice of its pages, as parts that are parsed each for itself.

A part is a PDF of its own that holds just its pages and what they need. It is paid once under the book's identity and
its range, so a stopped run goes on part by part. Joined, the pages have the numbers of the book.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from doc2x_sdk.config import Settings
from doc2x_sdk.errors import ConfigError, FileError
from doc2x_sdk.flow.disk import writing
from doc2x_sdk.flow.fetch import Natives, Report
from doc2x_sdk.flow.links import rewrite
from doc2x_sdk.flow.pdfium import pdfium_lock
from doc2x_sdk.flow.source import Source, checked
from doc2x_sdk.models import Bundle, ExportOptions, Page, ParseStatus
from doc2x_sdk.service.readers import whole_or_none

__all__ = [
    "JOINED_BY_PANDOC",
    "BookNatives",
    "Part",
    "check_formats",
    "choice_of",
    "cut",
    "joined",
    "parts_of",
    "ranges_of",
]

RANGE = re.compile(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})?\s*)?")
COUNTED = "It has {} pages, counted from 1."
JOINED_BY_PANDOC = frozenset({"tex", "docx"})


@dataclass(frozen=True, slots=True)
class Part:
    """Some pages of a document, by their numbers from 0, in order; `label` is what people call them: "1-10,15"."""

    pages: tuple[int, ...] = field(repr=False)
    label: str


def parts_of(source: Source, settings: Settings, pages: str | None) -> tuple[Part, ...]:
    """Return the parts that a PDF has to be cut into; none when it is sent as it is.

    Args:
        source: a checked PDF.
        settings: `max_file_pages` is the most of a part.
        pages: the choice, such as "1-10,15" or "20-"; None for all.

    Raises `ConfigError` for a choice that is none, or has pages that the document lacks.
    """
    chosen = tuple(range(source.pages)) if pages is None else chosen_pages(pages, source)
    if len(chosen) == source.pages <= settings.max_file_pages:
        return ()
    most = settings.max_file_pages
    pieces = [chosen[first : first + most] for first in range(0, len(chosen), most)]
    return tuple(Part(piece, label_of(piece)) for piece in pieces)


def choice_of(source: Source, pages: str | None) -> str | None:
    """Return a choice of pages as people call it; None for all pages. Raises as `parts_of`."""
    if pages is None:
        return None
    chosen = chosen_pages(pages, source)
    return None if len(chosen) == source.pages else label_of(chosen)


def ranges_of(pages: object) -> list[re.Match[str]]:
    """Take a choice of pages apart; raise `ConfigError` where it is not written as one."""
    if not isinstance(pages, str):  # scripts have no types
        told = f"A choice of pages is text, not {type(pages).__name__}"
        raise ConfigError(told, advice="Write it like '1-10,15' or '20-'.")
    found = [RANGE.fullmatch(item) for item in pages.split(",")]
    matches = [match for match in found if match is not None]
    if len(matches) < len(found):
        raise ConfigError(f"{pages!r} is no choice of pages", advice="Write it like 1-10,15 or 20-.")
    return matches


def chosen_pages(pages: str, source: Source) -> tuple[int, ...]:
    """Read a choice of pages: numbers from 1 and ranges, each page once, in the document's order."""
    chosen: set[int] = set()
    for match in ranges_of(pages):
        first = int(match[1])
        last = int(match[2]) if match[2] else source.pages if "-" in match[0] else first
        if not 1 <= first <= last <= source.pages:
            raise ConfigError(
                f"There are no pages {match[0].strip()}",
                source=source.name,
                advice="A picture is a single page." if source.is_picture else COUNTED.format(source.pages),
            )
        chosen.update(range(first - 1, last))
    return tuple(sorted(chosen))


def label_of(pages: Sequence[int]) -> str:
    """Return page numbers as people write them, from 1: "1-10,15"."""
    runs: list[list[int]] = []
    for page in pages:
        if runs and page == runs[-1][1] + 1:
            runs[-1][1] = page
        else:
            runs.append([page, page])
    return ",".join(f"{first + 1}" if first == last else f"{first + 1}-{last + 1}" for first, last in runs)


def check_formats(parts: Sequence[Part], natives: Sequence[str]) -> None:
    """Raise `ConfigError` where parts would have to be joined into a format and pandoc is not there to do it."""
    wanted = JOINED_BY_PANDOC.intersection(natives)
    if len(parts) > 1 and wanted:
        from doc2x_sdk.pandoc import pandoc_path  # noqa: PLC0415 - only books in these formats need it

        try:
            pandoc_path()
        except ConfigError as error:
            raise ConfigError(
                f"A document in {len(parts)} parts is joined into {' and '.join(sorted(wanted))} by pandoc",
                advice=error.advice,
            ) from None


def cut(source: Source, part: Part, target: Path, settings: Settings) -> Source:
    """Write a part as a PDF of its own, with only the resources of its pages, and return it as a source.

    Raises `FileError` when the pages can't be taken out.
    """
    from pypdfium2 import PdfDocument, PdfiumError  # noqa: PLC0415 - a library that only PDFs need

    with pdfium_lock:
        try:
            whole: Any = PdfDocument(source.path if source.path is not None else source.content)
            piece: Any = PdfDocument.new()
            try:
                piece.import_pages(whole, list(part.pages))
                with writing(target, "Cutting pages"):
                    piece.save(target)
            finally:
                piece.close()
                whole.close()
        except PdfiumError:
            raise FileError(f"The pages {part.label} can't be taken out of the PDF", source=source.name) from None
    made = checked(target, source.name, settings)
    return replace(made, stem=source.stem)


def joined(parts: Sequence[Part], statuses: Sequence[ParseStatus]) -> ParseStatus:
    """Return the parts' statuses as one, under the first uid, with the page numbers of the book.

    Pages that a result has beyond those of its part have no number in the book, and are left out.
    """
    pages, raw_pages = list[Page](), list[dict[str, Any]]()
    for part, status in zip(parts, statuses, strict=True):
        raw = {whole_or_none(each.get("page_idx", at)): each for at, each in enumerate(status.raw["result"]["pages"])}
        for page, index in zip(status.pages, part.pages, strict=False):
            pages.append(replace(page, index=index))
            raw_pages.append({**raw.get(page.index, {}), "page_idx": index})
    uids = [status.uid for status in statuses]
    result = {**statuses[0].raw["result"], "pages": raw_pages, "parts": uids}
    return replace(statuses[0], pages=tuple(pages), raw={**statuses[0].raw, "result": result})


class BookNatives:
    """Fetches a native format of each part and joins them. Offers `fetch` as `Fetcher` does."""

    def __init__(self, fetchers: Sequence[Natives]) -> None:
        self._fetchers = fetchers

    def fetch(self, to: str, options: ExportOptions, stage: Path, on_progress: Report | None = None) -> Bundle:
        """Return the book's bundle; docx and tex are made of the joined Markdown by pandoc."""
        if to in JOINED_BY_PANDOC:
            return self._by_pandoc(to, options, stage, on_progress)
        folder = stage / to
        folder.mkdir()
        texts, first = [], None
        for number, fetcher in enumerate(self._fetchers, 1):
            inner = stage / f"{to}-part-{number}"
            inner.mkdir()
            bundle = fetcher.fetch(to, options, inner, on_progress)
            first = first or bundle
            texts.append(adopt(bundle, folder, number))
        if first is None:
            raise AssertionError("a book has parts")
        main = folder / f"{to}.md"
        main.write_text("\n\n".join(texts), encoding="utf-8", errors="surrogateescape")
        return replace(first, folder=folder, main=main)

    def _by_pandoc(self, to: str, options: ExportOptions, stage: Path, on_progress: Report | None) -> Bundle:
        from doc2x_sdk.pandoc import html_to, markdown_to_html  # noqa: PLC0415 - only books in these formats need it

        source_stage = stage / f"{to}-source"
        source_stage.mkdir()
        bundle = self.fetch("md", replace(options, formula="normal"), source_stage, on_progress)
        folder = stage / to
        shutil.copytree(bundle.folder, folder, ignore=shutil.ignore_patterns("*.md"))
        main = folder / f"{to}.{to}"
        images = {path.relative_to(bundle.folder).as_posix(): path for path in bundle.images}
        html = markdown_to_html(bundle.main.read_text(encoding="utf-8", errors="replace"))
        html_to("latex" if to == "tex" else to, html, main, images=images if to == "docx" else {})
        bundle = replace(bundle, format=to, folder=folder, main=main)
        bundle.warnings.append(f"{to} was made of the joined Markdown by pandoc, since the document has parts")
        return bundle


def adopt(bundle: Bundle, folder: Path, number: int) -> str:
    """Copy a part's pictures into the book's folder under names of their own and return its text with their links."""
    links: dict[str, str] = {}
    for image in bundle.images:
        inside = image.relative_to(bundle.folder)
        new = inside.with_name(f"part{number}-{inside.name}")
        target = folder / new
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image, target)
        links[inside.as_posix()] = new.as_posix()
    return rewrite(bundle.main.read_text(encoding="utf-8", errors="surrogateescape"), links, escape=True)
