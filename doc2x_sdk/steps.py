"""The single steps of a client, for those who want to put them together in their own way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from doc2x_sdk.arguments import flag, of_kind, path_of
from doc2x_sdk.config import Settings
from doc2x_sdk.errors import ConfigError, Doc2XError, FileError, PagesLimitExceeded
from doc2x_sdk.flow import pipeline
from doc2x_sdk.flow.callbacks import Reporter, own_errors
from doc2x_sdk.flow.calls import Calls
from doc2x_sdk.flow.download import download
from doc2x_sdk.flow.export import export
from doc2x_sdk.flow.kit import Kit, Stopped
from doc2x_sdk.flow.parsed import parse_picture, send
from doc2x_sdk.flow.publish import publish_file
from doc2x_sdk.flow.source import Input, open_source
from doc2x_sdk.flow.wait import wait
from doc2x_sdk.flow.wish import Wish, parse_options
from doc2x_sdk.models import (
    NATIVE_FORMATS,
    ExportLink,
    ExportOptions,
    ImageResult,
    Model,
    ParseOptions,
    ParseStatus,
    ProgressCallback,
    Translation,
)
from doc2x_sdk.service.contract import Ask, ask_for
from doc2x_sdk.service.readers import known_uid
from doc2x_sdk.service.translations import warn_about_translation

__all__ = ["Steps"]


class Steps:
    """The steps below `Doc2X.convert`: upload, status, wait, export, download, and what only one generation has."""

    _kit: Kit
    _calls: Calls
    _closed = False
    settings: Settings

    def _checked(self, wish: Wish, *, is_paid: bool = False) -> Wish:
        """Return the wish, anchored; raise `ConfigError` for what this generation lacks, and once the client is closed.

        What is paid, and known by its uid, has options of its own.
        """
        if self._closed:
            raise ConfigError("This client is closed", advice="Use it inside its `with` statement, or make a new one.")
        for name in ("overwrite", "force", "retry_unknown", "retry_failed"):
            flag(getattr(wish, name), name)
        of_kind(wish.name, str, "result_name", "a template with {stem}, {uid} and {date}")
        self._kit.service.check(None if is_paid else wish.parse, wish.export, wish.plan.natives)
        return wish.anchored()

    def _for_pages(self, options: ParseOptions, force: bool, retry_unknown: bool, retry_failed: bool) -> Wish:
        """Return the wish for the pages alone, checked."""
        plan = self._kit.formats.plan(())
        return self._checked(Wish(plan, options, force=force, retry_unknown=retry_unknown, retry_failed=retry_failed))

    def _ask(self, picture: bool) -> Ask:
        """Return the status call of a kind of document."""
        flag(picture, "picture")
        return ask_for(self._kit.service, picture=picture)

    def translate(
        self,
        source: Input,
        language: str = "zh",
        model: str = "deepseek",
        *,
        name: str | None = None,
        force: bool = False,
        retry_unknown: bool = False,
        retry_failed: bool = False,
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
            retry_failed: as for `convert`.
            on_progress: as for `convert`.

        Raises:
            ConfigError: the client speaks v2; nothing was sent.
            TaskFailed: the service gave it up, now or earlier; see `retry_failed`.
            OutcomeUnknown: no answer came to the upload, now or earlier: it may have been paid.
        """
        options = ParseOptions(language=language, translator=model)
        wish = self._for_pages(options, force, retry_unknown, retry_failed)
        warn_about_translation(stacklevel=2)
        with self._calls.one(self._kit) as kit:
            return pipeline.translate(source, wish, kit, name=name, on_progress=on_progress)

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
        retry_failed: bool = False,
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
            retry_failed: as for `convert`.

        Raises:
            TaskFailed: the service gave it up earlier; see `retry_failed`.
            OutcomeUnknown: of a picture, with `direct`, and in v1, when no answer came: it may have been paid.
        """
        flag(direct, "direct")
        kit, options = self._kit, parse_options(model, parse, translated=True)
        kit.service.check(options, ExportOptions())
        with open_source(source, self.settings, name=name) as checked:
            if checked.pages > self.settings.max_file_pages:
                raise PagesLimitExceeded(
                    f"The document has {checked.pages} pages; one parse takes {self.settings.max_file_pages}",
                    source=checked.name,
                    advice="Use `convert`, which splits it, or choose some of its pages.",
                )
            wish = self._for_pages(options, force, retry_unknown, retry_failed)
            report = Reporter(checked.name, None)
            with self._calls.one(self._kit) as kit:
                try:
                    with kit.claim(checked, options) as receipt:
                        return send(checked, wish, kit, report, receipt, direct=direct)
                except Stopped as stopped:
                    stopped.about(uid=report.uid, source=checked.name)
                    raise

    def status(self, uid: str, *, picture: bool = False) -> ParseStatus:
        """Ask once how far a parse is; `picture` for the uid of a picture."""
        return self._ask(picture)(known_uid(uid))

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
        return self._wait(self._ask(picture), uid, timeout, on_progress)

    @own_errors
    def _wait(self, ask: Ask, uid: str, timeout: float | None, on_progress: ProgressCallback | None) -> ParseStatus:
        of_kind(timeout, int | float | None, "timeout", "a number of seconds, or None")
        report = Reporter(f"uid {known_uid(uid)}", on_progress)
        report.uid = uid
        with self._calls.one(self._kit, uid) as kit:
            return wait(
                ask,
                uid,
                settings=kit.settings,
                clock=kit.clock,
                deadline=kit.clock.deadline(kit.settings.parse_timeout if timeout is None else timeout),
                floor=kit.floor,
                silence=kit.silence,
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
        options = ExportOptions(formula, formula_level, merge_tables)
        self._kit.service.check(None, options, (to,))
        with self._calls.one(self._kit, uid) as kit, kit.slots.of(known_uid(uid)):
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
        of_kind(link, ExportLink, "link", "what `export` returned")
        flag(overwrite, "overwrite")
        final = path_of(target, "target", "the path of a file")
        with self._calls.one(self._kit, link.uid) as kit, publish_file(final, overwrite=overwrite) as staged:
            download(kit.service, link, staged, settings=self.settings, clock=kit.clock)
        return final

    def parse_image(
        self,
        source: Input,
        *,
        name: str | None = None,
        force: bool = False,
        retry_unknown: bool = False,
        retry_failed: bool = False,
    ) -> ImageResult:
        """Parse a picture in one call that answers with the result.

        A picture that was paid for before, here or by `convert`, is not sent again: its uid is asked for the result as
        long as the service knows it.

        Args:
            source: as for `convert`.
            name: as for `convert`.
            force: as for `convert`.
            retry_unknown: as for `convert`.
            retry_failed: as for `convert`.

        Raises:
            FileError: not a JPEG or PNG picture.
            TaskFailed: the service gave it up, now or earlier; see `retry_failed`.
            OutcomeUnknown: no answer came, now or earlier: it may have been paid; see `retry_unknown`.
        """
        with open_source(source, self.settings, name=name) as checked, self._calls.one(self._kit) as kit:
            if not checked.is_picture:
                raise FileError("This is a PDF, not a picture", source=checked.name, advice="Use `convert`.")
            if not kit.service.answers_pictures:
                raise ConfigError(
                    f"The {kit.service.generation} service has no call that answers with a picture's result",
                    source=checked.name,
                    advice="Use `convert`.",
                )
            wish = self._for_pages(ParseOptions(), force, retry_unknown, retry_failed)
            report = Reporter(checked.name, None)
            try:
                with kit.claim(checked, wish.parse) as receipt:
                    return parse_picture(checked, wish, kit, report, receipt)
            except (Doc2XError, Stopped) as error:
                error.about(uid=report.uid, source=checked.name)
                raise

    def quota(self) -> int:
        """Return the pages left on the account. Only v1 tells it (`api="v1"`).

        Raises:
            ConfigError: the client speaks v2; nothing was sent.
        """
        return self._kit.service.quota()
