"""The record of batches, in a file beside the ledger: when each ran, what became of it, and what ended it.

It is there for whoever asks the day after, when terminal and log are gone. It is lines of JSON, two a batch: one at its
begin, one at its end. A batch that was killed lacks the second, and no process holds its mark any more.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from doc2x_sdk.cli.arguments import masked
from doc2x_sdk.cli.exits import BUG, CLOSED, exit_of
from doc2x_sdk.cli.guard import interrupted_code
from doc2x_sdk.errors import Doc2XError
from doc2x_sdk.ledger.files import owners_of
from doc2x_sdk.ledger.owner import Owner, lock

__all__ = ["Ended", "RunRow", "facts_of", "folder_of_work", "read_runs", "record_of", "recorded"]

LONGEST = 512 * 1024  # bytes of the file; then it takes the place of the one before
INPUTS_SHOWN = 50
CODES: dict[type[BaseException], int] = {BrokenPipeError: CLOSED}


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a batch: its exit code, how many documents became what, and what stopped it."""

    exit: int
    counts: dict[str, int] = field(default_factory=dict)
    stopped: dict[str, str | None] | None = None


@dataclass(frozen=True, slots=True)
class RunRow:
    """One batch. Times are seconds since 1970; without an end it is `running`, or was killed.

    `options` are the words of its command line beside the inputs; None where an older version did not write them down.
    """

    began_at: float
    ended_at: float | None
    running: bool
    documents: int
    inputs: tuple[str, ...]
    more_inputs: int
    to: tuple[str, ...]
    out: str
    folder: str
    end: Ended | None
    options: tuple[str, ...] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the row for JSON."""
        return asdict(self)


def record_of(ledger: Path) -> Path:
    """Return the file of the record that belongs to a ledger."""
    return ledger.with_name(f"{ledger.name}.runs.jsonl")


def older(path: Path) -> Path:
    """Return the file before it."""
    return path.with_name(f"{path.name}.old")


@contextmanager
def recorded(
    ledger: Path,
    inputs: Sequence[str],
    *,
    documents: int,
    to: Sequence[str],
    out: str,
    options: Sequence[str],
    end: Callable[[], Ended],
) -> Iterator[None]:
    """Write down that a batch begins, and how it ended; `end` tells that of one that came to its end.

    `options` are the words of the command line beside the inputs, without a password.
    Where the record can't be written, the batch goes on without it.
    """
    if not ledger.exists():
        yield
        return
    path, owner = record_of(ledger), None
    with suppress(OSError):
        owner = Owner(owners_of(ledger))
    run = owner.token if owner is not None else str(os.getpid())
    began = {
        "documents": documents,
        "inputs": [masked(each) for each in inputs[:INPUTS_SHOWN]],
        "more_inputs": max(0, len(inputs) - INPUTS_SHOWN),
        "to": list(to),
        "out": out,
        "options": list(options),
        "folder": folder_of_work(),
    }
    append(path, {"run": run, "at": time.time(), "began": began})
    try:
        yield
    except BaseException as error:
        code = exit_of(error) if isinstance(error, Doc2XError) else CODES.get(type(error), BUG)
        code = interrupted_code(error) if isinstance(error, KeyboardInterrupt) else code
        append(path, {"run": run, "at": time.time(), "ended": asdict(Ended(code, end().counts, facts_of(error)))})
        raise
    else:
        append(path, {"run": run, "at": time.time(), "ended": asdict(end())})
    finally:
        if owner is not None:
            owner.close()


def facts_of(error: BaseException | None) -> dict[str, str | None] | None:
    """Return what is kept of an error; of a bug its type alone, since its text may hold anything."""
    if error is None:
        return None
    if not isinstance(error, Doc2XError):
        return {"type": type(error).__name__, "message": None}
    names = ("message", "source", "code", "uid", "trace_id", "advice")
    return {"type": type(error).__name__} | {name: getattr(error, name) for name in names}


def folder_of_work() -> str:
    """Return the working directory, empty when it is gone."""
    with suppress(OSError):
        return str(Path.cwd())
    return ""


def append(path: Path, entry: dict[str, Any]) -> None:
    """Add a line in one write, so that several processes may; a file that has grown too long makes room."""
    with suppress(OSError):
        if path.exists() and path.stat().st_size > LONGEST:
            path.replace(older(path))
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, f"{json.dumps(entry)}\n".encode())
        finally:
            os.close(descriptor)


def read_runs(ledger: Path) -> list[RunRow]:
    """Return the batches of a ledger, the newest first. Lines that can't be read are passed over."""
    begun: dict[str, tuple[float, dict[str, Any]]] = {}
    ended: dict[str, tuple[float, Ended]] = {}
    path = record_of(ledger)
    for entry in (*lines(older(path)), *lines(path)):
        with suppress(KeyError, TypeError, ValueError):
            at, run = float(entry["at"]), str(entry["run"])
            if "began" in entry:
                begun[run] = at, dict(entry["began"])
            else:
                ended[run] = at, Ended(**entry["ended"])
    rows = []
    for run, (at, began) in begun.items():
        with suppress(KeyError, TypeError, ValueError):
            rows.append(row_of(at, began, ended.get(run), is_held(owners_of(ledger), run)))
    return sorted(rows, key=lambda row: row.began_at, reverse=True)


def row_of(at: float, began: dict[str, Any], ended: tuple[float, Ended] | None, held: bool) -> RunRow:
    """Put a batch together. Raises `KeyError`, `TypeError` or `ValueError` for what another version wrote."""
    options = began.get("options")
    return RunRow(
        at,
        ended[0] if ended is not None else None,
        held and ended is None,
        int(began["documents"]),
        tuple(map(str, began["inputs"])),
        int(began["more_inputs"]),
        tuple(map(str, began["to"])),
        str(began["out"]),
        str(began["folder"]),
        ended[1] if ended is not None else None,
        None if options is None else tuple(map(str, options)),
    )


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file of lines."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        with suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict):
                yield entry


def is_held(marks: Path, token: str) -> bool:
    """Tell whether a process holds its mark; nothing is written."""
    try:
        descriptor = os.open(marks / Path(token).name, os.O_RDWR)
    except OSError:
        return False
    try:
        return not lock(descriptor)
    finally:
        os.close(descriptor)
