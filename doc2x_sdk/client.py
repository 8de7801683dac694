"""The front door: `Doc2X`, a blocking client that is safe to use from many threads."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self
from weakref import WeakSet

from doc2x_sdk import config
from doc2x_sdk.batch import Batch, BatchRun, Done, Quote, Rescue
from doc2x_sdk.clock import Clock
from doc2x_sdk.errors import ConfigError, FileError, LedgerError, PagesLimitExceeded
from doc2x_sdk.flow import pipeline
from doc2x_sdk.flow.download import download
from doc2x_sdk.flow.export import export
from doc2x_sdk.flow.fetch import ExportSlots
from doc2x_sdk.flow.kit import Budget, Kit, Reporter, Wish
from doc2x_sdk.flow.parse import ask_for, send
from doc2x_sdk.flow.publish import publish_file
from doc2x_sdk.flow.source import Input, open_source
from doc2x_sdk.flow.upload import SourceBody
from doc2x_sdk.flow.wait import Ask, wait
from doc2x_sdk.formats.registry import Formats
from doc2x_sdk.ledger.ledger import Ledger
from doc2x_sdk.ledger.rows import ParseRow, read_jobs
from doc2x_sdk.models import (
    NATIVE_FORMATS,
    Document,
    ExportLink,
    ExportOptions,
    ImageResult,
    ParseOptions,
    ParseStatus,
    ProgressCallback,
    Translation,
)
from doc2x_sdk.service.generations import open_service
from doc2x_sdk.service.readers import known_uid
from doc2x_sdk.service.session import no_key
from doc2x_sdk.service.translations import warn_about_translation

if TYPE_CHECKING:
    from doc2x_sdk.local.child import LocalProcess

__all__ = ["Doc2X"]

log = logging.getLogger("doc2x_sdk")

Model = Literal["v2", "v3-2026"]
To = str | Iterable[str]


class Doc2X:
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
            raise no_key()
        service = open_service(api, loaded, clock=clock, environ=environ)
        account = "local" if self._child is not None else loaded.settings.account or loaded.key.fingerprint()
        self._ledger_fault: LedgerError | None = None
        self._batches: WeakSet[BatchRun] = WeakSet()
        self._kit = Kit(
            service,
            loaded.settings,
            clock,
            formats,
            ExportSlots(),
            self._open_ledger(clock),
            account,
        )

    def _open_ledger(self, clock: Clock) -> Ledger | None:
        """Open the ledger; without a usable one single documents go on, with a warning, and batches refuse."""
        try:
            return Ledger(config.ledger_path(self.settings), clock=clock)
        except LedgerError as error:
            log.warning("receipts are not kept: %s", error)
            self._ledger_fault = error
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

        It needs no account: a document engine stands behind the same protocol. No setting of a real account is used.

        Args:
            api: as for the client.
            server: `doc2x_sdk.local.settings.ServerSettings` by name, such as `{"page_limit": 40}`.
            clock: as for the client.
            formats: as for the client.
            **settings: as for the client.

        Raises:
            ConfigError: the extra `local` is not installed, or the server did not start.
        """
        from doc2x_sdk.local import child  # noqa: PLC0415 - an extra, and only here
        from doc2x_sdk.local.settings import ServerSettings  # noqa: PLC0415

        process = child.start(ServerSettings(**(server or {})))
        try:
            # The variables of an account must not lead here; those of proxies and CAs stay.
            environ = {name: value for name, value in os.environ.items() if not name.startswith("DOC2X_")}
            environ["DOC2X_CONFIG"] = os.devnull
            if os.environ.get("DOC2X_LEDGER"):
                environ["DOC2X_LEDGER"] = os.environ["DOC2X_LEDGER"]
            settings = {"base_url": process.url, "v1_base_url": process.url, **settings}
            loaded = config.load(apikey=process.key, environ=environ, api=api, **settings)
            client = cls.__new__(cls)
            client._child = process
            client._open(api, loaded, clock or Clock(), formats or Formats.installed(), environ)
        except BaseException:
            process.close()
            raise
        return client

    def close(self) -> None:
        """Stop what batches still do, close the connections, and end the server that `local` started."""
        for batch in list(self._batches):
            batch.close()
        self._kit.service.close()
        if self._kit.ledger is not None:
            self._kit.ledger.close()
        if self._child is not None:
            self._child.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Doc2X({self._kit.service.transport.base_url!r})"

    def __reduce__(self) -> NoReturn:
        msg = "a client holds a key and connections and can't be pickled or copied; make one where it is needed"
        raise TypeError(msg)

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
        max_pages: int | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> Document:
        """Convert a PDF or a picture and return its pages and files.

        What was paid before is not paid again: the same bytes with the same parse options go on with their uid as long
        as the service keeps it, under whatever name they come.

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
            force: pay for the parse again, on purpose.
            retry_unknown: pay again where nobody can tell whether an earlier attempt was paid.
            max_pages: pay for no more pages than these.
            on_progress: called with a `Progress` at each step, in this thread.

        Raises:
            BudgetExceeded: it would cost more than `max_pages`.
            OutcomeUnknown: an earlier attempt may have been paid; see `retry_unknown`.
            ConfigError: an unknown format or option; nothing was sent.
            FileError: the input can't be used; nothing was sent.
            WaitTimeout: the service is still at work; the uid in the error goes on.
            Doc2XError: all else, see `doc2x_sdk.errors`.
        """
        wish = Wish(
            self.formats.plan(to, options),
            parse_options(model, parse),
            ExportOptions(formula, formula_level, merge_tables),
            None if out is None else Path(out),
            result_name,
            overwrite,
            force,
            retry_unknown,
            pages=pages,
        )
        kit = replace(self._kit, budget=Budget(max_pages))
        return pipeline.convert(source, self._checked(wish), kit, name=name, on_progress=on_progress)

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
            sources: paths; a generator is read ahead by a few dozen.
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
            retry_failed: parse again what the service gave up in an earlier run.
            jobs: most documents at a time; None lets the account's limits decide.
            max_pages: stop before more pages than these are paid for.
            fail_fast: stop at the first error.
            on_progress: called from worker threads.

        Raises:
            LedgerError: there is no ledger that can be written; a batch does not run without.
            ConfigError: an unknown format or option.
        """
        if self._kit.ledger is None:
            raise self._ledger_fault or LedgerError("A batch needs a ledger")
        wish = Wish(
            self.formats.plan(to, options),
            parse_options(model, parse),
            ExportOptions(formula, formula_level, merge_tables),
            Path(out),
            result_name,
            overwrite,
            force,
            retry_unknown,
            retry_failed,
        )
        kit = replace(self._kit, budget=Budget(max_pages))
        batch = Batch(sources, self._checked(wish), kit, jobs=jobs, fail_fast=fail_fast, on_progress=on_progress)
        run = BatchRun(batch)
        self._batches.add(run)
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
        wish = Wish(
            self.formats.plan(to),
            parse_options(model, parse),
            out=None if out is None else Path(out),
            name=result_name,
            overwrite=overwrite,
            force=force,
            retry_unknown=retry_unknown,
            retry_failed=retry_failed,
            pages=pages,
        )
        return Quote(sources, self._checked(wish), self._kit)

    def jobs(
        self,
        *,
        states: tuple[str, ...] = (),
        uid: str | None = None,
        source: str | None = None,
        unfinished: bool = False,
        newest_first: bool = False,
    ) -> Iterator[ParseRow]:
        """Yield the receipts of this account; see `doc2x_sdk.ledger.rows.read_jobs`, which needs no client."""
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
        on_progress: ProgressCallback | None = None,
    ) -> Iterator[Done]:
        """Fetch everything that was paid for in the last 24 hours and is not there yet, the most urgent first.

        It costs nothing. What another process works on is left to it.

        Args:
            out: a folder for all of it; None takes the place that was stored with each result.
            to: the formats of what has none stored with it, such as a part of a book.
            on_progress: called at each step, in this thread.

        Raises:
            LedgerError: there is no ledger to read.
            ConfigError: an unknown format.
        """
        if self._kit.ledger is None:
            raise self._ledger_fault or LedgerError("Without a ledger nothing is known")
        formats = (to,) if isinstance(to, str) else tuple(to)
        self.formats.plan(formats)
        rescue = Rescue(self._kit, out=None if out is None else Path(out), to=formats, on_progress=on_progress)
        return rescue.results()

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
            self.formats.plan(to, options),
            export=ExportOptions(formula, formula_level, merge_tables),
            out=None if out is None else Path(out),
            name=result_name,
            overwrite=overwrite,
        )
        return pipeline.fetch(known_uid(uid), self._checked(wish), self._kit, on_progress=on_progress)

    def _checked(self, wish: Wish) -> Wish:
        """Return the wish; raise `ConfigError` for what this generation of the service does not have."""
        self._kit.service.check(wish.parse, wish.export, wish.plan.natives)
        return wish

    def translate(
        self,
        source: Input,
        language: str = "zh",
        model: str = "deepseek",
        *,
        name: str | None = None,
        force: bool = False,
        retry_unknown: bool = False,
        on_progress: ProgressCallback | None = None,
    ) -> Translation:
        """Translate a PDF and return its blocks, originals beside translations. Only v1 does it (`api="v1"`).

        The service does not document it: it was seen on its web page, and it may stop working at any time.

        Args:
            source: as for `convert`.
            language: to translate into.
            model: the model that translates.
            name: as for `convert`.
            force: as for `convert`.
            retry_unknown: as for `convert`.
            on_progress: as for `convert`.

        Raises:
            ConfigError: the client speaks v2; nothing was sent.
            OutcomeUnknown: no answer came to the upload, now or earlier: it may have been paid.
        """
        wish = Wish(
            self.formats.plan(()),
            ParseOptions(language=language, translator=model),
            force=force,
            retry_unknown=retry_unknown,
        )
        self._checked(wish)
        warn_about_translation(stacklevel=2)
        return pipeline.translate(source, wish, self._kit, name=name, on_progress=on_progress)

    def translation(
        self, uid: str, *, timeout: float | None = None, on_progress: ProgressCallback | None = None
    ) -> Translation:
        """Wait for a translation that was uploaded earlier. The arguments are those of `wait`; only v1 has it."""
        ask = ask_for(self._kit.service, picture=False, translated=True)
        status = self._wait(ask, uid, timeout, on_progress)
        return Translation(f"uid {uid}", uid, status.translation)

    def upload(
        self,
        source: Input,
        *,
        name: str | None = None,
        model: Model | None = None,
        parse: ParseOptions | None = None,
        direct: bool = False,
        force: bool = False,
        retry_unknown: bool = False,
    ) -> str:
        """Send a PDF or a picture and return its uid, without waiting for the parse.

        What the service has already, under the same parse options, is not sent again: its uid is returned.

        Args:
            source: as for `convert`.
            name: as for `convert`.
            model: as for `convert`; only the presigned way takes it.
            parse: as for `convert`; in v1 also with a language to translate into.
            direct: send a PDF in one step, without a uid known before, as v1 always does. At most 300 MB.
            force: as for `convert`.
            retry_unknown: as for `convert`.

        Raises:
            OutcomeUnknown: of a picture, with `direct`, and in v1, when no answer came: it may have been paid.
        """
        service, options = self._kit.service, parse_options(model, parse, translated=True)
        service.check(options, ExportOptions())
        with open_source(source, self.settings, name=name) as checked:
            if checked.pages > self.settings.max_file_pages:
                raise PagesLimitExceeded(
                    f"The document has {checked.pages} pages; one parse takes {self.settings.max_file_pages}",
                    source=checked.name,
                    advice="Use `convert`, which splits it, or choose some of its pages.",
                )
            wish = Wish(self.formats.plan(()), options, force=force, retry_unknown=retry_unknown)
            with self._kit.claim(checked, options) as receipt:
                return send(checked, wish, self._kit, Reporter(checked.name, None), receipt, direct=direct)

    def status(self, uid: str, *, picture: bool = False) -> ParseStatus:
        """Ask once how far a parse is; `picture` for the uid of a picture."""
        return ask_for(self._kit.service, picture=picture)(known_uid(uid))

    def wait(
        self,
        uid: str,
        *,
        picture: bool = False,
        timeout: float | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> ParseStatus:
        """Wait until a parse has succeeded and return its status with the pages.

        Args:
            uid: of an upload; `picture` for that of a picture.
            picture: ask the picture's status call.
            timeout: seconds; `parse_timeout` by default.
            on_progress: called with a `Progress` at each look.

        Raises:
            WaitTimeout: not yet; call it again with the same uid.
            TaskFailed: the service gave up, or does not know the uid.
        """
        return self._wait(ask_for(self._kit.service, picture=picture), uid, timeout, on_progress)

    def _wait(self, ask: Ask, uid: str, timeout: float | None, on_progress: ProgressCallback | None) -> ParseStatus:
        kit = self._kit
        report = Reporter(f"uid {known_uid(uid)}", on_progress)
        report.uid = uid
        return wait(
            ask,
            uid,
            settings=kit.settings,
            clock=kit.clock,
            deadline=kit.clock.deadline(kit.settings.parse_timeout if timeout is None else timeout),
            floor=kit.floor,
            on_progress=lambda percent: report("parse", percent, 100),
        )

    def export(
        self,
        uid: str,
        to: str,
        *,
        formula: Literal["normal", "dollar"] = "normal",
        formula_level: Literal[0, 1, 2] | None = None,
        merge_tables: bool | None = None,
    ) -> ExportLink:
        """Export a parsed document to md, md_dollar, tex or docx and return the link; fetch it before the next format.

        v2 keeps one export for a uid; a later one replaces it. v1's link makes the export when it is fetched.
        """
        if to not in NATIVE_FORMATS:
            raise ConfigError(
                f"The service does not export to {to!r}", advice=f"Choose from: {', '.join(NATIVE_FORMATS)}."
            )
        kit, options = self._kit, ExportOptions(formula, formula_level, merge_tables)
        kit.service.check(ParseOptions(), options, (to,))
        with kit.slots.of(known_uid(uid)):
            return export(
                kit.service,
                uid,
                to,
                options,
                settings=kit.settings,
                clock=kit.clock,
                first_look=kit.first_look,
            )

    def download(self, link: ExportLink, target: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Fetch an export as it is (a zip; of docx the Word file) into a file and return its path.

        Raises:
            OutputError: the file is there and `overwrite` was not given.
        """
        final = Path(target)
        with publish_file(final, overwrite=overwrite) as staged:
            download(self._kit.service, link, staged, settings=self.settings, clock=self._kit.clock)
        return final

    def parse_image(self, source: Input, *, name: str | None = None) -> ImageResult:
        """Parse a picture in one call that answers with the result.

        Raises:
            FileError: not a JPEG or PNG picture.
            OutcomeUnknown: it was sent and no answer came; it may have been paid.
        """
        with open_source(source, self.settings, name=name) as checked:
            if not checked.is_picture:
                raise FileError("This is a PDF, not a picture", source=checked.name, advice="Use `convert`.")
            with SourceBody(checked) as body:
                result = self._kit.service.parse_image(body)
                body.check_unchanged(result.uid)
                return result

    def quota(self) -> int:
        """Return the pages left on the account. Only v1 tells it (`api="v1"`).

        Raises:
            ConfigError: the client speaks v2; nothing was sent.
        """
        return self._kit.service.quota()


def parse_options(model: Model | None, parse: ParseOptions | None, *, translated: bool = False) -> ParseOptions:
    """Put both ways of giving the options together; a language only where a translation is meant."""
    options = parse or ParseOptions()
    if options.language is not None and not translated:
        raise ConfigError("A translation is no conversion", advice="Use `translate`.")
    return options if model is None else replace(options, model=model)
