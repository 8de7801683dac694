"""`doc2x quota`."""

import pytest

from doc2x_sdk.local.server import LocalServer
from doc2x_sdk.local.settings import ServerSettings
from tests.cli.command import EXAMPLE, account, doc2x
from tests.support.scripted import ScriptedServer, reply
from tests.support.wire import KEY


def test_it_goes_down_by_the_pages_that_are_paid(tmp_path):
    with LocalServer(ServerSettings(workers=1, pages_quota=100)) as server:
        env = account("http://127.0.0.1:9", DOC2X_V1_BASE_URL=server.url)
        before = doc2x("quota", env=env)
        done = doc2x("convert", EXAMPLE, "--api", "v1", "--to", "txt", "--out", tmp_path, env=env)
        after = doc2x("quota", "--json", env=env)
    assert (before.code, before.lines, before.err) == (0, ["100"], "")
    assert done.code == 0, done.err
    assert (after.code, after.json) == (0, {"pages": 98})


@pytest.mark.faults("CL-06")
def test_without_a_key_it_is_2_without_a_request():
    with ScriptedServer(reply(500)) as server:
        done = doc2x("quota", env={"DOC2X_V1_BASE_URL": server.origin})
    assert (done.code, done.out, server.connections) == (2, "", 0)
    assert "set-key" in done.err


@pytest.mark.faults("CL-05")
def test_a_refused_key_is_3():
    with ScriptedServer(reply(401, json={"code": "unauthorized"})) as server:
        done = doc2x("quota", env=account("http://127.0.0.1:9", DOC2X_V1_BASE_URL=server.origin))
    assert (done.code, done.out) == (3, "")
    assert KEY not in done.err
