"""Documents whose own upload does not get through: the others go before them, however few work at a time."""

import logging
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from doc2x_sdk.batch.outage import Outage, Visit
from doc2x_sdk.errors import NetworkError
from doc2x_sdk.flow.silence import Silence
from tests.batch.conftest import Papers
from tests.support.clocks import StillClock
from tests.support.scripted import Conversation, Request, Step, close, reply
from tests.support.scripted_service import ScriptedService, make_pdf

pytestmark = pytest.mark.faults("TR-17")

LARGE = 20_000  # bytes


def only_small(service: ScriptedService) -> Step:
    """A proxy on the way to the storage that hangs up on large uploads."""

    def act(conversation: Conversation, request: Request) -> None:
        if int(request.headers["content-length"]) > LARGE:
            conversation.reset()
            return
        conversation.read_body(request)
        service.stored.append((urlsplit(request.target).path.rpartition("/")[2], request.body))
        reply(200).action(conversation, request)

    return Step(act, at=0)


def large(count: int, folder: Path) -> list[Path]:
    """Documents that are too large for the proxy; of as many pages as the others, they go first where they come so."""
    folder.mkdir()
    paths = [folder / f"large{number}.pdf" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(make_pdf(size=2 * LARGE, mark=f"large {number}"))
    return paths


@pytest.mark.parametrize(
    "case",
    [
        pytest.param((1, 1), id="one at a time"),
        pytest.param((1, 3), id="three of them"),
        pytest.param((3, 4), id="more than work at a time"),
    ],
)
def test_uploads_that_never_get_through_do_not_keep_the_others_from_being_sent(
    case: tuple[int, int],
    service: ScriptedService,
    papers: Papers,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """So many work at a time, and so many never get through."""
    (jobs, stuck), out = case, tmp_path / "out"
    service.always("put", only_small(service))
    blocked = large(stuck, tmp_path / "large")
    paths = [*blocked, *papers(12)]
    with service.client(StillClock(), outage=900.0, retries=0) as client:
        with caplog.at_level(logging.INFO, "doc2x_sdk"):
            done = list(client.convert_many(paths, to="md", out=out, jobs=jobs))
        assert sorted(each.source for each in done) == sorted(map(str, paths))
        failed = [each for each in done if each.error]
        assert {each.source for each in failed} == set(map(str, blocked))
        assert all(isinstance(each.error, NetworkError) for each in failed)
        assert service.paid == 12
        assert "large0.pdf: its upload does not get through" in caplog.text
        service.always("put", None)
        assert [each.error for each in client.convert_many(paths, to="md", out=out)] == [None] * len(paths)
    assert service.paid == len(paths)


def test_an_upload_that_gets_through_later_is_no_failure(
    service: ScriptedService, papers: Papers, out: Path, tmp_path: Path
) -> None:
    clock = StillClock()
    service.always("put", only_small(service))
    paths = [*large(2, tmp_path / "large"), *papers(3)]

    def heal(_: float) -> None:
        if service.paid == 3:
            service.always("put", None)

    clock.on_sleep = heal
    with service.client(clock, outage=600.0, retries=0) as client:
        done = list(client.convert_many(paths, to="md", out=out, jobs=1))
    assert [each.error for each in done] == [None] * 5
    assert {each.source for each in done[:3]} == set(map(str, paths[2:]))
    assert service.paid == 5


def test_while_no_parse_can_be_heard_of_no_further_document_is_paid(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    service.always("status", close())
    with service.client(StillClock(), outage=3600.0, retries=0) as client:
        done = list(client.convert_many(papers(5), to="md", out=out, jobs=1))
        assert [each.to_fetch for each in done if each.sent] == [True]
        assert service.paid == 1
        service.always("status", None)
        assert not any(each.error for each in client.convert_many(papers(5), to="md", out=out))
    assert service.paid == 5


def test_what_was_put_off_when_an_outage_ends_the_batch_was_not_begun(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    service.always("preupload", close())
    clock = StillClock()
    with service.client(clock, outage=600.0, retries=0) as client:
        with client.convert_many(papers(4), to="md", out=out, jobs=1) as run:
            done = list(run)
        assert run.reason is not None
        assert clock.monotonic() - 1000.0 < 800.0  # one after the other they wait no longer than one would
        assert len(done) == 4
        assert not any(each.sent or each.to_fetch for each in done)
    assert service.paid == 0


def test_a_document_that_has_not_failed_yet_tries_before_those_that_have() -> None:
    """As many as work at a time may be those that never get through."""
    clock, error = StillClock(), NetworkError("The upload: no answer")
    first, second, new = Visit(), Visit(), Visit()
    tried: list[Visit] = []

    def others_go_on() -> None:
        """What happens while the second waits behind the first, and then while the new one does."""
        if not tried:
            tried.append(first)
            outage.enter(new)
            tried.append(new)
            assert outage.silent(new, error)
        else:
            assert outage.silent(first, error)

    outage = Outage(clock.clock, 600.0, others_go_on, Silence(600.0), patience=0.0)
    for one in (first, second):
        assert outage.silent(one, error)
    outage.enter(first)
    outage.enter(second)
    assert tried == [first, new]


def test_tries_that_take_long_are_in_a_row_while_nothing_is_heard_of_their_parse() -> None:
    """An upload of half an hour that breaks off each time, while others are answered."""
    clock, error = StillClock(), NetworkError("The upload: the connection was reset")
    outage = Outage(clock.clock, 600.0, lambda: None, Silence(600.0), patience=180.0)
    with outage.visit() as broken, outage.visit() as moving:
        for one, goes_on in ((broken, False), (moving, True)):
            assert outage.silent(one, error)
            assert not one.fails_for_long
            clock.advance(1800.0)
            outage.over(moving)
            assert outage.silent(one, error) == goes_on
            assert one.fails_for_long != goes_on
            outage.over()
