"""Step 7, process: bundles for exporters to read, and what they return held to the contract."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from doc2x_sdk.errors import ArchiveError, ExporterError
from doc2x_sdk.flow.disk import writing
from doc2x_sdk.flow.source import Source
from doc2x_sdk.flow.unpack import check_archive, main_file, unpack
from doc2x_sdk.formats.registry import Offer
from doc2x_sdk.markdown import to_dollars
from doc2x_sdk.models import Bundle, ParseStatus

__all__ = ["parse_bundle", "picture_bundle", "run_exporter"]


def parse_bundle(status: ParseStatus, source: Source, stage: Path) -> Bundle:
    """Write the status result as a bundle of its own: the raw `result` in `parse.json`."""
    folder = stage / "parse"
    main = folder / "parse.json"
    with writing(main, "Staging"):
        folder.mkdir()
        main.write_text(json.dumps(status.raw.get("result") or {}, ensure_ascii=False), encoding="utf-8")
    return Bundle("parse", folder, main, status.pages, source.name, status.uid, source.sha256)


def picture_bundle(status: ParseStatus, source: Source, to: str, stage: Path) -> Bundle:
    """Unpack the archive that came with a picture's status; without one, the Markdown alone is the bundle.

    Raises what `unpack` raises.
    """
    folder = stage / to
    with writing(folder, "Staging"):
        folder.mkdir()
        if status.convert_zip:
            archive = stage / f"{to}.download"
            archive.write_bytes(status.convert_zip)
            check_archive(archive, "The picture's archive")
            main = folder / main_file(unpack(archive, folder, uid=status.uid), ".md", uid=status.uid)
        else:
            main = folder / "picture.md"
            main.write_text("\n\n".join(page.md for page in status.pages), encoding="utf-8")
        if to == "md_dollar":
            try:
                text = main.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                raise ArchiveError("The picture's Markdown is not UTF-8", uid=status.uid) from None
            main.write_text(to_dollars(text), encoding="utf-8")
    return Bundle(to, folder, main, status.pages, source.name, status.uid, source.sha256)


def run_exporter(offer: Offer, bundle: Bundle, stage: Path, options: Mapping[str, Any]) -> list[Path]:
    """Let an exporter write into a folder of its own and return its files, the main one first.

    Raises `ExporterError` for whatever it raises, and for files that are none or lie outside its folder.
    """
    out = stage / f"exporter-{offer.name}"
    out.mkdir()
    try:
        files: Any = offer.exporter.export(bundle, out, options)
    except Exception as error:  # an exporter may raise anything, and the other formats go on
        raise ExporterError(
            f"The exporter of {offer.name} failed: {type(error).__name__}: {error}", plugin=offer.package
        ) from error
    if not isinstance(files, list) or not files:
        raise ExporterError(f"The exporter of {offer.name} returned no list of files", plugin=offer.package)
    for file in files:
        if not isinstance(file, Path) or not is_own_file(file, out):
            raise ExporterError(
                f"The exporter of {offer.name} returned {str(file)[:80]!r}, which is no file in its folder",
                plugin=offer.package,
            )
    return files


def is_own_file(file: Path, folder: Path) -> bool:
    """Tell whether a path is a regular file, no link, inside the folder."""
    try:
        return stat.S_ISREG(file.lstat().st_mode) and file.resolve().is_relative_to(folder.resolve())
    except OSError:
        return False
