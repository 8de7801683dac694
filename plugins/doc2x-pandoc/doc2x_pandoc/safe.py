"""What a document may not do to its reader: name files and hosts as pictures, or run scripts by links."""

from __future__ import annotations

import html
import re
from pathlib import Path

from doc2x_sdk import Bundle

__all__ = ["without_foreign_links"]

IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
SOURCE = re.compile(r"""\bsrc\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
LINK = re.compile(r"""(<a\b[^>]*?\bhref\s*=\s*)(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
ALLOWED = re.compile(r"(?i)(https?|mailto|ftp|doi|tel):|#")


def without_foreign_links(text: str, bundle: Bundle) -> tuple[str, dict[str, Path]]:
    """Return the HTML with only the bundle's pictures and harmless links, and the pictures by their `src`.

    A picture that is not a file of the bundle becomes its address in brackets, and the user is told.
    """
    images: dict[str, Path] = {}
    refused: list[str] = []

    def picture(match: re.Match[str]) -> str:
        found = SOURCE.search(match[0])
        written = next((part for part in found.groups() if part is not None), "") if found else ""
        path = bundle.image(html.unescape(written))
        if path is None:
            refused.append(html.unescape(written)[:80])
            return f"[{html.escape(html.unescape(written))}]"
        images[written] = path
        return f'<img src="{written}"/>' if found and found[3] is not None else match[0]

    def link(match: re.Match[str]) -> str:
        target = html.unescape(next((part for part in match.groups()[1:] if part is not None), "")).strip()
        return match[0] if ALLOWED.match(target) else f'{match[1]}"#"'

    text = LINK.sub(link, IMAGE.sub(picture, text))
    if refused:
        shown = ", ".join(dict.fromkeys(refused[:5]))
        bundle.warn(f"{len(refused)} pictures are not files of the export and were left as text: {shown}")
    return text, images
