"""Step 5, download: a result into a file beside where it will go, whole or not at all."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import urljoin

import requests

from doc2x_sdk.clock import Clock
from doc2x_sdk.config import Settings
from doc2x_sdk.errors import ArchiveError, DownloadError, NetworkError, ResponseTooLarge, TruncatedDownload, UnsafeURL
from doc2x_sdk.flow.disk import writing
from doc2x_sdk.flow.pace import GrowingPace
from doc2x_sdk.flow.unpack import check_archive, fault_in
from doc2x_sdk.models import ExportLink, SignedURL
from doc2x_sdk.service.contract import Streams

__all__ = ["LINK_REFUSED", "download"]

log = logging.getLogger("doc2x_sdk")

BLOCK = 64 * 1024
HOPS = 5  # redirects followed, each checked anew
REDIRECTS = frozenset({301, 302, 303, 307, 308})
LINK_REFUSED = frozenset({401, 403, 404, 410})
"""Statuses of a link that has expired: the service gives a new one for the same uid."""


def download(
    service: Streams,
    link: ExportLink,
    target: Path,
    *,
    settings: Settings,
    clock: Clock,
    on_progress: Callable[[int, int | None], None] | None = None,
    in_memory: int = 0,
) -> Path | bytes:
    """Fetch an export, into `target` or into memory, and return which; what breaks off is fetched again from the start.

    Args:
        service: whose storage session is used.
        link: where the export is, or its bytes.
        target: a file that does not exist yet; it is removed again on failure.
        settings: `retries` and `max_download_bytes`.
        clock: time and chance.
        on_progress: called with bytes so far and in all, None where that is not known.
        in_memory: so many bytes, or fewer, are not written to a file.

    Raises:
        NetworkError, TruncatedDownload: it broke off each time, or the storage host is in trouble.
        ArchiveError: what came is no zip; a docx is one too.
        ResponseTooLarge: over `max_download_bytes`.
        UnsafeURL: the link, or a redirect, leads where it must not.
        DownloadError: the storage host refused the link; `status` tells how.
        DiskFull, OutputError: it can't be written.
    """
    what = f"The download of the {link.format} export"
    if link.content is not None:
        if len(link.content) > in_memory:
            with writing(target, what):
                target.write_bytes(link.content)
        check_archive(link.content, what)
        return link.content if len(link.content) <= in_memory else target
    pace = GrowingPace(clock, first=0.5)
    attempt = 0
    while True:
        attempt += 1
        try:
            reader = Reader(what, settings.max_download_bytes, in_memory, on_progress)
            archive = whole(service, link, target, reader)
        except (NetworkError, TruncatedDownload) as error:
            target.unlink(missing_ok=True)
            if attempt > settings.retries:
                error.__context__ = None  # the library's error, whose frames hold pieces of the body
                error.advice = DownloadError.advice_by_default
                error.about(uid=link.uid)
                raise
            log.debug("uid %s: %s; starting it again", link.uid, error.message)
            clock.sleep(pace.pause())
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        else:
            return archive


def whole(service: Streams, link: ExportLink, target: Path, reader: Reader) -> Path | bytes:
    """Fetch and check an archive."""
    archive = fetch(service, link, target, reader)
    fault = fault_in(archive, reader.what)
    if fault is None:
        return archive
    del archive  # no frame of the error may hold it
    raise fault


def fetch(
    service: Streams,
    link: ExportLink,
    target: Path,
    reader: Reader,
) -> Path | bytes:
    """Follow the link to its end and return the body, or `target` with it."""
    url, what = link.url, reader.what
    for _ in range(HOPS + 1):
        if url is None:
            raise DownloadError(f"{what}: there is no link", uid=link.uid)
        with service.stream(url, what) as response:
            if response.status_code in REDIRECTS:
                url = next_hop(url, response, what)
                continue
            check_head(response, what, link, reader.limit)
            with writing(target, what):
                return reader.read(response, target)
    raise DownloadError(f"{what}: more than {HOPS} redirects", uid=link.uid)


def next_hop(url: SignedURL, response: requests.Response, what: str) -> SignedURL:
    """Return where a redirect leads; it is checked when it is requested. Raises `UnsafeURL` for what is no URL."""
    target: SignedURL | None = None
    with suppress(ValueError):
        target = SignedURL(urljoin(url.reveal(), response.headers.get("Location", "")))
    if target is None:  # raised out here, so that no traceback leads to frames that hold the whole URL
        raise UnsafeURL(f"{what}: the storage host redirects to what is no URL")
    return target


def check_head(response: requests.Response, what: str, link: ExportLink, limit: int) -> None:
    """Raise for an answer whose body is not the export."""
    status = response.status_code
    if status >= 500 or status == 429:
        told = f"{what}: the storage host is in trouble (HTTP {status})"
        raise NetworkError(told, status=status, uid=link.uid, sent="all")
    if status != 200:
        raise DownloadError(f"{what}: the storage host refused it", status=status, uid=link.uid)
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("", "identity"):
        raise DownloadError(f"{what}: it came encoded ({encoding[:20]}), which was not asked for", uid=link.uid)
    length = length_of(response)
    if length is not None and length > limit:
        raise ResponseTooLarge(f"{what}: {length} bytes are over the limit of {limit}", uid=link.uid)


def length_of(response: requests.Response) -> int | None:
    """Return the length that the answer claims, of an absurd one the beginning; None without one."""
    length = response.headers.get("Content-Length", "")
    return int(length[:19]) if length.isascii() and length.isdigit() else None


class Reader(NamedTuple):
    """Reads a body as it came, not decoded, up to a limit; over `in_memory` bytes it goes into a file."""

    what: str
    limit: int
    in_memory: int
    on_progress: Callable[[int, int | None], None] | None

    def read(self, response: requests.Response, target: Path) -> Path | bytes:
        """Return the body, or `target` with it."""
        total = length_of(response)
        done, blocks = 0, list[bytes]()
        with ExitStack() as closed:
            out: IO[bytes] | None = None
            while block := response.raw.read(BLOCK, decode_content=False):
                done += len(block)
                if done > self.limit:
                    raise ResponseTooLarge(f"{self.what}: over the limit of {self.limit} bytes")
                blocks.append(block)
                if out is None and done > self.in_memory:
                    out = closed.enter_context(target.open("xb"))
                if out is not None:
                    out.writelines(blocks)
                    blocks.clear()
                if self.on_progress is not None:
                    self.on_progress(done, total)
        if done == 0:
            raise ArchiveError(f"{self.what}: it is empty")
        return b"".join(blocks) if out is None else target
