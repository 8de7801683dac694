"""What exporters and post-processors are given: an unpacked native format."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from doc2x_sdk.models.pages import Page

__all__ = ["Bundle"]


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
