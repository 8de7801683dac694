"""pandoc's writers: extension, flags, where pictures go, and which options make sense.

Left out are docx and json, which Doc2X and the SDK make themselves; pdf, which takes another program; chunkedhtml, an
archive of pages; and those for bibliographies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["FORMATS", "Form"]

Pictures = Literal["embedded", "url", "path"]


@dataclass(frozen=True, slots=True)
class Form:
    """One of pandoc's writers.

    Attributes:
        name: pandoc's.
        suffix: of the result; no two are the same, so that two formats of one document never meet in a file.
        kind: "html", "epub" or "office" for those with options of their own.
        pictures: "embedded" in the file; else files beside it, named by a "url" or a plain "path".
        standalone: whether it is a document, with a head, or only its content.
    """

    name: str
    suffix: str
    kind: Literal["html", "epub", "office", "text"] = "text"
    pictures: Pictures = "url"
    standalone: bool = True


def _several(names: str, kind: Literal["html", "epub", "office"]) -> list[Form]:
    """Variants of one family: what stands behind the name is the extension."""
    pairs = (each.split(":") for each in names.split())
    return [Form(name, f".{name}.{end}", kind, "embedded") for name, end in pairs]


def _texts(names: str, *, pictures: Pictures = "url", standalone: bool = True) -> list[Form]:
    """Text formats: `name:extension`; an extension that is another's too has the name before it."""
    pairs = (each.split(":") for each in names.split())
    return [Form(name, f".{end}", "text", pictures, standalone) for name, end in pairs]


FORMATS: tuple[Form, ...] = (
    Form("html", ".html", "html", "embedded"),
    Form("epub", ".epub", "epub", "embedded"),
    Form("odt", ".odt", "office", "embedded"),
    Form("pptx", ".pptx", "office", "embedded"),
    *_several("html4:html html5:html dzslides:html revealjs:html s5:html slideous:html slidy:html", "html"),
    *_several("epub2:epub epub3:epub", "epub"),
    *_texts("fb2:fb2 ipynb:ipynb rtf:rtf", pictures="embedded"),
    *_texts(
        "beamer:beamer.tex context:context.tex latex:latex.tex man:man ms:ms opendocument:fodt texinfo:texi typst:typ",
        pictures="path",
    ),
    *_texts(
        "docbook:docbook.xml docbook4:docbook4.xml docbook5:docbook5.xml icml:icml jats:jats.xml "
        "jats_archiving:jats_archiving.xml jats_articleauthoring:jats_articleauthoring.xml "
        "jats_publishing:jats_publishing.xml native:native opml:opml tei:tei.xml xml:pandoc.xml"
    ),
    *_texts(
        "ansi:ansi.txt asciidoc:adoc asciidoc_legacy:asciidoc_legacy.adoc asciidoctor:asciidoctor.adoc bbcode:bbcode "
        "bbcode_fluxbb:fluxbb.bbcode bbcode_hubzilla:hubzilla.bbcode bbcode_phpbb:phpbb.bbcode "
        "bbcode_steam:steam.bbcode bbcode_xenforo:xenforo.bbcode commonmark:commonmark.md "
        "commonmark_x:commonmark_x.md djot:dj dokuwiki:dokuwiki gfm:gfm.md haddock:haddock jira:jira "
        "markdown:markdown markdown_github:markdown_github.md markdown_mmd:markdown_mmd.md "
        "markdown_phpextra:markdown_phpextra.md markdown_strict:markdown_strict.md markua:markua.md "
        "mediawiki:mediawiki muse:muse org:org plain:plain.txt rst:rst textile:textile vimdoc:vimdoc xwiki:xwiki "
        "zimwiki:zimwiki",
        standalone=False,
    ),
)
