"""The archive in a document's way: what was kept is not asked for again, what is damaged is not used."""

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from doc2x_sdk import Doc2X
from doc2x_sdk.clock import Clock
from doc2x_sdk.config import config_path
from doc2x_sdk.errors import BudgetExceeded, OutcomeUnknown, TaskFailed
from doc2x_sdk.flow.kept import without_permissions
from doc2x_sdk.ledger.archive import Archive
from doc2x_sdk.ledger.rows import read_jobs
from doc2x_sdk.local.server import LocalServer
from doc2x_sdk.local.settings import ServerSettings
from doc2x_sdk.models import Progress
from tests.book.papers import make_book
from tests.flow.folders import tree
from tests.support.clocks import StillClock
from tests.support.scripted import reply
from tests.support.scripted_service import ScriptedService, failed, make_pdf, make_zip
from tests.support.wire import KEY, SIGNATURE

HOUR = 3600.0
DAY = 24 * HOUR
ALL = ["md", "md_dollar", "tex", "docx", "json", "txt"]
JPG = Path(__file__).parents[2] / "docs" / "examples" / "damage.png"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite3"


@pytest.fixture
def archive(ledger: Path) -> Path:
    return ledger.with_name("ledger.sqlite3.archive")


@contextmanager
def client_of(
    service: ScriptedService, ledger: Path, clock: StillClock | None = None, **settings: Any
) -> Iterator[Doc2X]:
    """A client with the archive on."""
    with service.client(clock, **({"ledger": str(ledger), "archive": True, "account": "one"} | settings)) as client:
        yield client


def parts(archive: Path) -> dict[str, Path]:
    """The parts of the archive's only entry, by the word before their dash."""
    return {path.name.partition("-")[0]: path for path in archive.glob("??/*/*")}


def test_another_account_gets_the_same_files_without_a_request(
    service: ScriptedService, paper: Path, out: Path, ledger: Path
) -> None:
    with client_of(service, ledger) as client:
        first = client.convert(paper, to=ALL, out=out / "one")
    asked = len(service.server.requests)
    with client_of(service, ledger, account="two") as client:
        second = client.convert(paper.read_bytes(), name=str(paper), to=ALL, out=out / "two", max_pages=0)
    assert len(service.server.requests) == asked
    assert tree(out / "two") == tree(out / "one")
    assert (first.archived, second.archived) == (False, True)
    assert (second.uid, second.pages, second.warnings) == (first.uid, first.pages, ())


def test_it_is_off_unless_asked_for(service: ScriptedService, paper: Path, ledger: Path, archive: Path) -> None:
    with service.client(ledger=str(ledger)) as client:
        assert not client.convert(paper, to="md").archived
    assert not archive.exists()
    with client_of(service, ledger) as client:
        client.convert(paper, to="md")
    assert sorted(parts(archive)) == ["md", "parse"]
    with service.client(ledger=str(ledger), account="two") as client:
        assert not client.convert(paper, to="md").archived
    assert service.paid == 3  # the key's own account, one, two


def test_a_format_that_is_lacking_is_exported_while_the_uid_lives_and_paid_for_after_that(
    service: ScriptedService, paper: Path, out: Path, ledger: Path, clock: StillClock
) -> None:
    with client_of(service, ledger, clock) as client:
        client.convert(paper, to="md", out=out)
        later = client.convert(paper, to=["md", "docx"], out=out / "later")
        assert (later.archived, service.paid, service.count("export")) == (False, 1, 2)  # md was not exported again
        clock.advance(25 * HOUR)
        assert client.convert(paper, to=["md", "docx", "json"], out=out / "last").archived
        service.always("status", failed("parse_status_not_found"))
        with pytest.raises(TaskFailed):
            client.convert(paper, to="tex")
    assert service.paid == 2


def test_other_options_are_not_what_was_kept(service: ScriptedService, paper: Path, ledger: Path) -> None:
    service.exports["md_dollar"] = service.exports["md"]
    with client_of(service, ledger) as client:
        client.convert(paper, to="md")
        assert not client.convert(paper, to="md", formula="dollar").archived
        assert not client.convert(paper, to="md", merge_tables=True).archived
        assert not client.convert(paper, to="md", model="v3-2026").archived
        assert (service.paid, service.count("export")) == (2, 4)
        assert client.convert(paper, to="md", formula="dollar").archived
        assert client.convert(paper).archived  # the pages alone
        assert client.convert(paper, to="md", options={"clean": {"comments": False}}).archived


def test_force_passes_it_by_and_what_comes_takes_its_place(
    service: ScriptedService, paper: Path, out: Path, ledger: Path
) -> None:
    with client_of(service, ledger) as client:
        client.convert(paper, to="md", out=out / "one")
        service.exports["md"] = make_zip({"md.md": "# Better\n"})
        anew = client.convert(paper, to="md", out=out / "two", force=True)
        kept = client.convert(paper, to="md", out=out / "three")
    assert (anew.archived, kept.archived, kept.uid == anew.uid, service.paid) == (False, True, True, 2)
    assert tree(out / "three") == tree(out / "two") == {"paper.md": b"# Better\n"}


def test_natives_of_one_parse_are_never_mixed_with_those_of_another(
    service: ScriptedService, paper: Path, out: Path, ledger: Path
) -> None:
    with client_of(service, ledger) as client:
        client.convert(paper, to="md")
    service.exports["md"] = make_zip({"md.md": "# The second\n"})
    with client_of(service, ledger, account="two") as client:
        both = client.convert(paper, to=["md", "tex"], out=out)
    assert (both.archived, service.paid) == (False, 2)
    assert tree(out)["paper.md"] == b"# The second\n"


def test_what_is_unknown_or_was_given_up_on_one_account_can_be_had_from_the_archive(
    service: ScriptedService, paper: Path, ledger: Path
) -> None:
    with client_of(service, ledger, account="two") as client:
        service.on("status", failed("parse_file_lock"))
        with pytest.raises(TaskFailed):
            client.convert(paper)
        service._script["status"].clear()
    with client_of(service, ledger) as client:
        client.convert(paper, to="md")
    with client_of(service, ledger, account="two") as client:
        (done,) = client.convert_many([paper], to="md", out=paper.parent / "out")
        assert done.error is None
        assert done.document is not None
        assert done.document.archived


def test_the_ledger_tells_where_it_came_from_and_a_changed_file_is_still_noticed(
    service: ScriptedService, paper: Path, out: Path, ledger: Path
) -> None:
    with client_of(service, ledger) as client:
        client.convert(paper, to="md")
    with client_of(service, ledger, account="two") as client:
        client.convert(paper, to=["md", "json"], out=out)
        (row,) = client.jobs()
        assert (row.state, row.uid, row.reason) == ("planned", None, "its results came from the archive")
        assert {(each.format, each.state) for each in row.results} == {("md", "done"), ("json", "done")}
        assert list(client.jobs(unfinished=True)) == []
        assert list(client.rescue()) == []
        paper.write_bytes(make_pdf(mark="second edition"))
        with pytest.raises(Exception, match="earlier content"):
            client.convert(paper, to="md", out=out)


def test_a_name_with_the_uid(service: ScriptedService, paper: Path, out: Path, ledger: Path) -> None:
    with client_of(service, ledger) as client:
        first = client.convert(paper, to="md", out=out / "one", result_name="{uid}")
    with client_of(service, ledger, account="two") as client:
        second = client.convert(paper, to="md", out=out / "two", result_name="{uid}")
    assert second.archived
    assert tree(out / "one") == tree(out / "two")
    assert second.files["md"].stem == first.uid


def test_what_is_kept_is_what_came_whatever_post_processors_make_of_it(
    service: ScriptedService, paper: Path, out: Path, ledger: Path
) -> None:
    noted = "# Title\n\n<!-- Media -->\n\n![](images/0_1.jpg)\n"
    service.exports["md"] = make_zip({"md.md": noted, "images/0_1.jpg": b"a picture"})
    clean = {"clean": {"comments": False}}
    with client_of(service, ledger) as client:
        client.convert(paper, to="md", out=out / "one", options=clean)
        assert client.convert(paper, to="md", out=out / "two", options=clean).archived
        raw = client.convert(paper, to="md", out=out / "three")
    assert raw.archived
    assert tree(out / "one") == tree(out / "two")
    assert b"Media" not in tree(out / "one")["paper.md"]
    assert b"<!-- Media -->" in tree(out / "three")["paper.md"]


def test_a_prune_in_the_middle_takes_nothing_from_a_document_in_work(
    service: ScriptedService, paper: Path, out: Path, ledger: Path, archive: Path
) -> None:
    def prune(progress: Progress) -> None:
        stages.append(progress.stage)
        if progress.stage == "publish":
            Archive(archive, days=30, size=10**9).prune(everything=True)
            gone.append(parts(archive) == {})

    gone: list[bool] = []
    stages: list[str] = []
    with client_of(service, ledger) as client:
        client.convert(paper, to=["md", "docx"], out=out / "one")
        asked = len(service.server.requests)
        document = client.convert(paper, to=["md", "docx"], out=out / "two", on_progress=prune)
    assert (document.archived, gone, len(service.server.requests)) == (True, [True, True], asked)
    assert stages == ["check", "publish", "publish"]
    assert tree(out / "one") == tree(out / "two")


def test_chosen_pages_are_an_entry_of_their_own(
    service: ScriptedService, tmp_path: Path, out: Path, ledger: Path
) -> None:
    book = make_book(tmp_path / "paper.pdf", 4)
    with client_of(service, ledger) as client:
        client.convert(book, pages="2", to=["md", "docx"], out=out / "one")
        assert client.quote([book], pages="2", to=["md", "docx"]).all().counts == {"archived": 1}
        again = client.convert(book, pages="2", to=["md", "docx"], out=out / "two", max_pages=0)
        assert (again.archived, [page.index for page in again.pages]) == (True, [1])
        assert client.quote([book], pages="3", to="md").all().to_pay == 1
        assert client.quote([book], to="md").all().to_pay == 4
    assert tree(out / "one") == tree(out / "two")


# the quote


def test_a_quote_tells_what_is_in_the_archive_and_asks_for_nothing(
    service: ScriptedService, tmp_path: Path, out: Path, ledger: Path, clock: StillClock
) -> None:
    paths = [tmp_path / f"{name}.pdf" for name in ("whole", "half", "new")]
    for path in paths:
        path.write_bytes(make_pdf(mark=path.name))
    with client_of(service, ledger, clock) as client:
        client.convert(paths[0], to=["md", "docx"])
        client.convert(paths[1], to="md")
    asked = len(service.server.requests)
    files = tree(ledger.parent)
    with client_of(service, ledger, clock) as client:
        quote = client.quote(paths, to=["md", "docx"], out=out)
        assert [(row.verdict, row.to_pay) for row in quote] == [("archived", 0), ("paid", 0), ("new", 1)]
        assert client.quote(paths, to="json", out=out).all().counts == {"archived": 2, "new": 1}
        assert client.quote(paths, to=["md", "docx"], force=True).all().to_pay == 3
        dollar = client.quote(paths, to="md", formula="dollar").all()
        assert dollar.counts == {"paid": 2, "new": 1}
    with client_of(service, ledger, clock, account="two") as client:
        assert client.quote(paths, to=["md", "docx"], out=out).all().counts == {"archived": 1, "new": 2}
        clock.advance(31 * DAY)
        assert client.quote(paths, to="md", out=out).all().counts == {"new": 3}
    assert len(service.server.requests) == asked
    archived = {name: content for name, content in files.items() if ".archive/" in name}
    assert archived.items() <= tree(ledger.parent).items()


def test_a_budget_is_for_what_is_paid(service: ScriptedService, tmp_path: Path, out: Path, ledger: Path) -> None:
    paths = [tmp_path / f"{number}.pdf" for number in range(4)]
    for path in paths:
        path.write_bytes(make_pdf(mark=path.name))
    with client_of(service, ledger) as client:
        for path in paths[:3]:
            client.convert(path, to="md")
    with client_of(service, ledger, account="two") as client:
        done = {Path(each.source).name: each for each in client.convert_many(paths, to="md", out=out, max_pages=1)}
        assert {name: each.document is not None and each.document.archived for name, each in done.items()} == {
            "0.pdf": True, "1.pdf": True, "2.pdf": True, "3.pdf": False}  # fmt: skip
        assert all(each.error is None for each in done.values())
        with pytest.raises(BudgetExceeded):
            client.convert(paths[0], to="docx", max_pages=0)
    assert service.paid == 4


# damage, full disks, time


@pytest.mark.parametrize("which", ["parse", "md"])
@pytest.mark.parametrize("how", ["cut", "changed", "emptied", "gone"])
def test_a_damaged_part_is_not_used_and_is_replaced(
    how: str, which: str, *, service: ScriptedService, paper: Path, out: Path, ledger: Path, archive: Path
) -> None:
    with client_of(service, ledger) as client:
        client.convert(paper, to="md", out=out / "one")
        path = parts(archive)[which]
        whole = path.read_bytes()
        if how == "gone":
            path.unlink()
        else:
            middle = len(whole) // 2
            changed = {"cut": whole[:-1], "changed": whole[:-middle] + b"?" + whole[1 - middle :], "emptied": b""}
            path.write_bytes(changed[how])
        quote = client.quote([paper], to="md", out=out / "two").all()
        document = client.convert(paper, to="md", out=out / "two")
        assert (quote.counts, document.archived) == ({"paid": 1}, False)
        assert bool(document.warnings) is (how != "gone")
        assert all("damaged" in warning for warning in document.warnings)
        again = client.convert(paper, to="md", out=out / "three")
    assert (again.archived, again.warnings, service.paid) == (True, (), 1)
    assert tree(out / "one") == tree(out / "two") == tree(out / "three")


def test_a_part_that_is_whole_but_no_parse_is_not_used(
    service: ScriptedService, paper: Path, ledger: Path, archive: Path
) -> None:
    contents = [b"no gzip", gzip.compress(b"no json"), gzip.compress(b"[]"), gzip.compress(b'{"result": {}}'),
                packed_parse([{"page_idx": 1}]), packed_parse([{"page_idx": 0, "md": " " * 40_000_000}])]  # fmt: skip
    with client_of(service, ledger, max_answer_bytes=30_000_000) as client:
        client.convert(paper)
        entry = parts(archive)["parse"].parent.name
        good = packed_parse([{"page_idx": 0, "md": "x"}])
        for content, uid in [*((each, "uid") for each in contents), (good, "../../uid")]:
            Archive(archive, days=30, size=10**9, clock=StillClock().clock).put(entry, "parse", uid, content)
            document = client.convert(paper)
            assert (document.archived, len(document.warnings)) == (False, 1)
        Archive(archive, days=30, size=10**9, clock=StillClock().clock).put(entry, "parse", "uid", good)
        assert client.convert(paper).archived, "the parse that the others spoil is one"
    assert service.paid == 1


def packed_parse(pages: list[dict[str, Any]]) -> bytes:
    """A parse as the archive holds it."""
    return gzip.compress(json.dumps({"result": {"pages": pages}, "convert_zip": None}).encode())


def test_an_archive_that_can_not_be_written_is_a_warning(
    service: ScriptedService, paper: Path, out: Path, ledger: Path, archive: Path
) -> None:
    archive.mkdir(parents=True)
    for number in range(256):
        (archive / f"{number:02x}").write_text("in the way")
    with client_of(service, ledger) as client:
        document = client.convert(paper, to="md", out=out)
    assert len(document.warnings) == 2  # the parse and the Markdown
    assert all("not kept in the archive" in warning for warning in document.warnings)
    assert (tree(out)["paper.md"][:7], service.paid) == (b"# Title", 1)
    assert list(archive.rglob(".new-*")) == []


@pytest.mark.faults("FS-01")
def test_a_full_disk_of_the_archive_is_a_warning(
    service: ScriptedService, paper: Path, out: Path, ledger: Path, archive: Path
) -> None:
    archive.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(archive)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user can't mount a file system of 64 kB")
    try:
        service.exports["docx"] = make_zip({"word/document.xml": os.urandom(100_000)})
        with client_of(service, ledger) as client:
            document = client.convert(paper, to=["md", "docx"], out=out)
        assert ["No space left" in warning for warning in document.warnings] == [True]
        assert sorted(tree(out)) == ["paper.docx", "paper.md", "paper_images/0_1.jpg"]
        assert sorted(parts(archive)) == ["md", "parse"]
        assert list(archive.rglob(".new-*")) == []
    finally:
        subprocess.run(["umount", "-l", str(archive)], check=True)


def test_an_archive_of_somebody_else_is_not_used(
    service: ScriptedService, paper: Path, ledger: Path, archive: Path, caplog: pytest.LogCaptureFixture
) -> None:
    archive.parent.mkdir(parents=True)
    archive.write_text("not a folder")
    with client_of(service, ledger) as client:
        assert not client.convert(paper, to="md").archived
    assert "the archive is not used" in caplog.text


def test_what_is_over_is_paid_for_again(service: ScriptedService, paper: Path, ledger: Path, clock: StillClock) -> None:
    with client_of(service, ledger, clock, archive_days=3) as client:
        client.convert(paper, to="md")
    with client_of(service, ledger, clock, archive_days=3, account="two") as client:
        clock.advance(2 * DAY)
        assert client.convert(paper, to="md").archived
        clock.advance(2 * DAY)
        assert client.convert(paper, to="md").archived, "two days after its last use"
        clock.advance(4 * DAY)
        assert not client.convert(paper, to="md").archived
    assert service.paid == 2


def test_nothing_that_failed_is_kept(service: ScriptedService, paper: Path, ledger: Path, archive: Path) -> None:
    with client_of(service, ledger) as client:
        service.on("status", failed("parse_file_lock"))
        with pytest.raises(TaskFailed):
            client.convert(paper, to="md")
        assert parts(archive) == {}
        service._script["status"].clear()
        service.always("download", reply(body=service.exports["md"][:-30]))
        with pytest.raises(Exception, match="archive"):
            client.convert(paper, to="md", retry_failed=True)
        service.always("download", reply(body=make_zip({"md.txt": "no Markdown"})))
        with pytest.raises(Exception, match="files where one"):
            client.convert(paper, to="md")
    assert sorted(parts(archive)) == ["parse"]


# secrets


def test_no_key_and_no_permission_reaches_the_archive(
    service: ScriptedService, paper: Path, out: Path, ledger: Path, archive: Path
) -> None:
    crop = "https://cdn.noedgeai.com/p.jpg?x=1&y=2&w=30&h=40&r=0"
    service.pages[0]["md"] = f'<img src="{crop}"/> ![]({service.link("/page.jpg")}) \\( x \\)'
    service.pages[0]["url"] = service.link("/page.jpg")
    with client_of(service, ledger) as client:
        client.convert(paper, to="json", out=out / "one")
        document = client.convert(paper, to="json", out=out / "two")
    assert document.archived
    kept = b"".join(gzip.decompress(path.read_bytes().partition(b"\n")[2]) for path in archive.glob("??/*/parse"))
    assert kept
    for secret in (SIGNATURE, KEY):
        assert secret.encode() not in kept
    bare = f"{service.server.origin}/page.jpg"
    assert document.pages[0].md == f'<img src="{crop}"/> ![]({bare}) \\( x \\)'
    assert document.pages[0].url == bare
    told = json.loads((out / "two" / "paper.json").read_text(encoding="utf-8"))
    assert told["pages"][0]["url"] == bare


NAMES = ["Signature", "X-Amz-Signature", "x-oss-signature", "OSSAccessKeyId", "AWSAccessKeyId", "security-token", "sig",
         "x-oss-security-token", "X-Amz-Credential", "q-signature", "token", "access_token", "auth_key"]  # fmt: skip
BETWEEN = ["&", "&amp;", "\\u0026"]
WORD = st.from_regex(r"[A-Za-z0-9%+/=_~.-]{1,30}", fullmatch=True)


@given(
    name=st.sampled_from(NAMES),
    secret=st.from_regex(r"s3cr3t[A-Za-z0-9%+/=_~.-]{0,30}", fullmatch=True),
    before=st.lists(st.tuples(st.sampled_from(["x", "Expires", "r"]), WORD), max_size=3),
    after=st.lists(st.tuples(st.sampled_from(["y", "Expires", "h"]), WORD), max_size=3),
    between=st.sampled_from(BETWEEN),
    around=st.sampled_from([("![](", ")"), ('<img src="', '"/>'), ("<", ">"), ("see ", " there"), ("", "")]),
    path=st.from_regex(r"(/[A-Za-z0-9()\[\]{}|_.~%-]{1,9}){1,3}", fullmatch=True),
)
@example(name="Signature", secret="s3cr3t", before=[], after=[], between="&", around=("![](", ")"), path="/a(b).jpg")
def test_a_signed_link_loses_its_permission_wherever_it_stands(
    *, name: str, secret: str, before: list[Any], after: list[Any], between: str, around: tuple[str, str], path: str
) -> None:
    query = between.join(f"{key}={value}" for key, value in [*before, (name, secret), *after])
    link = f"https://bucket.oss-cn-beijing.aliyuncs.com{path}"
    text = f"{around[0]}{link}?{query}{around[1]}"
    cleaned = without_permissions({"pages": [{"md": text, "url": f"{link}?{query}"}]})
    assert cleaned == {"pages": [{"md": f"{around[0]}{link}{around[1]}", "url": link}]}


@given(st.text(alphabet=st.sampled_from("htps:/?&=#. aExpiressigntoken()[]\\u0026'\"<>\n1"), max_size=80))
@example("https://example.org/search?q=design&page=2")
@example("https://example.org/a?b=c#signature=d")
def test_a_text_without_a_permission_stays_as_it_is(text: str) -> None:
    cleaned = without_permissions(text)
    if not re.search(r"(?i)(signature|credential|key_?-?id|security-?_?token|sig|token|auth_key)(=|%3d)", text):
        assert cleaned == text
    assert without_permissions(cleaned) == cleaned


# other ways in


def test_a_picture(service: ScriptedService, out: Path, ledger: Path) -> None:
    with client_of(service, ledger) as client:
        client.convert(JPG, to=["md", "md_dollar", "txt"], out=out / "one")
        client.convert(JPG, to="docx", out=out / "one")
    asked = len(service.server.requests)
    with client_of(service, ledger, account="two") as client:
        assert client.quote([JPG], to=["md", "txt"]).all().counts == {"archived": 1}
        assert client.convert(JPG, to=["md", "md_dollar", "txt"], out=out / "two").archived
        assert client.convert(JPG, to="docx", out=out / "two").archived
    assert len(service.server.requests) == asked
    assert tree(out / "one") == tree(out / "two")


def test_fetch_and_rescue_keep_what_they_fetch_and_need_nobody_for_what_was_kept(
    service: ScriptedService, paper: Path, out: Path, ledger: Path, clock: StillClock
) -> None:
    with client_of(service, ledger, clock, archive=False) as client:
        service.always("export", failed("parse_error"))
        with pytest.raises(TaskFailed):
            client.convert(paper, to="md", out=out / "one")
        del service._always["export"]
    with client_of(service, ledger, clock) as client:
        (done,) = client.rescue()
        assert done.error is None
        uid = service.uids[0]
        client.fetch(uid, to="docx", out=out / "two")
        clock.advance(25 * HOUR)
        asked = len(service.server.requests)
        again = client.fetch(uid, to=["md", "docx", "txt"], out=out / "three")
        assert (again.archived, again.uid, len(service.server.requests)) == (True, uid, asked)
        with pytest.raises(TaskFailed):
            client.fetch("0192d745-5776-7261-abbd-0000000000ff", to="md")
    assert service.paid == 1


def test_an_outcome_that_is_unknown_stays_so_where_the_archive_has_nothing(
    service: ScriptedService, ledger: Path
) -> None:
    with client_of(service, ledger) as client:
        service.on("image", reply(500), reply(500))
        with pytest.raises(OutcomeUnknown):
            client.convert(JPG, to="md")
        with pytest.raises(OutcomeUnknown):
            client.convert(JPG, to="md")


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(ServerSettings(workers=1)) as one:
        yield one


def of_server(server: LocalServer, ledger: Path, account: str, **settings: Any) -> Doc2X:
    urls = {"base_url": server.url, "v1_base_url": server.url}
    return Doc2X(KEY, clock=Clock(), ledger=str(ledger), archive=True, account=account, **urls, **settings)


@pytest.mark.parametrize("api", ["v1", "v2"])
def test_both_generations_on_the_embedded_server(
    api: Any, server: LocalServer, tmp_path: Path, out: Path, ledger: Path
) -> None:
    book = make_book(tmp_path / "paper.pdf", 2, pictures=1)
    with of_server(server, ledger, "one", api=api) as client:
        client.convert(book, to=ALL, out=out / "one")
    before = server.stats()
    with of_server(server, ledger, "two", api=api) as client:
        assert client.convert(book, to=ALL, out=out / "two").archived
    assert server.stats().requests == before.requests
    assert tree(out / "one") == tree(out / "two")


def test_a_book_is_taken_part_by_part(server: LocalServer, tmp_path: Path, out: Path, ledger: Path) -> None:
    book = make_book(tmp_path / "book.pdf", 5, pictures=2)
    to = ["md", "docx", "tex", "json"]
    with of_server(server, ledger, "one", max_file_pages=2) as client:
        first = client.convert(book, to=to, out=out / "one", formula="dollar")
    before = server.stats()
    with of_server(server, ledger, "two", max_file_pages=2) as client:
        assert client.quote([book], to=to, formula="dollar").all().counts == {"archived": 1}
        second = client.convert(book, to=to, out=out / "two", formula="dollar", max_pages=0)
        assert server.stats().requests == before.requests
        assert (second.archived, second.pages) == (True, first.pages)
        (folder,) = {path.parent for path in parts_of_one(ledger, first.uid)}
        for path in folder.iterdir():
            path.unlink()
        assert client.quote([book], to=to, formula="dollar").all().to_pay == 2
        third = client.convert(book, to=to, out=out / "three", formula="dollar", max_pages=2)
    assert (third.archived, server.stats().pages_parsed - before.pages_parsed) == (False, 2)
    assert [page.md for page in third.pages[2:]] == [page.md for page in first.pages[2:]]
    texts = {name: (out / name / "book.md").read_bytes() for name in ("one", "two", "three")}
    assert len(set(texts.values())) == 1


def parts_of_one(ledger: Path, uid: str | None) -> list[Path]:
    """The parts that were fetched under a uid."""
    found = ledger.with_name("ledger.sqlite3.archive").glob("??/*/*")
    return [path for path in found if f'"{uid}"'.encode() in path.read_bytes()[:400]]


def test_what_this_machine_made_is_had_again_and_never_served_for_a_service(
    server: LocalServer, tmp_path: Path, out: Path, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = make_book(tmp_path / "paper.pdf", 1)
    monkeypatch.setenv("DOC2X_ARCHIVE", "yes")
    monkeypatch.setenv("DOC2X_LEDGER", str(ledger))
    with Doc2X.local() as client:
        assert not client.convert(book, to=["md", "docx"], out=out / "one").archived
    with Doc2X.local() as client:
        assert client.convert(book, to=["md", "docx"], out=out / "two").archived  # another server, on another port
    assert tree(out / "one") == tree(out / "two")
    before = server.stats().parses
    with of_server(server, ledger, "two") as client:
        document = client.convert(book, to=["md", "docx"])
        assert (document.archived, server.stats().parses) == (False, before + 1)
    with Doc2X.local(server={"chunk_pages": 3}) as client:
        assert not client.convert(book, to="md").archived


def test_here_the_config_file_decides_about_what_is_no_accounts(
    tmp_path: Path, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config_path().parent.mkdir(parents=True)
    config_path().write_text(
        f"archive = true\nledger = '{ledger}'\n"
        "base_url = 'https://elsewhere.example'\naccount = 'mine'\nparse_timeout = 0.001\n"
    )
    monkeypatch.setenv("DOC2X_ARCHIVE_DAYS", "3")
    monkeypatch.setenv("DOC2X_RETRIES", "9")
    book = make_book(tmp_path / "paper.pdf", 1)
    for archived in (False, True):
        with Doc2X.local(server={"workers": 1}) as client:
            assert client.convert(book, to="txt").archived is archived
            settings = client.settings
    assert (settings.archive_days, settings.parse_timeout, settings.retries) == (3, 3600.0, 2)
    assert [row.account for row in read_jobs(ledger)] == ["local"]
    with Doc2X.local(archive=False, server={"workers": 1}) as client:
        assert not client.settings.archive
