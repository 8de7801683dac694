"""Fetching what was paid for while the service still has it, the most urgent first."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from doc2x_sdk.arguments import whole
from doc2x_sdk.batch.done import Done, is_to_fetch
from doc2x_sdk.errors import ConfigError, Doc2XError, LedgerError, TaskFailed
from doc2x_sdk.flow.callbacks import call_back
from doc2x_sdk.flow.kit import Kit
from doc2x_sdk.flow.pipeline import fetch
from doc2x_sdk.flow.wish import Wish
from doc2x_sdk.ledger.rows import PAID, ParseKey, ParseRow, ResultRow, path_of
from doc2x_sdk.models import ExportOptions, ProgressCallback
from doc2x_sdk.service.answers import NOT_FOUND

__all__ = ["PassedOver", "Rescue", "Task"]

NOT_OF_THE_EXPORT = ("exporter", "pages", "processors")
"""What the options of a result hold beside those of its export, see `ResultRow`."""


class Task(NamedTuple):
    """One document to fetch, into one place."""

    row: ParseRow
    wish: Wish


class Rescue:
    """Everything paid for whose time still runs and whose results are not all there. Safe to use from threads.

    Args:
        kit: of the client; must have a ledger.
        out: a folder for all of it; None takes the place that was stored with each result.
        to: the formats of what has none stored with it.
        on_progress: called at each step, from the threads that fetch.
    """

    def __init__(
        self, kit: Kit, *, out: Path | None, to: tuple[str, ...], on_progress: ProgressCallback | None = None
    ) -> None:
        self.stop = threading.Event()
        self._kit = kit.stoppable(self.stop)
        self._out, self._given = None if out is None else whole(out), out  # the program may change its folder
        self._to = to
        self._on_progress = None if on_progress is None else partial(call_back, on_progress)
        self._names: dict[str, str] = {}
        self._rows = urgent(self._kit)
        self._guard = threading.Lock()
        self._ended: set[int] = set()

    def next(self) -> tuple[ParseRow, list[Task | Done]] | None:
        """Return the most urgent parse that nobody has taken yet, and what is to be fetched of it; None at the end."""
        with self._guard:
            row = None if self.stop.is_set() else next(self._rows, None)
            return None if row is None else (row, list(self._tasks(row)))

    def fetched(self, task: Task) -> Done | None:
        """Fetch one; None for an upload that never arrived, of which nothing was paid.

        Raises `Stopped` once it was stopped, and `CallbackRaised`.
        """
        row = task.row
        try:
            document = fetch(str(row.uid), task.wish, self._kit, on_progress=self._on_progress)
        except Doc2XError as error:
            if row.state == "uploading" and isinstance(error, TaskFailed) and error.code == NOT_FOUND:
                return None
            error.about(uid=row.uid, source=row.source)
            key = ParseKey(row.account, row.sha256, row.options)
            return Done(row.source, error=error, to_fetch=is_to_fetch(error, self._kit.ledger, key))
        return Done(row.source, document=document)

    def ended(self, row: ParseRow) -> None:
        """Note that all of a parse was fetched, or told to be out of reach."""
        with self._guard:
            self._ended.add(row.id)

    def remaining(self) -> Iterator[ParseRow]:
        """Yield the parse of each document that is still to be fetched, the most urgent first; twice for two places."""
        for row in urgent(self._kit):
            with self._guard:
                left = [] if row.id in self._ended else list(self._tasks(row))
            for _ in left:
                yield row

    def passed_over(self) -> PassedOver:
        """Count what is left alone."""
        return passed_over(self._kit)

    def _tasks(self, row: ParseRow) -> Iterator[Task | Done]:
        """Yield what is to be fetched of a parse: one task for each place, name and set of export options."""
        options = json.loads(row.options)
        fault = self._unfit(options)
        if fault is not None:
            yield Done(row.source, error=fault.about(uid=row.uid, source=row.source))
            return
        label = options.get("pages")
        if row.results and all(result.state == "done" for result in row.results):
            return
        if label is not None or not row.results:
            yield self._without_target(row, label)
            return
        for group in grouped(row.results):
            if any(result.state != "done" for result in group):
                yield self._of_group(row, group)

    def _unfit(self, options: dict[str, object]) -> Doc2XError | None:
        """Return why a parse can't be fetched by this client; None when it can."""
        api = options.get("api") or "v2"
        if api != self._kit.service.generation:
            return ConfigError(f"It was parsed through {api}", advice=f"Rescue it by a client of {api}.")
        if options.get("language"):
            return ConfigError("It is a translation", advice="`client.translation(uid)` fetches it.")
        return None

    def _without_target(self, row: ParseRow, label: str | None) -> Task | Done:
        """Return the task of a parse that has no place of its own, such as a part of a book."""
        out = self._out or (path_of(row.results[0].target).parent if row.results else None)
        if out is None:
            error = ConfigError("No place is stored with it", advice="Name a folder: `out`, or --out.")
            return Done(row.source, error=error.about(uid=row.uid, source=row.source))
        stem = path_of(row.source).stem or str(row.uid)
        name = self._free(out, f"{stem}-pages-{label}" if label else stem, row)
        return Task(row, Wish(self._kit.formats.plan(self._to), out=out, name=name, given=self._given))

    def _of_group(self, row: ParseRow, group: list[ResultRow]) -> Task | Done:
        """Return the task of results that belong together."""
        options = json.loads(group[0].options)
        chosen = {result.format: json.loads(result.options).get("exporter") or {} for result in group}
        given = {name: each for name, each in chosen.items() if each}
        for result in group:
            given |= json.loads(result.options).get("processors") or {}
        try:
            plan = self._kit.formats.plan(tuple(chosen), given)
        except ConfigError as error:
            return Done(row.source, error=error.about(uid=row.uid, source=row.source))
        target = path_of(group[0].target)
        name = target.name.removesuffix(plan.suffix_of(group[0].format))
        for other in NOT_OF_THE_EXPORT:
            options.pop(other, None)
        out = self._out or target.parent
        name = literal(name) if self._out is None else self._free(out, name, row)
        return Task(row, Wish(plan, export=ExportOptions(**options), out=out, name=name, given=self._given))

    def _free(self, out: Path, name: str, row: ParseRow) -> str:
        """Return the template of a name that no other document of this rescue has."""
        key = str(out / name).casefold()
        if self._names.setdefault(key, row.sha256) != row.sha256:
            name = f"{name}-{row.sha256[:8]}"
        return literal(name)


class PassedOver(NamedTuple):
    """How many documents lack results and are left alone: `held` by another process, or `over` their time."""

    held: int
    over: int


def passed_over(kit: Kit) -> PassedOver:
    """Count what a rescue leaves alone; by this machine's clock the service has forgotten what is over time."""
    held = over = 0
    if kit.ledger is not None:
        now = kit.clock.now()
        for row in kit.ledger.jobs(states=PAID, account=kit.account):
            if row.results and all(result.state == "done" for result in row.results):
                continue
            if kit.ledger.is_held(row):
                held += 1
            elif (row.expires_at() or 0.0) <= now:
                over += 1
    return PassedOver(held, over)


def urgent(kit: Kit) -> Iterator[ParseRow]:
    """Yield the account's parses that were paid for and may still be fetched, those that expire first before others.

    One that another process works on is left to it.
    Raises `LedgerError` without a ledger.
    """
    if kit.ledger is None:
        raise LedgerError("There is no ledger that could be read")
    now = kit.clock.now()
    rows = [
        (row.uid_at, row.id)
        for row in kit.ledger.jobs(states=PAID, account=kit.account)
        if row.uid is not None and row.uid_at is not None and (row.expires_at() or 0.0) > now
    ]
    for _, number in sorted(rows):
        row = kit.ledger.by_id(number)
        if row is not None and not kit.ledger.is_held(row):
            yield row


def grouped(results: Sequence[ResultRow]) -> list[list[ResultRow]]:
    """Return results that came of one run together: same folder, same input, same export options."""
    groups: dict[tuple[str, str, str], list[ResultRow]] = defaultdict(list)
    for result in results:
        options = json.loads(result.options)
        for other in NOT_OF_THE_EXPORT:
            options.pop(other, None)
        groups[str(path_of(result.target).parent), result.source, json.dumps(options, sort_keys=True)].append(result)
    return list(groups.values())


def literal(name: str) -> str:
    """Return a name as a template that stands for itself."""
    return name.replace("{", "{{").replace("}", "}}")
