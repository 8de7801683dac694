"""The calls of a client about many documents, what they would cost, and what was paid for earlier."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakSet

from doc2x_sdk import config
from doc2x_sdk.arguments import callback, count_of, flag, folder, formats_of, of_kind, several, text
from doc2x_sdk.errors import LedgerError
from doc2x_sdk.flow import pipeline
from doc2x_sdk.flow.budget import Budget
from doc2x_sdk.flow.wish import Wish, parse_options
from doc2x_sdk.ledger.rows import ParseRow, read_jobs
from doc2x_sdk.models import Document, ExportOptions, Model, ParseOptions, ProgressCallback
from doc2x_sdk.service.readers import known_uid
from doc2x_sdk.steps import Steps

if TYPE_CHECKING:
    from doc2x_sdk.batch import BatchRun, Quote, RescueRun

__all__ = ["Batches", "To"]

To = str | Iterable[str]


class Batches(Steps):
    """What `Doc2X` can do with many documents, and with what was paid for."""

    _runs: WeakSet[BatchRun | RescueRun]
    _ledger_fault: LedgerError | None

    def convert_many(
        self,
        sources: Iterable[str | os.PathLike[str]],
        *,
        to: To,
        out: str | os.PathLike[str],
        result_name: str = "{stem}",
        overwrite: bool = False,
        model: Model | None = None,
        parse: ParseOptions | None = None,
        formula: Literal["normal", "dollar"] = "normal",
        formula_level: Literal[0, 1, 2] | None = None,
        merge_tables: bool | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        force: bool = False,
        retry_unknown: bool = False,
        retry_failed: bool = False,
        jobs: int | None = None,
        max_pages: int | None = None,
        fail_fast: bool = False,
        on_progress: ProgressCallback | None = None,
    ) -> BatchRun:
        """Convert many files and yield what becomes of each, as they finish.

        The arguments that `convert` has mean the same; memory does not grow with the number of files, and closing the
        iterator stops the batch. Running it again goes on where it was: what is done is not touched, what was paid is
        not paid again. Two inputs of one name: the later one's results are named `{stem}-<8 digits of its sha256>`.

        Args:
            sources: paths, relative ones from the folder that the program is in at this call; a generator is read ahead
                by a few dozen, in worker threads, one at a time; one that blocks at the end of a batch is left alone.
            to: as for `convert`.
            out: as for `convert`.
            result_name: as for `convert`.
            overwrite: as for `convert`.
            model: as for `convert`.
            parse: as for `convert`.
            formula: as for `convert`.
            formula_level: as for `convert`.
            merge_tables: as for `convert`.
            options: as for `convert`.
            force: as for `convert`.
            retry_unknown: as for `convert`.
            retry_failed: as for `convert`.
            jobs: most documents at a time; None lets the account's limits decide.
            max_pages: stop before more pages than these are paid for.
            fail_fast: stop at the first error.
            on_progress: called from worker threads.

        Raises:
            LedgerError: there is no ledger that can be written; a batch does not run without.
            ConfigError: an unknown format or option, a number that is none, or one path in place of many.
        """
        from doc2x_sdk.batch import Batch, BatchRun  # noqa: PLC0415 - only many documents need it

        if self._kit.ledger is None:
            raise self._ledger_fault or LedgerError("A batch needs a ledger")
        wish = Wish(
            self._kit.formats.plan(to, options),
            parse_options(model, parse),
            ExportOptions(formula, formula_level, merge_tables),
            folder(out, needed=True),
            result_name,
            overwrite,
            force,
            retry_unknown,
            retry_failed,
        )
        flag(fail_fast, "fail_fast")
        callback(on_progress)
        kit = replace(self._kit, budget=Budget(count_of(max_pages, "max_pages", least=0)))
        batch = Batch(
            several(sources),
            self._checked(wish),
            kit,
            jobs=count_of(jobs, "jobs", least=1),
            fail_fast=fail_fast,
            on_progress=on_progress,
        )
        run = BatchRun(batch, self)
        self._runs.add(run)
        return run

    def quote(
        self,
        sources: Iterable[str | os.PathLike[str]],
        *,
        to: To = (),
        out: str | os.PathLike[str] | None = None,
        result_name: str = "{stem}",
        overwrite: bool = False,
        model: Model | None = None,
        parse: ParseOptions | None = None,
        formula: Literal["normal", "dollar"] = "normal",
        formula_level: Literal[0, 1, 2] | None = None,
        merge_tables: bool | None = None,
        pages: str | None = None,
        force: bool = False,
        retry_unknown: bool = False,
        retry_failed: bool = False,
    ) -> Quote:
        """Tell what `convert_many` would do with each input and what that would cost; nothing is sent.

        Iterate over the quote for the verdicts; its sums grow as it goes, and `all()` takes it to its end. The
        arguments are those of `convert_many`.

        Raises:
            ConfigError: an unknown format or option.
        """
        from doc2x_sdk.batch import Quote  # noqa: PLC0415 - only many documents need it

        wish = Wish(
            self._kit.formats.plan(to),
            parse_options(model, parse),
            ExportOptions(formula, formula_level, merge_tables),
            out=folder(out),
            name=result_name,
            overwrite=overwrite,
            force=force,
            retry_unknown=retry_unknown,
            retry_failed=retry_failed,
            pages=pages,
        )
        if self._kit.ledger is not None:
            with suppress(LedgerError):  # a quote only reads
                self._kit.ledger.flush()  # what this client has just paid is not quoted again
        return Quote(several(sources), self._checked(wish), self._kit)

    def fetch(
        self,
        uid: str,
        *,
        to: To = (),
        out: str | os.PathLike[str] | None = None,
        result_name: str = "{uid}",
        overwrite: bool = False,
        formula: Literal["normal", "dollar"] = "normal",
        formula_level: Literal[0, 1, 2] | None = None,
        merge_tables: bool | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> Document:
        """Wait for a parse that was paid earlier and export it; costs nothing. The arguments are those of `convert`.

        Raises:
            TaskFailed: the service does not know the uid, or no longer: results live for 24 hours.
        """
        wish = Wish(
            self._kit.formats.plan(to, options),
            export=ExportOptions(formula, formula_level, merge_tables),
            out=folder(out),
            name=result_name,
            overwrite=overwrite,
        )
        with self._calls.one(self._kit, uid) as kit:
            return pipeline.fetch(known_uid(uid), self._checked(wish, is_paid=True), kit, on_progress=on_progress)

    def jobs(
        self,
        *,
        states: tuple[str, ...] = (),
        uid: str | None = None,
        source: str | None = None,
        unfinished: bool = False,
        newest_first: bool = False,
    ) -> Iterator[ParseRow]:
        """Yield the receipts of this account; see `doc2x_sdk.ledger.rows.read_jobs`, which needs no client.

        Raises `ConfigError` for what is no text where one is taken.
        """
        of_kind(states, tuple | list, "states", "a tuple of states")
        for value, name in ((uid, "uid"), (source, "source"), *((state, "states") for state in states)):
            text(value, name)
        if self._kit.ledger is not None:
            self._kit.ledger.flush()
        return read_jobs(
            config.ledger_path(self.settings),
            states=states,
            uid=uid,
            account=self._kit.account,
            source=source,
            unfinished=unfinished,
            newest_first=newest_first,
        )

    def rescue(
        self,
        out: str | os.PathLike[str] | None = None,
        *,
        to: To = "md",
        jobs: int | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> RescueRun:
        """Fetch everything that was paid for in the last 24 hours and is not there yet, and yield it as it comes.

        The most urgent is begun first. It costs nothing. What another process works on is left to it. Closing the
        iterator stops it, and its `remaining()` tells what is still to be fetched.

        Args:
            out: a folder for all of it; None takes the place that was stored with each result.
            to: the formats of what has none stored with it, such as a part of a book.
            jobs: most documents at a time; 8 by default.
            on_progress: called from worker threads.

        Raises:
            LedgerError: there is no ledger to read.
            ConfigError: an unknown format, or `jobs` is no number from 1.
        """
        from doc2x_sdk.batch import Rescue, RescueRun  # noqa: PLC0415 - only many documents need it

        if self._kit.ledger is None:
            raise self._ledger_fault or LedgerError("Without a ledger nothing is known")
        formats = formats_of(to)
        self._kit.formats.plan(formats)
        callback(on_progress)
        rescue = Rescue(self._kit, out=folder(out), to=formats, on_progress=on_progress)
        run = RescueRun(rescue, self, jobs=count_of(jobs, "jobs", least=1))
        self._runs.add(run)
        return run
