"""pandoc: what must survive on the way into Word and LaTeX, and what must stay outside."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from doc2x_sdk import pandoc

DOCUMENT = r"""# Heading 标题

Inline \( a_b^2 \), a price of $5 and $6, code `\(x\)`, escaped \\(z\\).

\[ E = mc^2 \tag{3} \]

<!-- Meanless: a header > with a sign -->

<table><tr><td rowspan="2">A \(x^2\)</td><td colspan="2">B*b*<br>c</td></tr><tr><td>1</td><td>2</td></tr></table>

<img src="images/0_1_2_3_4_0.jpg"/>

```
\(fence\) \[y\]
```

中文段落。
"""


@pytest.fixture(scope="module")
def html() -> str:
    return pandoc.markdown_to_html(DOCUMENT)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "0_1_2_3_4_0.jpg"
    Image.new("RGB", (300, 200), "red").save(path)
    return path


def word_text(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return archive.read("word/document.xml").decode()


def test_word_keeps_merged_cells_formulas_and_the_picture(html: str, picture: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.docx"
    pandoc.html_to("docx", html, target, images={"images/0_1_2_3_4_0.jpg": picture})
    text = word_text(target)
    assert re.search(r"<w:gridSpan[^>]*/>", text)
    assert text.count("<w:vMerge") == 2
    assert text.count("<w:tbl>") == 1
    assert text.count("<m:oMath>") == 3  # the inline one, the display one, the one in the cell
    with zipfile.ZipFile(target) as archive:
        pictures = [name for name in archive.namelist() if name.startswith("word/media/")]
        assert [archive.read(name) for name in pictures] == [picture.read_bytes()]
    plain = re.sub("<[^>]+>", "", text)
    assert r"code \(x\), escaped \(z\)" in plain
    assert r"\(fence\) \[y\]" in plain
    assert "$5 and $6" in plain
    assert "B*b*" in plain


def test_latex_keeps_merged_cells_formulas_and_the_picture(html: str, tmp_path: Path) -> None:
    target = tmp_path / "a.tex"
    pandoc.html_to("latex", html, target)
    text = target.read_text(encoding="utf-8")
    assert r"\multirow{2}" in text
    assert r"\multicolumn{2}" in text
    assert r"\(a_b^2\)" in text
    assert r"\[ E = mc^2 \tag{3} \]" in text
    assert re.search(r"\\includegraphics\[[^]]*\]\{images/0_1_2_3_4_0\.jpg\}", text)
    assert r"\texttt{\textbackslash{}(x\textbackslash{})}" in text
    assert r"\usepackage[UTF8]{ctex}" in text


def test_latex_without_chinese_needs_no_chinese_package(tmp_path: Path) -> None:
    pandoc.html_to("latex", "<p>Plain</p>", tmp_path / "a.tex")
    assert "ctex" not in (tmp_path / "a.tex").read_text()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("xelatex") is None, reason="xelatex is not installed")
def test_latex_with_chinese_compiles(html: str, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    picture.rename(tmp_path / "images" / picture.name)
    pandoc.html_to("latex", html, tmp_path / "a.tex")
    command = ["xelatex", "-interaction=nonstopmode", "a.tex"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=120)
    log = (tmp_path / "a.log").read_text(errors="replace")
    assert "LaTeX Error" not in log
    assert "Undefined control sequence" not in log
    assert (tmp_path / "a.pdf").stat().st_size > 1000


@pytest.mark.parametrize(("name", "head"), [("epub3", b"PK"), ("odt", b"PK"), ("html", b"<!DOCTYPE html>")])
def test_other_formats(name: str, head: bytes, html: str, picture: Path, tmp_path: Path) -> None:
    target = tmp_path / f"a.{name}"
    pandoc.html_to(name, html, target, images={"images/0_1_2_3_4_0.jpg": picture})
    assert target.read_bytes().startswith(head)


def test_a_document_cannot_read_local_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    Image.new("RGB", (9, 9), "blue").save(secret)
    pandoc.html_to("docx", pandoc.markdown_to_html(f"![x]({secret.as_posix()})"), tmp_path / "a.docx")
    with zipfile.ZipFile(tmp_path / "a.docx") as archive:
        assert not [name for name in archive.namelist() if name.startswith("word/media/")]


def test_formulas_as_text() -> None:
    texts = pandoc.formulas_to_text([r"x^2 \le y", r"a < b", r"\begin{matrix}a&b\end{matrix}", "c"])
    assert [" ".join(text.split()) for text in texts] == ["x² ≤ y", "a < b", r"\begin{matrix}a&b\end{matrix}", "c"]
    assert pandoc.formulas_to_text([]) == []


def test_what_pandoc_says_is_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(pandoc.PandocError, match="nosuchformat"):
        pandoc.html_to("nosuchformat", "<p>x</p>", tmp_path / "a")


def test_pandoc_is_stopped_at_its_time_limit() -> None:
    with pytest.raises(pandoc.PandocError, match="did not finish"):
        pandoc.markdown_to_html("x", timeout=0.0001)


def test_without_pandoc_the_error_names_the_extra() -> None:
    program = (
        "import sys; sys.modules['pypandoc'] = None\n"
        "from doc2x_sdk import pandoc, errors\n"
        "try: pandoc.markdown_to_html('x')\n"
        "except errors.ConfigError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "pip install 'doc2x-sdk[local]'" in done.stdout
