"""Step 7, process: bundles out of what a status brought along; `derive` has the plugins' part."""

from __future__ import annotations

import json
from pathlib import Path

from doc2x_sdk.errors import ArchiveError
from doc2x_sdk.flow.disk import writing
from doc2x_sdk.flow.fetch import Report
from doc2x_sdk.flow.source import Source
from doc2x_sdk.flow.unpack import check_archive, main_file, unpack
from doc2x_sdk.models import Bundle, ExportOptions, ParseStatus

__all__ = ["PictureNatives", "parse_bundle"]


def parse_bundle(status: ParseStatus, source: Source, stage: Path) -> Bundle:
    """Write the status result as a bundle of its own: the raw `result` in `parse.json`.

    Half of a character (a lone surrogate), which no file can hold, becomes a question mark.
    """
    folder = stage / "parse"
    main = folder / "parse.json"
    with writing(main, "Staging"):
        folder.mkdir()
        text = json.dumps(status.raw.get("result") or {}, ensure_ascii=False)
        main.write_text(text, encoding="utf-8", errors="replace")
    return Bundle("parse", folder, main, status.pages, source.name, status.uid, source.sha256)


class PictureNatives:
    """The native formats of a picture: md, out of the archive that came with its status."""

    def __init__(self, status: ParseStatus, source: Source) -> None:
        self._status = status
        self._source = source

    def fetch(self, to: str, options: ExportOptions, stage: Path, on_progress: Report | None = None) -> Bundle:  # noqa: ARG002 - nothing is exported or downloaded
        """Return the bundle; see `picture_bundle`."""
        return picture_bundle(self._status, self._source, to, stage)


def picture_bundle(status: ParseStatus, source: Source, to: str, stage: Path) -> Bundle:
    """Unpack the archive that came with a picture's status; without one, the Markdown alone is the bundle.

    Raises what `unpack` raises.
    """
    folder = stage / to
    with writing(folder, "Staging"):
        folder.mkdir()
        if status.convert_zip:
            check_archive(status.convert_zip, "The picture's archive")
            main = folder / main_file(unpack(status.convert_zip, folder, uid=status.uid), ".md", uid=status.uid)
        else:
            main = folder / "picture.md"
            main.write_text("\n\n".join(page.md for page in status.pages), encoding="utf-8")
        if to == "md_dollar":
            from doc2x_sdk.markdown import to_dollars  # noqa: PLC0415 - a parser that only this case needs

            try:
                text = main.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                raise ArchiveError("The picture's Markdown is not UTF-8", uid=status.uid) from None
            main.write_text(to_dollars(text), encoding="utf-8")
    return Bundle(to, folder, main, status.pages, source.name, status.uid, source.sha256)
