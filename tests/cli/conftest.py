"""A server for all tests of the command that look at nothing but their own documents."""

from collections.abc import Iterator

import pytest

from doc2x_sdk.local.server import LocalServer
from doc2x_sdk.local.settings import ServerSettings


@pytest.fixture(scope="session")
def service() -> Iterator[LocalServer]:
    with LocalServer(ServerSettings(workers=1)) as server:
        yield server
