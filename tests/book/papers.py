"""Books made for a test: each page says its number and shows a picture of its own."""

import io
from pathlib import Path

from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas


def make_book(path: Path, pages: int, *, pictures: int = 0) -> Path:
    """Write a PDF; each of the first `pictures` pages has a picture, all of them different."""
    canvas = Canvas(str(path), pageCompression=1)
    for number in range(1, pages + 1):
        canvas.drawString(72, 720, f"This is page number {number} of the book")
        if number <= pictures:
            canvas.drawImage(ImageReader(picture(number)), 72, 400, 240, 240)
        canvas.showPage()
    canvas.save()
    return path


def picture(number: int) -> io.BytesIO:
    """A noisy picture, so that it does not compress to nothing."""
    noise = bytes((x * y * number) % 251 for x in range(120) for y in range(120))
    data = io.BytesIO()
    Image.frombytes("L", (120, 120), noise).convert("RGB").save(data, "PNG")
    data.seek(0)
    return data
