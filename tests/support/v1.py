"""The v1 service of the tests: embedded servers, and a scripted one behind the six functions or the front door."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doc2x_sdk import Doc2X
from doc2x_sdk.clock import Clock
from tests.support.clocks import StillClock
from tests.support.scripted import ScriptedServer, Step, envelope, reply
from tests.support.wire import KEY

__all__ = ["PAPER", "PICTURE", "Shout", "WallClock", "client_of", "pages", "state", "taken", "until_done"]

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
PAPER = EXAMPLES / "paper.pdf"
PICTURE = EXAMPLES / "figure.png"
UUID = "5a3c1d8e-0f5b-4a37-9f0e-0123456789ab"


class Shout:
    """A translator that answers in capitals, and tells what it was asked for."""

    def translate(self, texts: Sequence[str], language: str, model: str) -> Sequence[str]:
        return [f"{text.upper()} [{language} {model}]" for text in texts]


@dataclass
class WallClock:
    """The machine's clocks, with a wall clock that a test can put forward."""

    ahead: float = field(default=0.0)

    @property
    def clock(self) -> Clock:
        """What a server is handed."""
        return Clock(now=lambda: time.time() + self.ahead)


def until_done(ask: Callable[[], tuple[int, str, list[str]]]) -> list[tuple[int, str, list[str]]]:
    """Ask a working server until the state is final, and return all answers."""
    seen = []
    end = time.monotonic() + 60
    while time.monotonic() < end:
        seen.append(ask())
        if seen[-1][1] in ("Success", "Translate success"):
            return seen
    raise AssertionError(f"not done in time: {seen[-1]}")


def pages(*texts: str) -> dict[str, Any]:
    """The `result` of a parse."""
    return {
        "pages": [{"md": text, "page_idx": at, "page_width": 10, "page_height": 20} for at, text in enumerate(texts)]
    }


def state(word: str, **more: Any) -> Step:
    """An answer of the status call."""
    return reply(json=envelope({"uuid": UUID, "status": word, **more}))


def taken(uuid: object = UUID) -> Step:
    """An answer to an upload."""
    return reply(json=envelope({"uuid": uuid}))


@contextmanager
def client_of(server: ScriptedServer | str, clock: StillClock | None = None, **settings: Any) -> Iterator[Doc2X]:
    """The front door of a v1 server; the clock is a `StillClock`, the key an `sk-` one unless given."""
    origin = server if isinstance(server, str) else server.origin
    apikey = settings.pop("apikey", KEY)
    handed = settings.pop("real_clock", None) or (clock or StillClock()).clock
    with Doc2X(apikey, api="v1", v1_base_url=origin, clock=handed, **settings) as client:
        yield client
