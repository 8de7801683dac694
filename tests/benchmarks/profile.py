"""What the simulated service is like, and how long it takes: the same for the server, the bound and every client."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

__all__ = ["Paper", "Profile", "export_seconds", "parse_seconds"]


@dataclass(frozen=True)
class Profile:
    """A service. Times are in seconds; the medians are those of log-normal distributions.

    Attributes:
        seed: of all chance.
        round_trip: of one request; a new connection costs two more (TCP and TLS).
        queue: median time between the end of an upload and the start of its parse.
        page_seconds: median parse time of one page.
        spread: sigma of queue and parse time.
        export_seconds, export_spread: median and sigma of an export.
        task_limit: documents in parse at once.
        page_limit: pages in parse at once.
        rate_limit: API requests a second, as a token bucket that holds one second's worth; above it HTTP 429.
        retry_after: what a 429 asks for.
        mbit_connection, mbit_total: upload bandwidth.
    """

    seed: int = 1
    round_trip: float = 0.03
    queue: float = 0.5
    page_seconds: float = 0.15
    spread: float = 0.2
    export_seconds: float = 0.8
    export_spread: float = 0.35
    task_limit: int | None = None
    page_limit: int | None = None
    rate_limit: float | None = None
    retry_after: int = 1
    mbit_connection: float | None = None
    mbit_total: float | None = None


@dataclass(frozen=True)
class Paper:
    """An input: `ident` stands in its first bytes, so that the service knows it again; `size` None is the smallest."""

    ident: str
    pages: int
    size: int | None = None


def parse_seconds(profile: Profile, ident: str, pages: int) -> tuple[float, float]:
    """How long a document is queued, and then parsed."""
    chance = random.Random(f"{profile.seed}:{ident}")
    queue = profile.queue * math.exp(chance.gauss(0, profile.spread))
    return queue, pages * profile.page_seconds * math.exp(chance.gauss(0, profile.spread))


def export_seconds(profile: Profile, ident: str, to: str) -> float:
    """How long an export takes."""
    chance = random.Random(f"{profile.seed}:{ident}:{to}")
    return profile.export_seconds * math.exp(chance.gauss(0, profile.export_spread))
