"""`python -m tests.benchmarks`: run clients on workloads and print one table."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.benchmarks import engine, startup
from tests.benchmarks.report import Results, as_json, print_table
from tests.benchmarks.runner import fsync_seconds, peer_client_seconds, run, server_capacity
from tests.benchmarks.workloads import OURS, WORKLOADS, Workload, quick

__all__ = ["main", "measure"]

EXTRAS = {"start-up": startup.measure, "engine": engine.measure}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    names = [workload.name for workload in WORKLOADS] + list(EXTRAS)
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"some of: {', '.join(names)}")
    parser.add_argument("--seeds", type=int, metavar="N", help="runs of each workload, instead of its own number")
    parser.add_argument("--first-seed", type=int, default=1, metavar="N", help="the seed of the first run")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--quick", action="store_true", help="a small dose: checks that all runs, measures nothing")
    parser.add_argument("--no-peers", action="store_true", help="our client alone")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw our last batch over time (.png or .svg)")
    return parser.parse_args()


def measure(
    workloads: list[Workload], folder: Path, *, seeds: int | None = None, first_seed: int = 1, peers: bool = True
) -> Results:
    """Run workloads, one client after another on each seed."""
    results = Results(fsync_seconds(folder), server_capacity(folder))
    if peers:
        results.peer_clients.append(peer_client_seconds())
    for workload in workloads:
        for number in range(seeds or workload.seeds):
            seed = first_seed + number
            for contestant in workload.contestants(number) if peers else (OURS,):
                done = run(workload, contestant, seed, folder)
                results.runs.append(done)
                print(
                    f"{workload.name}, {contestant.name}, seed {seed}: {done.wall:.2f} s, "
                    f"{done.wall / done.bound:.2f} of the bound, {done.failed} failed",
                    file=sys.stderr,
                )
            if peers:
                results.peer_clients.append(peer_client_seconds())
    return results


def main() -> None:
    """Run what was asked for."""
    given = arguments()
    chosen = [workload for workload in WORKLOADS if given.only is None or workload.name in given.only]
    if given.quick:
        chosen = [quick(workload) for workload in chosen]
    with tempfile.TemporaryDirectory(prefix="doc2x-benchmark-") as folder:
        results = measure(
            chosen, Path(folder), seeds=given.seeds, first_seed=given.first_seed, peers=not given.no_peers
        )
        for name, extra in EXTRAS.items():
            if (given.only is None and not given.quick) or (given.only and name in given.only):
                results.extra[name] = extra()
    if given.plot:
        plot_last(results, chosen, given.plot)
    if given.json:
        print(json.dumps(as_json(results), indent=1))
    else:
        print_table(results)


def plot_last(results: Results, chosen: list[Workload], target: Path) -> None:
    """Draw our last run of more than one document."""
    from tests.benchmarks.plot import draw

    batches = [run for run in results.runs if run.contestant == OURS.name and run.documents > 1 and run.report]
    if not batches:
        sys.exit("--plot draws a batch, and none of those was run")
    last = replace(batches[-1])
    workload = next(each for each in chosen if each.name == last.workload)
    title = f"{workload.title}: {last.wall:.1f} s, {last.wall / last.bound:.2f} times the bound"
    draw(last.report or {}, title, workload.profile.task_limit, target)


if __name__ == "__main__":
    main()
