"""The six functions of Doc2X's first documentation: one v1 request each, blocking, without a client to keep.

`from doc2x_sdk.functions import *` gives the six. They follow the settings (timeouts, proxies; see `doc2x_sdk.config`),
but never the key of the configuration: `apikey` is what `refresh_key` returned, or an `sk-` key. `DOC2X_V1_BASE_URL` is
whom they ask, such as the URL that `doc2x serve` prints; `DOC2X_BASE_URL` is v2's and nothing to them.

What may pass, a lost connection or the service's 5xx, is tried twice more with growing pauses; a `RateLimit`, a
`FileError`, a refused key and an upload whose outcome is unknown are not. Parameters are checked before anything is
sent. Every error is a `doc2x_sdk.errors.Doc2XError`, which is a `RuntimeError`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from doc2x_sdk import config
from doc2x_sdk.arguments import path_of
from doc2x_sdk.clock import Clock
from doc2x_sdk.errors import ArchiveError, AuthError, ConfigError, FileError, UnknownStatus
from doc2x_sdk.flow.body import SourceBody
from doc2x_sdk.flow.download import download
from doc2x_sdk.flow.fetch import check_word
from doc2x_sdk.flow.publish import publish_file
from doc2x_sdk.flow.source import Source, open_source
from doc2x_sdk.flow.unpack import opened
from doc2x_sdk.markdown import to_dollars
from doc2x_sdk.models import ExportLink, ExportOptions, ParseOptions
from doc2x_sdk.service.readers import failed_parse, known_uid
from doc2x_sdk.service.translations import warn_about_translation
from doc2x_sdk.service.transport import Transport
from doc2x_sdk.service.v1 import TO, ServiceV1

__all__ = ["get_limit", "refresh_key", "upload_img", "upload_pdf", "uuid2file", "uuid_status"]

WORDS = {
    "ready": "Waiting for processing",
    "processing": "Processing file",
    "translate_processing": "Translating file",
    "success": "Success",
    "translate_success": "Translate success",
}
GET_ANOTHER = "An access token ends after a while: `refresh_key` gives a new one. Nothing was paid by this call."
NATIVE = {word: name for name, word in TO.items()}

clock = Clock()
"""Time and chance of all six; a test may put another here."""


def refresh_key(key: str) -> str:
    """Exchange a personal key for an access token. An `sk-` key is one already: it comes back without a request.
    用个人密钥换取访问令牌；以 sk- 开头的密钥原样返回。

    Args:
        key: the key, as the web page shows it.

    Returns:
        The access token, for the other functions. Keep it in memory.

    Raises:
        AuthError: the key can't be verified.
        RateLimit: too many requests.
        Doc2XError: no answer, or none that can be used.
    """
    try:
        given = config.APIKey(key, "the argument")
    except ConfigError as error:
        raise AuthError(error.message, advice=error.advice) from None
    if given.is_access_token:
        return key
    with service_of(given) as service:
        return service.refresh().reveal()


def upload_pdf(  # noqa: PLR0917 - the documented signature
    apikey: str,
    pdffile: str,
    ocr: bool = True,
    translate: bool = False,
    language: str = "zh",
    model: str = "deepseek",
) -> str:
    """Send a PDF to be parsed; its pages are paid with this step.
    上传 PDF 文件，返回任务的 uuid。

    The service does not document the translation: it was seen on its web page, and it may stop working at any time.

    Args:
        apikey: the access token.
        pdffile: the path of a PDF of at most 100 MB.
        ocr: read scanned pages.
        translate: translate the text, too.
        language: to translate into; only sent when `translate` is true.
        model: the model that translates; only sent when `translate` is true.

    Returns:
        The uuid.

    Raises:
        FileError: too large, not to be opened, or not a PDF; nothing was sent.
        RateLimit: too many requests or tasks; nothing was paid.
        OutcomeUnknown: it was sent, and no trustworthy answer came: it may have been paid.
        Doc2XError: all else.
    """
    ocr, translate = switch("ocr", ocr), switch("translate", translate)
    if translate and language is None:
        raise ConfigError("A translation needs a language", advice="Name one, such as language='zh'. Nothing was sent.")
    with service_of(apikey) as service:
        wanted = (language, model) if translate else (None, None)
        service.check(ParseOptions(language=wanted[0], translator=wanted[1]), ExportOptions())
        with checked_file(pdffile, service, picture=False) as source:
            if translate:
                warn_about_translation(stacklevel=2)
            with SourceBody(source) as body:
                uuid = service.upload_pdf(body, name_of(source), ocr=ocr, language=wanted[0], translator=wanted[1])
                body.check_unchanged(uuid)
                return uuid


def upload_img(apikey: str, imgfile: str, formula: bool = False, img_correction: bool = False) -> str:
    """Send a JPEG or PNG picture to be parsed; it is paid with this step.
    上传图片，返回任务的 uuid。

    Args:
        apikey: the access token.
        imgfile: the path of a picture of at most 10 MB.
        formula: it shows one formula and nothing else.
        img_correction: straighten it first.

    Returns:
        The uuid.

    Raises:
        FileError: too large, not to be opened, or not a picture; nothing was sent.
        RateLimit: too many requests or tasks; nothing was paid.
        OutcomeUnknown: it was sent, and no trustworthy answer came: it may have been paid.
        Doc2XError: all else.
    """
    formula, img_correction = switch("formula", formula), switch("img_correction", img_correction)
    with (
        service_of(apikey) as service,
        checked_file(imgfile, service, picture=True) as source,
        SourceBody(source) as body,
    ):
        uuid = service.upload_img(
            body, name_of(source), source.kind, formula_only=formula, img_correction=img_correction
        )
        body.check_unchanged(uuid)
        return uuid


def uuid_status(apikey: str, uuid: str, convert: bool = False, translate: bool = False) -> tuple[int, str, list[str]]:
    r"""Ask once how far a task is; it costs nothing.
    查询任务进度；完成后返回每一页的文本。

    Args:
        apikey: the access token.
        uuid: of an upload.
        convert: turn `\( \)` into `$` and `\[ \]` into `$$`, outside code spans and fences.
        translate: ask for the translation of a PDF that was sent with `translate`.

    Returns:
        Progress (0 to 100), a word, and the texts. The word is "Waiting for processing", "Processing file",
        "Translating file", "Success" or "Translate success"; before these last two there are no texts. The texts are
        Markdown, one a page; after "Translate success" one a block, translated. "Success" with `translate` means that
        there is no translation, and then there are no texts either. `Doc2X(api="v1").translate` also gives the
        originals and their positions.

    Raises:
        QuotaExceeded: a `RuntimeError`: "pages limit exceeded", the account has no pages left.
        UnknownStatus: a `RuntimeError`: a word that this version does not know.
        RateLimit: too many requests.
        Doc2XError: the task failed, or all else.
    """
    convert, translate, uuid = switch("convert", convert), switch("translate", translate), known_uid(uuid)
    with service_of(apikey) as service:
        status = (service.translation_status if translate else service.status)(uuid)
    word = str(status.raw["status"])
    if word == "failed":
        raise failed_parse(status)
    if word not in WORDS:
        raise UnknownStatus(f"Unknown status {word[:60]!r}", uid=uuid, trace_id=status.trace_id)
    texts = [block.translated for block in status.translation] or [page.md for page in status.pages]
    return status.progress, WORDS[word], [to_dollars(text) for text in texts] if convert else texts


def uuid2file(
    apikey: str,
    uuid: str,
    output_format: Literal["md", "md_dollar", "latex", "docx"],
    output_path: str = "./Output",
) -> str:
    """Fetch the result of a task as a file; it costs nothing.
    把任务结果保存为文件，返回文件路径。

    Args:
        apikey: the access token.
        uuid: of a task that succeeded.
        output_format: "md" and "md_dollar" (formulas in dollars), "latex": a zip with pictures; "docx": a Word file.
        output_path: the folder, made when it is missing. A file of the same name is replaced, but only by a whole one.

    Returns:
        The path: `<output_path>/<uuid>.zip`, or `.docx`.

    Raises:
        OutputError: `output_path` is not a folder, or can't be written.
        RateLimit: too many requests.
        Doc2XError: the download failed, or what came is no such file; an older file stays as it was.
    """
    uuid = known_uid(uuid)
    if not isinstance(output_format, str) or output_format not in NATIVE:
        raise ConfigError(f"There is no output format {output_format!r}", advice=f"Choose from: {', '.join(NATIVE)}.")
    folder = path_of(output_path, "output_path", "the path of a folder")
    final = folder / (f"{uuid}.docx" if output_format == "docx" else f"{uuid}.zip")
    with service_of(apikey) as service, publish_file(final, overwrite=True) as staged:
        link = ExportLink(uuid, NATIVE[output_format], url=service.export(uuid, NATIVE[output_format]).url)
        download(service, link, staged, settings=service.transport.settings, clock=clock)
        if output_format == "docx":
            check_word(staged, uuid)
        with opened(staged, uuid) as zipped:
            if broken := zipped.testzip():
                raise ArchiveError(f"The export is broken in {broken[:80]!r}", uid=uuid)
    return str(final)


def get_limit(apikey: str) -> int:
    """Ask how many pages are left on the account.
    查询账户剩余页数。

    Args:
        apikey: the access token.

    Returns:
        The pages left.

    Raises:
        AuthError: a `RuntimeError`: the key is invalid.
        RateLimit: too many requests.
        Doc2XError: all else.
    """
    with service_of(apikey) as service:
        return service.quota()


@contextmanager
def service_of(token: str | config.APIKey) -> Iterator[ServiceV1]:
    """Open the service for one call, with a token that can't be renewed: the key it came from is not known here."""
    key = token if isinstance(token, config.APIKey) else config.APIKey(token, "the argument")
    settings = config.load(apikey=key.reveal(), api="v1").settings
    service = ServiceV1(Transport(settings.v1_base_url, settings, key, clock=clock), key, exchange=False)
    try:
        yield service
    except AuthError as error:
        if isinstance(token, str) and not key.is_access_token:
            error.advice = GET_ANOTHER
        raise
    finally:
        service.close()


@contextmanager
def checked_file(path: str, service: ServiceV1, *, picture: bool) -> Iterator[Source]:
    """Yield a file that is of the right kind; raises `FileError` otherwise."""
    if not isinstance(path, str | os.PathLike):
        raise FileError(f"A file is named by its path, not by {type(path).__name__}")
    with open_source(path, service.transport.settings) as source:
        if source.is_picture != picture:
            told, advice = (
                ("This is a PDF, not a picture", "Use upload_pdf.")
                if picture
                else ("This is a picture, not a PDF", "Use upload_img.")
            )
            raise FileError(told, source=source.name, advice=advice)
        yield source


def name_of(source: Source) -> str:
    """Return the file name that is sent along."""
    return f"{source.stem}.{source.kind}"


def switch(name: str, value: object) -> bool:
    """Return a parameter that is on or off; raises `ConfigError` for what is neither."""
    if value not in (True, False):
        raise ConfigError(f"{name} is True or False, not {value!r}", advice="")
    return bool(value)
