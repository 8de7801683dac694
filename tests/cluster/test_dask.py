"""The engine on a Dask cluster of real processes: the same pages, more of them a second, and no page lost."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from pypdfium2 import PdfDocument

from doc2x_sdk.client import Doc2X
from doc2x_sdk.errors import ConfigError
from doc2x_sdk.local.server import LocalServer
from doc2x_sdk.local.settings import ServerSettings
from doc2x_sdk.models import Page

pytestmark = pytest.mark.slow
PAGES = 3
DPI = 200
KEY = "local-test-key"


@contextmanager
def process(*arguments: str, ready: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A part of dask as a process of its own, once it has written a line that matches `ready`; its group."""
    running = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert running.stderr is not None
    try:
        for line in running.stderr:
            found = re.search(ready, line)
            if found:
                break
        else:
            pytest.fail(f"{arguments[0]} ended before it was ready")
        reader = threading.Thread(target=running.stderr.read, daemon=True)
        reader.start()
        yield running, found[1]
        running.terminate()
        running.wait(20)
        reader.join(5)
    finally:
        running.kill()
        running.wait()
        running.stderr.close()


@contextmanager
def cluster(workers: int) -> Iterator[tuple[str, list[subprocess.Popen[str]]]]:
    """A scheduler and workers of one thread each."""
    with ExitStack() as stack:
        scheduler = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        _, address = stack.enter_context(process(*scheduler, ready=r"Scheduler at:\s*(tcp://\S+)"))
        worker = ["distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        started = [stack.enter_context(process(*worker, ready=r"Registered to:\s*(\S+)"))[0] for _ in range(workers)]
        yield address, started


@pytest.fixture(scope="module")
def scan(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The heads of the first pages of a scanned book, which only OCR can read."""
    target = tmp_path_factory.mktemp("scan") / "scan.pdf"
    with PdfDocument(samples / "scanned-zh.pdf") as book:
        pages = [book[number].render(scale=DPI / 72).to_pil() for number in range(PAGES)]
    first, *others = [page.crop((0, 0, page.width, page.height // 3)) for page in pages]
    first.save(target, save_all=True, append_images=others, resolution=DPI)
    return target


def convert(scan: Path, settings: ServerSettings) -> tuple[tuple[Page, ...], float]:
    """The pages, and the seconds that they took after a first document had started the workers."""
    ledger = scan.with_name("ledger.sqlite3")
    with LocalServer(settings) as server, Doc2X(KEY, base_url=server.url, ledger=ledger) as client:
        client.convert(scan, pages="1", force=True)
        began = time.perf_counter()
        document = client.convert(scan, force=True)
        return document.pages, time.perf_counter() - began


def texts(pages: tuple[Page, ...]) -> list[str]:
    """The pages' Markdown without the addresses of the server that made them."""
    return [re.sub(r"https?://[^\s\"]+/", "", page.md) for page in pages]


@pytest.fixture(scope="module")
def alone(scan: Path) -> list[str]:
    pages, seconds = convert(scan, ServerSettings(api_key=KEY))
    print(f"\nthis machine's processes: {PAGES / seconds:.2f} pages a second")
    return texts(pages)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_cluster_gives_the_same_pages(scan: Path, alone: list[str], workers: int) -> None:
    with cluster(workers) as (address, _):
        pages, seconds = convert(scan, ServerSettings(api_key=KEY, dask=address))
    print(f"\n{workers} Dask workers: {PAGES / seconds:.2f} pages a second")
    assert len(pages) == PAGES
    assert texts(pages) == alone
    assert all(text.strip() for text in alone)


def test_a_worker_killed_in_mid_run_loses_nothing(scan: Path, alone: list[str]) -> None:
    killed = threading.Event()
    with cluster(2) as (address, workers):

        def kill_one(progress: object) -> None:
            if not killed.is_set() and 0 < getattr(progress, "done", 0) < 100 and progress.stage == "parse":  # type: ignore[attr-defined]
                workers[0].send_signal(signal.SIGKILL)
                killed.set()

        settings = ServerSettings(api_key=KEY, dask=address)
        with LocalServer(settings) as server, Doc2X(KEY, base_url=server.url) as client:
            document = client.convert(scan, on_progress=kill_one)
            assert server.stats().pages_parsed == PAGES
    assert killed.is_set()
    assert texts(document.pages) == alone


def test_nobody_at_the_address_is_told_before_the_server_starts() -> None:
    with pytest.raises(ConfigError) as error, LocalServer(ServerSettings(dask="tcp://127.0.0.1:9")):
        pass
    assert "dask scheduler" in error.value.advice
