"""What a conversion returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from doc2x_sdk.models.pages import Page

if TYPE_CHECKING:
    from doc2x_sdk.markdown import Section

__all__ = ["Document"]


@dataclass(frozen=True, slots=True)
class Document:
    """A converted document.

    Attributes:
        source: the input's name.
        uid: the service's id of the parse, good for 24 hours after it (see `archived`); None when all that was asked
            for was there already.
        pages: the parse result, in order; empty when nothing was parsed.
        files: format to its file, below `out` as it was given, also where it was left as it was; empty with `out=None`.
        contents: relative name to bytes, pictures included; filled with `out=None` only.
        skipped: formats whose file was there already and was left as it was (`overwrite` was not given).
        warnings: what is odd in the result, such as a picture that the Markdown names and the archive lacks.
        failures: format to the error of one that could not be made: its exporter failed, or what the service made was
            of no use, while others are there.
        archived: whether the parse and its formats came from the archive, so that nothing was asked of the service.
    """

    source: str
    uid: str | None
    pages: tuple[Page, ...] = field(repr=False)
    files: Mapping[str, Path] = field(default_factory=dict)
    contents: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    skipped: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    failures: Mapping[str, Exception] = field(default_factory=dict)
    archived: bool = False

    @property
    def markdown(self) -> str:
        """The pages' Markdown joined by blank lines; picture links as in `pages`, not those of the md file."""
        return "\n\n".join(page.md for page in self.pages)

    def clean(
        self,
        *,
        comments: bool = False,
        tables: Literal["pipe", "html"] = "html",
        formulas: Literal["dollar", "normal"] | None = None,
    ) -> Document:
        r"""Return the document with cleaned pages; its files stay as they are.

        Args:
            comments: keep the service's comments (`<!-- Meanless: ... -->`, Media, figureText, Footnote).
            tables: "pipe" turns HTML tables into tables of pipes where nothing is lost, "html" leaves them.
            formulas: "dollar" for `$` and `$$`, "normal" for `\( \)` and `\[ \]`; None leaves them.
        """
        from doc2x_sdk import markdown  # noqa: PLC0415 - a parser that few programs need

        pages = (
            replace(page, md=markdown.clean(page.md, comments=comments, tables=tables, formulas=formulas))
            for page in self.pages
        )
        return replace(self, pages=tuple(pages))

    def split(self, *, deepest: int = 6) -> list[Section]:
        """Split `markdown` at its headings of levels 1 to `deepest`; each part knows its headings and its pages."""
        from doc2x_sdk import markdown  # noqa: PLC0415 - a parser that few programs need

        starts: list[int] = []
        at = 0
        for page in self.pages:
            starts.append(at)
            at += len(page.md) + 2
        return [
            replace(part, pages=tuple(range(markdown.page_at(starts, part.start), markdown.page_at(starts, last) + 1)))
            for part in markdown.split_headings(self.markdown, deepest=deepest)
            for last in [max(part.start, part.start + len(part.text.rstrip()) - 1)]
        ]

    def __repr__(self) -> str:
        return f"Document(source={self.source!r}, uid={self.uid!r}, pages={len(self.pages)}, files={list(self.files)})"
