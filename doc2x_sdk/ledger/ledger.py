"""The ledger: claims on parses, receipts that are written before each step that can cost money, and admission."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from doc2x_sdk.clock import Clock
from doc2x_sdk.errors import Doc2XError, LedgerError
from doc2x_sdk.ledger import admission
from doc2x_sdk.ledger.owner import Owner
from doc2x_sdk.ledger.rows import ParseKey, ParseRow, ResultRow, TargetRow, parse_row, read_jobs, read_results
from doc2x_sdk.ledger.store import Store

__all__ = ["Ledger", "Receipt"]

log = logging.getLogger("doc2x_sdk")

LOOK_AGAIN = 0.25  # seconds between two looks at a row that another process works on, or at full slots


class Ledger:
    """One user's ledger. Safe to use from many threads; processes share it by the file.

    Raises `LedgerError` when the file can't be used.
    """

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        self.path = path
        self.clock = clock or Clock()
        self._store = Store(path)
        try:
            self._owner = Owner(path.with_name("owners"))
        except OSError as error:
            self._store.close()
            raise LedgerError(f"The folder of {path} can't be written: {error.strerror}") from error
        self._claimed: set[int] = set()
        self._guard = threading.Lock()

    def close(self) -> None:
        """Commit what is queued and give up the claims of this process."""
        self._store.close()
        self._owner.close()

    def jobs(self, *, states: tuple[str, ...] = (), uid: str | None = None) -> Iterator[ParseRow]:
        """Yield the parses, oldest first."""
        return read_jobs(self.path, states=states, uid=uid)

    @contextmanager
    def claim(self, key: ParseKey, *, source: str, size: int, pages: int) -> Iterator[Receipt]:
        """Yield the receipt of a parse, held by this thread alone; waits while another process or thread holds it.

        A receipt whose owner is gone is adopted as it stands. Until its row is on the disk nothing is yielded.
        """
        while (row := self._store.write(self._take(key, source, size, pages))) is None:
            self.clock.sleep(LOOK_AGAIN)
        receipt = Receipt(self, row)
        try:
            yield receipt
        finally:
            self._give_back(row.id)

    def _take(
        self, key: ParseKey, source: str, size: int, pages: int
    ) -> Callable[[sqlite3.Connection], ParseRow | None]:
        now = self.clock.now()

        def take(connection: sqlite3.Connection) -> ParseRow | None:
            connection.execute(
                "INSERT INTO parse (account, sha256, options, source, size, pages, state, created_at, changed_at) "
                "VALUES (?, ?, ?, ?, ?, ?, 'planned', ?, ?) ON CONFLICT (account, sha256, options) DO NOTHING",
                (key.account, key.sha256, key.options, source, size, pages, now, now),
            )
            found = connection.execute(
                "SELECT * FROM parse WHERE account = ? AND sha256 = ? AND options = ?",
                (key.account, key.sha256, key.options),
            ).fetchone()
            row = parse_row(found, read_results(connection, found["id"]))
            with self._guard:
                mine = row.owner == self._owner.token
                if (mine and row.id in self._claimed) or (row.owner and not mine and self._owner.is_alive(row.owner)):
                    return None
                self._claimed.add(row.id)
            connection.execute(
                "UPDATE parse SET owner = ?, source = ? WHERE id = ?", (self._owner.token, source, row.id)
            )
            return replace(row, owner=self._owner.token, source=source)

        return take

    def _give_back(self, row: int) -> None:
        def give(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE parse SET owner = NULL WHERE id = ? AND owner = ?", (row, self._owner.token))
            with self._guard:
                self._claimed.discard(row)

        try:
            self._store.submit(give)
        except LedgerError as error:
            log.debug("the claim on row %d stays until this process ends: %s", row, error.message)

    def change(self, row: int, assignments: dict[str, object]) -> Future[None]:
        """Queue a change of a parse's row; the future is done when it is on the disk."""
        values = assignments | {"changed_at": self.clock.now()}

        def change(connection: sqlite3.Connection) -> None:
            columns = ", ".join(f"{name} = :{name}" for name in values)
            connection.execute(f"UPDATE parse SET {columns} WHERE id = :row", values | {"row": row})  # noqa: S608

        return self._store.submit(change)

    def record(self, row: int, result: ResultRow) -> Future[None]:
        """Queue a format's row, new or changed; a target belongs to the last parse that wanted it."""
        now = self.clock.now()

        def record(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO result (parse, format, options, target, state, sha256, reason, changed_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (target, format) DO UPDATE SET parse = excluded.parse, "
                "options = excluded.options, state = excluded.state, sha256 = excluded.sha256, "
                "reason = excluded.reason, changed_at = excluded.changed_at",
                (row, result.format, result.options, result.target, result.state, result.sha256, result.reason, now),
            )

        return self._store.submit(record)

    def admit(self, row: ParseRow) -> bool:
        """Move a parse to `reserving` if the account's slots allow it; on the disk when it returns True."""
        return self._store.write(admission.admit(row, self._owner.is_alive, self.clock.now()))

    def task_limit(self, account: str) -> float:
        """Return how many parses of the account may be in flight at present."""
        return float(self._store.write(lambda connection: admission.limits(connection, account)["tasks"]))

    def limit_met(self, row: ParseRow, code: str | None) -> None:
        """Note that the service was full: this account's slots are halved."""
        self._store.submit(admission.halve(row.account, code, self.clock.now()))

    def limit_held(self, row: ParseRow) -> None:
        """Note that a parse went through: this account's slots may grow."""
        self._store.submit(admission.grow(row.account))

    def target_of(self, target: str, format: str) -> TargetRow | None:  # noqa: A002 - the field's word
        """Return whose a published format is; None when nobody here wrote that file."""

        def look(connection: sqlite3.Connection) -> TargetRow | None:
            found = connection.execute(
                "SELECT result.id, result.state, result.sha256, parse.source, parse.sha256 "
                "FROM result JOIN parse ON parse.id = result.parse WHERE target = ? AND format = ?",
                (target, format),
            ).fetchone()
            return None if found is None else TargetRow(*found)

        return self._store.write(look)

    def finish(self, row: TargetRow) -> None:
        """Note that a file which was about to get its name has it."""
        self._store.submit(
            lambda connection: connection.execute("UPDATE result SET state = 'done' WHERE id = ?", (row.id,)).close()
        )


class Receipt:
    """A parse that this thread holds. Each method is one step of the protocol; those that say so wait for the disk."""

    def __init__(self, ledger: Ledger, row: ParseRow) -> None:
        self._ledger = ledger
        self.row = row

    def _set(self, **assignments: object) -> Future[None]:
        changed = self._ledger.change(self.row.id, dict(assignments))
        values = dict(assignments)
        if "history" in values:
            values["history"] = tuple(json.loads(str(values["history"])))
        self.row = replace(self.row, **values)  # type: ignore[arg-type] # the columns are the fields
        return changed

    def start_over(self, reason: str) -> None:
        """Forget the uid, into the history: the service has nothing of it, or the user pays again on purpose."""
        history = [*self.row.history, *([self.row.uid] if self.row.uid else [])]
        self._set(state="planned", uid=None, uid_at=None, reason=reason, history=json.dumps(history))

    def admit(self) -> bool:
        """Take a slot and move to `reserving`, on the disk; False while the account's slots are full."""
        if not self._ledger.admit(self.row):
            return False
        self.row = replace(self.row, state="reserving", attempts=self.row.attempts + 1)
        return True

    def uploading(self, uid: str) -> None:
        """Note the uid, on the disk before its bytes are sent."""
        history = self.row.history
        if self.row.uid and self.row.uid != uid:
            history = (*history, self.row.uid)
        self._set(
            state="uploading", uid=uid, uid_at=self._ledger.clock.now(), history=json.dumps(list(history)), reason=None
        ).result()

    def paying(self) -> None:
        """Note, on the disk, that a paid step without a uid is about to be sent: a crash now is an unknown outcome."""
        self._set(state="unknown", reason="it was sent, and no answer was written down").result()

    def submitted(self, uid: str) -> None:
        """Note that the service has the bytes."""
        self._set(state="submitted", uid=uid, uid_at=self.row.uid_at or self._ledger.clock.now(), reason=None)

    def parsed(self, pages: int) -> None:
        """Note that the pages are there."""
        self._set(state="parsed", pages=pages, reason=None, code=None)
        self._ledger.limit_held(self.row)

    def failed(self, error: Doc2XError) -> None:
        """Note that the service gave the document up."""
        self._set(state="failed", reason=error.message, code=error.code, trace_id=error.trace_id)

    def unknown(self, error: Doc2XError) -> None:
        """Note that nobody can tell whether it was paid."""
        self._set(state="unknown", reason=error.message, code=error.code, trace_id=error.trace_id).result()

    def unpaid(self) -> None:
        """Note that a paid step was refused whole: nothing was paid."""
        self._set(state="planned", reason=None)

    def limit_met(self, code: str | None) -> None:
        """Note that the service was full."""
        self._ledger.limit_met(self.row, code)

    def result(self, result: ResultRow, *, wait: bool) -> None:
        """Note a format's state; with `wait`, on the disk."""
        done = self._ledger.record(self.row.id, result)
        if wait:
            done.result()
