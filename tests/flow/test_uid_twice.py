"""A uid that the service gives twice: the second document is not stored over the first."""

from pathlib import Path

import pytest

from doc2x_sdk.errors import ProtocolError
from tests.support.scripted import Step, envelope, reply
from tests.support.scripted_service import ScriptedService, make_pdf, told

UID = "0192d745-5776-7261-abbd-000000000001"


def given(service: ScriptedService, uid: str) -> Step:
    """The answer of a preupload that gives this uid."""
    return reply(json=envelope({"uid": uid, "url": service.link(f"/bucket/{uid}")}))


def test_a_uid_of_another_document_is_refused_before_anything_is_sent(service: ScriptedService, paper: Path) -> None:
    other = paper.with_name("other.pdf")
    other.write_bytes(make_pdf(mark="other"))
    with service.client() as client:
        first = client.convert(paper).uid
        service.on("preupload", given(service, UID))
        with pytest.raises(ProtocolError) as caught:
            client.convert(other, max_pages=1)
        told(caught.value, "other.pdf", f"a uid, {first}, that it had given before", str(paper), "Nothing was sent")
        assert caught.value.uid is None, "it is the other's"
        assert service.count("put") == 1
        (row,) = client.jobs(source="other.pdf")
        assert (row.state, row.uid) == ("planned", None)
        assert "given before" in str(row.reason)
        assert client.convert(other).uid == service.uids[1]
    assert service.paid == 2


def test_another_parse_of_the_same_document_is_another(service: ScriptedService, paper: Path) -> None:
    with service.client() as client:
        client.convert(paper)
        service.on("preupload", given(service, UID))
        with pytest.raises(ProtocolError, match="given before"):
            client.convert(paper, model="v3-2026")
        service.on("preupload", given(service, UID))
        with pytest.raises(ProtocolError, match="given before"):
            client.upload(paper, model="v3-2026")
    assert service.count("put") == 1


def test_the_same_uid_for_the_same_parse_is_no_fault(service: ScriptedService, paper: Path) -> None:
    service.on("put", reply(403))
    service.on("preupload", None, given(service, UID))
    with service.client() as client:
        assert client.convert(paper).uid == UID
    assert (service.count("preupload"), service.paid) == (2, 1)


def test_of_two_at_the_same_moment_one_is_refused(service: ScriptedService, tmp_path: Path) -> None:
    papers = [tmp_path / f"{name}.pdf" for name in "ab"]
    for path in papers:
        path.write_bytes(make_pdf(mark=path.name))
    service.on("preupload", *[given(service, UID)] * 2)
    with service.client() as client:
        done = list(client.convert_many(papers, to="txt", out=tmp_path / "out"))
    assert sorted(type(each.error).__name__ for each in done) == ["NoneType", "ProtocolError"]
    assert (service.count("put"), service.paid) == (1, 1)
