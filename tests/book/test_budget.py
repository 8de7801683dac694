"""The budget of a book: all of its parts that have to be paid fit, or none is paid."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from doc2x_sdk import Doc2X
from doc2x_sdk.errors import BudgetExceeded, Doc2XError, NetworkError, OutcomeUnknown
from doc2x_sdk.flow.source import open_source
from doc2x_sdk.models import ParseOptions
from tests.support.scripted import close
from tests.support.scripted_service import Done, ScriptedService, failed, make_pdf

IN_TWOS = {"max_file_pages": 2}


@pytest.fixture
def service() -> Iterator[ScriptedService]:
    """A service whose documents have two pages."""
    with ScriptedService(pages=2) as one:
        yield one


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Six pages: three parts."""
    path = tmp_path / "book.pdf"
    path.write_bytes(make_pdf(6))
    return path


def to_pay(client: Doc2X, *paths: Path) -> int:
    return client.quote(paths, to="md").all().to_pay


def test_a_book_that_does_not_fit_is_refused_whole(service: ScriptedService, book: Path) -> None:
    with service.client(**IN_TWOS) as client:
        with pytest.raises(BudgetExceeded, match="Its 6 pages are over the 5"):
            client.convert(book, to="md", max_pages=5)
        assert (service.server.connections, to_pay(client, book)) == (0, 6)
        client.convert(book, to="md", max_pages=6)
    assert service.paid == 3


def test_parts_that_are_paid_already_do_not_count(service: ScriptedService, book: Path) -> None:
    service.on("preupload", None, failed("parse_file_lock"))
    with service.client(**IN_TWOS) as client:
        with pytest.raises(Doc2XError, match="lock"):
            client.convert(book, to="md")
        assert (service.paid, to_pay(client, book)) == (1, 4)
        with pytest.raises(BudgetExceeded, match="Its 4 pages are over the 3"):
            client.convert(book, to="md", max_pages=3)
        assert service.paid == 1
        client.convert(book, to="md", max_pages=4)
        assert (service.paid, to_pay(client, book)) == (3, 0)
        client.convert(book, to="tex", max_pages=0)
    assert service.paid == 3


def test_a_later_part_that_turns_out_to_be_paid_does_not_count(service: ScriptedService, book: Path) -> None:
    """Its upload's answer was lost, and nobody asked any more: only the service knows."""
    with service.client(patience=5, retries=0, **IN_TWOS) as client:
        service.on("put", Done(close()))
        service.always("status", close())
        with pytest.raises(NetworkError):
            client.convert(book, pages="3-4")
        service.always("status", None)
        assert (service.paid, to_pay(client, book)) == (1, 6)  # at most
        client.convert(book, to="md", max_pages=4)
    assert service.paid == 3


def test_what_stops_a_later_part_stops_the_book_before_it_is_paid(service: ScriptedService, book: Path) -> None:
    with service.client(**IN_TWOS) as client:
        with open_source(book, client.settings) as source:
            key = client._kit.key_of(source.sha256, ParseOptions(), pages="5-6")
        assert client._kit.ledger is not None
        with client._kit.ledger.claim(key, source="book.pdf", size=1, pages=2) as receipt:
            receipt.paying()
        with pytest.raises(OutcomeUnknown):
            client.convert(book, to="md")
        assert (service.server.connections, to_pay(client, book)) == (0, 0)


@pytest.mark.parametrize(("refused_at", "left"), [(0, 6), (1, 4), (2, 2)])
def test_what_is_not_paid_after_all_goes_back(
    refused_at: int, left: int, service: ScriptedService, book: Path, tmp_path: Path
) -> None:
    """The next documents may have just the pages that the book's failing part, and those behind it, were to cost."""
    papers = [tmp_path / f"paper{number}.pdf" for number in range(4)]
    for path in papers:
        path.write_bytes(make_pdf(2, mark=path.name))
    service.on("preupload", *[None] * refused_at, failed("parse_file_lock"))
    with service.client(**IN_TWOS) as client:
        done = {
            each.source: each
            for each in client.convert_many([book, *papers], to="md", out=tmp_path / "out", jobs=1, max_pages=6)
        }
    assert isinstance(done[str(book)].error, Doc2XError)
    assert sum(each.error is None for each in done.values()) == left // 2
    assert service.paid == 3


@pytest.mark.faults("JR-04")
def test_a_refusal_leaves_a_doubt_and_a_paid_uid_as_they_were(service: ScriptedService, tmp_path: Path) -> None:
    """Both are let go of only when they are really paid again."""
    picture = tmp_path / "sign.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n a picture")
    service.on("image", Done(close()))
    with service.client() as client:
        with pytest.raises(OutcomeUnknown):
            client.convert(picture)
        with pytest.raises(BudgetExceeded):
            client.convert(picture, retry_unknown=True, max_pages=0)
        with pytest.raises(OutcomeUnknown):
            client.convert(picture)
        uid = client.convert(picture, retry_unknown=True).uid
        with pytest.raises(BudgetExceeded):
            client.convert(picture, force=True, max_pages=0)
        assert client.convert(picture).uid == uid
    assert service.count("image") == 2
