r"""Sample bundles in the manner of the service: comments, merged tables, formulas of both kinds, pictures, CJK, code.

Pages are separated by blank lines in the exported Markdown, as by the service; here `PAGE` marks where.
"""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

from doc2x_sdk.errors import ConfigError
from doc2x_sdk.markdown import to_dollars
from doc2x_sdk.models import Bundle, Page

__all__ = ["CANARY", "SAMPLES", "sample_bundle"]

PAGE = "\n\n=====\n\n"
UID = "0193a1c4-8f52-7d10-9c3e-5b7e21d4a6f0"
CANARY = "canary-of-a-file-outside-the-bundle"
"""What stands in a file beside the bundle of the sample "hostile"; it must not turn up in a result."""

PICTURE = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8yb"
    "qmx5moq6T/2wBDARweHigjKE4rK06kbl1upKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKT/wAARCAAo"
    "AEADASIAAhEBAxEB/8QAGQABAAMBAQAAAAAAAAAAAAAAAAQFBgMB/8QANBAAAQQAAgUICgMAAAAAAAAAAQACAwQRMQUSFSFRMjVTgpGxstEGIj"
    "RBYXFzosHhFEKB/8QAGQEBAAIDAAAAAAAAAAAAAAAAAgMEAAEF/8QAHBEAAwADAQEBAAAAAAAAAAAAAAECAxExITIS/9oADAMBAAIRAxEAPwDR"
    "TSsgiMkrtVjczhio21qPT/Y7yTTHNs3V8QWZU+LErW2R3blmm2tR6f7HeS6171ay8shk1nAY4apG7/VlFZ+j/tr/AKZ7wleGZlsM5G3o0CIirE"
    "wUdlyB9p1ZrwZGjLjxHzChW9IPsOdV0eC+Tfi8ZAfA/lSdHaPZSjxODpXD1nfgfBHe34S/hTO66eaY5tm6viCzK02mObZur4gsyr2D5KeToVn6"
    "P+2v+me8KsVloFwbbkc4gAREkn3bwnk+GGPpGhVNduSXpv4VLe08t4yI+fDv70lqfSkzq1X1IP7yEb8P3w/asaVOOnDqM3uPKcc3Fc7vDoJLH7"
    "XRSpx04dRm9x5Tjm4qQiJELbb2zlZgbZgdC8kNdhiRnnioOw6vSTdo8kRJXU8YXKfRsOr0k3aPJNiVwx7WySgubhiSN2/HL35Ii27prTZiSl7R"
    "OrV46sIiibg0dpPErqiICb36wiIsNH//2Q=="
)

PAPER = rf"""<!-- Meanless: Notes on Tides, vol. 2 > part A -->

# Tides in a Narrow Bay

A. Sailor, B. Pilot<br>Harbour Office

## Abstract

The level is \( h\left( t\right)  = {{a}}_{{1}}\cos \omega t \) where \( a<b \) and \( b>c \); the fee was $5, later $6.

### 1.1 Setting

<!-- Media -->

<img src="images/0_140_620_520_300_0.jpg"/>

<!-- figureText: mouth > head
5 km -->

Figure 1: The bay, \( L = {{6}}\mathrm{{km}} \) long.

<!-- Media -->

The motion follows

\[
\frac{{\partial u}}{{\partial t}} + g\frac{{\partial h}}{{\partial x}} = 0 \tag{{1}}
\]

with friction left out.{PAGE}## 2 Measurements

<table><tr><td rowspan="2">Station</td><td colspan="2">Level \( h \) (m)</td></tr><tr><td>high</td><td>low</td></tr>"""
PAPER += r"""<tr><td>Mouth</td><td>1.2<br>(\( \pm {0.1} \))</td><td>-1.1</td></tr>"""
PAPER += rf"""<tr><td>Head</td><td>1.9</td><td></td></tr></table>

Table 1: Levels at both ends.

<table><tr><td>Day</td><td>Wind</td></tr><tr><td>1</td><td>W & SW</td></tr></table>

- calm days
  - before noon
  - after noon
- windy days

<img src="images/1_90_200_400_260_0.jpg"/>

<!-- Footnote -->

\( {{}}^{{1, \dagger  }} \) Present address: at sea.{PAGE}### References

[1] C. Gull, *Waves_and_tides*, 1987. See `tide_table(\(x\))` in the program:

```python
def level(t):  # $not a formula$
    return a * cos(w * t)  # \(nor this\)
```

<!-- Meanless: 3 -->
"""
CHINESE = rf"""<!-- Meanless: 第1页 -->

# 第一章 引言

本文研究Tides与海湾的关系,参见图1。水位\( h \)的变化为\( {{\Delta }}h = 3\% \)。

#### 1.1.1 方法

1. 观测站点:
   - 湾口。
   - 湾顶。
2. 数据处理

<table><tr><td colspan="2">观测值</td></tr><tr><td>湾口</td><td>１.２</td></tr></table>{PAGE}<!-- Media -->

<img src="images/1_12_34_560_78_0.jpg"/>

<!-- figureText: 湾口 湾顶 -->

<!-- Media -->

\[ E = m{{c}}^{{2}} \]

结论。𠮷野家 emoji 🌊。
"""
HOSTILE = rf"""# Links that must not be followed

![a](file:///etc/passwd) ![b](../outside.txt) ![c](http://169.254.169.254/latest/meta-data/)

<img src="../outside.txt"/> <img src="images/missing.jpg"/> <img src="http://127.0.0.1:1/x.png"/>

<script>alert(1)</script> \input{{../outside.txt}} ---

[d](javascript:alert(1)) <!-- open comment is closed here -->{PAGE}\( \unknownmacro{{x}} \) and \[ \frac{{1 \] stay.
"""
SAMPLES: Mapping[str, str] = {
    "paper": PAPER,
    "chinese": CHINESE,
    "empty": "",
    "hostile": HOSTILE,
}
"""Name -> Markdown of the sample; `=====` between blank lines stands where a page ends."""

IMAGE = re.compile(r'<img src="images/(\d+)_(\d+)_(\d+)_(\d+)_(\d+)_(\d+)\.jpg"/>')


def sample_bundle(name: str, folder: Path, *, needs: str = "md") -> Bundle:
    """Write a sample into a new folder and return it as the bundle that an exporter is given.

    Args:
        name: "paper" (English, three pages), "chinese", "empty", or "hostile" (links that lead outside).
        folder: is made; beside it, as `outside.txt`, comes a file that the sample "hostile" names.
        needs: "parse", "md", "md_dollar", "tex" or "docx".

    Raises `ConfigError` for another name.
    """
    if name not in SAMPLES:
        raise ConfigError(f"There is no sample {name!r}", advice=f"Choose from: {', '.join(SAMPLES)}.")
    folder.mkdir(parents=True)
    (folder.parent / "outside.txt").write_text(CANARY, encoding="utf-8")
    pages = [IMAGE.sub(crop, text).strip() for text in SAMPLES[name].split(PAGE)]
    text = SAMPLES[name].replace(PAGE, "\n\n")
    for match in IMAGE.finditer(text):
        target = folder / match[0].split('"')[1]
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(PICTURE)
    main = folder / MAIN[needs] if needs in MAIN else None
    if main is None:
        raise ConfigError(f"A sample can't be had as {needs!r}", advice="Hand over a bundle of your own.")
    parsed = tuple(
        Page(index, md, width=1654, height=2339, url=f"https://cdn.example.org/{UID}_{index}.jpg")
        for index, md in enumerate(pages)
    )
    main.write_bytes(content(needs, text, parsed))
    return Bundle(needs, folder, main, parsed, f"{name}.pdf", UID, "5e" * 32)


MAIN = {"parse": "parse.json", "md": "md.md", "md_dollar": "md_dollar.md", "tex": "tex.tex", "docx": "docx.docx"}


def crop(match: re.Match[str]) -> str:
    """Return a picture's link as it stands in a page: a crop at the service."""
    page, x, y, width, height, turn = match.groups()
    return f'<img src="https://cdn.example.org/{UID}_{page}.jpg?x={x}&y={y}&w={width}&h={height}&r={turn}"/>'


def content(needs: str, text: str, pages: tuple[Page, ...]) -> bytes:
    """Return the main file of a format."""
    if needs == "parse":
        told = [{"page_idx": p.index, "md": p.md, "url": p.url, "page_width": p.width} for p in pages]
        return json.dumps({"version": "v2", "pages": told}, ensure_ascii=False).encode()
    if needs == "tex":
        body = re.sub(r"<[^>]*>", "", text)
        return f"\\documentclass{{article}}\n\\begin{{document}}\n{body}\n\\end{{document}}\n".encode()
    if needs == "docx":
        return word(text)
    return (to_dollars(text) if needs == "md_dollar" else text).encode()


def word(text: str) -> bytes:
    """Return the smallest Word file that holds the text, a paragraph a line."""
    namespace = "http://schemas.openxmlformats.org"
    lines = [re.sub(r"[<>&]", " ", line) for line in text.splitlines() if line.strip()]
    paragraphs = "".join(f"<w:p><w:r><w:t>{line}</w:t></w:r></w:p>" for line in lines)
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{namespace}/package/2006/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override '
        'PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.'
        'wordprocessingml.document.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{namespace}/package/2006/relationships"><Relationship Id="r1" '
        f'Type="{namespace}/officeDocument/2006/relationships/officeDocument" '
        'Target="word/document.xml"/></Relationships>',
        "word/document.xml": f'<w:document xmlns:w="{namespace}/wordprocessingml/2006/main"><w:body>{paragraphs}'
        "</w:body></w:document>",
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, xml in parts.items():
            archive.writestr(part, '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n' + xml)
    return file.getvalue()
