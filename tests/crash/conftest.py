"""What the tests that kill processes share: a server with a till, and the process whose children are killed."""

from collections.abc import Iterator

import pytest

from doc2x_sdk.local.server import LocalServer
from doc2x_sdk.local.settings import ServerSettings
from tests.crash.world import KEY, Zygote, zygote


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(ServerSettings(api_key=KEY, workers=1)) as running:
        yield running


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    with zygote(tmp_path_factory.mktemp("home")) as running:
        yield running
