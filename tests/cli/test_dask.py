"""The command with a Dask cluster as its engine."""

import re

import pytest

from tests.cli.command import EXAMPLE, account, doc2x, ended, start
from tests.cluster.test_dask import cluster

pytestmark = pytest.mark.slow


def test_convert_and_serve_let_the_cluster_work(tmp_path):
    with cluster(1) as (address, _):
        done = doc2x("convert", EXAMPLE, "--local", "--dask", address, "--to", "txt", "--out", tmp_path / "convert")
        server = start("serve", "--dask", address)
        url = server.stdout.readline().decode().strip()
        served = doc2x("convert", EXAMPLE, "--to", "txt", "--out", tmp_path / "serve", env=account(url))
        server.terminate()
        assert ended(server).code == 0
    assert (done.code, served.code) == (0, 0), done.err + served.err
    plain = doc2x("convert", EXAMPLE, "--local", "--to", "txt", "--out", tmp_path / "here")
    assert plain.code == 0
    files = [tmp_path / name / "paper.txt" for name in ("convert", "serve", "here")]
    texts = {re.sub(r"http://\S+", "", path.read_text(encoding="utf-8")) for path in files}  # each server has its own
    assert len(texts) == 1
