"""Step 7, process: post-processors change a native bundle, exporters read it; both are held to the contract."""

from __future__ import annotations

import copy
import locale
import logging
import os
import shutil
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from doc2x_sdk.errors import ExporterError
from doc2x_sdk.flow.disk import writing
from doc2x_sdk.flow.isolate import ReturnedType, run_in_child
from doc2x_sdk.formats.clean import CLEAN, leaves_alone
from doc2x_sdk.formats.guard import PluginRaised
from doc2x_sdk.formats.guard import call_plugin as call
from doc2x_sdk.formats.plan import Plan
from doc2x_sdk.formats.plugins import PluginRow
from doc2x_sdk.formats.registry import Formats, Offer
from doc2x_sdk.hookspecs import Context
from doc2x_sdk.models import Bundle, Document, Page

__all__ = ["Exporters", "announce", "is_processed", "post_process"]

log = logging.getLogger("doc2x_sdk")

MOST_FILES = 10_000
Snapshot = dict[str, tuple[int, ...]]


def post_process(bundle: Bundle, formats: Formats, context: Context) -> None:
    """Let the post-processors of all plugins at a native bundle, one after another.

    Raises `ExporterError`, with plugin and version, for the first that fails or leaves no usable bundle.
    """
    for row, hook in formats.plugins.calls("doc2x_process_bundle"):
        try:
            with nullcontext() if row.is_own else process_state_kept(row.package):
                hook(bundle=bundle, context=context)
        except PluginRaised as error:
            raise failure(f"The post-processor for {bundle.format} failed: {error}", row) from error
        if row.is_own:
            continue
        link = first_link(bundle.folder)
        if link is not None or not is_own_file(bundle.main, bundle.folder):
            what = f"put a link, {link[:60]!r}, into the bundle" if link is not None else "removed the main file"
            raise failure(f"The post-processor for {bundle.format} {what}", row)


def is_processed(formats: Formats, plan: Plan) -> bool:
    """Tell whether a post-processor may look at a native bundle: a plugin's, or this package's own by its options."""
    calls = formats.plugins.calls("doc2x_process_bundle")
    return not (leaves_alone(plan.options.get(CLEAN, {})) and all(row.is_own for row, _ in calls))


def first_link(folder: Path) -> str | None:
    """Return the name of a link somewhere in a folder; None where there is none."""
    for inside, folders, files in os.walk(folder):
        for name in (*folders, *files):
            if os.path.islink(os.path.join(inside, name)):  # noqa: PTH114, PTH118 - of each file of each document
                return name
    return None


def announce(document: Document, formats: Formats) -> Document:
    """Tell the plugins that a document is done; what they raise becomes a warning in the returned document."""
    warnings: list[str] = []
    for row, hook in formats.plugins.calls("doc2x_document_done"):
        own = replace(
            document,
            files=dict(document.files),
            contents=dict(document.contents),
            failures=dict(document.failures),
        )
        try:
            with process_state_kept(row.package):
                hook(document=own)
        except PluginRaised as error:
            warnings.append(f"{row.package} {row.version} failed after the document was done: {error}")
            log.warning("%s: %s", document.source, warnings[-1])
    return replace(document, warnings=(*document.warnings, *warnings)) if warnings else document


class Derived(NamedTuple):
    """What an exporter made: its folder, its files with the main one first, and what it told the user."""

    folder: Path
    files: list[Path]
    warnings: tuple[str, ...] = ()

    def as_bundle(self, name: str, parent: Bundle, stage: Path) -> Bundle:
        """Return a copy as a bundle for the exporters that need it, with the parent's pictures under their paths."""
        folder = stage / f"derived-{name}"
        with writing(folder, "Staging"):
            shutil.copytree(self.folder, folder, copy_function=shutil.copyfile)
            for image in parent.images:
                target = folder / image.relative_to(parent.folder)
                if not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(image, target)
        main = folder / self.files[0].resolve().relative_to(self.folder.resolve())
        return replace(parent, format=name, folder=folder, main=main, warnings=[])


class Exporters:
    """Runs the exporters of one document.

    They share a copy of each bundle that is compared after each of them; one that changed it fails, and the next gets
    a new copy. Those that came by an entry point run in a process of their own when there is a time limit.
    """

    def __init__(self, stage: Path, *, time_limit: float | None = None) -> None:
        """Work in `stage`, a folder of the document's own; `time_limit` is in seconds."""
        self._stage = stage
        self._limit = time_limit
        self._copies: dict[Path, tuple[Bundle, Snapshot]] = {}

    def run(self, offer: Offer, bundle: Bundle, options: Mapping[str, Any]) -> Derived:
        """Let an exporter write into a new folder of its own.

        Raises `ExporterError` for whatever it raises, for a result against the contract, for the time limit, and for a
        bundle that it changed.
        """
        out = self._stage / f"exporter-{offer.name}"
        with writing(out, "Staging"):
            out.mkdir()
            shared, before = self._copy(bundle)
        made = out.lstat().st_ino
        own = replace(shared, pages=own_pages(shared.pages), links=dict(bundle.links), warnings=[])
        try:
            files = self._call(offer, own, out, options)
        except PluginRaised as error:
            raise self._failure(offer, f"failed: {error}") from error
        finally:
            changed = self._compare(bundle, shared, before)
        if changed:
            raise self._failure(offer, f"changed the bundle that it was given to read ({changed})")
        if not is_still(out, made):
            raise self._failure(offer, "removed its folder, or put something else in its place")
        warnings = tuple(f"{offer.name}: {text}" for text in own.warnings if isinstance(text, str))
        return Derived(out, self._checked(offer, files, out), warnings)

    def _call(self, offer: Offer, bundle: Bundle, out: Path, options: Mapping[str, Any]) -> Any:
        if self._limit is not None and offer.entry:
            return run_in_child(offer, bundle, out, options, self._limit)
        with process_state_kept(offer.package):
            return call(lambda: offer.exporter.export(bundle, out, dict(options)))

    def _copy(self, bundle: Bundle) -> tuple[Bundle, Snapshot]:
        found = self._copies.get(bundle.folder)
        if found is None:
            folder = self._stage / f"reading-{bundle.format}"
            shutil.copytree(bundle.folder, folder, copy_function=shutil.copyfile)
            main = folder / bundle.main.relative_to(bundle.folder)
            found = replace(bundle, folder=folder, main=main), snapshot(folder)
            self._copies[bundle.folder] = found
        return found

    def _compare(self, bundle: Bundle, shared: Bundle, before: Snapshot) -> str:
        """Return the name of something that is not as it was; the copy is then given up."""
        after = snapshot(shared.folder)
        if after == before:
            return ""
        shutil.rmtree(shared.folder, ignore_errors=True)
        del self._copies[bundle.folder]
        return min(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))[:80]

    def _checked(self, offer: Offer, files: Any, out: Path) -> list[Path]:
        """Hold what an exporter returned to the contract."""
        if not isinstance(files, list) or not files or len(files) > MOST_FILES:
            raise self._failure(offer, f"did not return a list of the files it wrote, but {measured(files)}")
        for file in files:
            if not isinstance(file, str | Path):
                raise self._failure(offer, f"returned a {type(file).__name__} in its list of files")
            if not is_own_file(Path(file), out):
                hint = missing(Path(file), out)
                raise self._failure(offer, f"returned {shown(file)}, which is no regular file in its folder{hint}")
        paths = [Path(file) for file in files]
        if len({path.resolve() for path in paths}) < len(paths):
            raise self._failure(offer, "returned a file twice")
        return paths

    def _failure(self, offer: Offer, what: str) -> ExporterError:
        return failure(f"The exporter of {offer.name} {what}", offer)


def failure(message: str, home: Offer | PluginRow) -> ExporterError:
    """Return the error of a plugin; it names package and version."""
    by = f" ({' '.join(part for part in (home.package, home.version) if part)})"
    return ExporterError(f"{message}{by}", plugin=home.package, version=home.version or None)


def is_own_file(file: Path, folder: Path) -> bool:
    """Tell whether a path is a regular file inside the folder that no other name shares, by a name that is text."""
    try:
        state = file.lstat()
        inside = file.resolve().relative_to(folder.resolve())  # the folder itself may be called anything
        os.fspath(inside).encode("utf-8")
        return stat.S_ISREG(state.st_mode) and state.st_nlink == 1
    except (OSError, ValueError):
        return False


def is_still(folder: Path, inode: int) -> bool:
    """Tell whether a path is the folder that it was, by its inode, and no link."""
    try:
        state = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(state.st_mode) and state.st_ino == inode


def measured(files: Any) -> str:
    """Say what came instead of a list of files."""
    if not isinstance(files, list):
        return f"a value of type {files if isinstance(files, ReturnedType) else type(files).__name__}"
    return f"one of {len(files)}"


def missing(file: Path, folder: Path) -> str:
    """Say why a path that was returned is not there, where that is it; empty otherwise."""
    if not file.is_absolute() and os.path.lexists(folder / file):
        return ": `out` belongs before its name"
    return "" if os.path.lexists(file) else ": it is not there"


def shown(file: str | Path) -> str:
    """Return a path short enough for a message."""
    return ascii(os.fspath(file)[-80:])


def snapshot(folder: Path) -> Snapshot:
    """Return what tells a change of a folder's files: kind, size, inode and times; that of change can't be set back."""
    found: Snapshot = {}
    for at, folders, files in os.walk(folder):
        for name in (*folders, *files):
            state = os.lstat(os.path.join(at, name))  # noqa: PTH118 - many files, and strings are quicker
            is_folder = stat.S_ISDIR(state.st_mode)
            times = () if is_folder else (state.st_size, state.st_mtime_ns, state.st_ctime_ns)
            found[os.path.relpath(os.path.join(at, name), folder)] = (state.st_mode, state.st_ino, *times)  # noqa: PTH118
    return found


def own_pages(pages: tuple[Page, ...]) -> tuple[Page, ...]:
    """Return pages that share nothing with the given ones that could be changed."""
    return tuple(
        replace(page, blocks=copy.deepcopy(page.blocks), extra=copy.deepcopy(page.extra))
        if page.blocks or page.extra
        else page
        for page in pages
    )


@contextmanager
def process_state_kept(package: str) -> Iterator[None]:
    """Put back what belongs to the whole process: working directory, locale, and environment.

    The environment only while no other thread runs, since one of those may have changed it; else that is logged.
    """
    folder, words, environ = working_folder(), locale.setlocale(locale.LC_ALL), dict(os.environ)
    try:
        yield
    finally:
        if folder is not None and working_folder() != folder:
            with suppress(OSError):
                os.chdir(folder)
        if locale.setlocale(locale.LC_ALL) != words:
            locale.setlocale(locale.LC_ALL, words)
        if os.environ != environ:
            put_back(environ, package)


def put_back(environ: Mapping[str, str], package: str) -> None:
    """Undo changes of the environment, or log them."""
    names = {name for name in {*environ, *os.environ} if environ.get(name) != os.environ.get(name)}
    if threading.active_count() > 1:
        log.warning("variables changed while %s ran: %s", package, ", ".join(sorted(names)))
        return
    for name in names:
        if name in environ:
            os.environ[name] = environ[name]
        else:
            del os.environ[name]


def working_folder() -> str | None:
    """Return the working directory; None when it is gone."""
    try:
        return str(Path.cwd())
    except OSError:
        return None
