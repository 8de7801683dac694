"""What is converted, from which service, and the least time that it can take."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.benchmarks.profile import Paper, Profile, export_seconds, parse_seconds

__all__ = ["WORKLOADS", "Contestant", "Workload", "bound", "quick"]

ACCOUNT = Profile(task_limit=30, page_limit=1000, rate_limit=60)
STRICT = replace(ACCOUNT, rate_limit=40)  # no source tells what the service allows, so that there are two of them
UNPACED = replace(ACCOUNT, rate_limit=None)
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Contestant:
    """A client with its settings.

    Attributes:
        name: for people.
        client: which of `contestant.CLIENTS`.
        options: what it is constructed with.
        ours: it runs in our environment, and on all documents.
    """

    name: str
    client: str
    options: Mapping[str, Any]
    ours: bool = False


OURS = Contestant("doc2x-sdk", "doc2x", {}, ours=True)
BARE = Contestant("requests alone", "requests", {}, ours=True)
DEFAULT = Contestant("pdfdeal", "pdfdeal", {})
FULL_SPEED = Contestant("pdfdeal full_speed", "pdfdeal", {"full_speed": True})
THREADS = Contestant("pdfdeal thread=30", "pdfdeal", {"thread": 30})
BOTH = Contestant("pdfdeal both", "pdfdeal", {"full_speed": True, "thread": 30})
ALL_PEERS = (DEFAULT, FULL_SPEED, THREADS, BOTH)


@dataclass(frozen=True)
class Workload:
    """One row group of the table.

    Attributes:
        name: for --only.
        title: for people.
        papers: seed -> the documents.
        formats: what each becomes.
        profile: the service.
        seeds: how many runs; the table shows their medians.
        peer_seeds: how many of them the other clients run as well, where they take long; None is all.
        peers: the other clients. Settings that only matter to batches are left out for single documents.
        peer_papers: documents that a peer gets, where all would take too long; compare figures per document.
        patience: seconds after which a client is stopped and its documents count as failed.
    """

    name: str
    title: str
    papers: Callable[[int], list[Paper]]
    formats: tuple[str, ...] = ("md",)
    profile: Profile = field(default_factory=Profile)
    seeds: int = 1
    peer_seeds: int | None = None
    peers: tuple[Contestant, ...] = (DEFAULT,)
    peer_papers: int | None = None
    patience: float = 400.0

    def contestants(self, run: int) -> tuple[Contestant, ...]:
        """Return who takes part in a run, counted from 0: our client first."""
        return (OURS, *self.peers) if self.peer_seeds is None or run < self.peer_seeds else (OURS,)


def alone(pages: int, size: int | None = None) -> Callable[[int], list[Paper]]:
    """One document."""
    return lambda seed: [Paper(f"alone-{pages}-{size or 0}-{seed}", pages, size)]


def many(count: int, least: int, most: int) -> Callable[[int], list[Paper]]:
    """Documents of mixed lengths."""

    def papers(seed: int) -> list[Paper]:
        chance = random.Random(f"{seed}:{count}:{most}")
        return [Paper(f"many-{count}-{most}-{seed}-{i:04d}", chance.randint(least, most)) for i in range(count)]

    return papers


MIXED = many(100, 1, 30)
LIMITED = many(40, 1, 12)
LARGE = alone(20, 300 * MEGABYTE)

WORKLOADS = (
    Workload("one", "1 page", alone(1), seeds=16),
    Workload("twenty", "20 pages", alone(20), seeds=5),
    Workload("mixed", "100 mixed, md, 60 requests/s", MIXED, profile=ACCOUNT, seeds=7, peer_seeds=1, peers=ALL_PEERS),
    Workload(
        "mixed-unpaced", "100 mixed, md, no request limit", MIXED, profile=UNPACED, seeds=5, peer_seeds=1, peers=(BOTH,)
    ),
    Workload(
        "mixed-three",
        "100 mixed, md + docx + tex, 60 requests/s",
        MIXED,
        ("md", "docx", "tex"),
        ACCOUNT,
        seeds=3,
        peer_seeds=1,
        peers=ALL_PEERS,
    ),
    Workload("mixed-strict", "100 mixed, md, 40 requests/s", MIXED, profile=STRICT, seeds=5, peers=()),
    Workload(
        "three-strict",
        "100 mixed, md + docx + tex, 40 requests/s",
        MIXED,
        ("md", "docx", "tex"),
        STRICT,
        seeds=3,
        peer_seeds=1,
        peers=(DEFAULT,),
    ),
    Workload(
        "roomy",
        "500 mixed, md + docx + tex, 100 tasks, no request limit",
        many(500, 1, 30),
        ("md", "docx", "tex"),
        Profile(task_limit=100),
        peers=(),
    ),
    Workload("large", "300 MB at 400 Mbit/s", LARGE, profile=Profile(mbit_connection=400), seeds=5),
    Workload("large-slow", "300 MB at 11.5 Mbit/s", LARGE, profile=Profile(mbit_connection=11.5), patience=300),
    Workload(
        "tiny",
        "2,000 tiny",
        many(2000, 1, 1),
        profile=Profile(task_limit=100),
        seeds=3,
        peers=(BARE, DEFAULT, BOTH),
        peer_papers=200,
    ),
    Workload("limit-tasks", "40, at most 3 tasks", LIMITED, profile=Profile(task_limit=3), peers=ALL_PEERS),
    Workload("limit-pages", "40, at most 40 pages", LIMITED, profile=Profile(page_limit=40), peers=ALL_PEERS),
    Workload("limit-rate", "40, at most 5 requests/s", LIMITED, profile=Profile(rate_limit=5), peers=ALL_PEERS),
    Workload("one-fast", "1 page, 0.05 s a page", alone(1), profile=Profile(page_seconds=0.05), seeds=8, peers=()),
    Workload("one-slow", "1 page, 0.6 s a page", alone(1), profile=Profile(page_seconds=0.6), seeds=8, peers=()),
    Workload(
        "mixed-fast", "100 mixed, 0.05 s a page", MIXED, profile=replace(ACCOUNT, page_seconds=0.05), seeds=3, peers=()
    ),
    Workload(
        "mixed-slow", "100 mixed, 0.6 s a page", MIXED, profile=replace(ACCOUNT, page_seconds=0.6), seeds=3, peers=()
    ),
)


def quick(workload: Workload) -> Workload:
    """The same in small and on a faster service: a check that everything runs, not a measurement."""
    full = workload.papers

    def papers(seed: int) -> list[Paper]:
        return [replace(paper, pages=min(paper.pages, 3), size=paper.size and 3 * MEGABYTE) for paper in full(seed)[:6]]

    profile = replace(
        workload.profile, round_trip=0.002, queue=0.02, page_seconds=0.01, export_seconds=0.03, retry_after=0
    )
    return replace(workload, papers=papers, profile=profile, seeds=1, patience=60.0, peer_papers=None)


def bound(papers: list[Paper], formats: tuple[str, ...], profile: Profile) -> float:
    """The least seconds that any client could take: the largest of these, with R the round trip.

    - critical path of each document: 3 R (connect, preupload) + 2 R (connect) + its bytes / bandwidth + R / 2 until the
      service has them, queue and parse, R / 2 until that is known; each format R / 2 + export + R / 2 + R (fetch);
    - slots: the first document's way to the service + the sum of all parses / task limit + the last one's way back;
    - pages: the same with the sum of pages x parse / page limit;
    - requests: (2 + 2 a format) calls a document, less the first second's worth, / rate limit;
    - line: all bytes / bandwidth.
    """
    trip = profile.round_trip
    parses = [sum(parse_seconds(profile, paper.ident, paper.pages)) for paper in papers]
    backs = [trip / 2 + sum(2 * trip + export_seconds(profile, paper.ident, to) for to in formats) for paper in papers]
    line = min(profile.mbit_connection or float("inf"), profile.mbit_total or float("inf")) * 1e6 / 8
    outs = [5.5 * trip + (paper.size or 0) / line for paper in papers]
    ends = min(outs) + min(backs)
    least = max(out + parse + back for out, parse, back in zip(outs, parses, backs, strict=True))
    if profile.task_limit:
        least = max(least, ends + sum(parses) / profile.task_limit)
    if profile.page_limit:
        work = sum(paper.pages * parse for paper, parse in zip(papers, parses, strict=True))
        least = max(least, ends + work / profile.page_limit)
    if profile.rate_limit:
        calls = len(papers) * (2 + 2 * len(formats))
        least = max(least, (calls - profile.rate_limit) / profile.rate_limit)
    if profile.mbit_total:
        least = max(least, sum(paper.size or 0 for paper in papers) / line)
    return least
