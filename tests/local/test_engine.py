"""The engine's functions on real documents, called as a worker calls them."""

import io
import pickle
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen import canvas

from doc2x_sdk.local import engine, ocr
from doc2x_sdk.local.failure import DocumentFailure
from doc2x_sdk.local.pages import Box, build_page, figures, image_name, one_line_table
from tests.local.caller import make_pdf, make_scan_pdf, make_table_pdf


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"hello", "parse_file_not_pdf"),
        (b"%PDF-1.4 nothing behind it", "parse_pdf_invalid"),
        (make_pdf("x")[:400], "parse_pdf_invalid"),
        (make_pdf("x", password="secret"), "parse_file_invalid"),
    ],
    ids=["text", "head only", "cut off", "encrypted"],
)
def test_unusable_documents_are_told_apart(content: bytes, code: str) -> None:
    with pytest.raises(DocumentFailure) as caught:
        engine.count_pages(content)
    assert caught.value.code == code
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_bytes_and_paths_give_the_same_pages(tmp_path: Path) -> None:
    content = make_pdf("First page", "Second page", "Third page")
    path = tmp_path / "a.pdf"
    path.write_bytes(content)
    assert engine.count_pages(content) == engine.count_pages(str(path)) == 3
    pages = engine.parse_pages(content, 1, 2)
    assert pages == engine.parse_pages(str(path), 1, 2)
    assert [(page.index, page.markdown) for page in pages] == [(1, "Second page"), (2, "Third page")]
    assert (pages[0].width, pages[0].height) == (1654, 2339)  # A4 at 200 dpi


def test_tables_are_one_line_of_html() -> None:
    (page,) = engine.parse_pages(make_table_pdf([["Name", "Costs"], ["a < b", "$5"], ["c", "$6"]]), 0, 0)
    table = "<table><tr><td>Name</td><td>Costs</td></tr><tr><td>a &lt; b</td><td>$5</td></tr>"
    assert table in page.markdown
    assert [block["type"] for block in page.blocks] == ["Text", "Table"]


def test_formulas_in_cells_are_marked_and_lines_become_breaks() -> None:
    assert one_line_table([["$x_{1}$", "a\nb"]]) == r"<table><tr><td>\( x_{1} \)</td><td>a<br>b</td></tr></table>"


def test_text_that_looks_like_html_stays_text() -> None:
    (page,) = engine.parse_pages(make_pdf("the <b> tag and a < b"), 0, 0)
    assert page.markdown == r"the \<b> tag and a < b"


def test_an_empty_page_and_a_page_of_one_word_need_no_ocr() -> None:
    pages = engine.parse_pages(make_pdf("", "Word"), 0, 1)
    assert [(page.markdown, page.needs_ocr) for page in pages] == [("", False), ("Word", False)]


def test_a_page_that_is_a_picture_needs_ocr(drawn_text: Image.Image) -> None:
    pages = engine.parse_pages(make_scan_pdf(drawn_text, before="A page of text before the scanned one."), 0, 1)
    assert [page.needs_ocr for page in pages] == [False, True]


def test_strips_of_a_scan_give_no_pictures(samples: Path) -> None:
    pages = engine.parse_pages(str(samples / "scanned-zh.pdf"), 0, 7)
    assert all(page.needs_ocr and not figures(page.blocks) for page in pages)


def test_figures_are_crops_named_by_their_place(samples: Path) -> None:
    source = str(samples / "paper.pdf")
    (page,) = engine.parse_pages(source, 1, 1)
    (crop,) = engine.cut_pictures(source, [(1, box) for box in figures(page.blocks)])
    assert f'<img src="images/{image_name(1, crop.box)}"/>' in page.markdown
    with Image.open(io.BytesIO(crop.jpeg)) as picture:
        assert picture.format == "JPEG"
        assert abs(picture.width - crop.box.width) <= 2
        assert abs(picture.height - crop.box.height) <= 2
        assert len(set(picture.convert("L").resize((32, 32)).tobytes())) > 4  # not a blank rectangle


def test_a_whole_page_and_a_part_of_it_are_rendered(samples: Path) -> None:
    source = str(samples / "two-pages.pdf")
    with Image.open(io.BytesIO(engine.render(source, 0, None))) as page:
        assert page.size == (2667, 1500)
    with Image.open(io.BytesIO(engine.render(source, 0, Box(100, 50, 300, 200)))) as part:
        assert abs(part.width - 300) <= 1
        assert abs(part.height - 200) <= 1
    with pytest.raises(DocumentFailure):
        engine.render(source, 2, None)
    with pytest.raises(DocumentFailure):
        engine.render(source, 0, Box(9000, 9000, 5, 5))


def test_what_can_not_be_cut_out_of_a_page_is_a_failure(samples: Path) -> None:
    source, box = str(samples / "two-pages.pdf"), Box(100, 50, 300, 200)
    assert [crop.page for crop in engine.cut_pictures(source, [(0, box), (0, box), (1, box)])] == [0, 0, 1]
    for page, part in ((2, box), (0, Box(9000, 9000, 5, 5))):
        with pytest.raises(DocumentFailure):
            engine.cut_pictures(source, [(page, part)])
    with pytest.raises(DocumentFailure, match="cut out"):
        engine.cut_pictures(b"%PDF-1.7 and nothing else", [(0, box)])


def test_formulas_of_a_paper_carry_the_services_delimiters(samples: Path) -> None:
    pages = engine.parse_pages(str(samples / "long-29-pages.pdf"), 0, 28)
    text = "\n\n".join(page.markdown for page in pages)
    assert text.count(r"\( ") > 100
    assert r"\[ m_{i}=m_{1i}+m_{2i} \];" in text
    assert "$F_{i}$" not in text


def test_signs_that_no_word_file_and_no_latex_can_have_are_left_out(samples: Path) -> None:
    """A formula of this paper is in a font of its own; its codes are read as a control character among others."""
    text = "\n".join(page.markdown for page in engine.parse_pages(str(samples / "paper.pdf"), 0, 12))
    assert "SSEs KSSEc" in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)


def test_a_figure_and_its_caption_are_a_group() -> None:
    def block(kind: str, text: str | None, y: int) -> SimpleNamespace:
        empty = dict.fromkeys(("level", "ordered", "marker", "lines", "lang", "header", "rows"))
        place = SimpleNamespace(x=10, y=y, width=50, height=20)
        return SimpleNamespace(kind=kind, text=text, bold=False, italic=False, bbox=place, **empty)

    parsed = SimpleNamespace(
        width=100, height=200, blocks=[block("figure", None, 20), block("paragraph", "Figure 2: a line", 45)]
    )
    page = build_page(parsed, 0, 2.0, pictures=True)
    group, figure, caption = page.blocks
    assert group["type"] == "FigureGroup"
    assert group["bbox"] == [20, 40, 120, 130]
    assert figure["parent_id"] == caption["parent_id"] == group["id"]
    assert figure["src"] == "images/0_20_40_100_40_0.jpg"
    assert caption["type"] == "Caption"


@pytest.mark.skipif(not ocr.is_installed(), reason="the extra local-ocr is not installed")
class TestReading:
    def test_a_scanned_page_is_read(self, drawn_text: Image.Image) -> None:
        page = engine.read_scanned_page(make_scan_pdf(drawn_text), 0)
        assert "4711" in page.markdown
        assert page.score > 50

    def test_a_transparent_picture_is_read_as_on_paper(self, drawn_text: Image.Image) -> None:
        ink = Image.new("RGBA", drawn_text.size, (0, 0, 0, 0))
        ink.paste((0, 0, 0, 255), mask=drawn_text.convert("L").point(lambda value: 255 - value))
        stream = io.BytesIO()
        ink.save(stream, "PNG")
        page = engine.read_image(stream.getvalue())
        assert "4711" in page.markdown
        assert (page.width, page.height) == drawn_text.size

    def test_a_picture_is_turned_upright_when_asked(self, drawn_text: Image.Image) -> None:
        stream = io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = 6  # lies on its side, turn by 90 degrees to see it upright
        drawn_text.transpose(Image.Transpose.ROTATE_90).save(stream, "JPEG", exif=exif)
        page = engine.read_image(stream.getvalue(), correct=True)
        assert (page.width, page.height) == drawn_text.size
        assert "4711" in page.markdown


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"%PDF-1.4", "parse_file_not_image"), (b"\x89PNG\r\n\x1a\n" + b"x" * 50, "parse_file_invalid")],
    ids=["not a picture", "broken"],
)
def test_what_is_not_a_picture_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(DocumentFailure) as caught:
        engine.read_image(content)
    assert caught.value.code == code


@pytest.mark.parametrize(("strips", "kept"), [(engine.STRIPS, engine.STRIPS), (engine.STRIPS + 1, 0)])
def test_a_page_of_text_beside_very_many_strips_has_no_pictures(
    strips: int, kept: int, drawn_text: Image.Image
) -> None:
    stream = io.BytesIO()
    sheet = canvas.Canvas(stream, pagesize=A4)
    for row in range(strips):
        strip = drawn_text.crop((0, row * 4, 900, row * 4 + 4))
        sheet.drawImage(ImageReader(strip), 72, 760 - 16 * row, 200, 30)
    for row in range(20):
        sheet.drawString(300, 780 - 30 * row, f"Line {row} of a text that stands beside the strips.")
    sheet.save()
    (page,) = engine.parse_pages(stream.getvalue(), 0, 0)
    assert "Line 7" in page.markdown
    assert page.markdown.count("<img") == len(figures(page.blocks)) == kept


def test_a_page_of_nothing_but_a_repeated_line_keeps_it() -> None:
    pages = engine.parse_pages(make_pdf(*(f"Page number {number}" for number in range(8))), 0, 7)
    assert [page.markdown for page in pages] == [f"Page number {number}" for number in range(8)]


def test_a_formula_with_its_number_is_display() -> None:
    example = Path(__file__).parents[2] / "docs" / "examples" / "paper.pdf"
    text = engine.parse_pages(str(example), 0, 0)[0].markdown
    assert r"\[ f(a,b)=1-\frac{d(a,b)}{\max (|a|,|b|)}. \tag{1} \]" in text
