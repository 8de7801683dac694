"""The front door: `Doc2X`, a blocking client that is safe to use from many threads."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self
from weakref import WeakSet

# Here, and not at the end of the chain of imports below: CPython 3.11 keeps frames in pieces of 16 KB, and a call that
# crosses the end of one maps and unmaps the next. So deep down that happened thousands of times in these modules.
import requests  # noqa: F401

from doc2x_sdk import config
from doc2x_sdk.arguments import count_of, folder, keywords
from doc2x_sdk.batches import Batches, To
from doc2x_sdk.clock import Clock
from doc2x_sdk.errors import ConfigError, LedgerError
from doc2x_sdk.flow import pipeline
from doc2x_sdk.flow.budget import Budget
from doc2x_sdk.flow.calls import Calls
from doc2x_sdk.flow.fetch import ExportSlots
from doc2x_sdk.flow.kit import Kit
from doc2x_sdk.flow.receipts import tell_of_another_key
from doc2x_sdk.flow.source import Input
from doc2x_sdk.flow.wish import Wish, parse_options
from doc2x_sdk.formats.registry import Formats
from doc2x_sdk.ledger.ledger import Ledger
from doc2x_sdk.ledger.rows import LOCAL
from doc2x_sdk.models import Document, ExportOptions, Model, ParseOptions, ProgressCallback
from doc2x_sdk.service.generations import open_service

if TYPE_CHECKING:
    from doc2x_sdk.ledger.archive import Archive
    from doc2x_sdk.local.child import LocalProcess

__all__ = ["Doc2X"]

log = logging.getLogger("doc2x_sdk")

GO_ON = "Close it after the last result; the same call, by a new client, goes on with what was paid."
OF_THIS_MACHINE = ("ledger", "archive", "archive_days", "archive_size", "exporter_timeout")
"""Settings that are not about an account or its service, so that they count for `Doc2X.local` too."""


class Doc2X(Batches):
    """A client of the Doc2X service.

    It blocks, needs no event loop and works inside one, and may be shared by threads. Use it as a context manager, or
    call `close`.

    Args:
        apikey: the account's key; otherwise DOC2X_APIKEY, DOC2X_API_KEY, or the file that `doc2x config set-key` wrote.
        api: the generation of the service: "v2", or "v1", which tells the quota and translates.
        clock: time and chance, for tests.
        formats: the derived formats; by default the built-in ones and those of installed plugins.
        environ: the environment; by default the process's own.
        **settings: any of `doc2x_sdk.config.Settings` by name, such as `parse_timeout=600`.

    Raises:
        ConfigError: there is no key, or a setting is wrong. Nothing was sent.
    """

    def __init__(
        self,
        apikey: str | None = None,
        *,
        api: config.Generation = "v2",
        clock: Clock | None = None,
        formats: Formats | None = None,
        environ: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        loaded = config.load(apikey=apikey, environ=environ, api=api, **settings)
        self._child: LocalProcess | None = None
        self._engine = ""
        self._open(api, loaded, clock or Clock(), formats or Formats.installed(environ), environ)

    def _open(
        self,
        api: config.Generation,
        loaded: config.Configuration,
        clock: Clock,
        formats: Formats,
        environ: Mapping[str, str] | None,
    ) -> None:
        self.settings = loaded.settings
        if loaded.key is None:
            raise config.no_key()
        service = open_service(api, loaded, clock=clock, environ=environ)
        account = LOCAL if self._child is not None else loaded.settings.account or loaded.key.fingerprint()
        self._ledger_fault: LedgerError | None = None
        self._runs, self._calls = WeakSet(), Calls()
        self._kit = Kit(service, loaded.settings, clock, formats, ExportSlots(), self._open_ledger(clock), account)
        self._kit = replace(self._kit, archive=self._open_archive(clock))
        if self._kit.ledger is not None and account not in (LOCAL, loaded.settings.account):
            self._kit = replace(self._kit, other_keys=tell_of_another_key(self._kit.ledger, account, clock.now()))

    def _open_ledger(self, clock: Clock) -> Ledger | None:
        """Open the ledger; without a usable one single documents go on, with a warning, and batches refuse."""
        try:
            return Ledger(config.ledger_path(self.settings), clock=clock)
        except LedgerError as error:
            log.warning("receipts are not kept: %s", error)
            self._ledger_fault = error
            return None

    def _open_archive(self, clock: Clock) -> Archive | None:
        """Open the archive where it is wanted; it is beside the ledger, and not used without one.

        What the engine of this machine makes is never found for a service, nor that of one service for another.
        """
        settings, ledger = self.settings, self._kit.ledger
        if not settings.archive or ledger is None:
            return None
        from doc2x_sdk.ledger.archive import Archive, archive_of  # noqa: PLC0415 - off unless asked for

        service = self._engine or self._kit.service.transport.base_url
        days, size = settings.archive_days, settings.archive_size
        try:
            return Archive(archive_of(ledger.path), service=service, days=days, size=size, clock=clock)
        except LedgerError as error:
            log.warning("the archive is not used: %s", error)
            return None

    @classmethod
    def local(
        cls,
        *,
        api: config.Generation = "v2",
        server: Mapping[str, Any] | None = None,
        clock: Clock | None = None,
        formats: Formats | None = None,
        **settings: Any,
    ) -> Self:
        """Start Doc2X on this machine, as a child process that ends with the client, and return its client.

        It needs no account: a document engine stands behind the same protocol. Of the environment and the config file
        only those settings count that are not about an account or its service: `ledger`, `archive`, `archive_days`,
        `archive_size` and `exporter_timeout`.

        Args:
            api: as for the client.
            server: `doc2x_sdk.local.settings.ServerSettings` by name, such as `{"page_limit": 40}`.
            clock: as for the client.
            formats: as for the client.
            **settings: as for the client.

        Raises:
            ConfigError: the extra `local` is not installed, the server did not start, or a setting is wrong.
        """
        from doc2x_sdk.local import child, extra  # noqa: PLC0415 - an extra, and only here
        from doc2x_sdk.local.settings import ServerSettings  # noqa: PLC0415

        told = ServerSettings(**keywords(server, [each.name for each in fields(ServerSettings)], "server"))
        process = child.start(told)
        try:
            settings = {"base_url": process.url, "v1_base_url": process.url, **settings}
            loaded = config.load(apikey=process.key, api=api, only=OF_THIS_MACHINE, **settings)
            client = cls.__new__(cls)
            client._child = process
            client._engine = extra.engine_name(told.chunk_pages)
            client._open(api, loaded, clock or Clock(), formats or Formats.installed(), None)
            process.end_with(client)
        except BaseException:
            process.close()
            raise
        return client

    def close(self) -> None:
        """Stop batches, rescues and calls of other threads, close the connections, and end the server of `local`."""
        self._closed = True
        self._kit.stop.set()
        for run in list(self._runs):
            run.cut_short(ConfigError("This client was closed before all was done", advice=GO_ON))
        self._calls.leave()
        self._kit.service.close()
        if self._kit.ledger is not None:
            self._kit.ledger.close()
        if self._child is not None:
            self._child.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        kit = getattr(self, "_kit", None)  # none yet where making it failed
        return f"Doc2X({kit.service.transport.base_url!r})" if kit is not None else "Doc2X(not made)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client holds a key and connections and can't be pickled or copied; make one where needed")

    @property
    def formats(self) -> Formats:
        """The formats that `to` takes."""
        return self._kit.formats

    def convert(
        self,
        source: Input,
        *,
        to: To = (),
        out: str | os.PathLike[str] | None = None,
        name: str | None = None,
        result_name: str = "{stem}",
        overwrite: bool = False,
        model: Model | None = None,
        parse: ParseOptions | None = None,
        formula: Literal["normal", "dollar"] = "normal",
        formula_level: Literal[0, 1, 2] | None = None,
        merge_tables: bool | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        pages: str | None = None,
        force: bool = False,
        retry_unknown: bool = False,
        retry_failed: bool = False,
        max_pages: int | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> Document:
        """Convert a PDF or a picture and return its pages and files.

        What was paid before is not paid again: the same bytes with the same parse options go on with their uid as long
        as the service keeps it, under whatever name they come. With the setting `archive`, what is wanted is taken from
        the archive where all of it is there, see `Document.archived`.

        Args:
            source: a path, bytes, or a file open in binary mode.
            to: formats: md, md_dollar, tex, docx, json, txt, and what plugins offer; none gives the pages alone.
            out: the folder of the results; None keeps them in memory, see `Document.contents`.
            name: what to call bytes or an open file; its stem names the results.
            result_name: template of the results' name, with {stem}, {uid} and {date}.
            overwrite: replace results that are there; otherwise they are left, and nothing is paid for when all are.
            model: "v2" or "v3-2026"; None leaves it to the service.
            parse: more options of the parse, those of v1 among them; `model` counts before its own.
            formula: "normal" or "dollar" delimiters in md and tex.
            formula_level: 0 keeps formulas, 1 flattens inline ones, 2 all; of parses by v3-2026.
            merge_tables: join tables that run over pages.
            options: format -> the options of its exporter, or post-processor -> its options; see `doc2x formats NAME`.
            pages: the only pages to be parsed and paid for, such as "1-10,15" or "20-"; they keep their numbers.
            force: pay for the parse again, on purpose, also where the archive has it.
            retry_unknown: pay again where nobody can tell whether an earlier attempt was paid.
            retry_failed: parse again, and pay for, what the service gave up earlier.
            max_pages: pay for no more pages than these.
            on_progress: called with a `Progress` at each step, in this thread.

        Raises:
            BudgetExceeded: it would cost more than `max_pages`.
            OutcomeUnknown: an earlier attempt may have been paid; see `retry_unknown`.
            TaskFailed: the service gave it up, now or earlier; see `retry_failed`.
            ConfigError: an unknown format or option, nothing was sent; or the client was closed, and it says what was.
            FileError: the input can't be used; nothing was sent.
            WaitTimeout: the service is still at work; the uid in the error goes on.
            Doc2XError: all else, see `doc2x_sdk.errors`.
        """
        wish = Wish(
            self.formats.plan(to, options),
            parse_options(model, parse),
            ExportOptions(formula, formula_level, merge_tables),
            folder(out),
            result_name,
            overwrite,
            force,
            retry_unknown,
            retry_failed,
            pages,
        )
        budget = Budget(count_of(max_pages, "max_pages", least=0))
        with self._calls.one(replace(self._kit, budget=budget)) as kit:
            return pipeline.convert(source, self._checked(wish), kit, name=name, on_progress=on_progress)
