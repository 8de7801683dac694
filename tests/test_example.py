"""The samples of docs/examples hold what their source says, and the embedded engine reads it out of them."""

import re
import unicodedata
from pathlib import Path

import pypdfium2 as pdfium
import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "docs" / "examples"
PAPER = EXAMPLES / "paper.pdf"
HAN = re.compile(r"[\u4e00-\u9fff]+")


def body() -> str:
    """The prose of the paper's source: no preamble, floats or commands, and a bar for each formula."""
    source = (EXAMPLES / "paper.tex").read_text(encoding="utf-8")
    source = source.partition(r"\begin{document}")[2]
    for wrapping in ("table", "figure"):
        source = re.sub(rf"\\begin{{{wrapping}\*?}}.*?\\end{{{wrapping}\*?}}", " ", source, flags=re.DOTALL)
    source = re.sub(r"\\begin{equation}.*?\\end{equation}", " | ", source, flags=re.DOTALL)
    source = re.sub(r"\$.*?\$", " | ", source, flags=re.DOTALL)
    source = re.sub(r"\\(?:begin|end|vspace|ref|label|setlength)\*?{[^}]*}", " ", source)
    source = re.sub(r"\\(?:Formula|Table|Mean|Shadow|One|Root|Rounds)\w*(?:{})?", " | ", source)
    return re.sub(r"\\[a-zA-Z]+|\\.|\d+(?:pt|em)", " ", source)


def headings() -> list[tuple[int, str]]:
    """The levels and texts of the source's headings, numbered as they are in print."""
    source = (EXAMPLES / "paper.tex").read_text(encoding="utf-8")
    found, section, subsection = [], 0, 0
    for kind, star, text in re.findall(r"\\((?:sub)?section)(\*?){(.+?)}", source):
        if star:
            found.append((2, text))
        elif kind == "section":
            section, subsection = section + 1, 0
            found.append((2, f"{section} {text}"))
        else:
            subsection += 1
            found.append((3, f"{section}.{subsection} {text}"))
    return found


def numbers() -> dict[str, str]:
    """The measurements that build.py wrote for the paper, by macro."""
    text = (EXAMPLES / "numbers.tex").read_text(encoding="utf-8")
    return dict(re.findall(r"\\newcommand{\\(\w+)}{(.*)}", text))


@pytest.fixture(scope="module")
def printed() -> str:
    """All text of the PDF, words that were broken at the end of a line joined again."""
    with pdfium.PdfDocument(PAPER) as document:
        text = ""
        for page in document:
            part = page.get_textpage()
            text += part.get_text_bounded() + "\n"
            part.close()
            page.close()
    text = unicodedata.normalize("NFKC", text.replace("\r\n", "\n"))
    return re.sub(r"(?:-|\ufffe|\x02)\n", "", text)


@pytest.fixture(scope="module")
def parsed(tmp_path_factory):
    liteparse = pytest.importorskip("liteparse")
    folder = tmp_path_factory.mktemp("images")
    engine = liteparse.LiteParse(
        ocr_enabled=False,
        output_format="markdown",
        extract_blocks=True,
        extract_images=True,
        image_output_dir=str(folder),
        quiet=True,
    )
    return engine.parse(str(PAPER)), folder


@pytest.fixture(scope="module")
def markdown(parsed) -> str:
    return "\n\n".join(page.markdown for page in parsed[0].pages)


def rows_of(markdown: str) -> list[list[list[str]]]:
    """The tables of a Markdown text, as rows of cells, without the line under the head."""
    tables: list[list[list[str]]] = []
    inside = False
    for line in markdown.splitlines():
        if line.startswith("|"):
            if not inside:
                tables.append([])
            if not re.fullmatch(r"[|\-: ]+", line) or not re.search("-", line):
                tables[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        inside = line.startswith("|")
    return tables


def test_pages_size_and_metadata():
    with pdfium.PdfDocument(PAPER) as document:
        assert len(document) >= 2
        assert document.get_metadata_value("Title") == "What Survives a Conversion: Measuring Formulas and Tables"
        assert document.get_metadata_value("CreationDate").startswith("D:20260101")
    assert PAPER.stat().st_size < 400_000


def test_every_english_word_of_the_source_is_printed(printed):
    words = set(re.findall(r"[A-Za-z]{3,}", body()))
    assert len(words) > 250
    # A hyphen of the word itself may also have stood at the end of a line; so compare without hyphens.
    there = set(re.findall(r"[A-Za-z]{3,}", printed))
    joined = "".join(re.findall(r"[A-Za-z]", printed))
    assert not {word for word in words - there if word not in joined}


def test_every_chinese_phrase_of_the_source_is_printed(printed):
    phrases = HAN.findall(body())
    assert sum(map(len, phrases)) > 150
    whole = re.sub(r"\s", "", printed)
    assert [phrase for phrase in phrases if phrase not in whole] == []


def test_every_measurement_is_printed(printed):
    values = {value.strip() for macro in numbers().values() for value in macro.split("&")}
    assert len(values) > 30
    assert [value for value in values if value not in printed] == []


def test_the_fonts_are_embedded():
    data = PAPER.read_bytes()
    assert b"/Encrypt" not in data
    raw = pdfium.raw
    with pdfium.PdfDocument(PAPER) as document:
        seen = 0
        for page in document:
            for item in page.get_objects(filter=[raw.FPDF_PAGEOBJ_TEXT]):
                assert raw.FPDFFont_GetIsEmbedded(raw.FPDFTextObj_GetFont(item.raw)) == 1
                seen += 1
            page.close()
    assert seen > 100


def test_the_engine_finds_the_headings_in_order(markdown):
    found = re.findall(r"^(#+) (.+)$", markdown, flags=re.MULTILINE)
    title = (1, "What Survives a Conversion: Measuring Formulas and Tables")
    assert [(len(marks), text) for marks, text in found] == [title, *headings()]


def test_the_engine_finds_both_tables(markdown):
    macros = numbers()
    collection, results = rows_of(markdown)
    assert collection == [
        ["Kind", "Items", "Tokens", "Mean"],
        ["Formulas", macros["FormulaItems"], macros["FormulaTokens"], macros["FormulaMean"]],
        ["Tables, plain", macros["PlainItems"], macros["PlainTokens"], macros["PlainMean"]],
        ["Tables, merged", macros["MergedItems"], macros["MergedTokens"], macros["MergedMean"]],
    ]
    assert [row[2:] for row in results[1:]] == [
        [cell.strip() for cell in macros[name].split("&")][-4:]
        for name in ("RateRow", "FormulaRow", "TableKeptRow", "TableLostRow", "PageKeptRow", "PageLostRow")
    ]
    assert [row[0] for row in results if row[0]] == ["Score", "Formulas", "Tables", "Page"]


def test_the_engine_finds_the_picture(parsed, markdown):
    _, folder = parsed
    names = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", markdown)
    assert len(names) == 1
    assert (folder / names[0]).read_bytes().startswith(b"\x89PNG")
    assert "Figure 1. Scores after random damage." in markdown


@pytest.mark.parametrize(
    "formula",
    ["$E=mc^{2}$", r"\frac{d(a,b)}{\max", r"$S=\frac{2ft}{f+t},$ (2)", r"\frac{-b\pm \sqrt{b^{2}-4ac}}{2a}"],
)
def test_the_engine_finds_formulas(markdown, formula):
    assert formula in markdown


def test_the_engine_loses_no_sentence(markdown):
    """What stands between two formulas is in the Markdown, letter by letter."""
    whole = "".join(re.findall(r"[A-Za-z\u4e00-\u9fff]", markdown))
    pieces = ["".join(re.findall(r"[A-Za-z\u4e00-\u9fff]", piece)) for piece in re.split(r"[|\[\].。]", body())]
    pieces = [piece for piece in pieces if piece]
    assert len(pieces) > 100
    assert [piece for piece in pieces if piece not in whole] == []


def test_the_engine_reads_the_columns_one_after_the_other(markdown):
    marks = [
        "Two questions follow",
        "We read a formula",
        "Table 1 lists",
        "Figure 1 shows",
        "Take the roots",
        "本文讨论",
    ]
    places = [markdown.index(mark) for mark in marks]
    assert places == sorted(places)


def test_the_engine_finds_nothing_that_is_not_there(markdown):
    assert "\n---\n" not in markdown
    assert "```" not in markdown
    assert "*" not in markdown
    assert "\ufffd" not in markdown


def test_the_picture():
    data = (EXAMPLES / "figure.png").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(data) < 60_000
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    assert width >= 600
    assert height >= 200
