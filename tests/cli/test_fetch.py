"""`doc2x fetch`."""

import pytest

from tests.cli.command import EXAMPLE, UID, account, doc2x, refused
from tests.support.scripted import ScriptedServer, reply


@pytest.fixture
def uid(tmp_path, service):
    """A document that the service has parsed."""
    sent = doc2x("convert", EXAMPLE, "--to", "txt", "--out", tmp_path / "first", "--json", env=account(service.url))
    return sent.json[0]["uid"]


def test_it_fetches_one_more_format_without_another_upload(tmp_path, service, uid):
    before = service.stats().puts
    done = doc2x("fetch", uid, "--to", "md", "--to", "json", "--out", tmp_path / "out", env=account(service.url))
    assert (done.code, done.lines) == (0, [str(tmp_path / "out" / f"{uid}{end}") for end in (".md", ".json")])
    assert service.stats().puts == before
    assert (tmp_path / "out" / f"{uid}.md").read_text(encoding="utf-8").strip()


def test_under_a_name_and_as_json(tmp_path, service, uid):
    out = ["--out", tmp_path / "out", "--name", "paper"]
    done = doc2x("fetch", uid, "--to", "txt", *out, "--json", env=account(service.url))
    [row] = done.json
    assert (done.code, row["files"], row["uid"]) == (0, {"txt": str(tmp_path / "out" / "paper.txt")}, uid)
    again = doc2x("fetch", uid, "--to", "txt", *out, env=account(service.url))
    assert (again.code, again.out) == (0, "")
    assert "--overwrite" in again.err


def test_the_stem_of_a_name_is_the_uid_and_the_help_says_so(tmp_path, service, uid):
    done = doc2x("fetch", uid, "--to", "txt", "--out", tmp_path, "--name", "{stem}-x", env=account(service.url))
    assert done.lines == [str(tmp_path / f"{uid}-x.txt")]
    assert "{stem} (here the uid too)" in " ".join(doc2x("fetch", "--help").out.split())
    assert "{stem} (the input's name)" in " ".join(doc2x("convert", "--help").out.split())


@pytest.mark.faults("CL-05")
def test_a_uid_that_the_service_does_not_know_is_6(tmp_path):
    with ScriptedServer(refused("parse_status_not_found")) as server:
        done = doc2x("fetch", UID, "--to", "txt", "--out", tmp_path, env=account(server.origin))
    assert done.code == 6
    assert "24 hours" in done.err


@pytest.mark.faults("CL-06")
@pytest.mark.parametrize("wrong", [["--to", "nonsense"], ["--name", "{foo}"]], ids=["format", "template"])
def test_a_wrong_option_is_2_without_a_request(tmp_path, wrong):
    with ScriptedServer(reply(500)) as server:
        done = doc2x("fetch", UID, *wrong, "--out", tmp_path / "out", env=account(server.origin))
    assert (done.code, server.connections) == (2, 0)
    assert not (tmp_path / "out").exists()
