"""Pictures that must become docx or tex are sent as a one-page PDF, since the service exports only parsed PDFs."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from doc2x_sdk.config import Settings
from doc2x_sdk.errors import ConfigError, FileError
from doc2x_sdk.flow.disk import writing
from doc2x_sdk.flow.pdfium import pdfium_lock
from doc2x_sdk.flow.source import Source, checked, copy_to

__all__ = ["as_pdf"]

POINTS_A_PIXEL = 72 / 150  # as if scanned at 150 dots an inch


def as_pdf(source: Source, stage: Path, settings: Settings) -> Source:
    """Write a one-page PDF that holds the picture, without loss, and return it as the source.

    Raises:
        FileError: the picture can't be decoded.
        ConfigError: a PNG, and the extra `pictures` is not installed.
    """
    import pypdfium2  # noqa: PLC0415 - a library that only this needs

    picture = stage / f"picture.{source.kind}"
    target = stage / "picture.pdf"
    with writing(target, "The picture as a PDF"), pdfium_lock:
        copy_to(source, picture)
        document: Any = pypdfium2.PdfDocument.new()
        try:
            with ExitStack() as loose:
                image: Any = pypdfium2.PdfImage.new(document)
                loose.callback(image.close)  # it must not outlive its document
                if source.kind == "jpg":
                    image.load_jpeg(picture)
                else:
                    image.set_bitmap(pypdfium2.PdfBitmap.from_pil(decoded(picture, source)))
                width, height = (POINTS_A_PIXEL * pixels for pixels in image.get_px_size())
                if not width or not height:  # what PDFium makes of a JPEG that it can't read
                    raise FileError("The picture can't be decoded", source=source.name)
                image.set_matrix(pypdfium2.PdfMatrix().scale(width, height))
                page = document.new_page(width, height)
                page.insert_obj(image)
                loose.pop_all()  # now the page owns it
            page.gen_content()
            document.save(target)
        except pypdfium2.PdfiumError:
            raise FileError("The picture can't be decoded", source=source.name) from None
        finally:
            document.close()
    return checked(target, source.name, settings)


def decoded(picture: Path, source: Source) -> Any:
    """Return the picture's pixels, on white where it is transparent."""
    try:
        from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError(
            "A PNG picture can't become docx or tex without the extra `pictures`",
            source=source.name,
            advice="Run: pip install 'doc2x-sdk[pictures]'",
        ) from None
    try:
        with Image.open(picture) as opened:
            pixels = opened.convert("RGBA")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        raise FileError("The picture can't be decoded", source=source.name) from None
    white = Image.new("RGBA", pixels.size, "white")
    white.alpha_composite(pixels)
    return white.convert("RGB")
