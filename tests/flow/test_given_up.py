"""What the service gave up earlier: no call pays for it anew unless it is told to."""

from pathlib import Path

import pytest

from doc2x_sdk.errors import TaskFailed
from tests.support.clocks import StillClock
from tests.support.scripted_service import PICTURE, ScriptedService, failed, make_pdf, told

NEVER_BEGUN = [failed("parse_create_task_error")] * 3
"""As often as the same uid is asked."""


def test_one_document_that_the_service_gave_up_is_not_paid_again_by_itself(
    service: ScriptedService, paper: Path, out: Path
) -> None:
    service.on("status", failed("parse_file_lock"))
    with service.client() as client:
        with pytest.raises(TaskFailed):
            client.convert(paper, to="txt", out=out)
        asked = len(service.server.requests)
        with pytest.raises(TaskFailed) as caught:
            client.convert(paper, to="txt", out=out)
        told(caught.value, "paper.pdf", "Not sent", "locked this file", "--retry-failed", "retry_failed=True")
        with pytest.raises(TaskFailed, match="Not sent"):
            client.upload(paper)
        assert (service.paid, len(service.server.requests)) == (1, asked)
        assert client.convert(paper, to="txt", out=out, retry_failed=True).files["txt"].exists()
    assert service.paid == 2


def test_what_is_paid_again_on_purpose_is_sent(service: ScriptedService, paper: Path) -> None:
    service.on("status", failed("parse_file_lock"), None, None, failed("parse_file_lock"))
    with service.client() as client:
        with pytest.raises(TaskFailed):
            client.convert(paper)
        client.convert(paper, force=True)
        with pytest.raises(TaskFailed, match="has locked"):
            client.convert(paper, force=True)
        assert client.upload(paper, retry_failed=True) == service.uids[-1]
    assert service.paid == 4


def test_a_picture_that_the_service_gave_up_is_not_paid_again_by_itself(service: ScriptedService) -> None:
    service.on("layout", failed("parse_timeout"))
    with service.client() as client:
        with pytest.raises(TaskFailed):
            client.parse_image(PICTURE)
        for call in (client.parse_image, client.convert, client.upload):
            with pytest.raises(TaskFailed, match="Not sent"):
                call(PICTURE)
        assert (service.count("layout"), service.paid) == (1, 0)
        client.parse_image(PICTURE, retry_failed=True)
    assert (service.count("layout"), service.paid) == (2, 1)


def test_what_the_service_could_not_begin_is_sent_again(
    service: ScriptedService, paper: Path, out: Path, clock: StillClock
) -> None:
    """Nothing was parsed, and the next try may well succeed."""
    service.on("status", *NEVER_BEGUN)
    with service.client(clock) as client:
        with pytest.raises(TaskFailed, match="could not start"):
            client.convert(paper, max_pages=1)
        (row,) = client.jobs()
        assert (row.state, row.uid, row.history) == ("planned", None, (service.uids[0],))
        assert client.quote([paper]).all().counts == {"new": 1}
        assert client.convert(paper).uid == service.uids[1]
    assert service.count("put") == 2


def test_what_was_seen_at_work_is_given_up_whatever_the_code(service: ScriptedService, clock: StillClock) -> None:
    service.on("status", None, *NEVER_BEGUN)
    with service.client(clock) as client:
        with pytest.raises(TaskFailed, match="could not start"):
            client.convert(make_pdf())
        with pytest.raises(TaskFailed, match="Not sent"):
            client.convert(make_pdf())
    assert service.paid == 1
