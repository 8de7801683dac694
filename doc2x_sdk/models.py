"""What the package hands to its users: frozen dataclasses with short reprs.

Nothing here talks to anything. Fields that the service sends and that no attribute names are kept in `extra`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

if TYPE_CHECKING:
    from doc2x_sdk.markdown import Section

__all__ = [
    "NATIVE_FORMATS",
    "Bundle",
    "Document",
    "ExportLink",
    "ExportOptions",
    "ExportStatus",
    "ImageResult",
    "Page",
    "ParseOptions",
    "ParseStatus",
    "Progress",
    "ProgressCallback",
    "SignedURL",
    "TranslatedBlock",
    "Translation",
    "UploadSlot",
]

NATIVE_FORMATS = ("md", "md_dollar", "tex", "docx")
"""The formats that the service exports. `parse`, the status result itself, is native too but costs no export."""


class SignedURL:
    """A URL whose query is a permission: it prints without the query and does not pickle."""

    __slots__ = ("_url",)

    def __init__(self, url: str) -> None:
        self._url = url

    def reveal(self) -> str:
        """Return the whole URL, for the one request that it is meant for."""
        return self._url

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SignedURL) and other._url == self._url

    def __hash__(self) -> int:
        return hash(self._url)

    def __str__(self) -> str:
        return self._url.partition("?")[0].partition("#")[0].rpartition("@")[2]

    def __repr__(self) -> str:
        return f"SignedURL({str(self)!r})"

    def __reduce__(self) -> Any:
        msg = "a signed URL is a permission and is not written anywhere; ask the service for the link again"
        raise TypeError(msg)


@dataclass(frozen=True, slots=True)
class ParseOptions:
    """How a document is parsed. They are part of what is paid for: other options are another parse.

    None leaves a choice to the service.

    Attributes:
        model: "v2" or "v3-2026" (Doc2X API v2, preupload).
        ocr: read scanned pages; v1's PDFs.
        formula_only: the picture is one formula; v1's pictures.
        img_correction: straighten the picture first; v1's pictures.
        language: translate the text into it, such as "zh"; v1's PDFs.
        translator: the model that translates; "deepseek" unless given.
    """

    model: Literal["v2", "v3-2026"] | None = None
    ocr: bool | None = None
    formula_only: bool | None = None
    img_correction: bool | None = None
    language: str | None = None
    translator: str | None = None


@dataclass(frozen=True, slots=True)
class ExportOptions:
    r"""How a parsed document is exported; an export costs no pages (Doc2X API v2, convert/parse).

    Attributes:
        formula: delimiters of formulas in md and tex: "normal" for \( \) and \[ \], "dollar" for $ and $$.
        formula_level: 0 keeps formulas, 1 flattens inline ones, 2 all of them; only parses by v3-2026 know 1 and 2.
        merge_tables: join tables that run over pages. None leaves it to the service.
    """

    formula: Literal["normal", "dollar"] = "normal"
    formula_level: Literal[0, 1, 2] | None = None
    merge_tables: bool | None = None


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
class UploadSlot:
    """A uid and the URL that takes its bytes once; an unused one costs nothing."""

    uid: str
    url: SignedURL = field(repr=False)


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


@dataclass(frozen=True, slots=True)
class ParseStatus:
    """One answer about a parse.

    `state` is the service's word: "processing", "success", "failed", or a word that this version does not know.
    `progress` is 0 to 100, held within these. `translation` has the blocks of a translation that is done (v1).
    `raw` is the answer's `data` as it came, with the service's own word.
    """

    uid: str
    state: str
    progress: int = 0
    pages: tuple[Page, ...] = field(default=(), repr=False)
    detail: str = ""
    trace_id: str | None = None
    convert_zip: bytes | None = field(default=None, repr=False)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
    translation: tuple[TranslatedBlock, ...] = field(default=(), repr=False)

    @property
    def done(self) -> bool:
        """Whether the pages, or the translation, are there."""
        return self.state == "success"


@dataclass(frozen=True, slots=True)
class ImageResult:
    """What the synchronous picture call answers: the pages, and the zip of Markdown and crops where there is one."""

    uid: str
    pages: tuple[Page, ...] = field(repr=False)
    convert_zip: bytes | None = field(default=None, repr=False)
    trace_id: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ExportLink:
    """Where an export is: a URL, or the bytes themselves (picture zips).

    `format` is one of `NATIVE_FORMATS`. The client that gave the link fetches it: from a storage host, or, in v1, from
    the API with its key.
    """

    uid: str
    format: str
    url: SignedURL | None = None
    content: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ExportStatus:
    """One answer about the export slot of a uid; `url` is there once `state` is "success"."""

    uid: str
    state: str
    url: SignedURL | None = None
    detail: str = ""
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """An unpacked native format in its staging folder, before it is published.

    Attributes:
        format: "parse", "md", "md_dollar", "tex" or "docx".
        folder: where its files are; picture links in the main file are relative to it.
        main: the main file: `.md`, `.tex`, `.docx`, or the status result as `.json`.
        pages: the parse result.
        source: the input's name.
        uid: the service's id of the parse.
        sha256: of the input's bytes, in hex.
        links: a picture's path as the main file names it -> the URL that stands there once it is published. A
            post-processor fills it; what an exporter changes in its copy has no effect.
        warnings: what `warn` was told.
    """

    format: str
    folder: Path
    main: Path
    pages: tuple[Page, ...] = field(repr=False)
    source: str
    uid: str
    sha256: str = field(repr=False)
    links: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    warnings: list[str] = field(default_factory=list, repr=False, compare=False)

    @property
    def images(self) -> tuple[Path, ...]:
        """The other files of the folder, sorted."""
        found = [Path(folder, name) for folder, _, names in os.walk(self.folder) for name in names]
        return tuple(sorted(path for path in found if path != self.main and path.is_file()))

    def image(self, link: str) -> Path | None:
        """Return the picture that a link in the main file names.

        None for everything that is not a file of this bundle: URLs of any scheme, absolute paths, paths that lead out
        of the folder, links on the disk, missing files.
        """
        try:
            path = self.folder / unquote(link.strip())
            inside = path.resolve(strict=True).is_relative_to(self.folder.resolve())
            return path if inside and path.is_file() and not path.is_symlink() else None
        except (OSError, ValueError):
            return None

    def warn(self, text: str) -> None:
        """Tell the user something about this document; it goes to `Document.warnings`."""
        self.warnings.append(text)


@dataclass(frozen=True, slots=True)
class Progress:
    """A step of one document, given to the progress callback in the thread that does the work.

    Attributes:
        stage: "check", "upload", "parse", "export", "download" or "publish".
        done, total: bytes for upload and download, percent for parse, 0 and 1 else; total None where unknown.
        source: the input's name.
        uid: the service's id, once there is one.
        format: the format in work, for export and download.
    """

    stage: Literal["check", "upload", "parse", "export", "download", "publish"]
    done: int
    total: int | None
    source: str
    uid: str | None = None
    format: str | None = None


ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Document:
    """A converted document.

    Attributes:
        source: the input's name.
        uid: the service's id of the parse, good for 24 hours after it (see `archived`); None when all that was asked
            for was there already.
        pages: the parse result, in order; empty when nothing was parsed.
        files: format to its file, also where it was left as it was; empty with `out=None`.
        contents: relative name to bytes, pictures included; filled with `out=None` only.
        skipped: formats whose file was there already and was left as it was (`overwrite` was not given).
        warnings: what is odd in the result, such as a picture that the Markdown names and the archive lacks.
        failures: format to the error of a derived format whose exporter failed; native formats raise.
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
