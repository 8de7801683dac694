"""The document engine: what a worker process does. Functions of plain values, so that any Executor can run them.

A source is the path of a file, or its bytes when the worker shares no disk with the server. liteparse reads text and
layout, pypdfium2 counts pages and renders pictures, and `ocr` reads pages that are pictures. No network: liteparse's
own OCR, which would fetch data, is never on.
"""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from doc2x_sdk.local.failure import DocumentFailure
from doc2x_sdk.local.pages import Box, Crop, Page, build_page

__all__ = [
    "Source",
    "count_pages",
    "cut_pictures",
    "parse_pages",
    "picture_as_jpeg",
    "read_image",
    "read_scanned_page",
    "render",
]

Source = str | bytes

DPI = 200  # of the page pictures: what page_width, page_height and all boxes count in
SCALE = DPI / 72
JPEG_QUALITY = 88
MAX_RENDER_PIXELS = 64_000_000
PICTURE_SHARE = 0.3  # of a page without text: above it, the page is a picture that OCR must read
STRIPS = 40  # more pictures than this on one page are strips or icons, of which no crops are made

log = logging.getLogger("doc2x_sdk.local")

_PDFIUM = threading.Lock()  # pdfium is not safe in several threads; matters when the Executor has threads


def count_pages(source: Source) -> int:
    """The pages of a PDF.

    Raises:
        DocumentFailure: the bytes are not a PDF, or it is broken, encrypted or empty.
    """
    import pypdfium2

    if b"%PDF-" not in _head(source):
        raise DocumentFailure("parse_file_not_pdf", "the file does not begin like a PDF")
    with _PDFIUM:
        try:
            with pypdfium2.PdfDocument(source) as document:
                pages = len(document)
        except pypdfium2.PdfiumError as error:
            if "password" in str(error).lower():
                raise DocumentFailure("parse_file_invalid", "the PDF is encrypted; remove its password") from error
            raise DocumentFailure("parse_pdf_invalid", "the PDF is broken; print it to a new PDF") from error
    if pages == 0:
        raise DocumentFailure("parse_pdf_invalid", "the PDF has no pages")
    return pages


def parse_pages(source: Source, first: int, last: int) -> list[Page]:
    """Parse the pages `first` to `last` (from 0, both included); those that need OCR come back marked and empty.

    Raises:
        DocumentFailure: the engine cannot read the document.
    """
    parsed = _parse(source, range(first, last + 1))
    # What repeats at the edge of pages is left out as a running header; a page that has nothing else keeps it.
    emptied = [page.page_num - 1 for page in parsed if not page.blocks and page.complexity.text_length]
    if emptied:
        whole = {page.page_num: page for page in _parse(source, emptied, keep_headers_footers=True)}
        parsed = [whole.get(page.page_num, page) for page in parsed]
    pages = [_native_page(page) for page in parsed]
    if [page.index for page in pages] != list(range(first, last + 1)):
        raise DocumentFailure("parse_error", f"the engine left out some of the pages {first + 1} to {last + 1}")
    return pages


def read_scanned_page(source: Source, index: int) -> Page:
    """Read one page by OCR.

    Raises:
        DocumentFailure: OCR is not installed (`parse_error`), or the page cannot be read.
    """
    from doc2x_sdk.local import ocr

    parsed, score = ocr.read(source, index)
    return replace(build_page(parsed, index, SCALE, pictures=False), score=score)


def read_image(source: Source, *, correct: bool = False) -> Page:
    """Read a JPEG or PNG picture by OCR.

    Args:
        source: the picture.
        correct: turn it upright first, as its EXIF data says (v1's `img_correction`).

    Raises:
        DocumentFailure: it is not a usable picture, or OCR is not installed.
    """
    from doc2x_sdk.local import ocr

    data, width, _ = _normal_picture(source, correct=correct)
    parsed, score = ocr.read(data, None)
    return replace(build_page(parsed, 0, width / parsed.width, pictures=False), score=score)


def render(source: Source, index: int, box: Box | None) -> bytes:
    """A page of a PDF as a JPEG, or the part of it in `box` (page pixels).

    Raises:
        DocumentFailure: the page or the part does not exist.
    """
    import pypdfium2

    with _PDFIUM, pypdfium2.PdfDocument(source) as document, _page(document, index) as page:
        return _draw(page, box)


def cut_pictures(source: Source, wanted: Sequence[tuple[int, Box]]) -> list[Crop]:
    """Cut these parts out of the pages of a PDF; those of one page stand together, so that it is read once.

    Raises:
        DocumentFailure: the page or the part does not exist, or cannot be drawn.
    """
    import pypdfium2

    crops: list[Crop] = []
    try:
        with _PDFIUM, pypdfium2.PdfDocument(source) as document:
            for index, parts in groupby(wanted, key=itemgetter(0)):
                with _page(document, index) as page:
                    crops += [Crop(index, box, _draw(page, box)) for _, box in parts]
    except pypdfium2.PdfiumError as error:
        raise DocumentFailure("parse_error", f"a picture cannot be cut out: {error}") from error
    return crops


def picture_as_jpeg(source: Source, box: Box | None) -> bytes:
    """A picture as a JPEG, or the part of it in `box`.

    Raises:
        DocumentFailure: it is not a usable picture.
    """
    from PIL import Image

    data, width, height = _normal_picture(source, correct=False)
    with Image.open(io.BytesIO(data)) as picture:
        area = box.corners if box else [0, 0, width, height]
        return _jpeg(picture.convert("RGB").crop((area[0], area[1], area[2], area[3])))


def _parse(source: Source, indexes: Sequence[int], **options: bool) -> list[Any]:
    """The engine's pages of these indexes (from 0)."""
    from liteparse import LiteParse, ParseError

    parser = LiteParse(
        ocr_enabled=False,
        output_format="markdown",
        extract_blocks=True,
        extract_images=False,
        include_complexity=True,
        target_pages=",".join(str(index + 1) for index in indexes),
        quiet=True,
        **options,
    )
    try:
        return list(parser.parse(source).pages)
    except ParseError as error:
        raise DocumentFailure("parse_file_invalid", f"the engine cannot read the PDF: {error}") from error


def _native_page(parsed: Any) -> Page:
    index = parsed.page_num - 1
    figures = sum(block.kind == "figure" for block in parsed.blocks or ())
    page = build_page(parsed, index, SCALE, pictures=figures <= STRIPS)
    if _is_picture(parsed):
        return replace(page, markdown="", blocks=(), needs_ocr=True)
    return replace(page, score=40.0 if parsed.complexity.is_garbled else 100.0)


def _is_picture(parsed: Any) -> bool:
    """Whether a page has to be read by OCR.

    `no-text` alone also marks a page of few words and an empty page, so a picture must cover some of it as well.
    """
    facts = parsed.complexity
    if "scanned" in facts.reasons:
        return True
    if "no-text" not in facts.reasons:
        return False
    drawn = (facts.uncovered_vector_area or 0.0) / facts.page_area if facts.page_area else 0.0
    return bool(facts.full_page_image) or max(facts.image_coverage, drawn) > PICTURE_SHARE


@contextmanager
def _page(document: Any, index: int) -> Iterator[Any]:
    """A page of an open PDF."""
    if not 0 <= index < len(document):
        raise DocumentFailure("parse_status_not_found", "no such page")
    page = document[index]
    try:
        yield page
    finally:
        page.close()


def _draw(page: Any, box: Box | None) -> bytes:
    width, height = page.get_size()
    scale = min(SCALE, (MAX_RENDER_PIXELS / max(width * height, 1.0)) ** 0.5)
    crop = (0.0, 0.0, 0.0, 0.0)
    if box is not None:
        x0, y0, x1, y1 = (value / SCALE for value in box.corners)
        if x0 >= width or y0 >= height:
            raise DocumentFailure("parse_status_not_found", "the part lies outside the page")
        crop = (x0, max(height - y1, 0.0), max(width - x1, 0.0), y0)
    bitmap = page.render(scale=scale, crop=crop)
    picture = bitmap.to_pil().convert("RGB")
    bitmap.close()
    return _jpeg(picture)


def _jpeg(picture: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=JPEG_QUALITY, dpi=(DPI, DPI))
    return stream.getvalue()


def _normal_picture(source: Source, *, correct: bool) -> tuple[bytes, int, int]:
    """The picture's bytes in a form that the engine reads, its width and its height."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    data = Path(source).read_bytes() if isinstance(source, str) else source
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as picture:
            if picture.width * picture.height > MAX_RENDER_PIXELS:
                raise DocumentFailure("parse_file_invalid", "the picture has too many pixels")
            picture.load()
            upright = ImageOps.exif_transpose(picture) if correct else picture
            if upright is picture and picture.mode in {"RGB", "L"}:
                return data, picture.width, picture.height
            stream = io.BytesIO()
            _on_white(upright).save(stream, "PNG")
            return stream.getvalue(), upright.width, upright.height
    except UnidentifiedImageError as error:
        raise DocumentFailure("parse_file_not_image", "the file is not a JPEG or PNG picture") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise DocumentFailure("parse_file_invalid", "the picture is broken") from error


def _on_white(picture: Any) -> Any:
    """The picture in RGB; what is transparent becomes white, as on paper."""
    from PIL import Image

    if not picture.has_transparency_data:
        return picture.convert("RGB")
    drawn = picture.convert("RGBA")
    paper = Image.new("RGBA", drawn.size, "white")
    return Image.alpha_composite(paper, drawn).convert("RGB")


def _head(source: Source) -> bytes:
    if isinstance(source, bytes):
        return source[:1024]
    with Path(source).open("rb") as stream:
        return stream.read(1024)
