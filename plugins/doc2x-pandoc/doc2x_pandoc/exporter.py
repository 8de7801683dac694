"""The exporter: service Markdown to HTML, made safe, then to the format."""

from __future__ import annotations

import html
import re
import tempfile
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from doc2x_pandoc.formats import Form
from doc2x_pandoc.safe import without_foreign_links
from doc2x_sdk import Bundle, Option, pandoc
from doc2x_sdk.errors import ConfigError

__all__ = ["Pandoc"]

COMMON = (
    Option("toc", bool, False, "a table of contents"),
    Option("toc-depth", int, 3, "levels of the table of contents"),
    Option("number-sections", bool, False, "numbers before the headings"),
    Option("metadata", str, (), "KEY=VALUE, such as title=... or author=...", multiple=True),
)
CSS = Option("css", Path, (), "a style sheet", multiple=True)
OWN: Mapping[str, tuple[Option, ...]] = {
    "html": (CSS,),
    "epub": (CSS,),
    "office": (Option("reference-doc", Path, None, "a document whose styles are used"),),
    "text": (),
}
CHINESE = re.compile(r"[\u3400-\u9fff]")
MATHML = ("html", "epub")
TITLED = ("epub", "docbook", "fb2", "jats", "opml", "tei")
HTML_IN_TEXT = ("commonmark", "gfm", "ipynb", "markdown")  # tables with merged cells stay HTML there
WITHOUT_TAG = ("epub", "html", "odt", "opendocument", "pptx", "typst")  # their formulas know no \tag
HEADING = re.compile(r"<h1\b[^>]*>(.*?)</h1>", re.DOTALL)
TAG = re.compile(r"\\tag(\*?)\s*\{([^{}]*)\}")
NO_MATHML = ("epub2", "html4", "s5", "slideous", "slidy")  # XHTML 1, which has none


class Pandoc:
    """Makes one of pandoc's formats."""

    needs = "md"

    def __init__(self, form: Form) -> None:
        self._form = form
        self.name = form.name
        self.suffix = form.suffix
        self.linked_images = False if form.pictures == "embedded" else form.pictures
        self.help = f"{form.name}, by pandoc" + (
            "; one file, pictures included" if form.pictures == "embedded" else "; pictures beside it"
        )
        self.options = (*COMMON, *OWN[form.kind])

    def export(self, bundle: Bundle, out: Path, options: Mapping[str, Any]) -> list[Path]:
        """Write the document.

        Raises:
            ConfigError: an option's value can't be used, or pandoc is not installed.
            PandocError: pandoc failed.
        """
        text = bundle.main.read_text(encoding="utf-8", errors="replace")
        page, images = without_foreign_links(pandoc.markdown_to_html(text), bundle)
        if self._form.kind == "html" or self.name.startswith(WITHOUT_TAG):
            page = TAG.sub(lambda tag: rf"\qquad\text{{{tag[2] if tag[1] else f'({tag[2]})'}}}", page)
        target = out / f"document{self.suffix}"
        with tempfile.TemporaryDirectory(prefix="doc2x-pandoc-") as folder:
            arguments = [*self._flags(options, Path(folder)), *self._metadata(options["metadata"], bundle, page)]
            embedded = images if self._form.pictures == "embedded" else None
            pandoc.html_to(self.name, page, target, images=embedded, options=arguments)
        return [target]

    def _flags(self, options: Mapping[str, Any], folder: Path) -> list[str]:
        form = self._form
        flags = ["--standalone"] if form.standalone or options["toc"] else []
        if form.kind in MATHML and form.name not in NO_MATHML:
            flags.append("--mathml")
        if form.name.startswith(HTML_IN_TEXT):
            flags.append("--mathjax")
        if options["toc"]:
            flags += ["--toc", f"--toc-depth={options['toc-depth']}"]
        if options["number-sections"]:
            flags.append("--number-sections")
        if form.kind in ("html", "epub") and options["css"]:
            flags.append(f"--include-in-header={style(options['css'], folder)}")
        if form.kind == "office" and options["reference-doc"]:
            flags.append(f"--reference-doc={options['reference-doc']}")
        return flags

    def _metadata(self, given: tuple[str, ...], bundle: Bundle, page: str) -> list[str]:
        """Return what the document says about itself: title, language and identifier, unless they are given."""
        values = {
            "lang": "zh" if 10 * len(CHINESE.findall(page)) > len(page) else "en",
            "identifier": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, bundle.sha256 or bundle.uid)}",
        }
        if self._form.kind == "html" or self.name.startswith(TITLED):
            values["pagetitle" if self._form.kind == "html" else "title"] = title_of(page, bundle)
        if self._form.kind == "epub":
            values["date"] = datetime.now(UTC).date().isoformat()
        for each in given:
            key, equals, value = each.partition("=")
            if not equals or not re.fullmatch(r"[A-Za-z][\w-]*", key):
                raise ConfigError(
                    f"The metadata {each[:60]!r} is not KEY=VALUE", advice="Such as metadata=title=Tides."
                )
            values[key] = value
        return [f"--metadata={key}={value}" for key, value in values.items()]


def style(sheets: tuple[Path, ...], folder: Path) -> Path:
    """Write style sheets as a piece of a page's head: it stays one file, and pandoc in its sandbox reads no CSS."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sheets).replace("</", "<\\/").replace("]]>", "]] >")
    target = folder / "style.html"
    target.write_text(f"<style>/*<![CDATA[*/\n{text}\n/*]]>*/</style>\n", encoding="utf-8")
    return target


def title_of(page: str, bundle: Bundle) -> str:
    """Return the text of the first heading, or the input's name."""
    heading = HEADING.search(page)
    text = " ".join(html.unescape(re.sub(r"<[^>]*>", "", heading[1])).split()) if heading else ""
    return text or Path(bundle.source).stem or "Document"
