"""What the machinery around an exporter costs: `python -m tests.benchmarks.exporters [--cpu]`.

With `--cpu`, the least CPU time instead of the median by the clock on the wall.

200 bundles go through one plugin's exporter in this process, and through its function alone. The difference a document
is the copy of the bundle, the comparison after it, and the checks.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from doc2x_sdk import Bundle, hookimpl
from doc2x_sdk.flow.derive import Exporters
from doc2x_sdk.formats.plugins import new_manager
from doc2x_sdk.formats.registry import Formats
from doc2x_sdk.testing import sample_bundle

__all__ = ["LIMIT_MS", "measure"]

DOCUMENTS = 200
LIMIT_MS = 2.0


class Words:
    """Counts words."""

    name = "words"
    suffix = ".words"
    needs = "md"

    def export(self, bundle: Bundle, out: Path, options: Mapping[str, Any]) -> list[Path]:
        target = out / "words.txt"
        target.write_text(str(len(bundle.main.read_text(encoding="utf-8").split())), encoding="utf-8")
        return [target]


class Plugin:
    """Offers it."""

    @hookimpl
    def doc2x_register_exporters(self, register: Any) -> None:
        register(Words())


def measure(
    documents: int = DOCUMENTS,
    clock: Callable[[], float] = time.perf_counter,
    typical: Callable[[list[float]], float] = median,
) -> dict[str, float]:
    """Milliseconds a document, medians by default: the function alone, through the plugin, and what it costs more.

    On a busy machine, `time.thread_time` and `min` tell what the code itself takes.
    """
    manager = new_manager()
    manager.register(Plugin(), "doc2x-words")
    plan = Formats(manager).plan("words")
    direct: list[float] = []
    through: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        for number in range(documents):
            folder = Path(name) / str(number)
            bundle = sample_bundle("paper", folder / "bundle")
            for part in ("direct", "stage"):
                (folder / part).mkdir()
            began = clock()
            Words().export(bundle, folder / "direct", {})
            half = clock()
            Exporters(folder / "stage").run(plan.offers[0], bundle, plan.options["words"])
            direct.append(half - began)
            through.append(clock() - half)
    alone, whole = typical(direct) * 1000, typical(through) * 1000
    return {"direct_ms": alone, "through_ms": whole, "more_ms": whole - alone, "ratio": whole / alone}


if __name__ == "__main__":
    found = measure(clock=time.thread_time, typical=min) if "--cpu" in sys.argv else measure()
    print(
        f"{DOCUMENTS} bundles: {found['direct_ms']:.2f} ms a document by the function alone, "
        f"{found['through_ms']:.2f} ms through the plugin: {found['more_ms']:.2f} ms more (limit {LIMIT_MS:g}), "
        f"ratio {found['ratio']:.1f}"
    )
