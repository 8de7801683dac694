"""`doc2x status`."""

import pytest

from tests.cli.command import EXAMPLE, UID, account, doc2x, refused
from tests.support.scripted import ScriptedServer, envelope, reply


def answer(**data):
    return reply(json=envelope({"status": "processing", "progress": 40, "detail": "", "result": None} | data))


def test_it_tells_how_far_a_document_is(tmp_path, service):
    sent = doc2x("convert", EXAMPLE, "--to", "txt", "--out", tmp_path, "--json", env=account(service.url))
    uid = sent.json[0]["uid"]
    done = doc2x("status", uid, env=account(service.url))
    assert done.code == 0
    assert {"state\tsuccess", "pages\t2", f"uid\t{uid}"} <= set(done.lines)
    assert f"doc2x fetch {uid}" in done.err


def test_json(tmp_path):
    with ScriptedServer(answer()) as server:
        done = doc2x("status", UID, "--json", env=account(server.origin))
    assert done.code == 0
    assert (done.json["uid"], done.json["state"], done.json["progress"]) == (UID, "processing", 40)
    assert len(server.requests) == 1, "it asks once"


def test_a_picture_is_asked_for_elsewhere():
    with ScriptedServer(answer()) as server:
        assert doc2x("status", UID, "--picture", env=account(server.origin)).code == 0
    assert "/img/layout/status" in server.requests[0].target


@pytest.mark.faults("CL-05")
@pytest.mark.parametrize(
    ("step", "code"),
    [
        (answer(status="failed", detail="too blurred"), 6),
        (refused("parse_status_not_found"), 6),
        (refused("unauthorized", 401), 3),
    ],
    ids=["failed", "not-known", "key"],
)
def test_failures_have_their_codes(step, code):
    with ScriptedServer(step) as server:
        done = doc2x("status", UID, env=account(server.origin))
    assert done.code == code


@pytest.mark.faults("CL-06")
@pytest.mark.parametrize("command", [["status"], ["fetch", "--to", "md"]], ids=["status", "fetch"])
def test_without_a_key_it_is_2_without_a_request(command):
    with ScriptedServer(reply(500)) as server:
        done = doc2x(*command, UID, env={"DOC2X_BASE_URL": server.origin})
    assert (done.code, done.out, server.connections) == (2, "", 0)
    assert "set-key" in done.err
    assert "--local" not in done.err, "another machine's document is not to be had here"


@pytest.mark.faults("CL-06")
@pytest.mark.parametrize("uid", ["../../etc", "a b", "x" * 500])
def test_what_is_no_uid_is_2_without_a_request(uid):
    with ScriptedServer(reply(500)) as server:
        done = doc2x("status", uid, env=account(server.origin))
    assert (done.code, server.connections) == (2, 0)
