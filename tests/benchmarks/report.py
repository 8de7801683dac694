"""The table, and the same for machines."""

from __future__ import annotations

import os
import platform
from collections import defaultdict
from dataclasses import dataclass, field, fields
from statistics import median
from typing import Any

from tests.benchmarks.runner import Run
from tests.benchmarks.workloads import OURS, WORKLOADS

__all__ = ["Results", "as_json", "medians", "print_table"]

MEDIANS = ("wall", "bound", "cpu", "cpu_call", "peak", "growth", "wasted", "requests", "connections", "server_cpu")


@dataclass
class Results:
    """Everything that one command measured; `peer_clients` before the first seed and after each, in seconds."""

    fsync: float
    capacity: tuple[float, float]
    peer_clients: list[float] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    extra: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def groups(self) -> dict[tuple[str, str], list[Run]]:
        """The runs by workload and client."""
        found: dict[tuple[str, str], list[Run]] = defaultdict(list)
        for run in self.runs:
            found[run.workload, run.contestant].append(run)
        return dict(found)


def medians(runs: list[Run]) -> dict[str, Any]:
    """The medians over the seeds; failures and their like are added up."""
    row: dict[str, Any] = {"workload": runs[0].workload, "client": runs[0].contestant, "runs": len(runs)}
    for name in MEDIANS:
        values = [getattr(run, name) for run in runs if getattr(run, name) is not None]
        row[name] = median(values) if values else None
    row["over_bound"] = median(run.wall / run.bound for run in runs)
    row["cpu_document"] = row["cpu"] / runs[0].documents if row["cpu"] else None
    for name in ("documents", "failed", "refused", "throttled", "twice"):
        row[name] = sum(getattr(run, name) for run in runs)
    row["reasons"] = sorted({reason for run in runs for reason in run.reasons})
    return row


def rows_of(results: Results) -> list[dict[str, Any]]:
    """The rows, each with its wall and CPU a document in multiples of our own on the same seeds."""
    groups = results.groups()
    rows = [medians(runs) for runs in groups.values()]
    for row, runs in zip(rows, groups.values(), strict=True):
        seeds = {run.seed for run in runs}
        same_seeds = [run for run in groups.get((row["workload"], OURS.name), []) if run.seed in seeds]
        if same_seeds and row["client"] != OURS.name:
            own = medians(same_seeds)
            same = row["documents"] * own["runs"] == own["documents"] * row["runs"]
            row["times_wall"] = row["wall"] / own["wall"] if same else None
            row["times_cpu"] = row["cpu_document"] / own["cpu_document"] if row["cpu"] and own["cpu"] else None
    return rows


def about(results: Results) -> dict[str, Any]:
    """The machine."""
    return {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors, Python "
        f"{platform.python_version()}",
        "fsync_ms": results.fsync * 1000,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "server_requests_a_second": results.capacity[0],
        "server_cpu_ms_a_request": results.capacity[1] * 1000,
        "peer_client_ms": [round(seconds * 1000, 1) for seconds in results.peer_clients],
    }


def as_json(results: Results) -> dict[str, Any]:
    """Everything but the services' own logs."""
    plain = [
        {each.name: getattr(run, each.name) for each in fields(run) if each.name != "report"} for run in results.runs
    ]
    return {"about": about(results), "rows": rows_of(results), "runs": plain, **results.extra}


def shown(value: float | None, pattern: str = "{:.2f}") -> str:
    """A cell."""
    return "-" if value is None else pattern.format(value)


def print_table(results: Results) -> None:
    """Print the tables."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if os.isatty(1) else 190)
    facts = about(results)
    if results.runs:
        console.print(runs_table(results))
    for title, rows in results.extra.items():
        table = Table(*rows[0], title=title)
        for row in rows:
            table.add_row(*[shown(v) if isinstance(v, float) else str(v) for v in row.values()])
        console.print(table)
    load = shown(facts["load"], "{:.1f}")
    console.print(f"{facts['machine']}, load {load} at the end. fsync {facts['fsync_ms']:.2f} ms (median of 21).")
    console.print(
        f"The simulated service answers {facts['server_requests_a_second']:.0f} requests/s on one connection and takes "
        f"{facts['server_cpu_ms_a_request']:.2f} ms of CPU for one."
    )
    if results.peer_clients:
        made = [seconds * 1000 for seconds in results.peer_clients]
        console.print(
            f"An HTTP client with its TLS context, as pdfdeal makes for each call, takes {median(made):.1f} ms of CPU "
            f"({min(made):.1f} to {max(made):.1f} between the runs)."
        )
    for row in rows_of(results):
        for reason in row["reasons"]:
            console.print(f"{row['workload']}, {row['client']}: {reason[:160]}", markup=False, highlight=False)


def runs_table(results: Results) -> Any:
    """The table of the workloads."""
    from rich.table import Table

    heads = "wall s|/bound|x ours|wasted s/doc|req/doc|conn/doc|CPU ms/doc|CPU x ours|peak MB|failed|429|refused|twice"
    table = Table("workload", "client", title="Medians over the seeds; times of the others in multiples of ours")
    for head in (*heads.split("|"), "server CPU s"):
        table.add_column(head, justify="right")
    titles = {workload.name: workload.title for workload in WORKLOADS}
    before = ""
    for row in rows_of(results):
        if row["workload"] != before:
            table.add_section()
        first = f"{row['workload']}: {titles[row['workload']]}" if row["workload"] != before else ""
        before = row["workload"]
        growth = f" ({row['growth'] / 1e6:+.1f} after 100)" if row["growth"] is not None else ""
        table.add_row(
            first,
            f"{row['client']} x{row['runs']}",
            shown(row["wall"]),
            shown(row["over_bound"]),
            shown(row.get("times_wall")),
            shown(row["wasted"]),
            shown(row["requests"], "{:.1f}"),
            shown(row["connections"]),
            shown(row["cpu_document"] * 1000, "{:.1f}") if row["cpu"] else "-",
            shown(row.get("times_cpu"), "{:.1f}"),
            shown(row["peak"] and row["peak"] / 1e6, "{:.0f}") + growth,
            f"{row['failed']} of {row['documents']}",
            str(row["throttled"]),
            str(row["refused"]),
            str(row["twice"]),
            shown(row["server_cpu"]),
        )
    return table
