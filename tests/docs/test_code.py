"""Every code block of README and docs that can run is run, by a newcomer with a sample beside him."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from doc2x_sdk.local.server import LocalServer
from doc2x_sdk.local.settings import ServerSettings
from tests.docs.blocks import ROOT, Block, blocks

KEY = "local-docs-key"
RUN = [block for block in blocks() if block.reason is None and block.page != "docs/guide/write-a-plugin.md"]
"""The plugin tutorial is followed step by step by a test of its own."""


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(ServerSettings(api_key=KEY)) as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder as the pages assume it: a paper, and a folder of papers."""
    (tmp_path / "papers").mkdir()
    for name in ("paper.pdf", "papers/first.pdf"):
        shutil.copyfile(ROOT / "docs" / "examples" / "paper.pdf", tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("block", RUN, ids=str)
def test_block_runs(block: Block, server: LocalServer, desk: Path) -> None:
    environ = {
        **os.environ,
        "DOC2X_APIKEY": KEY,
        "DOC2X_BASE_URL": server.url,
        "DOC2X_V1_BASE_URL": server.url,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONWARNINGS": "error",
    }
    command = [sys.executable, "-c", block.code] if block.language == "python" else ["sh", "-euc", block.code]
    done = subprocess.run(command, cwd=desk, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), "a block of the documentation shows nothing"


def test_there_is_something_to_run_and_each_exception_has_a_reason() -> None:
    assert len(RUN) > 10
    assert all(len(block.reason or "a reason") > 5 for block in blocks())
