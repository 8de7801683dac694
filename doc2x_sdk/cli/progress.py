"""How far one document is: a bar on a terminal, a line a step elsewhere, nothing when quiet. All of it on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from doc2x_sdk.cli import terminal
from doc2x_sdk.models import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Display
    from rich.progress import TaskID, TextColumn

__all__ = ["STAGES", "reporter", "share_column", "shown"]

STAGES = {
    "check": "checking",
    "upload": "uploading",
    "parse": "parsing",
    "export": "exporting",
    "download": "fetching",
    "publish": "writing",
}


class Reporter(Protocol):
    """What a command tells about its documents."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""

    def begin(self, name: str) -> None:
        """A document is begun."""

    def step(self, progress: Progress) -> None:
        """A document went on."""

    def end(self) -> None:
        """A document is through, for better or worse."""


def reporter(*, quiet: bool, verbose: bool) -> Reporter:
    """Return what suits the terminal. With `verbose` the log tells the steps, and bars would tear it apart."""
    if quiet or verbose:
        return Silence()
    return Bars() if terminal.is_terminal(sys.stderr) else Lines()


@contextmanager
def shown(display: Display) -> Iterator[None]:
    """Show bars, with messages above them as they are: a line that is too long goes on in the next by itself."""
    from rich.text import Text

    def write(message: str) -> None:
        display.console.print(Text.from_ansi(message), soft_wrap=True)

    display.start()
    terminal.above.append(write)
    try:
        yield
    finally:
        terminal.above.remove(write)
        terminal.leave_dead()
        display.stop()


def share_column(width: int) -> TextColumn:
    """Return the column of a bar that tells its share."""
    from rich.progress import TextColumn
    from rich.table import Column

    return TextColumn("{task.fields[share]}", justify="right", table_column=Column(no_wrap=True, width=width))


class Silence:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def begin(self, name: str) -> None:
        """Show nothing."""

    def step(self, progress: Progress) -> None:
        """Show nothing."""

    def end(self) -> None:
        """Show nothing."""


class Lines(Silence):
    """A line for each step, with the uid as soon as there is one: it is the way to the pages that were paid."""

    def __init__(self) -> None:
        self._told = ""

    def begin(self, name: str) -> None:  # noqa: ARG002 - for those that show it
        """Begin anew."""
        self._told = ""

    def step(self, progress: Progress) -> None:
        """Tell a step once."""
        if progress.stage not in {"upload", "parse", "export"}:
            return
        what = f"{STAGES[progress.stage]}{f' {progress.format}' if progress.format else ''}"
        if progress.stage == "upload" and progress.total:
            what += f" {size(progress.total)}"
        if progress.stage == "parse":
            what += f" (uid {progress.uid})"
        if what != self._told:
            terminal.say(f"{progress.source}: {what}")
        self._told = what


def size(count: int) -> str:
    """Return a number of bytes in kB or MB."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} kB"


class Bars:
    """A bar for the document in work."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Display
        from rich.table import Column

        self._display = Display(
            TextColumn(
                "{task.fields[name]}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis", max_width=32),
            ),
            TextColumn(
                "{task.description}", markup=False, style="cyan", table_column=Column(no_wrap=True, min_width=14)
            ),
            BarColumn(bar_width=None),
            share_column(width=7),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=False,
            expand=True,
        )
        self._shown = shown(self._display)
        self._one: TaskID | None = None
        self._name = ""
        self._what: tuple[str, int | None] = ("", None)
        self._since: float | None = None

    def __enter__(self) -> Self:
        self._shown.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.__exit__(None, None, None)

    def begin(self, name: str) -> None:
        """Add a bar."""
        self._name = Path(name).name or name
        self._since = None
        self._stage(STAGES["check"], None)

    def _stage(self, what: str, total: int | None) -> None:
        """Put a bar for a stage in place of the one before; its clock goes on."""
        if self._one is not None:
            self._display.remove_task(self._one)
        self._one = self._display.add_task(what, name=self._name, share="", total=total)
        task = self._display.tasks[-1]
        self._since = task.start_time = task.start_time if self._since is None else self._since
        self._what = what, total

    def step(self, progress: Progress) -> None:
        """Move the bar; where there is nothing to count it swings."""
        what = f"{STAGES[progress.stage]}{f' {progress.format}' if progress.format else ''}"
        total = progress.total if progress.stage in {"upload", "parse", "download"} else None
        if (what, total) != self._what:
            self._stage(what, total)
        if total and self._one is not None:
            self._display.update(self._one, completed=progress.done, share=f"{100 * progress.done // total} %")

    def end(self) -> None:
        """Take the bar away; what became of the document is told elsewhere."""
        if self._one is not None:
            self._display.remove_task(self._one)
        self._one = None
