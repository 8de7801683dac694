"""The embedded engine against its own library: pages a second, and memory by the number of pages."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

__all__ = ["measure"]

SAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "paper.pdf"
PAGES = 500
CHUNK = 16


def repeated(sample: Path, pages: int, target: Path) -> None:
    """Write a PDF that repeats a sample up to a number of pages."""
    from pypdfium2 import PdfDocument

    with PdfDocument(sample) as source, PdfDocument.new() as long:
        while len(long) < pages:
            long.import_pages(source, list(range(min(len(source), pages - len(long)))))
        buffer = io.BytesIO()
        long.save(buffer)
    target.write_bytes(buffer.getvalue())


def parse_direct(path: str, first: int, last: int) -> int:
    """Parse pages with the library alone, as the engine asks for them."""
    from liteparse import LiteParse

    parser = LiteParse(
        ocr_enabled=False, output_format="markdown", extract_blocks=True, extract_images=False,
        include_complexity=True, target_pages=f"{first + 1}-{last + 1}", quiet=True,
    )  # fmt: skip
    return len(parser.parse(path).pages)


def direct(path: Path, pages: int) -> float:
    """Seconds that the library takes in as many processes as there are processors, once those are there."""
    workers = os.cpu_count() or 1
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(parse_direct, [str(path)] * workers, [0] * workers, [0] * workers))
        began = time.perf_counter()
        starts = range(0, pages, CHUNK)
        jobs = [pool.submit(parse_direct, str(path), start, min(start + CHUNK, pages) - 1) for start in starts]
        done = sum(job.result() for job in jobs)
        taken = time.perf_counter() - began
    assert done == pages
    return taken


CHILD = """
import json, sys, time
from doc2x_sdk import Doc2X
with Doc2X.local() as client:
    client.convert(sys.argv[1], name="warm.pdf")
    began = time.perf_counter()
    document = client.convert(sys.argv[2])
    print(json.dumps({"wall": time.perf_counter() - began, "pages": len(document.pages)}), flush=True)
    sys.stdin.readline()
"""


def embedded(warm: Path, path: Path) -> tuple[float, int | None]:
    """Seconds of a conversion by `Doc2X.local`, its start left out, and the peak memory of all its processes."""
    ledger = path.with_suffix(".sqlite")
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(warm), str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"DOC2X_LEDGER": str(ledger), "DOC2X_CONFIG": str(path.with_suffix(".toml"))},
    ) as child:  # fmt: skip
        assert child.stdout is not None
        assert child.stdin is not None
        line = child.stdout.readline()
        peak = peak_of_tree(child.pid)
        child.stdin.write("\n")
        child.stdin.flush()
    return json.loads(line)["wall"], peak


def peak_of_tree(pid: int) -> int | None:
    """The sum of the peak memory of a process and all below it; None where there is no /proc."""
    if not Path("/proc/self/status").exists():
        return None
    parents: dict[int, int] = {}
    peaks: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "status").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        if "VmHWM" in fields:
            number = int(folder.name)
            parents[number] = int(fields["PPid"])
            peaks[number] = int(fields["VmHWM"].split()[0]) * 1024

    def belongs(number: int) -> bool:
        while number in parents:
            if number == pid:
                return True
            number = parents[number]
        return False

    return sum(peak for number, peak in peaks.items() if belongs(number))


def cpu_of_children() -> float:
    """CPU seconds of all processes below this one that have ended; 0 where the system does not tell (Windows)."""
    times = os.times()
    return times.children_user + times.children_system


def measure(pages: int = PAGES) -> list[dict[str, Any]]:
    """Both ways on a quarter of the pages and on all of them."""
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as name:
        warm = Path(name) / "warm.pdf"
        repeated(SAMPLE, 2 * CHUNK, warm)
        for count in (pages // 4, pages):
            path = Path(name) / f"{count}.pdf"
            repeated(SAMPLE, count, path)
            before = cpu_of_children()
            library = direct(path, count)
            between = cpu_of_children()
            ours, peak = embedded(warm, path)
            rows.append(
                {
                    "pages": count,
                    "liteparse alone, pages/s": count / library,
                    "Doc2X.local, pages/s": count / ours,
                    "times liteparse": ours / library,
                    "liteparse alone, CPU s": between - before,
                    "Doc2X.local, CPU s": cpu_of_children() - between,
                    "peak MB of all processes": peak / 1e6 if peak else None,
                }
            )
    return rows
