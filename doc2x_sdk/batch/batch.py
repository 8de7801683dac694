"""A batch: checked ahead, the longest first, one document after another through as many workers as the slots allow.

Results come as they finish. A file's error is its own; what concerns them all (the key, the quota, the budget, the
disk, the ledger) stops the rest, which are reported as not sent. A service that gives no answer is waited for.
"""

from __future__ import annotations

import logging
import operator
import os
import threading
from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from doc2x_sdk.batch.done import STOPPING, Done, unexpected
from doc2x_sdk.batch.ends import Ends
from doc2x_sdk.batch.feed import Checked, Feed
from doc2x_sdk.batch.names import Names
from doc2x_sdk.batch.outage import Outage, Visit
from doc2x_sdk.batch.room import WORKERS_MOST, once_open, workers_most
from doc2x_sdk.batch.workers import Workers
from doc2x_sdk.clock import Deadline
from doc2x_sdk.errors import BudgetExceeded, Doc2XError, LedgerError, NetworkError, RateLimit
from doc2x_sdk.flow.callbacks import call_back
from doc2x_sdk.flow.kit import Kit, Stopped
from doc2x_sdk.flow.pipeline import convert_source
from doc2x_sdk.flow.silence import Silence
from doc2x_sdk.flow.source import open_source
from doc2x_sdk.flow.staging import staging
from doc2x_sdk.flow.wish import Wish
from doc2x_sdk.models import Document, Progress, ProgressCallback
from doc2x_sdk.processor import all_processors, share_one_processor

__all__ = ["Batch"]

log = logging.getLogger("doc2x_sdk")

WORKERS_FIRST = 14
WORKERS_A_SLOT = 5  # of several formats a document's exports take a few times as long as its parse
WORKERS_SPARE = 4
PAUSE_WHEN_FULL = 5.0  # seconds before a document that the service stayed too full for is tried again


class Batch:
    """One batch. Iterate over `results()` once.

    Args:
        paths: the inputs; may be a generator of any length, which is read ahead by a few dozen.
        wish: what each is to become.
        kit: of the client; must have a ledger.
        jobs: most documents at a time; None lets the account's limits decide.
        fail_fast: stop at the first error.
        on_progress: called from the workers' threads.
    """

    def __init__(
        self,
        paths: Iterable[str | os.PathLike[str]],
        wish: Wish,
        kit: Kit,
        *,
        jobs: int | None = None,
        fail_fast: bool = False,
        on_progress: ProgressCallback | None = None,
    ) -> None:
        self.stop, self._hold = threading.Event(), threading.Event()
        kit = kit.stoppable(self.stop)
        self._plain, clock = kit.clock, kit.clock._replace(sleep=self._sleep)
        silence = Silence(kit.settings.outage)
        self._kit = replace(
            kit,
            clock=clock,
            hold=self._hold,
            in_batch=True,
            silence=silence,
            aside=lambda: self._outage.step_aside(self._visit),
        )
        self._wish = wish
        self._ends = Ends(self._kit)
        self._names = Names(wish, self._kit)
        self._expected = operator.length_hint(paths, WORKERS_MOST)
        self._feed = Feed(paths, self._names.reserve, self._check, clock)
        self._workers = Workers(self._work, self.stop, "doc2x")
        self._most = min(workers_most(kit.account), jobs or WORKERS_MOST)
        self._fail_fast = fail_fast
        self._on_progress = on_progress
        self._outage = Outage(
            self._plain,
            kit.settings.outage,
            self._kit.check_stop,
            silence,
            patience=kit.settings.patience,
        )
        self._local = threading.local()
        self._guard = threading.Lock()
        self.reason: Doc2XError | None = None
        """What let no further document begin; None while nothing did."""
        self._running = 0

    @property
    def _visit(self) -> Visit | None:
        """What is known of the document that this thread works on."""
        return getattr(self._local, "visit", None)

    @property
    def in_flight(self) -> int:
        """How many documents are being worked on."""
        return self._running

    def results(self) -> Generator[Done]:
        """Start the workers and yield what becomes of each input, in finishing order; closing it stops the batch.

        Raises `OutputError` before the first when the output folder can't be written, what `paths` raised, once the
        documents that were begun have ended, and at once what ends a process, where a callback raised it.
        """
        self._kit.sweep(self._wish.out)
        with staging(self._wish.out, told=self._wish.given):
            pass
        if self._kit.settings.one_processor and self._kit.ledger is not None:
            self._kit.ledger.share_one_processor()
        try:
            self._hire()
            yield from self._workers.results(idle=self._grow, away=self._away)
            if self.reason is not None:
                for checked in self._feed.left_over():
                    yield self._ends.stopped(checked, self.reason)
                for name in self._feed.rest(self.stop.is_set):
                    yield self._ends.not_sent(name, self.reason)
        finally:
            self.close()
        yield from self._workers.left()
        failure = self._workers.failure or self._feed.failure
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Stop: nothing more is uploaded, and what was paid stays in the ledger."""
        self.stop.set()
        self._feed.wake()
        if self._workers.leave() and self._kit.ledger is not None:
            with suppress(LedgerError):
                self._kit.ledger.flush()

    def _sleep(self, seconds: float) -> None:
        """Sleep; a document at work then waits while the service gives no answer."""
        if self._visit is None:
            self._plain.sleep(seconds)
        else:
            self._outage.sleep(self._visit, seconds)

    def _progress(self, progress: Progress) -> None:
        """Pass a step on; one of the parse comes with an answer of the service."""
        if progress.stage == "parse":
            self._outage.over(self._visit)
        if self._on_progress is not None:
            with all_processors():
                call_back(self._on_progress, progress)

    def _hire(self) -> None:
        """Start as many workers as the account's slots can use: some parse while others export."""
        most, limit = min(self._most, max(1, self._expected)), WORKERS_FIRST
        if self._workers.are(most):
            return
        if self._kit.ledger is not None:
            with suppress(LedgerError):  # told by the next document
                slots = self._kit.ledger.task_limit(self._kit.account)
                limit = max(limit, int(WORKERS_A_SLOT * slots) + WORKERS_SPARE)
        self._workers.hire(min(limit, most))

    def _work(self) -> None:
        """Convert documents until there are none or the batch is stopped."""
        if self._kit.settings.one_processor:
            share_one_processor()
        with suppress(Stopped):
            while (checked := self._feed.next(self._is_over)) is not None:
                done = checked if isinstance(checked, Done) else self._counted(checked)
                if done is not None:
                    self._judge(done)
                    self._workers.give(done)

    def _away(self) -> int:
        """Return how many threads are in the caller's generator although nothing more is to begin: one at most."""
        return int(self._is_over() and self._feed.is_asking)

    def _is_over(self) -> bool:
        return self.stop.is_set() or self.reason is not None

    def _check(self, path: Path, called: str, number: int, template: str) -> Checked | Done:
        """Check a path and fix the name of its results."""

        def check() -> Checked:
            with open_source(path, self._kit.settings, name=called) as source:
                name = self._names.settle(template, source)
                return Checked((-source.pages, number), source, self._wish._replace(name=name))

        try:
            return once_open(check, self._plain, self._is_over)
        except Doc2XError as error:
            return Done(called, error=error)
        except Exception as error:  # noqa: BLE001 - no file may end the others
            return Done(called, error=unexpected(error, called))

    def _counted(self, checked: Checked) -> Done | None:
        with self._guard:
            self._running += 1
        try:
            with self._outage.visit(checked.visit) as visit:
                self._local.visit = visit
                return self._convert(checked, visit)
        finally:
            self._local.visit = None
            with self._guard:
                self._running -= 1

    def _convert(self, checked: Checked, visit: Visit) -> Done | None:
        """Convert one document; a service that gives no answer, or stays full, is waited for. None: it was put off."""
        name = checked.source.name
        give_up = self._kit.clock.deadline(self._kit.settings.parse_timeout)
        while True:
            try:
                self._outage.enter(visit)
                document = self._converted(checked)
            except Stopped:
                if self.stop.is_set():
                    raise
                return self._ends.stopped(checked, self.reason)
            except (NetworkError, RateLimit) as error:
                if not self._may_try_again(error, visit, give_up):
                    return self._failed(checked, error)
                if self._is_put_off(checked):
                    return None
            except Doc2XError as error:
                self._outage.refused(error)
                return self._failed(checked, error)
            except Exception as error:  # no document may end the others
                log.debug("%s: unexpected", name, exc_info=True)
                return Done(name, error=unexpected(error, name))
            else:
                self._outage.over()
                return Done(name, document=document)

    def _is_put_off(self, checked: Checked) -> bool:
        """Let others go first while this document's upload does not get through; perhaps theirs does.

        Where a parse is what gives no answer, others would only be paid and not be heard of either.
        """
        if not (checked.visit.fails_for_long and self._ends.is_not_there(checked) and self._feed.put_off(checked)):
            return False
        log.info("%s: its upload does not get through; it is tried again after the others", checked.source.name)
        return True

    def _failed(self, checked: Checked, error: Doc2XError) -> Done:
        is_outage = self._outage.reason is not None and isinstance(error, NetworkError)
        return self._ends.failed(checked, error, self.reason if is_outage else None)

    def _may_try_again(self, error: NetworkError | RateLimit, visit: Visit, give_up: Deadline) -> bool:
        """Wait before the next try; False when the document, or the service, took too long."""
        if isinstance(error, NetworkError):
            goes_on = self._outage.silent(visit, error)
            if self._outage.reason is not None:
                self._end(self._outage.reason)
            return goes_on
        self._outage.over()
        pause = max(PAUSE_WHEN_FULL, error.retry_after or 0.0)
        if pause > give_up.left():
            return False
        self._kit.clock.sleep(pause)
        return True

    def _converted(self, checked: Checked) -> Document:
        def convert() -> Document:
            checked.source.check_unchanged()
            return convert_source(checked.source, checked.wish, self._kit, on_progress=self._progress)

        return once_open(convert, self._plain, self._is_over)

    def _judge(self, done: Done) -> None:
        """Stop the batch for what concerns all; otherwise see whether there is room for more workers."""
        if done.error is not None and (self._fail_fast or isinstance(done.error, STOPPING)):
            refusal = None if done.sent else done.error.__cause__
            self._end(refusal if isinstance(refusal, Doc2XError) else done.error)
        elif done.error is None:
            self._grow()

    def _grow(self) -> None:
        """Start more workers where the slots have grown and documents are left."""
        if not (self._feed.is_empty or self._is_over()):
            self._hire()

    def _end(self, reason: Doc2XError) -> None:
        """Begin nothing more; what was paid goes on."""
        with self._guard:
            if self.reason is None:
                self.reason = reason
                log.info("the batch stops: %s", reason)
        if not isinstance(reason, BudgetExceeded):  # whoever has his pages of the budget may spend them
            self._hold.set()
        self._feed.wake()
