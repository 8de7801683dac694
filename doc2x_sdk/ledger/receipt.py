"""A receipt: one parse in one thread's hands. Each method is one step of the protocol."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from doc2x_sdk.errors import Doc2XError
from doc2x_sdk.ledger.admission import Slot
from doc2x_sdk.ledger.rows import ParseRow, ResultRow

if TYPE_CHECKING:
    from doc2x_sdk.ledger.ledger import Ledger

__all__ = ["Receipt"]


class Receipt:
    """A parse that this thread holds. The methods that say so wait for the disk; `row` is what was last written."""

    def __init__(self, ledger: Ledger, row: ParseRow) -> None:
        self._ledger = ledger
        self._teaches = False  # whether that the service works on it tells how many slots there are
        self.probes = False
        """Whether its slot is one that the service is not known to have, so that an early look at it teaches."""
        self._full: set[str | None] = set()
        self.row = row

    def _set(self, *, wait: bool = False, held: bool = False, **assignments: object) -> None:
        self._ledger.change(self.row.id, dict(assignments), wait=wait, held=held)
        values = dict(assignments)
        if "history" in values:
            values["history"] = tuple(json.loads(str(values["history"])))
        self.row = self.row._replace(**values)  # type: ignore[arg-type] # the columns are the fields

    def _history(self, uid: str | None) -> str:
        """Return the history once the row has this uid."""
        old = [self.row.uid] if self.row.uid and self.row.uid != uid else []
        return json.dumps([*self.row.history, *old])

    def start_over(self, reason: str) -> None:
        """Move the uid to the history: the service has nothing of it, or the user pays again on purpose."""
        self._set(state="planned", uid=None, uid_at=None, working=False, reason=reason, history=self._history(None))

    def wait_for_slot(self, check: Callable[[], None]) -> None:
        """Take a slot and move to `reserving`, on the disk; `check` is called during the wait, and may raise."""
        slot = self._ledger.wait_for_slot(self.row, check)
        self.probes, self._teaches = slot is Slot.PROBING, slot is not Slot.SPARE
        self.row = self.row._replace(state="reserving", attempts=self.row.attempts + 1, working=False)

    def uploading(self, uid: str) -> None:
        """Note the uid, on the disk before its bytes are sent.

        Raises `LedgerError` where another process is at it, `ProtocolError` where another parse has the uid.
        """
        now = self._ledger.clock.now()
        self._set(
            wait=True,
            held=True,
            state="uploading",
            uid=uid,
            uid_at=now,
            working=False,
            history=self._history(uid),
            reason=None,
            code=None,
            trace_id=None,
        )

    def paying(self) -> None:
        """Note, on the disk, that a paid step without a uid is about to be sent: a crash now is an unknown outcome.

        Raises `LedgerError` where another process is at it.
        """
        self._set(
            wait=True,
            held=True,
            state="unknown",
            uid=None,
            uid_at=None,
            working=False,
            history=self._history(None),
            reason="it was sent, and no answer was written down",
            code=None,
            trace_id=None,
        )

    def submitted(self, uid: str) -> None:
        """Note that the service has the bytes; on the disk where the uid was not written down before."""
        if self.row.uid == uid and self.row.state in ("submitted", "parsed"):
            return
        known = self.row.uid == uid
        self._set(
            wait=not known,
            state="submitted",
            uid=uid,
            uid_at=self.row.uid_at if known else self._ledger.clock.now(),
            history=self._history(uid),
            reason=None,
            code=None,
            trace_id=None,
        )

    def working(self) -> None:
        """Note that the service was seen at work on the uid: it is paid, whatever a later answer says."""
        if not self.row.working:
            self._set(working=True)
            self._held()

    def parsed(self, pages: int) -> None:
        """Note that the pages are there."""
        self._set(state="parsed", pages=pages, working=True, reason=None, code=None)
        self._held()

    def archived(self, uid: str, pages: int) -> None:
        """Note that the results came from the archive, where they are of this uid; nothing was asked or paid."""
        if self.row.uid == uid:  # what a run that was killed had not written down
            self.parsed(pages)
        elif self.row.state == "planned":
            self._set(reason="its results came from the archive", code=None, trace_id=None)

    def _held(self) -> None:
        """Note once for a slot that the service took the parse, so that the slots may grow."""
        if self._teaches:
            self._teaches = False
            self._ledger.limit_held(self.row)

    def failed(self, error: Doc2XError) -> None:
        """Note that the service gave the document up."""
        self._set(state="failed", reason=error.message, code=error.code, trace_id=error.trace_id)

    def unknown(self, error: Doc2XError) -> None:
        """Note, on the disk, that nobody can tell whether it was paid."""
        self._set(wait=True, state="unknown", reason=error.message, code=error.code, trace_id=error.trace_id)

    def unpaid(self, error: Doc2XError | None = None) -> None:
        """Note that nothing was paid: the step before was refused whole, or cut off; `error` says why."""
        if error is None:
            self._set(state="planned", reason=None, code=None, trace_id=None)
        else:
            self._set(state="planned", reason=error.message, code=error.code, trace_id=error.trace_id)

    def limit_met(self, code: str | None) -> None:
        """Note that the service was full; of one uid it counts once."""
        if self.row.uid not in self._full:
            self._full.add(self.row.uid)
            self._ledger.limit_met(self.row, code)

    def result(self, result: ResultRow, *, wait: bool) -> None:
        """Note a format's state; with `wait`, on the disk."""
        self._ledger.record(self.row.id, result, wait=wait)
