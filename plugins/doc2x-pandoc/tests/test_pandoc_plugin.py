"""What must survive on the way into pandoc's formats, and what must stay outside."""

import base64
import re
import zipfile
from pathlib import Path

import pytest
from doc2x_pandoc import FORMATS, Pandoc

from doc2x_sdk.errors import ConfigError, ExporterError
from doc2x_sdk.testing import check_exporter, run_exporter, sample_bundle
from doc2x_sdk.testing.run import Run
from doc2x_sdk.testing.samples import CANARY, PICTURE

FORMS = {form.name: form for form in FORMATS}
SEVERAL = ["html", "epub", "odt", "rst", "typst", "ipynb", "latex", "gfm", "rtf", "docbook", "mediawiki", "org"]


def run(name: str, sample: str = "paper", **options: object) -> Run:
    return run_exporter(Pandoc(FORMS[name]), sample, **options)


def test_no_two_formats_share_a_file_name() -> None:
    assert len({form.suffix for form in FORMATS}) == len(FORMATS)
    assert {"epub", "html", "odt", "rst", "typst", "ipynb"} <= set(FORMS)


@pytest.mark.parametrize("name", SEVERAL)
def test_each_keeps_words_and_leaves_the_service_comments_out(name: str) -> None:
    made = run(name)
    if name in ("epub", "odt"):
        with zipfile.ZipFile(made.main) as archive:
            text = "".join(archive.read(each).decode("utf-8", "replace") for each in archive.namelist() if "ml" in each)
    else:
        text = made.text
    assert "Tides in a Narrow Bay" in text
    assert "Meanless" not in text
    assert "figureText" not in text


@pytest.mark.parametrize("name", ["html", "epub", "typst", "rst"])
def test_the_contract_is_kept(name: str) -> None:
    check_exporter(Pandoc(FORMS[name]))


def test_html_is_one_file_with_formulas_merged_cells_and_pictures() -> None:
    text = run("html").text
    assert text.count("<math") == 8
    assert r"\qquad\text{(1)}" in text
    assert 'rowspan="2"' in text
    assert 'colspan="2"' in text
    assert text.count(base64.b64encode(PICTURE).decode()) == 2
    assert "<script" not in text
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
    assert "<title>Tides in a Narrow Bay</title>" in text
    assert r"<code>tide_table(\(x\))</code>" in text


def test_epub_holds_the_picture_once_and_says_what_it_is() -> None:
    made = run("epub", metadata=["title=My Tides", "author=Me & Co"], toc="yes")
    with zipfile.ZipFile(made.main) as archive:
        pictures = [archive.read(name) for name in archive.namelist() if name.startswith("EPUB/media/")]
        package = archive.read("EPUB/content.opf").decode()
    assert pictures == [PICTURE]
    assert ">My Tides<" in package
    assert "Me &amp; Co" in package
    assert "<dc:language>en<" in package
    with zipfile.ZipFile(run("epub", "chinese").main) as archive:
        assert "<dc:language>zh<" in archive.read("EPUB/content.opf").decode()


def test_odt_keeps_formulas_and_merged_cells_and_takes_styles(tmp_path: Path) -> None:
    first = run("odt")
    with zipfile.ZipFile(first.main) as archive:
        content = archive.read("content.xml").decode()
        assert 'table:number-rows-spanned="2"' in content
        assert 'table:number-columns-spanned="2"' in content
        assert len([name for name in archive.namelist() if name.startswith("Formula-")]) >= 8
        styles = archive.read("styles.xml").decode()
    reference = tmp_path / "reference.odt"
    with zipfile.ZipFile(first.main) as archive, zipfile.ZipFile(reference, "w") as changed:
        for name in archive.namelist():
            changed.writestr(name, archive.read(name) if name != "styles.xml" else styles.replace("Standard", "Mine"))
    with zipfile.ZipFile(run("odt", **{"reference-doc": str(reference)}).main) as archive:
        assert "Mine" in archive.read("styles.xml").decode()


@pytest.mark.parametrize("name", ["html", "epub"])
def test_style_sheets_stand_inside(name: str, tmp_path: Path) -> None:
    sheet = tmp_path / "own.css"
    sheet.write_text("p { color: navy } /* </style> <b> & ]]> */")
    made = run(name, css=[sheet])
    if name == "html":
        text = made.text
    else:
        with zipfile.ZipFile(made.main) as archive:
            text = archive.read("EPUB/text/ch001.xhtml").decode()
    assert "p { color: navy }" in text
    assert text.count("</style>") == text.count("<style")


def test_texts_name_the_pictures_beside_them() -> None:
    assert 'image("images/0_140_620_520_300_0.jpg")' in run("typst").text
    assert "images/0_140_620_520_300_0.jpg" in run("rst").text
    assert Pandoc(FORMS["typst"]).linked_images == "path"
    assert Pandoc(FORMS["rst"]).linked_images == "url"
    assert not Pandoc(FORMS["html"]).linked_images


def test_formulas_in_tables_that_stay_html_stay_formulas() -> None:
    for name in ("gfm", "ipynb"):
        assert r"\pm {0.1}" in run(name).text.replace("\\\\", "\\")


@pytest.mark.parametrize("name", ["html", "epub", "odt", "typst", "ipynb"])
def test_foreign_pictures_and_scripts_become_text(name: str) -> None:
    made = run(name, "hostile")
    assert CANARY.encode() not in made.content
    assert len(made.warnings) == 1
    assert "5 pictures are not files of the export" in made.warnings[0]
    if name == "html":
        assert "[file:///etc/passwd]" in made.text
        assert "<script" not in made.text
        assert "javascript:" not in made.text
        assert "<img" not in made.text


def test_the_contents_and_numbers_are_options() -> None:
    text = run("html", toc=True, **{"toc-depth": 1, "number-sections": True}).text
    assert text.count('<a href="#') < run("html", toc=True).text.count('<a href="#')
    assert "header-section-number" in text
    with pytest.raises(ExporterError, match="not KEY=VALUE"):
        run("html", metadata=["title"])
    with pytest.raises(ConfigError, match="no option 'css'"):
        run("rst", css="x")


def test_a_document_without_words_is_a_document(tmp_path: Path) -> None:
    bundle = sample_bundle("empty", tmp_path / "bundle")
    assert run_exporter(Pandoc(FORMS["epub"]), bundle=bundle).content.startswith(b"PK")
    assert "<title>empty</title>" in run_exporter(Pandoc(FORMS["html"]), bundle=bundle).text
