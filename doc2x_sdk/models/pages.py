"""What a document holds: its pages, or the blocks of its translation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Page", "TranslatedBlock", "Translation"]


@dataclass(frozen=True, slots=True)
class Page:
    r"""One parsed page.

    Attributes:
        index: from 0, in the document's order.
        md: the page's Markdown with \( \) and \[ \] around formulas; picture links point at the service.
        width, height: of the page's picture, in pixels.
        url: the page's picture at the service, where it gives one.
        score: quality of the page, 0 to 100; only from model v3-2026.
        blocks: the layout blocks in reading order, as the service sent them; only from model v3-2026.
        extra: fields that this version does not know, unchanged.
    """

    index: int
    md: str = field(repr=False)
    width: int | None = field(default=None, repr=False)
    height: int | None = field(default=None, repr=False)
    url: str | None = field(default=None, repr=False)
    score: float | None = None
    blocks: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class TranslatedBlock:
    """One block of a translated document.

    Attributes:
        raw: the text as it was.
        translated: the text in the other language.
        page: its index, from 0.
        x, y: of the block's upper left corner on the page, in pixels of the page's picture.
        page_width, page_height: of that picture, in pixels.
        extra: fields that this version does not know, unchanged.
    """

    raw: str
    translated: str
    page: int
    x: float | None = None
    y: float | None = None
    page_width: int | None = field(default=None, repr=False)
    page_height: int | None = field(default=None, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Translation:
    """A translated document.

    Attributes:
        source: the input's name.
        uid: the service's id of the job.
        blocks: original and translation in the service's order.
    """

    source: str
    uid: str
    blocks: tuple[TranslatedBlock, ...] = field(repr=False)

    @property
    def text(self) -> str:
        """The translated texts joined by blank lines."""
        return "\n\n".join(block.translated for block in self.blocks)

    def __repr__(self) -> str:
        return f"Translation(source={self.source!r}, uid={self.uid!r}, blocks={len(self.blocks)})"
