"""What a batch would cost, told without a request; and fetching what was paid for while it is there."""

import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from doc2x_sdk import Doc2X
from doc2x_sdk.errors import ConfigError, NetworkError, OutcomeUnknown
from doc2x_sdk.formats.registry import Formats
from doc2x_sdk.models import Progress
from tests.batch.conftest import Papers
from tests.flow.folders import tree
from tests.support.clocks import StillClock
from tests.support.scripted import Conversation, Request, Step, close
from tests.support.scripted_service import ScriptedService, failed, make_pdf, processing, told


def test_a_quote_says_what_each_input_would_cost_and_asks_nobody(
    service: ScriptedService, papers: Papers, tmp_path: Path, out: Path, clock: StillClock
) -> None:
    paths = papers(6)
    special = tmp_path / "special"
    special.mkdir()
    for name, content in {
        "twin.pdf": paths[4].read_bytes(),
        "empty.pdf": b"",
        "broken.pdf": b"%PDF-1.4\nnothing",
        "text.pdf": b"only words",
        "large.pdf": make_pdf(size=3_000_000),
        "long.pdf": make_pdf(25),
    }.items():
        (special / name).write_bytes(content)
    with service.client(clock, max_pdf_bytes=2_000_000, max_file_pages=10) as client:
        client.convert(paths[0], to="md", out=out)
        client.convert(paths[1])
        service.on("status", failed("parse_file_lock"))
        with pytest.raises(Exception, match="locked this file"):
            client.convert(paths[2])
        service.on("put", close(), close())  # never arrives
        with pytest.raises(NetworkError):
            client.convert(paths[3])
        requests = len(service.server.requests)
        inputs = [*paths, *sorted(special.iterdir()), special / "missing.pdf", special]
        quote = client.quote(inputs, to="md", out=out)
        rows = {Path(row.source).name: row for row in quote}
        assert {name: row.verdict for name, row in rows.items()} == {
            "paper0.pdf": "done",
            "paper1.pdf": "paid",
            "paper2.pdf": "failed",
            "paper3.pdf": "begun",
            "paper4.pdf": "new",
            "paper5.pdf": "new",
            "twin.pdf": "duplicate",
            "empty.pdf": "empty",
            "broken.pdf": "broken",
            "text.pdf": "unsupported",
            "large.pdf": "too_large",
            "long.pdf": "new",
            "missing.pdf": "missing",
            "special": "unsupported",
        }
        assert {name: row.to_pay for name, row in rows.items() if row.to_pay} == {
            "paper3.pdf": 1, "paper4.pdf": 1, "paper5.pdf": 1, "long.pdf": 25}  # fmt: skip
        assert (quote.files, quote.to_pay, quote.pages) == (14, 28, 32)
        assert quote.counts["new"] == 3
        retried = client.quote(inputs, to="md", out=out, retry_failed=True).all()
        forced = client.quote(inputs, to="md", force=True).all()
        assert (retried.to_pay, forced.to_pay) == (29, 32)
        clock.advance(25 * 3600.0)
        assert client.quote(inputs, to="docx", out=out).all().to_pay == 30  # the results' 24 hours are over
        assert len(service.server.requests) == requests
    assert not (tmp_path / "out" / "paper1.md").exists()


def test_a_quote_tells_encrypted_files_and_results_of_an_older_content(
    service: ScriptedService, papers: Papers, tmp_path: Path, out: Path
) -> None:
    (path,) = papers(1)
    locked = tmp_path / "locked.pdf"
    locked.write_bytes(encrypted())
    with service.client() as client:
        client.convert(path, to="md", out=out)
        path.write_bytes(make_pdf(mark="second edition"))
        verdicts = [row.verdict for row in client.quote([locked, path], to="md", out=out)]
    assert verdicts == ["encrypted", "changed"]


def encrypted() -> bytes:
    """A PDF of one page that wants a password: its encryption dictionary fits no empty one."""
    plain = make_pdf()
    dictionary = b"<</Filter/Standard/V 1/R 2/O<" + b"41" * 32 + b">/U<" + b"42" * 32 + b">/P -4>>"
    return plain.replace(b"/Root 1 0 R", b"/Root 1 0 R/Encrypt " + dictionary + b"/ID[<00><00>]")


def test_what_is_no_path_can_not_be_used_and_is_told_as_a_batch_tells_it(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    first, second = papers(2)
    odd: Any = [first, None, 7, second]
    with service.client() as client:
        rows = list(client.quote(odd, to="md", out=out))
        ends = {done.source: str(done.error) for done in client.convert_many(odd, to="md", out=out)}
    assert [row.verdict for row in rows] == ["new", "unusable", "unusable", "new"]
    assert [str(row.error) for row in rows] == [ends[row.source] for row in rows]


# rescue


def test_what_was_paid_for_is_fetched_to_where_it_was_wanted(
    service: ScriptedService, papers: Papers, out: Path, clock: StillClock
) -> None:
    paths = papers(5)
    with service.client(clock) as client:
        client.convert(paths[0], to=["md", "docx"], out=out)
        for number in (3, 1, 2):
            clock.advance(3600.0)
            service.on("export", *[failed("parse_error")] * 9)
            with pytest.raises(Exception, match="parse"):
                client.convert(paths[number], to=["md", "json"], out=out / str(number))
            service._script["export"].clear()
        done = list(client.rescue(jobs=1))
        assert [Path(each.source).name for each in done] == [
            "paper3.pdf",
            "paper1.pdf",
            "paper2.pdf",
        ]  # the first ends first
        assert [each.error for each in done] == [None] * 3
        assert list(client.rescue()) == []
    assert service.paid == 4
    for number in (1, 2, 3):
        assert {f"{number}/paper{number}.md", f"{number}/paper{number}.json"} <= set(tree(out))


def test_what_has_no_place_needs_one_and_old_ones_are_gone(
    service: ScriptedService, papers: Papers, out: Path, tmp_path: Path, clock: StillClock
) -> None:
    first, second = papers(1, folder="a")[0], papers(1, folder="b")[0]
    with service.client(clock) as client:
        client.upload(first)
        clock.advance(23 * 3600.0)
        client.upload(second)
        (done, other) = client.rescue(jobs=1)
        assert isinstance(done.error, ConfigError)
        told(done.error, str(first), service.uids[0], "`out`")
        assert other.error is not None
        assert [each.error for each in client.rescue(out)] == [None, None]
        assert list(client.rescue(tmp_path / "other")) == []
        clock.advance(3600.0)
        client.upload(papers(1, folder="c")[0])
        clock.advance(25 * 3600.0)
        assert list(client.rescue(out)) == []
    assert {name.partition("-")[0] for name in tree(out)} >= {"paper0.md", "paper0"}  # two documents, two names
    assert len([name for name in tree(out) if name.endswith(".md")]) == 2


def lost(client: Doc2X, paths: list[Path], clock: StillClock) -> None:
    """Pay for these, the first an hour before the second, and fetch none."""
    for path in paths:
        client.upload(path)
        clock.advance(3600.0)


def names(sources: Iterable[str]) -> list[str]:
    return [Path(source).name for source in sources]


def test_several_are_fetched_at_a_time_and_the_most_urgent_first(
    service: ScriptedService, papers: Papers, out: Path, clock: StillClock
) -> None:
    """The answer to each of the first exports waits until as many have been asked for."""
    at_once = threading.Barrier(3)
    began: list[str] = []

    def act(conversation: Conversation, request: Request) -> None:
        began.append(json.loads(request.body)["uid"])
        at_once.wait(30.0)
        service._export(request).action(conversation, request)

    with service.client(clock) as client:
        lost(client, papers(7), clock)
        service.on("export", *[Step(act)] * 3)
        done = list(client.rescue(out, jobs=3))
    assert [each.error for each in done] == [None] * 7
    assert sorted(began) == service.uids[:3]
    assert (service.paid, len(list(out.glob("*.md")))) == (7, 7)


def test_a_rescue_that_is_stopped_tells_what_remains(
    service: ScriptedService, papers: Papers, out: Path, clock: StillClock
) -> None:
    with service.client(clock) as client:
        lost(client, papers(4), clock)
        run = client.rescue(out, jobs=1)
        assert [row.uid for row in run.remaining()] == service.uids
        service.on("result", None, Step(lambda conversation, request: hang(conversation, request, run.stop)))
        done = list(run)
        assert names(each.source for each in done) == ["paper0.pdf"]
        assert [row.uid for row in run.remaining()] == service.uids[1:]
        again = client.rescue(out, jobs=1)
        assert names(each.source for each in again) == ["paper1.pdf", "paper2.pdf", "paper3.pdf"]
        assert list(again.remaining()) == []
    assert (service.paid, service.count("export")) == (4, 5)


def hang(conversation: Conversation, request: Request, then: Callable[[], None]) -> None:
    """Say that it is at work, just after something else has happened."""
    then()
    processing(0).action(conversation, request)


@pytest.mark.parametrize("how", ["close", "drop", "client"])
def test_a_rescue_ends_with_its_iterator(how: str, service: ScriptedService, papers: Papers, out: Path) -> None:
    clock = StillClock()
    with service.client(clock) as client:
        lost(client, papers(40), clock)
        run = client.rescue(out, jobs=2)
        assert next(run).error is None
        if how == "close":
            run.close()
        elif how == "client":
            client.close()
        else:
            del run
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("doc2x-rescue")]
        exports = service.count("export")
    assert exports == service.count("export")


def test_what_a_callback_raises_in_a_rescue_comes_out_of_it(
    service: ScriptedService, papers: Papers, out: Path, clock: StillClock
) -> None:
    error = NetworkError("the caller's own")

    def fail(progress: Progress) -> None:
        if progress.stage == "download":
            raise error

    with service.client(clock) as client:
        lost(client, papers(3), clock)
        with pytest.raises(NetworkError) as caught:
            list(client.rescue(out, jobs=2, on_progress=fail))
        assert caught.value is error
        assert [each.error for each in client.rescue(out)] == [None] * 3
    assert service.paid == 3


def test_an_upload_that_never_arrived_is_nothing_to_rescue(service: ScriptedService, papers: Papers, out: Path) -> None:
    service.on("put", close(), close())
    with service.client() as client:
        with pytest.raises(NetworkError):
            client.convert(papers(1)[0], to="md", out=out)
        assert list(client.rescue(out)) == []
    assert service.paid == 0


def test_a_rescue_uses_the_options_that_were_asked_for(service: ScriptedService, papers: Papers, out: Path) -> None:
    (path,) = papers(1)
    with service.client(clock=StillClock()) as client:
        service.on("export", *[failed("parse_error")] * 9)
        with pytest.raises(Exception, match="parse"):
            client.convert(path, to=["md", "tex"], out=out, merge_tables=True, result_name="a.b {stem}")
        service._script["export"].clear()
        before = service.count("export")
        (done,) = client.rescue()
    assert done.error is None
    assert {"a.b paper0.md", "a.b paper0.tex"} <= set(tree(out))
    bodies = [request.body for request in service.of("export")[before:]]
    assert bodies
    assert all(b'"merge_cross_page_forms": true' in body for body in bodies)


# outcomes that nobody knows


@pytest.mark.faults("JR-04")
@pytest.mark.parametrize("direct", [False, True])
def test_a_paid_step_whose_answer_was_lost_is_never_sent_again_by_itself(
    direct: bool, service: ScriptedService, tmp_path: Path, out: Path
) -> None:
    """A picture, and a PDF that is sent in one step: their uid comes with the answer."""
    path = tmp_path / ("paper.pdf" if direct else "sign.jpg")
    path.write_bytes(make_pdf() if direct else b"\xff\xd8\xff\xe0 a picture")
    route = "direct" if direct else "image"
    service.on(route, close())
    with service.client() as client:
        with pytest.raises(OutcomeUnknown):
            client.upload(path, direct=direct)
        (row,) = client.jobs()
        assert row.state == "unknown"
    with service.client() as client:
        for _ in range(2):
            with pytest.raises(OutcomeUnknown) as caught:
                client.upload(path, direct=direct)
        told(caught.value, "may have been paid", "--retry-unknown")
        if not direct:
            (done,) = client.convert_many([path], to="md", out=out)
            assert isinstance(done.error, OutcomeUnknown)
            assert client.quote([path], to="md").all().counts == {"unknown": 1}
        assert service.count(route) == 1
        assert client.upload(path, direct=direct, retry_unknown=True) == service.uids[0]
        assert client.upload(path, direct=direct) == service.uids[0]
    assert service.count(route) == 2


def test_formats_can_be_named_by_a_quote_as_by_a_batch(service: ScriptedService, papers: Papers) -> None:
    with service.client(formats=Formats()) as client, pytest.raises(ConfigError):
        client.quote(papers(1), to="nothing")
