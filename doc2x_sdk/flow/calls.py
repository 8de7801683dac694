"""The calls about single documents that threads of one client are in, and their end when it is closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from doc2x_sdk.errors import ConfigError, LedgerError, NetworkError
from doc2x_sdk.flow.kit import Kit, Stopped
from doc2x_sdk.ledger.rows import ARRIVED, LOCAL, UNSENT

__all__ = ["LEAVE_WITHIN", "Calls"]

LEAVE_WITHIN = 2.0  # seconds for which threads that were stopped are waited for; what they do after that costs nothing
CLOSED = "This client was closed before it was done"
UNPAID = "Nothing of it was sent; the same call, by a new client, does it."
ANEW = "The server on this machine ended with it; the same call, by a new client, does it anew."
UNKNOWN = "It may have been sent: the same call, by a new client, finds that out, and pays for nothing twice."
NO_RECEIPT = (
    "It may be paid, and there is no receipt: `doc2x fetch {uid} --to FMT` tells, and fetches it within 24 hours."
)
TO_FETCH = (
    "It is paid: within 24 hours `doc2x fetch {uid} --to FMT`, `client.fetch({uid!r})`, or the same call, by a new "
    "client, goes on with it and pays nothing."
)


class Calls:
    """The calls of one client. Safe to use from threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._threads: list[int] = []

    @contextmanager
    def one(self, kit: Kit, uid: str | None = None) -> Iterator[Kit]:
        """Yield the kit for a call, whose waits end once the client is closed: its `stop` is set.

        Raises `ConfigError` then, with the uid where there is one; its advice tells what was sent. `uid` is that of the
        parse, where it is known before.
        """
        here = threading.get_ident()
        with self._changed:
            self._threads.append(here)
        try:
            yield kit.stoppable(kit.stop)
        except Stopped as stopped:
            raise closed(kit, stopped.about(uid=uid), is_paid=uid is not None) from None
        except (LedgerError, NetworkError) as error:  # the ledger was closed, or the server ended, in the middle of it
            if not kit.stop.is_set() or error.advice != error.advice_by_default:
                raise
            end = Stopped().about(uid=error.uid or uid, source=error.source)
            raise closed(kit, end, is_paid=uid is not None) from error
        finally:
            with self._changed:
                self._threads.remove(here)
                self._changed.notify_all()

    def leave(self) -> None:
        """Wait a little for the calls of other threads to end, so that their receipts are written."""
        here = threading.get_ident()
        end = time.monotonic() + LEAVE_WITHIN
        with self._changed:
            while any(each != here for each in self._threads) and time.monotonic() < end:
                self._changed.wait(max(0.0, end - time.monotonic()))


def closed(kit: Kit, stopped: Stopped, *, is_paid: bool) -> ConfigError:
    """Return the error of a call that the end of its client cut short, and that says what is safe."""
    uid, states = stopped.uid, stopped.states
    if kit.account == LOCAL:
        advice = ANEW
    elif is_paid or (states and states <= ARRIVED):
        advice = TO_FETCH.format(uid=uid)
    elif states <= UNSENT and (states or uid is None):
        advice = UNPAID
    elif kit.ledger is None and uid is not None:
        advice = NO_RECEIPT.format(uid=uid)
    else:
        advice = UNKNOWN
    return ConfigError(CLOSED, uid=uid, source=stopped.source, advice=advice)
