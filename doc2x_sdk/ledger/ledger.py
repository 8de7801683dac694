"""The ledger: claims on parses, receipts that are written before each step that can cost money, and admission."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from doc2x_sdk.clock import Clock
from doc2x_sdk.errors import LedgerError
from doc2x_sdk.ledger import admission, writes
from doc2x_sdk.ledger.admission import Slot
from doc2x_sdk.ledger.files import IN_FLIGHT, owners_of
from doc2x_sdk.ledger.line import Claims, Line, Told
from doc2x_sdk.ledger.owner import Owner
from doc2x_sdk.ledger.receipt import Receipt
from doc2x_sdk.ledger.rows import (
    LOCAL,
    ParseKey,
    ParseRow,
    ResultRow,
    TargetRow,
    parse_row,
    read_jobs,
    read_results,
    select,
)
from doc2x_sdk.ledger.store import Store
from doc2x_sdk.processor import share_one_processor

__all__ = ["Ledger", "Receipt"]

log = logging.getLogger("doc2x_sdk")

FINISHED = ("parsed", "failed", "planned", "reserving")
OVER = ("parsed", "failed")


def go_on() -> None:
    """Raise nothing: nobody asks this wait to stop."""


class Ledger:
    """One user's ledger. Safe to use from many threads; processes share it by the file.

    Raises `LedgerError` when the file can't be used.
    """

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        self.path = path
        self.clock = clock or Clock()
        self._store = Store(path)
        try:
            self._owner = Owner(owners_of(path))
        except OSError as error:
            self._store.close()
            raise LedgerError(f"The folder of {path} can't be written: {error.strerror}") from error
        self._claims = Claims()
        self._line = Line()

    def close(self) -> None:
        """Commit what is queued and give up the claims of this process."""
        self._store.close()
        self._owner.close()

    def share_one_processor(self) -> None:
        """Let the thread that writes join those of a batch; see `processor`."""
        self._store.later(lambda _: share_one_processor())

    def flush(self) -> None:
        """Wait until all that is queued is on the disk."""
        self._store.write(lambda _: None)

    def jobs(
        self, *, states: tuple[str, ...] = (), uid: str | None = None, account: str | None = None
    ) -> Iterator[ParseRow]:
        """Yield the parses, oldest first; see `read_jobs`, which needs no ledger that can be written."""
        self.flush()
        return read_jobs(self.path, states=states, uid=uid, account=account)

    def prune(self, older_than: float) -> int:
        """Forget parses that are over and were not touched for so many seconds; return how many.

        What is in flight, unknown, or held by a process stays.
        """
        before = self.clock.now() - older_than

        def prune(connection: sqlite3.Connection) -> int:
            marks = ", ".join("?" * len(FINISHED))
            gone = connection.execute(
                f"DELETE FROM parse WHERE state IN ({marks}) AND owner IS NULL AND changed_at < ?",  # noqa: S608
                (*FINISHED, before),
            )
            return gone.rowcount

        return self._store.write(prune)

    def find(self, key: ParseKey) -> ParseRow | None:
        """Return the row of a parse as it is on the disk; None when it was never seen."""

        def look(connection: sqlite3.Connection) -> ParseRow | None:
            found = select(connection, key)
            return None if found is None else parse_row(found, read_results(connection, found["id"]))

        return self._store.read(look)

    def by_id(self, number: int) -> ParseRow | None:
        """Return a row by its number."""

        def look(connection: sqlite3.Connection) -> ParseRow | None:
            found = connection.execute("SELECT * FROM parse WHERE id = ?", (number,)).fetchone()
            return None if found is None else parse_row(found, read_results(connection, number))

        return self._store.read(look)

    def accounts(self, since: float) -> dict[str, int]:
        """Return how many parses each account has, of those that got their uid since then, in seconds since 1970."""

        def look(connection: sqlite3.Connection) -> dict[str, int]:
            counted = "SELECT account, COUNT(*) FROM parse WHERE uid_at >= ? GROUP BY account"
            return dict(connection.execute(counted, (since,)).fetchall())

        return self._store.read(look)

    def states(self, key: ParseKey) -> set[str]:
        """Return the states of a parse and of each other part of the same book; none where there is no receipt."""
        with suppress(LedgerError):  # nothing is sent before the disk says so
            self.flush()

        def look(connection: sqlite3.Connection) -> set[str]:
            rows = connection.execute(
                "SELECT state FROM parse WHERE account = ? AND sha256 = ? "
                "AND json_remove(options, '$.pages') = json_remove(?, '$.pages')",
                (key.account, key.sha256, key.options),
            )
            return {state for (state,) in rows}

        return self._store.read(look)

    def holder_of(self, key: ParseKey) -> str:
        """Return the number of the process that holds a parse; empty where none does any more."""
        row = self.find(key)
        return "" if row is None or row.owner is None else row.owner.partition("-")[0]

    def paid_by_another(self, row: ParseRow, since: float) -> ParseRow | None:
        """Return what was paid for the same document, with the same options, with another key since then."""

        def look(connection: sqlite3.Connection) -> ParseRow | None:
            found = connection.execute(
                "SELECT * FROM parse WHERE sha256 = ? AND options = ? AND account NOT IN (?, ?) "
                "AND state IN ('uploading', 'submitted', 'parsed') AND uid_at >= ?",
                (row.sha256, row.options, row.account, LOCAL, since),
            ).fetchone()
            return None if found is None else parse_row(found, ())

        return self._store.read(look)

    def is_held(self, row: ParseRow) -> bool:
        """Tell whether another process that is alive works on a row."""
        return row.owner is not None and row.owner != self._owner.token and self._owner.is_alive(row.owner)

    @contextmanager
    def claim(
        self, key: ParseKey, *, source: str, size: int, pages: int, check: Callable[[], None] = go_on
    ) -> Iterator[Receipt]:
        """Yield the receipt of a parse, held by this thread alone; waits while another process or thread holds it.

        A receipt whose owner is gone is adopted as it stands. Until its row is on the disk nothing is yielded.
        `check` is called now and then during the wait, and may raise.
        """
        with self._claims.held(key, check):
            told = Told(self.clock)
            take = writes.take(
                key,
                owner=self._owner.token,
                source=source,
                size=size,
                pages=pages,
                now=self.clock.now(),
                is_held=self.is_held,
            )
            while (row := self._store.write(take)) is None:
                told.waits(source, self.holder_of(key))
                check()
                self._claims.pause(self.clock)
            receipt = Receipt(self, row)
            try:
                yield receipt
            finally:
                self._give_back(receipt.row)

    def _give_back(self, row: ParseRow) -> None:
        try:
            self._store.later(writes.give_back(row.id, self._owner.token))
        except LedgerError as error:
            log.debug("the claim on row %d stays until this process ends: %s", row.id, error.message)
        if row.state not in OVER:
            self._line.freed()

    def change(self, row: int, assignments: dict[str, object], *, wait: bool, held: bool = False) -> None:
        """Change a parse's row; with `wait` it is on the disk afterwards, else it is queued.

        With `held` too it raises `LedgerError` where the file is gone, or another process has taken the row: it took
        this one for dead; and `ProtocolError` for a uid that another parse of the account has.
        """
        if held:
            self._store.check_there()
        values = assignments | {"changed_at": self.clock.now()}
        self._queue(writes.change(row, values, owner=self._owner.token if held else None), wait=wait)
        if "state" in assignments and assignments["state"] not in IN_FLIGHT:
            self._line.freed()

    def record(self, row: int, result: ResultRow, *, wait: bool) -> None:
        """Write a format's row, new or changed; see `writes.record`. `wait` as above."""
        self._queue(writes.record(row, result, self.clock.now()), wait=wait)

    def _queue(self, work: Callable[[sqlite3.Connection], None], *, wait: bool) -> None:
        if wait:
            self._store.write(work)
        else:
            self._store.later(work)

    def wait_for_slot(self, row: ParseRow, check: Callable[[], None] = go_on) -> Slot:
        """Move a parse to `reserving` as soon as the account's slots allow it; on the disk when it returns.

        Returns what kind of slot it is, never `NONE`. The threads of this process stand in line. `check` is called
        while it waits, and may raise.
        """
        with self._line.first(row.account, check) as turn:
            seen, slot = self._line.count, Slot.NONE
            try:
                while slot is Slot.NONE:
                    slot = self._store.write(admission.admit(row, self._owner.is_alive, self.clock.now()))
                    if slot is Slot.NONE:
                        check()
                        seen = self._line.wait(turn, seen, self.clock)
            finally:
                if slot is Slot.NONE:
                    self.change(row.id, {"waits_at": None}, wait=False)
        return slot

    def task_limit(self, account: str) -> float:
        """Return how many parses of the account may be in flight at present."""

        def look(connection: sqlite3.Connection) -> float:
            found = connection.execute("SELECT tasks FROM pace WHERE account = ?", (account,)).fetchone()
            return admission.TASKS_FIRST if found is None else float(found[0])

        return self._store.read(look)

    def limit_met(self, row: ParseRow, code: str | None) -> None:
        """Note that the service was full: this account's slots are halved."""
        self._store.later(admission.halve(row, code, self._owner.is_alive, self.clock.now()))

    def limit_held(self, row: ParseRow) -> None:
        """Note that the service took a parse: this account's slots may grow."""
        self._store.later(admission.grow(row, self._owner.is_alive, self.clock.now()))
        self._line.freed()

    def targets_of(self, target: str, format: str) -> list[TargetRow]:  # noqa: A002 - the field's word
        """Return whose a published file may be, the last first: of this format, and of those placed under its name."""

        def look(connection: sqlite3.Connection) -> list[TargetRow]:
            found = connection.execute(
                "SELECT result.id, result.state, result.sha256, result.reason, result.source, parse.sha256, "
                "result.options, parse.options, result.format FROM result JOIN parse ON parse.id = result.parse "
                "WHERE target = ? AND (result.format = ? OR result.state IN ('publishing', 'done')) "
                "ORDER BY result.changed_at DESC, result.format = ? DESC",
                (target, format, format),
            )
            return [TargetRow(*row) for row in found]

        return self._store.read(look)

    def finish(self, row: TargetRow) -> None:
        """Note that a file which was about to get its name has it."""
        self._store.later(
            lambda connection: connection.execute("UPDATE result SET state = 'done' WHERE id = ?", (row.id,))
        )
