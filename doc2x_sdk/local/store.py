"""The tasks of a server, v1's and v2's alike: a row in memory and a folder on disk each.

The folder holds the uploaded bytes, the pages as they were parsed (one JSON file a chunk), and what exports made: the
pictures that were cut out of the pages, and the latest export.
A task that is over its time is forgotten and its folder removed.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from doc2x_sdk.clock import Clock
from doc2x_sdk.local.pages import Box, Crop, Page, figures, image_name

__all__ = ["Store", "Task"]

State = Literal["reserved", "stored", "limited", "processing", "success", "refused", "failed"]
"""`reserved`: no bytes yet. `stored`: not yet admitted. `limited`: a limit keeps it waiting. `refused`: the file
cannot be parsed, nothing was started. `failed`: the parse was started and failed."""


@dataclass(slots=True)
class Task:
    """One uid. `code` and `detail` say why it is limited, refused or failed."""

    uid: str
    kind: Literal["pdf", "image"]
    created: float
    folder: Path
    model: str = "v2"
    state: State = "reserved"
    pages: int | None = None
    done: int = 0
    code: str = ""
    detail: str = ""
    digest: str = ""
    correct: bool = False
    translate: list[str] | None = None  # language and model of a translation that is wanted
    translation: Literal["none", "processing", "success", "failed"] = "none"
    export: dict[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        """The uploaded bytes. The engine goes by the suffix; a picture is handed to it as bytes."""
        return self.folder / "source.pdf"

    @property
    def images(self) -> Path:
        """The folder of the pictures."""
        return self.folder / "images"

    @property
    def progress(self) -> int:
        """Percent of the pages that are done; 100 only on success."""
        return 100 if self.state == "success" else min(99, 100 * self.done // (self.pages or 1))

    def end(self, state: State, code: str = "", detail: str = "") -> None:
        """Set the state and why, and write it down."""
        self.state, self.code, self.detail = state, code, detail
        self.save()

    def save(self) -> None:
        """Write the row into the task's folder, whole or not at all."""
        row = asdict(self)
        del row["folder"]
        _write(self.folder / "task.json", row)

    def write_pages(self, pages: list[Page]) -> None:
        """Write a chunk of parsed pages."""
        rows = [
            {
                "page_idx": page.index,
                "page_width": page.width,
                "page_height": page.height,
                "md": page.markdown,
                "score": page.score,
                "blocks": page.blocks,
            }
            for page in pages
        ]
        _write(self.folder / f"pages-{pages[0].index:05}.json", rows)

    def read_pages(self) -> Iterator[dict[str, Any]]:
        """The pages in order, as `write_pages` wrote them."""
        for path in sorted(self.folder.glob("pages-*.json")):
            yield from json.loads(path.read_text(encoding="utf-8"))

    def uncut_pictures(self) -> list[tuple[int, Box]]:
        """The pictures of its pages that no export has needed yet, in the order of the pages."""
        named = {
            image_name(row["page_idx"], box): (row["page_idx"], box)
            for row in self.read_pages()
            for box in figures(row["blocks"])
        }
        return [place for name, place in named.items() if not (self.images / name).exists()]

    def write_pictures(self, crops: Iterable[Crop]) -> None:
        """Write pictures beside the pages; one that two exports cut at once is whole at all times."""
        self.images.mkdir(exist_ok=True)
        for crop in crops:
            target = self.images / image_name(crop.page, crop.box)
            part = target.with_suffix(f".{uuid.uuid4().hex}")
            part.write_bytes(crop.jpeg)
            part.replace(target)


class Store:
    """All tasks of a server."""

    def __init__(self, folder: Path, clock: Clock, keep_seconds: float) -> None:
        self._folder = folder / "tasks"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._clock = clock
        self._keep = keep_seconds
        self._tasks: dict[str, Task] = {}
        self._load()

    def __iter__(self) -> Iterator[Task]:
        return iter(list(self._tasks.values()))

    def new(self, kind: Literal["pdf", "image"], **facts: Any) -> Task:
        """Make a task with a uid of its own and an empty folder."""
        self._sweep()
        uid = str(uuid.uuid4())
        task = Task(uid, kind, self._clock.now(), self._folder / uid, **facts)
        task.folder.mkdir()
        self._tasks[uid] = task
        return task

    def get(self, uid: str) -> Task | None:
        """The task, or None when it is unknown or over its time."""
        task = self._tasks.get(uid)
        if task is not None and self._is_over(task):
            self.forget(task)
            return None
        return task

    def forget(self, task: Task) -> None:
        """Remove a task and all that belongs to it."""
        self._tasks.pop(task.uid, None)
        shutil.rmtree(task.folder, ignore_errors=True)

    def _is_over(self, task: Task) -> bool:
        return task.state != "processing" and self._clock.now() - task.created > self._keep

    def _sweep(self) -> None:
        for task in self:
            if self._is_over(task):
                self.forget(task)

    def _load(self) -> None:
        for path in self._folder.iterdir():
            try:
                row = json.loads((path / "task.json").read_text(encoding="utf-8"))
                task = Task(folder=path, **row)
            except (OSError, ValueError, TypeError):
                shutil.rmtree(path, ignore_errors=True)  # an upload that broke off, or not a task of this version
                continue
            if task.export.get("status") == "processing":
                task.export = {}  # it ended with the server that was making it
            self._tasks[task.uid] = task
        self._sweep()


def _write(path: Path, content: Any) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    part.replace(path)
