"""What a local server can be told, and what it counts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Protocol

from doc2x_sdk.clock import Clock

__all__ = ["MEGABYTE", "ServerSettings", "Stats", "Tools", "Translator"]

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Everything that a local server can be told. A limit that is None is switched off.

    Attributes:
        host: the address to listen on; another than loopback is warned about.
        port: 0 takes a free one.
        api_key: what callers must send; None takes any key. A key of your own making, never an account's.
        task_limit: parses at once (`parse_task_limit_exceeded` above it).
        page_limit: pages in parse at once (`parse_concurrency_limit` above it).
        rate_limit: requests a second to `/api` (HTTP 429 with Retry-After above it).
        pages_quota: pages that may be parsed in all (`parse_quota_limit`, v1 `pages limit exceeded`).
        data: the folder where results survive a restart; None uses a temporary one.
        max_file_pages: most pages of one document (`parse_page_limit_exceeded`).
        max_put_bytes, max_direct_bytes, max_image_bytes: sizes that v2 takes (Doc2X API v2, preupload, parse/pdf,
            img/layout).
        max_v1_pdf_bytes, max_v1_image_bytes: sizes that v1 takes.
        result_hours: how long a result is kept.
        upload_seconds: how long an upload URL is good.
        token_seconds: how long a v1 access token is good.
        parse_seconds: longest parse (`parse_timeout`).
        hold_seconds: how long v2's answer "processing" about a parse or an export is kept back for its end.
        workers: processes that parse; by default one a processor.
        ocr_workers: processes that read pictures, each about 1 GB.
        chunk_pages: pages that a worker parses in one go. Headers and footers are recognised within a chunk.
        share_files: workers read documents from this disk. False sends the bytes along with each piece of work, for
            an executor on other machines.
        dask: address of a Dask scheduler whose workers are the engine, instead of processes of this machine;
            documents are then sent along, whatever `share_files` says.
    """

    host: str = "127.0.0.1"
    port: int = 0
    api_key: str | None = field(default=None, repr=False)
    task_limit: int | None = None
    page_limit: int | None = None
    rate_limit: float | None = None
    pages_quota: int | None = None
    data: Path | None = None
    max_file_pages: int = 2000
    max_put_bytes: int = 1024 * MEGABYTE
    max_direct_bytes: int = 300 * MEGABYTE
    max_image_bytes: int = 7 * MEGABYTE
    max_v1_pdf_bytes: int = 100 * MEGABYTE
    max_v1_image_bytes: int = 10 * MEGABYTE
    result_hours: float = 24.0
    upload_seconds: float = 3600.0
    token_seconds: float = 3600.0
    parse_seconds: float = 900.0
    hold_seconds: float = 0.5
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    ocr_workers: int = 1
    chunk_pages: int = 16
    share_files: bool = True
    dask: str | None = None

    @property
    def sends_files(self) -> bool:
        """Whether documents travel with the work."""
        return self.dask is not None or not self.share_files


class Translator(Protocol):
    """What v1's translations need: an object of your own, called from a thread of the server."""

    def translate(self, texts: Sequence[str], language: str, model: str) -> Sequence[str]:
        """Return as many texts in the other language; raise any ValueError or OSError to fail the job."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The objects that a server is handed, beside its settings."""

    clock: Clock
    executor: Executor | None = None
    translator: Translator | None = None


@dataclass(frozen=True, slots=True)
class Stats:
    """What a server has counted since its start.

    Attributes:
        pages_parsed: pages of the parses that were started, counted once each: what an account would be billed.
        parses: parses started.
        puts: uploads taken by presigned URL.
        exports: exports made.
        connections: TCP connections accepted.
        requests: requests by method and endpoint, such as `GET /api/v2/parse/status`.
    """

    pages_parsed: int = 0
    parses: int = 0
    puts: int = 0
    exports: int = 0
    connections: int = 0
    requests: dict[str, int] = field(default_factory=dict)

    def since(self, earlier: Stats) -> Stats:
        """Return what was counted after `earlier`, which is of the same server."""
        counts = {
            each.name: getattr(self, each.name) - getattr(earlier, each.name)
            for each in fields(self)
            if each.name != "requests"
        }
        asked = {what: count - earlier.requests.get(what, 0) for what, count in self.requests.items()}
        return Stats(**counts, requests={what: count for what, count in asked.items() if count})
