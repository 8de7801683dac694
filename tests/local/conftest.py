"""Servers and callers for the tests of the local room."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from doc2x_sdk.local.server import LocalServer
from doc2x_sdk.local.settings import ServerSettings
from tests.local.caller import Caller, HeldExecutor


@pytest.fixture(scope="session")
def shared_server() -> Iterator[LocalServer]:
    """A server with no limits that takes any key, for all tests that look at nothing but their own uids."""
    with LocalServer(ServerSettings(workers=2)) as server:
        yield server


@pytest.fixture
def caller(shared_server: LocalServer) -> Iterator[Caller]:
    one = Caller(shared_server.url)
    yield one
    one.close()


@pytest.fixture
def held() -> Iterator[HeldExecutor]:
    with HeldExecutor() as executor:
        yield executor
        executor.gate.set()


@pytest.fixture
def serve_with(held: HeldExecutor) -> Iterator[Callable[..., tuple[LocalServer, Caller]]]:
    """Start a server with these settings; its parses wait for `held.gate`, its answers for nothing."""
    closers: list[Callable[[], object]] = []

    def start(key: str = "sk-test", tools: dict[str, Any] | None = None, **settings: Any) -> tuple[LocalServer, Caller]:
        server = LocalServer(
            ServerSettings(**({"hold_seconds": 0.0} | settings)), **({"executor": held} | (tools or {}))
        )
        server.__enter__()
        one = Caller(server.url, key)
        closers.extend([one.close, held.gate.set, lambda: server.__exit__(None, None, None)])
        return server, one

    yield start
    for close in closers:
        close()


@pytest.fixture(scope="session")
def drawn_text() -> Image.Image:
    """A picture of two words, as a scanner would see them."""
    picture = Image.new("RGB", (900, 300), "white")
    ImageDraw.Draw(picture).text((40, 90), "HARBOUR 4711", fill="black", font=ImageFont.load_default(96))
    return picture
