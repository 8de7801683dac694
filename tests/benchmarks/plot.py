"""A batch over time, drawn from the service's own log: slots in use, requests a second, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["draw"]

STEP = 0.25  # seconds


def draw(report: dict[str, Any], title: str, limit: int | None, target: Path) -> None:
    """Draw one run into a PNG or SVG file, by its suffix. Needs matplotlib."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    requests, jobs = report["requests"], [job for job in report["jobs"] if job["admitted"] is not None]
    start = min(request["began"] for request in requests)
    steps = int((max(request["ended"] for request in requests) - start) / STEP) + 1
    times = [STEP * step for step in range(steps)]

    def count(spans: list[tuple[float, float]]) -> list[int]:
        return [sum(begin - start <= at < end - start for begin, end in spans) for at in times]

    def rate(*, refused: bool) -> list[float]:
        found = [0.0] * steps
        for request in requests:
            if request["host"] == "api" and (request["status"] == 429 or bool(request["code"])) == refused:
                found[int((request["began"] - start) / STEP)] += 1 / STEP
        return found

    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(9, 5), layout="constrained")
    parses = count([(job["admitted"], job["ready"]) for job in jobs])
    unseen = count([(job["ready"], job["noticed"] or job["ready"]) for job in jobs])
    above.stackplot(times, parses, unseen, labels=["in parse", "ready, not noticed yet"], colors=["#3a7ca5", "#f4a259"])
    if limit is not None:
        above.axhline(limit, color="#333333", linewidth=0.8, linestyle="--", label="task limit")
    above.set_ylabel("documents")
    above.set_title(title, fontsize=10)
    above.legend(loc="upper right", fontsize=8)
    below.stackplot(
        times, rate(refused=False), rate(refused=True), labels=["answered", "429 or no slot"],
        colors=["#8cb369", "#bc4b51"],
    )  # fmt: skip
    below.set_ylabel("API requests a second")
    below.set_xlabel("seconds")
    below.legend(loc="upper right", fontsize=8)
    figure.savefig(target, dpi=120)
    plt.close(figure)
