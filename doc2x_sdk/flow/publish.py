"""Step 8, publish: results get their final names, each whole and in one step; picture links follow their pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property, lru_cache
from itertools import groupby
from pathlib import Path

from doc2x_sdk.errors import ExporterError, OutputError
from doc2x_sdk.flow.disk import is_sole, place, sync_folder, taken, write_synced, writing
from doc2x_sdk.flow.filenames import pictures_of, safe_name
from doc2x_sdk.flow.images import Picture, below_images, digest_of
from doc2x_sdk.flow.inside import Inside, identity_of, inside
from doc2x_sdk.flow.links import missing_in, rewrite, rewrite_paths
from doc2x_sdk.flow.loose import Loose
from doc2x_sdk.flow.staging import staging
from doc2x_sdk.models import Bundle

__all__ = ["Publisher", "publish_file"]


@contextmanager
def publish_file(final: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a staging path beside `final`; what the block wrote there gets the final name afterwards.

    Raises `OutputError` when the name is taken and `overwrite` is not given: before the block, or after it when the
    file came in between.
    """
    taken = OutputError(f"{final} is there already", path=final, advice="Choose another name, or overwrite it.")
    if not overwrite and os.path.lexists(final):
        raise taken
    with staging(final.parent) as stage:
        staged = stage / final.name
        yield staged
        with writing(final, "Publishing"):
            if not place(staged, final, overwrite=overwrite):
                raise taken
            sync_folder(final.parent)


@lru_cache(maxsize=256)
def target_of(folder: Path, name: str) -> Path:
    """Return the path of a result, which each step of its document asks for: a path made once is read once."""
    return folder / name


class Publisher:
    """Publishes the formats of one document under one name into one folder.

    All formats share one picture folder, `<name>_images`, where a name can only meet identical bytes. `before_place`
    is called with a result's path and its sha256 just before it gets that name: the moment to write both down. Errors
    name a path as `told` gives it.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        overwrite: bool,
        before_place: Callable[[Path, str], None] | None = None,
        told: Callable[[Path], Path] = Path,
    ) -> None:
        self._before_place = before_place
        self._told = told
        self.folder = folder
        self.name = name
        self.overwrite = overwrite
        self.warnings: list[str] = []
        self._placed: dict[str, str] = {}
        self._waiting: dict[Path, Path] = {}
        self._used: dict[Path, tuple[int, int]] = {}
        self._extras: set[Path] = set()

    @cached_property
    def _images(self) -> Path:
        return self.folder / pictures_of(self.name)

    def target(self, suffix: str) -> Path:
        """Return the final path of a format."""
        return target_of(self.folder, f"{self.name}{suffix}")

    def is_taken(self, suffix: str) -> bool:
        """Tell whether a result is there already and must be left."""
        return not self.overwrite and os.path.lexists(self.target(suffix))

    def publish(self, bundle: Bundle, suffix: str, stage: Path, *, last: bool = False) -> bool:
        """Publish a native format with its pictures; False when the name was taken meanwhile.

        Args:
            bundle: stays as it is, unless it is the `last` time that anybody reads it.
            suffix: behind the document's name.
            stage: a folder of its own on the same file system.
            last: its files may be moved away.
        """
        target = self.target(suffix)
        with writing(self._told(target), "Publishing"):
            if bundle.main.suffix == ".docx":
                staged = taken(bundle.main, stage / target.name, move=last)
                return self._finish(staged, target, digest_of(staged))
            if self.is_taken(suffix):
                return False
            links = self._place_images(bundle, stage, last=last)
            text = bundle.main.read_text(encoding="utf-8", errors="surrogateescape")
            staged = bundle.main if last and is_sole(bundle.main) else stage / target.name
            return self._publish_linked(text, links, staged, target)

    def publish_loose(self, loose: Loose, suffix: str, stage: Path) -> bool:
        """Publish a native format that is in memory; otherwise as `publish`."""
        target = self.target(suffix)
        with writing(self._told(target), "Publishing"):
            if self.is_taken(suffix):
                return False
            links = self._place(list(loose.images), stage)
            return self._publish_linked(loose.text, links, stage / target.name, target)

    def publish_derived(
        self,
        folder: Path,
        files: list[Path],
        suffix: str,
        stage: Path,
        *,
        pictures: Bundle | None = None,
        escape: bool = True,
    ) -> bool:
        """Publish what an exporter wrote into its folder; False when the name was taken meanwhile.

        The first file gets the document's name, the others `<name>-<their own path>` beside it, and stand there before
        it does. With `pictures`, the first is text that names the pictures of that bundle by their paths: these are
        published as well, and the paths are replaced, with `escape` percent-encoded.

        Raises `ExporterError` when the name of a further file is taken by something else.
        """
        target = self.target(suffix)
        with writing(self._told(target), "Publishing"):
            if self.is_taken(suffix):
                return False
            beside = self._beside(folder, files[1:])
            main = files[0]
            text: str | None = None
            if pictures is not None:
                text = main.read_text(encoding="utf-8", errors="surrogateescape")
                text = rewrite_paths(text, self._place_images(pictures, stage), escape=escape)
            for final, extra in beside.items():
                place(extra, final, overwrite=self.overwrite)
                self._extras.add(final)
            if text is not None:
                return self._publish_text(text, stage / target.name, target)
            return self._finish(main, target, digest_of(main))

    def _beside(self, folder: Path, extras: list[Path]) -> dict[Path, Path]:
        """Return the final path of each further file."""
        found: dict[Path, Path] = {}
        for extra in extras:
            inside = extra.resolve().relative_to(folder.resolve())
            final = self.folder / safe_name(f"{self.name}-{'-'.join(inside.parts)}")
            taken = not self.overwrite and os.path.lexists(final) and digest_of(final) != digest_of(extra)
            if taken or final in found or final in self._extras:
                raise ExporterError(f"A further file can't be published: {final.name} is there already")
            found[final] = extra
        return found

    def _publish_linked(self, text: str, links: Mapping[str, str], staged: Path, target: Path) -> bool:
        self._warn(text, links, target)
        return self._publish_text(rewrite(text, links, escape=target.suffix != ".tex"), staged, target)

    def _publish_text(self, text: str, staged: Path, target: Path) -> bool:
        digest = write_synced(staged, text.encode("utf-8", "surrogateescape"))
        return self._finish(staged, target, digest, is_synced=True)

    def _finish(self, staged: Path, target: Path, digest: str, *, is_synced: bool = False) -> bool:
        """Give a result its name, once its pictures have theirs. Raises `OutputError` where these are gone."""
        if self._before_place is not None:
            self._before_place(target, digest)
        for path, pictures in groupby(self._waiting.items(), key=lambda each: each[0].parent):
            with self._inside(path) as folder:
                for final, picture in pictures:
                    folder.place(picture, final.name, overwrite=True)
        self._waiting = {}
        for path, identity in self._used.items():
            if identity_of(path) != identity:
                with inside(path, self.folder):  # tells of a link on the way there
                    where = self._told(path)
                    raise OutputError(f"Publishing: {where} was replaced while pictures were put in it", path=where)
        done = place(staged, target, overwrite=self.overwrite, is_synced=is_synced)
        sync_folder(self.folder)
        return done

    @contextmanager
    def _inside(self, path: Path) -> Iterator[Inside]:
        """Yield a folder of pictures, whose names are on the disk afterwards."""
        with inside(path, self.folder) as folder:
            self._used.setdefault(path, folder.identity)
            yield folder
            folder.sync()

    def _place_images(self, bundle: Bundle, stage: Path, *, last: bool = False) -> dict[str, str]:
        """Publish the bundle's pictures and return link in the archive -> link beside the result.

        A picture that a post-processor gave another link to, in `bundle.links`, is not published.
        """
        links: dict[str, str] = {}
        images: list[tuple[Path, Path | bytes]] = []
        for image in bundle.images:
            inside = image.relative_to(bundle.folder)
            if inside.as_posix() in bundle.links:
                links[inside.as_posix()] = str(bundle.links[inside.as_posix()])
            else:
                images.append((inside, image))
        return links | self._place(images, stage, move=last)

    def _place(self, images: Sequence[tuple[Path, Path | bytes]], stage: Path, *, move: bool = False) -> dict[str, str]:
        """Publish pictures, given with their paths in the archive, and return link there -> link beside the result."""
        links: dict[str, str] = {}
        places = [(inside, below_images(inside), content) for inside, content in images]
        for above, group in groupby(places, key=lambda place: place[1].parent):
            with nullcontext() if self.overwrite else self._inside(self._images / above) as folder:
                for inside, name, content in group:
                    picture = Picture(content, stage / f"image-{len(self._placed)}", move)
                    placed = self._place_image(picture, name, folder)
                    links[inside.as_posix()] = f"{self._images.name}/{placed.as_posix()}"
        return links

    def _place_image(self, picture: Picture, name: Path, folder: Inside | None) -> Path:
        """Place one picture under its name or, where another has that, a longer one; return which.

        Without a folder it waits: where results are replaced, an older one keeps its pictures until all of the new one
        is on the disk.
        """
        digest = picture.digest()
        for candidate in (name, name.with_name(f"{name.stem}-{digest[:8]}{name.suffix}")):
            ours = self._placed.get(candidate.as_posix())
            if ours == digest:
                return candidate
            if ours is not None:
                continue
            if folder is None:
                self._waiting[self._images / candidate] = picture.staged()
            elif folder.digest(candidate.name) != digest and not folder.place(
                picture.staged(), candidate.name, overwrite=False
            ):
                continue
            self._placed[candidate.as_posix()] = digest
            return candidate
        where = self._told(self._images / name)
        raise OutputError(f"Publishing: {where} is taken by another picture", path=where)

    def _warn(self, text: str, links: Mapping[str, str], target: Path) -> None:
        if not text.strip():
            self.warnings.append(f"{target.name} has no text")
        missing = missing_in(text, links)
        if missing:
            shown = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
            self.warnings.append(f"{target.name} names {len(missing)} pictures that the export lacks: {shown}")
