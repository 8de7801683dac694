"""The archive's part in a document's way: what is kept of a parse, and what is taken from there instead of asked for.

A link that is a permission (a signed one) is kept without it: it would end soon anyway. What the archive can't hold or
give back is a warning, never a failure.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
import tempfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from doc2x_sdk.errors import Doc2XError, LedgerError
from doc2x_sdk.flow.book import JOINED_BY_PANDOC
from doc2x_sdk.flow.disk import writing
from doc2x_sdk.flow.fetch import Fetcher, Report, open_archive
from doc2x_sdk.flow.kit import Kit
from doc2x_sdk.flow.loose import Loose
from doc2x_sdk.flow.receipts import canonical, fields_of
from doc2x_sdk.formats.plan import PARSE
from doc2x_sdk.ledger.parts import Damaged, Part
from doc2x_sdk.ledger.rows import ParseKey
from doc2x_sdk.models import Bundle, ExportOptions, ParseStatus
from doc2x_sdk.service.readers import check_uid, pages_of, zip_of

if TYPE_CHECKING:
    from doc2x_sdk.ledger.archive import Archive

__all__ = ["Kept", "KeptNatives", "Native", "Taken", "exports_of", "without_permissions"]

Native = tuple[str, ExportOptions]
"""A native format as it is exported."""
URL = re.compile(r"(?i)(https?:(?:\\?/){2}[^\s?#\"'<>]*)(\?[^\s\"'<>)\]}|`]*)")
PERMISSION = re.compile(
    r"(?i)(?:[?&;]|\\u0026|%26)[\w-]*"
    r"(?:signature|credential|access-?_?key-?_?id|security-?_?token|(?<![a-z])sig|(?<![a-z])token|auth_key)(?:=|%3d)"
)


class Taken(NamedTuple):
    """What came from the archive: the parse, and a copy of each native format that was asked for."""

    status: ParseStatus
    files: Mapping[Native, Path]


class Kept:
    """One parse's entry in the archive; without an archive nothing is kept and nothing found.

    Args:
        kit: has the archive and the largest answer that is read.
        key: the identity of the parse; its account does not count.
        warnings: told what was damaged, and what could not be kept.
    """

    def __init__(self, kit: Kit, key: ParseKey | None, warnings: list[str]) -> None:
        self._archive: Archive | None = kit.archive if key is not None else None
        self._entry = self._archive.entry(key.sha256, key.options) if self._archive and key else ""
        self._most = kit.settings.max_answer_bytes
        self._warnings = warnings

    def take(self, wanted: Collection[Native], stage: Path, *, uid: str | None = None) -> Taken | None:
        """Return the parse with all of these native formats, copied below `stage`; None where one of them is lacking.

        With `uid`, only what came under that one.
        """
        status = self.status(uid)
        if status is None or self._archive is None:
            return None
        folder = stage
        if wanted:
            with writing(stage, "Staging"):
                folder = Path(tempfile.mkdtemp(prefix="kept-", dir=stage))
        files: dict[Native, Path] = {}
        for number, native in enumerate(wanted):
            files[native] = folder / f"{number}.kept"
            if not self.copy(native, status.uid, files[native]):
                return None
        self._archive.touch(self._entry)
        return Taken(status, files)

    def holds(self, wanted: Collection[Native]) -> bool:
        """Tell whether `take` would give all of it; nothing is written, and no use of it noted."""
        status = self.status()
        return status is not None and all(self._is_whole(native, status.uid) for native in wanted)

    def status(self, uid: str | None = None) -> ParseStatus | None:
        """Return the parse; None where there is none."""
        with self._found(PARSE, uid) as part:
            return None if part is None else status_of(part, self._most)

    def copy(self, native: Native, uid: str, target: Path) -> bool:
        """Write a native format as it was downloaded under this uid; false, and no file, where it is not there."""
        if self._archive is None:
            return False
        with self._found(part_of(native), uid) as part:
            if part is not None:
                with writing(target, "Staging"), target.open("xb") as out:
                    out.writelines(part.blocks())
                return True
        target.unlink(missing_ok=True)
        return False

    def keep(self, status: ParseStatus) -> None:
        """Keep a parse that has succeeded."""
        if self._archive is None:
            return
        try:
            packed = bytes_of(status)
        except (ValueError, RecursionError):
            self._warnings.append("It was not kept in the archive: it is nested too deeply")
        else:
            self._put(PARSE, status.uid, packed)

    def keep_native(self, to: str, options: ExportOptions, uid: str, content: bytes | Path) -> None:
        """Keep a native format as it was downloaded."""
        if self._archive is None:
            return
        self._put(part_of((to, options)), uid, content)

    def _put(self, part: str, uid: str, content: bytes | Path) -> None:
        if self._archive is None:
            return
        try:
            self._archive.put(self._entry, part, uid, content)
        except LedgerError as error:
            self._warnings.append(f"It was not kept in the archive: {error.message}")
        except OSError as error:
            self._warnings.append(f"It was not kept in the archive: {error.strerror or error}")

    def _is_whole(self, native: Native, uid: str) -> bool:
        with self._found(part_of(native), uid) as part:
            if part is not None:
                for _ in part.blocks():
                    continue
                return True
        return False

    @contextmanager
    def _found(self, name: str, uid: str | None) -> Iterator[Part | None]:
        """Yield a part; what turns out to be damaged ends the block with a warning."""
        if self._archive is None:
            yield None
            return
        with ExitStack() as held:
            part = None
            try:
                part = held.enter_context(self._archive.opened(self._entry, name, uid=uid))
            except Damaged as error:
                self._warn(name, error)
            try:
                yield part
            except Damaged as error:
                self._warn(name, error)

    def _warn(self, name: str, error: Damaged) -> None:
        self._warnings.append(f"The archive's {name.partition('-')[0]} of it is damaged and was not used: {error}")


class KeptNatives:
    """The native formats of one parse: from the archive where they are there, else exported, and then kept.

    Args:
        live: exports and downloads.
        kept: the archive's entry.
        files: what was taken from there already.
        anew: export all of them, also those that are there.
    """

    def __init__(self, live: Fetcher, kept: Kept, files: Mapping[Native, Path], *, anew: bool) -> None:
        self._live = live
        self._kept = kept
        self._files = files
        self._anew = anew

    def fetch(self, to: str, options: ExportOptions, stage: Path, on_progress: Report | None = None) -> Bundle:
        """Return the format's bundle, as `Fetcher.fetch` does."""
        return self._taken(to, options, stage) or self._live.fetch(to, options, stage, on_progress)

    def fetch_loose(
        self, to: str, options: ExportOptions, stage: Path, on_progress: Report | None = None
    ) -> Bundle | Loose:
        """Return the format, as `Fetcher.fetch_loose` does where it is not in the archive."""
        return self._taken(to, options, stage) or self._live.fetch_loose(to, options, stage, on_progress)

    def _taken(self, to: str, options: ExportOptions, stage: Path) -> Bundle | None:
        archive, folder = stage / f"{to}.download", stage / to
        taken = self._files.get((to, options))
        if taken is not None:
            with writing(archive, "Staging"):
                shutil.copyfile(taken, archive)
        elif self._anew or not self._kept.copy((to, options), self._live.uid, archive):
            return None
        with writing(folder, "Staging"):
            folder.mkdir()
        return self._live.bundle(to, folder, open_archive(archive, folder, to, self._live.uid))


def exports_of(natives: Collection[str], options: ExportOptions, *, parts: int = 1) -> tuple[Native, ...]:
    """Return the exports that native formats take of each of a document's parts; see `BookNatives`."""
    found = [
        ("md", replace(options, formula="normal")) if parts > 1 and to in JOINED_BY_PANDOC else (to, options)
        for to in natives
    ]
    return tuple(dict.fromkeys(found))


def part_of(native: Native) -> str:
    """Return the name of the part that holds a native format."""
    to, options = native
    return f"{to}-{hashlib.sha256(canonical(fields_of(options)).encode()).hexdigest()[:16]}"


def bytes_of(status: ParseStatus) -> bytes:
    """Return what is kept of a parse."""
    packed = base64.b64encode(status.convert_zip).decode() if status.convert_zip else None
    kept = {"result": without_permissions(status.raw.get("result")), "convert_zip": packed}
    return gzip.compress(json.dumps(kept).encode(), mtime=0)


def status_of(part: Part, most: int) -> ParseStatus:
    """Return the parse that a part holds. Raises `Damaged`."""
    packed = b"".join(part.blocks())
    try:
        data = json.loads(zlib.decompressobj(wbits=31).decompress(packed, most))  # what is cut off is no JSON
        uid = check_uid(part.uid, "The archive")
        pages = pages_of(data["result"], uid, numbered=False)
        zipped = zip_of(data, uid)
    except (zlib.error, ValueError, KeyError, TypeError, RecursionError, Doc2XError) as error:
        raise Damaged(f"it can't be read ({type(error).__name__})") from error
    return ParseStatus(uid, "success", 100, pages, convert_zip=zipped, raw={"status": "success", **data})


def without_permissions(value: Any) -> Any:
    """Return JSON without the permissions in its links: the query of a URL that is signed or has a token is cut off."""
    if isinstance(value, str):
        return URL.sub(lambda found: found[1] if PERMISSION.search(found[2]) else found[0], value)
    if isinstance(value, Mapping):
        return {name: without_permissions(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_permissions(each) for each in value]
    return value
