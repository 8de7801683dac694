"""Pictures in Markdown: which there are, and other links in their place.

A picture is written as `![words](link)`, as `![words][label]` with a definition elsewhere, or as an `<img>` tag.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from markdown_it.common.utils import unescapeAll

from doc2x_sdk.markdown.scan import Scan, scan

__all__ = ["ImageLink", "image_links", "rewrite_images"]

IMG = re.compile(r"<img[\s/>]", re.IGNORECASE)
ATTRIBUTE = re.compile(r"([A-Za-z_:][A-Za-z0-9:._-]*)\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s\"'=<>`]+)")
ENTITY = re.compile(r"&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class ImageLink:
    """One picture of a text.

    Attributes:
        url: the link, as it is meant: without the escapes of Markdown and HTML.
        start, end: offsets of the picture; of the definition's line for one in reference style.
        inner, outer: offsets of the link itself.
        is_tag: written as `<img>`.
    """

    url: str
    start: int
    end: int
    inner: int
    outer: int
    is_tag: bool = False


def image_links(text: str, scanned: Scan | None = None) -> list[ImageLink]:
    """Return the pictures of a text in their order; a definition counts once, however often it is used."""
    scanned = scanned or scan(text)
    found: list[ImageLink] = []
    used: set[str] = set()
    for span in scanned.of("image", "tag"):
        if span.kind == "tag":
            place = source_of(text[span.start : span.end]) if IMG.match(text, span.start) else None
            if place is not None:
                inner, outer = place[0] + span.start, place[1] + span.start
                found.append(ImageLink(unescaped(text[inner:outer]), span.start, span.end, inner, outer, is_tag=True))
        elif span.label:
            used.add(span.label)
        else:
            url = unescapeAll(text[span.inner : span.outer])
            found.append(ImageLink(url, span.start, span.end, span.inner, span.outer))
    defined: set[str] = set()
    for span in scanned.of("definition"):
        if span.label in used and span.label not in defined:  # the first definition is the one that counts
            url = unescapeAll(text[span.inner : span.outer])
            found.append(ImageLink(url, span.start, span.end, span.inner, span.outer))
        defined.add(span.label)
    return sorted(found, key=lambda each: each.inner)


def rewrite_images(text: str, new: Mapping[str, str] | Callable[[str], str | None]) -> str:
    """Put other links in place of the pictures' own.

    Args:
        text: the Markdown.
        new: link -> new link, or a function of it; what is not there, or None, stays as it is.

    Raises `ValueError` for a new link with control characters. A definition that a picture uses is rewritten for all.
    """
    find = new if callable(new) else new.get
    at, parts = 0, []
    for link in image_links(text):
        url = find(link.url)
        if url is None or url == link.url:
            continue
        start, end = link.inner, link.outer
        if CONTROL.search(url):
            msg = f"a link can't hold control characters: {url[:60]!r}"
            raise ValueError(msg)
        if link.is_tag:
            written = tag_value(url)
        else:
            written = destination_of(url)
            if text[start - 1] == "<" and text[end : end + 1] == ">":
                start, end = start - 1, end + 1
        parts += [text[at:start], written]
        at = end
    return "".join([*parts, text[at:]])


def source_of(tag: str) -> tuple[int, int] | None:
    """Return where the value of a tag's `src` stands, with its quotes; the first one counts."""
    for match in ATTRIBUTE.finditer(tag):
        if match[1].lower() == "src":
            return match.span(2)
    return None


def unescaped(value: str) -> str:
    """Return an attribute's value as it is meant; `&w=1` is no entity."""
    bare = value[1:-1] if value[:1] in ("'", '"') else value
    return ENTITY.sub(lambda match: html.unescape(match[0]), bare)


def tag_value(url: str) -> str:
    """Write an attribute's value."""
    kept = ENTITY.sub(lambda match: "&amp;" + match[0][1:], url)
    return '"' + kept.replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;") + '"'


def destination_of(url: str) -> str:
    """Write a destination of Markdown; in angle brackets where it needs them."""
    kept = ENTITY.sub(lambda match: "&amp;" + match[0][1:], url)
    kept = re.sub(r"([\\<>])", r"\\\1", kept)
    return f"<{kept}>" if not kept or kept != url or re.search(r"[\s()]", url) else kept
