"""Exports and downloads: the right file, whole, from where it may come from, or nothing."""

import gzip
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from doc2x_sdk import Doc2X
from doc2x_sdk.errors import (
    ArchiveError,
    AuthError,
    Doc2XError,
    DownloadError,
    NetworkError,
    ResponseTooLarge,
    TaskFailed,
    TruncatedDownload,
    UnsafeURL,
    WaitTimeout,
)
from tests.flow.folders import tree
from tests.support.clocks import StillClock
from tests.support.scripted import (
    Conversation,
    Request,
    ScriptedServer,
    Step,
    close,
    envelope,
    flood,
    raw,
    reply,
    reset,
)
from tests.support.scripted_service import PICTURE, Done, ScriptedService, failed, make_pdf, make_zip, processing, told
from tests.support.wire import KEY, SIGNATURE, Authority

UID = "0192d745-5776-7261-abbd-000000000001"
GOOD = make_zip({"md.md": "whole " * 30_000, "images/0_1.jpg": os.urandom(300_000)})
OLD = b"# An older, good result\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(GOOD)


@pytest.fixture
def old(out: Path) -> Path:
    """A good older result, which a failure must leave as it is."""
    out.mkdir()
    (out / "paper.md").write_bytes(OLD)
    (out / "paper_images").mkdir()
    (out / "paper_images" / "0_1.jpg").write_bytes(b"an older picture")
    return out


def assert_unchanged(folder: Path) -> None:
    assert tree(folder) == {"paper.md": OLD, "paper_images/0_1.jpg": b"an older picture"}


# DL-01, DL-02, DL-03: the body breaks off


@pytest.mark.faults("DL-01")
@pytest.mark.parametrize("step", [raw(HEAD + GOOD[:200_000], then=then) for then in ("close", "reset", "stall")])
def test_a_download_that_breaks_off_is_started_again(
    step: Step, service: ScriptedService, paper: Path, out: Path, clock: StillClock
) -> None:
    service.exports["md"] = GOOD
    service.on("download", step, step)
    with service.client(clock, stall_timeout=0.2) as client:
        client.convert(paper, to="md", out=out)
    assert tree(out)["paper.md"] == b"whole " * 30_000
    assert (service.count("download"), service.count("export"), service.paid) == (3, 1, 1)
    assert clock.sleeps[-2:] == pytest.approx([0.525, 0.6825])


@pytest.mark.faults("DL-01")
@pytest.mark.parametrize("step", [reset(), close(), raw(HEAD + GOOD[:1000], then="close")])
def test_a_download_that_never_comes_whole_is_an_error_that_says_how_to_go_on(
    step: Step, service: ScriptedService, paper: Path, old: Path
) -> None:
    service.always("download", step)
    with service.client() as client, pytest.raises(NetworkError) as caught:
        client.convert(paper, to="md", out=old, overwrite=True)
    told(caught.value, "paper.pdf", UID, "md", "doc2x fetch", "costs nothing")
    assert service.paid == 1
    assert_unchanged(old)


@pytest.mark.faults("DL-01")
def test_a_download_that_moves_is_not_cut_however_slow(service: ScriptedService, paper: Path, out: Path) -> None:
    """A byte now and then is progress; only silence ends it."""
    service.on("download", Step(drip_to_the_end))
    with service.client(stall_timeout=0.3, read_timeout=0.3, call_timeout=0.3) as client:
        client.convert(paper, to="md", out=out)
    assert service.count("download") == 1
    assert tree(out)["paper.md"] == b"whole " * 30_000


def drip_to_the_end(conversation: Conversation, request: Request) -> None:
    conversation.send(HEAD + GOOD[:-50])
    for byte in GOOD[-50:]:
        conversation.pause(0.015)
        conversation.send(bytes([byte]))


@pytest.mark.faults("DL-02")
@pytest.mark.parametrize("cut", [4, 100_000, len(GOOD) - 1])
def test_a_body_without_a_length_that_ends_early_is_noticed(
    cut: int, service: ScriptedService, paper: Path, old: Path
) -> None:
    service.always("download", reply(200, GOOD, length=None, cut=cut, then="close"))
    with service.client() as client, pytest.raises(TruncatedDownload) as caught:
        client.convert(paper, to="md", out=old, overwrite=True)
    told(caught.value, "paper.pdf", UID, "no end", "doc2x fetch")
    assert (service.count("download"), service.paid) == (3, 1)
    assert_unchanged(old)


@pytest.mark.faults("DL-02")
def test_a_whole_body_without_a_length_is_taken(service: ScriptedService, paper: Path, out: Path) -> None:
    service.on("download", reply(200, GOOD, length=None, then="close"))
    with service.client() as client:
        client.convert(paper, to="md", out=out)
    assert tree(out)["paper.md"] == b"whole " * 30_000
    assert (service.count("download"), service.paid) == (1, 1)


@pytest.mark.faults("DL-03", "DL-15")
@pytest.mark.parametrize("length", [-1, None])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_an_encoded_body_is_refused_whether_whole_or_not(
    share: float, length: int | None, service: ScriptedService, paper: Path, old: Path
) -> None:
    packed = gzip.compress(GOOD)
    packed = packed[: int(len(packed) * share)]
    service.always("download", reply(200, packed, length=length, headers=[("Content-Encoding", "gzip")], then="close"))
    with service.client() as client, pytest.raises(DownloadError) as caught:
        client.convert(paper, to="md", out=old, overwrite=True)
    told(caught.value, "paper.pdf", UID, "gzip", "doc2x fetch")
    assert [request.headers["accept-encoding"] for request in service.of("download")] == ["identity"]
    assert service.paid == 1
    assert_unchanged(old)


# DL-07, DL-08: what comes is not the file


@pytest.mark.faults("DL-07")
@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_link_that_has_expired_is_asked_for_again(
    status: int, service: ScriptedService, paper: Path, out: Path
) -> None:
    service.on("download", reply(status, b"<Error><Code>AccessDenied</Code></Error>"))
    with service.client() as client:
        client.convert(paper, to="md", out=out)
    assert (service.count("result"), service.count("download"), service.count("export")) == (2, 2, 1)
    assert (service.paid, service.count("preupload")) == (1, 1)
    assert "paper.md" in tree(out)


@pytest.mark.faults("DL-07")
def test_links_that_are_refused_again_and_again_end_the_download(
    service: ScriptedService, paper: Path, old: Path
) -> None:
    service.always("download", reply(403, b"<Error><Code>AccessDenied</Code></Error>"))
    with service.client() as client, pytest.raises(DownloadError) as caught:
        client.convert(paper, to="md", out=old, overwrite=True)
    told(caught.value, "paper.pdf", UID, "403", "doc2x fetch", "costs nothing")
    assert (service.count("download"), service.count("export"), service.paid) == (3, 1, 1)
    assert_unchanged(old)


XML = f"""<?xml version="1.0"?><Error><Code>SignatureDoesNotMatch</Code>
<SignatureProvided>{SIGNATURE}</SignatureProvided><Host>bucket?Expires=1&amp;Signature={SIGNATURE}</Host></Error>"""


@pytest.mark.faults("DL-08")
@pytest.mark.parametrize("to", ["md", "tex", "docx"])
@pytest.mark.parametrize("body", [XML.encode(), b"<!DOCTYPE html><title>SignatureDoesNotMatch</title>", b"\0" * 5000])
def test_an_error_page_is_not_published(body: bytes, to: str, service: ScriptedService, paper: Path, out: Path) -> None:
    service.always("download", reply(200, body))
    with service.client() as client, pytest.raises(ArchiveError) as caught:
        client.convert(paper, to=to, out=out)
    told(caught.value, "paper.pdf", UID, to, "no archive", "SignatureDoes" if body[0] else "", "doc2x fetch")
    assert SIGNATURE not in str(caught.value)
    assert "\0" not in str(caught.value)
    assert (service.paid, tree(out)) == (1, {})


@pytest.mark.faults("DL-08")
def test_an_empty_body_is_not_published(service: ScriptedService, paper: Path, out: Path) -> None:
    service.always("download", reply(200))
    with service.client() as client, pytest.raises(ArchiveError) as caught:
        client.convert(paper, to="docx", out=out)
    told(caught.value, "paper.pdf", UID, "empty")
    assert (service.paid, tree(out)) == (1, {})


@pytest.mark.faults("DL-08")
def test_a_zip_that_is_no_word_file_is_not_published(service: ScriptedService, paper: Path, out: Path) -> None:
    service.exports["docx"] = make_zip({"readme.txt": "no Word file"})
    with service.client() as client, pytest.raises(ArchiveError) as caught:
        client.convert(paper, to="docx", out=out)
    told(caught.value, "paper.pdf", UID, "no Word file")
    assert (service.paid, tree(out)) == (1, {})


# DL-09: a failure at any step leaves the older result


@pytest.mark.faults("DL-09")
@pytest.mark.parametrize(
    ("route", "step"),
    [
        ("preupload", failed("parse_quota_limit")),
        ("put", reply(500)),
        ("status", failed("parse_pdf_invalid")),
        ("export", failed("internal_error")),
        ("result", reply(json=envelope({"status": "failed", "detail": "no"}))),
        ("download", reply(200, GOOD[:100_000])),
        ("download", reply(500)),
        ("download", reply(200, make_zip({"md.md": "new", "../evil.md": "x"}))),
        ("download", reply(200, make_zip({"images/0_1.jpg": "no text"}))),
    ],
)
def test_an_older_result_survives_every_failure(
    route: str, step: Step, service: ScriptedService, paper: Path, old: Path
) -> None:
    service.always(route, step)
    with service.client() as client, pytest.raises(Doc2XError, match=r"paper\.pdf"):
        client.convert(paper, to="md", out=old, overwrite=True)
    assert_unchanged(old)
    assert service.paid <= 1
    assert service.count("preupload") <= 3


@pytest.mark.faults("DL-09")
def test_an_older_result_is_replaced_whole_when_asked(service: ScriptedService, paper: Path, old: Path) -> None:
    with service.client() as client:
        client.convert(paper, to="md", out=old, overwrite=True)
    assert tree(old)["paper.md"].startswith(b"# Title")
    assert tree(old)["paper_images/0_1.jpg"] == PICTURE
    assert service.paid == 1


# DL-10: too much


@pytest.mark.faults("DL-10")
@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"0" * 5000 + b"\r\n\r\n",
    ],
    ids=["10 GB", "5000 digits", "no length", "zeros"],
)
def test_a_body_that_never_ends_is_cut_at_the_cap(
    head: bytes, service: ScriptedService, paper: Path, old: Path
) -> None:
    service.always("download", flood(head, b"PK\x03\x04" + bytes(65_532)))
    with service.client(max_download_bytes=1_000_000) as client, pytest.raises(Doc2XError) as caught:
        client.convert(paper, to="md", out=old, overwrite=True)
    assert isinstance(caught.value, ResponseTooLarge | ArchiveError)
    if b"000" not in head:
        told(caught.value, "paper.pdf", UID, "1000000", "max_download_bytes")
    assert service.server.flooded < 20_000_000  # what the sockets hold, not more
    assert (service.count("download"), service.paid) == (1, 1)
    assert_unchanged(old)


# DL-11, DL-12: where a link may lead


HOSTILE = [
    "http://bucket.aliyuncs.com/x.zip",
    "ftp://bucket.aliyuncs.com/x.zip",
    "file:///etc/passwd",
    "https://bucket.aliyuncs.com.evil.example/x.zip",
    "https://key@bucket.aliyuncs.com/x.zip",
    "https://169.254.169.254/latest/meta-data",
    "https://2130706433/x.zip",
    "https://10.0.0.1/x.zip",
    "https://[::ffff:10.0.0.1]/x.zip",
    "http://10.0.0.1:80\\@bucket.aliyuncs.com/x.zip",
    "https://evil.example#@bucket.aliyuncs.com/x.zip",
    "//bucket.aliyuncs.com/x.zip",
    "https://",
    "https://[::1",
    "https://bucket.aliyuncs.com\r\nX: y/x.zip",
    "https://bücket.example/x.zip",
    "not a url",
]


@pytest.mark.faults("DL-11")
@pytest.mark.parametrize("url", HOSTILE)
def test_a_link_that_leads_elsewhere_is_not_followed(
    url: str, service: ScriptedService, paper: Path, out: Path
) -> None:
    service.always("result", reply(json=envelope({"status": "success", "url": f"{url}?Signature={SIGNATURE}"})))
    with service.client() as client, pytest.raises(UnsafeURL) as caught:
        client.convert(paper, to="md", out=out)
    told(caught.value, "paper.pdf", UID, "storage_hosts")
    assert SIGNATURE not in str(caught.value)
    assert (service.count("download"), service.paid, tree(out)) == (0, 1, {})


@pytest.mark.faults("DL-11")
@pytest.mark.parametrize("url", HOSTILE)
def test_an_upload_link_that_leads_elsewhere_is_not_followed(url: str, service: ScriptedService, paper: Path) -> None:
    service.always("preupload", reply(json=envelope({"uid": "u-1", "url": url})))
    with service.client() as client, pytest.raises(UnsafeURL) as caught:
        client.convert(paper)
    told(caught.value, "paper.pdf", "u-1")
    assert (service.count("preupload"), service.paid) == (1, 0)


@pytest.mark.faults("DL-12")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_within_the_storage_is_followed(
    status: int, service: ScriptedService, paper: Path, out: Path
) -> None:
    moved = f"/store/convert_md_moved_md?Signature={SIGNATURE}"
    service.on("download", reply(status, b"moved", headers=[("Location", moved)]))
    with service.client() as client:
        client.convert(paper, to="md", out=out)
    assert service.of("download")[1].target == moved
    assert "paper.md" in tree(out)
    assert service.paid == 1


@pytest.mark.faults("DL-12")
@pytest.mark.parametrize("url", [*(url for url in HOSTILE if "//" in url), "//10.0.0.1/x.zip"])
def test_a_redirect_that_leads_elsewhere_is_not_followed(
    url: str, service: ScriptedService, paper: Path, out: Path
) -> None:
    location = url.replace("\r\n", "\t").encode().decode("latin-1")
    service.always("download", reply(302, headers=[("Location", location)]))
    with service.client() as client, pytest.raises(UnsafeURL) as caught:
        client.convert(paper, to="md", out=out)
    told(caught.value, "paper.pdf", UID)
    assert (service.count("download"), service.paid, tree(out)) == (1, 1, {})


@pytest.mark.faults("DL-12")
@pytest.mark.parametrize("headers", [[], [("Location", "")], [("Location", "/store/convert_md_again_md")]])
def test_redirects_without_an_end_are_an_error(
    headers: list[tuple[str, str]], service: ScriptedService, paper: Path, out: Path
) -> None:
    service.always("download", reply(302, headers=headers))
    with service.client() as client, pytest.raises(DownloadError) as caught:
        client.convert(paper, to="md", out=out)
    told(caught.value, "paper.pdf", UID, "redirects")
    assert (service.count("download"), service.paid, tree(out)) == (6, 1, {})


@pytest.mark.faults("DL-12")
def test_the_real_storage_can_not_send_a_client_to_its_own_machine(
    authority: Authority, tmp_path: Path, paper: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the open: https names on the list of storage hosts, reached through a proxy that plays all of them."""
    names = ("v2.doc2x.noedgeai.com", "bucket.aliyuncs.com")
    context = authority.server_context(*names)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority.write(tmp_path / "ca.pem"))
    with (
        ScriptedServer(reply(200, GOOD)) as inside,
        ScriptedService(proxy_to=context, origin="https://bucket.aliyuncs.com") as service,
    ):
        monkeypatch.setenv("HTTPS_PROXY", service.server.origin)
        service.always("download", reply(302, headers=[("Location", f"{inside.origin}/latest/meta-data")]))
        with (
            Doc2X(KEY, clock=StillClock().clock) as client,
            pytest.raises(UnsafeURL) as caught,
        ):
            client.convert(paper, to="md", out=out)
        told(caught.value, "paper.pdf", UID, "this machine")
        assert (service.count("download"), service.paid) == (1, 1)
        assert inside.connections == 0
    assert tree(out) == {}


# DL-14: names that the store suggests


@pytest.mark.faults("DL-14")
@pytest.mark.parametrize(
    "name",
    ['filename="../../.bashrc"', 'filename="C:\\evil.md"', "filename*=UTF-8''%2e%2e%2fevil", 'filename="CON"',
     'filename=""', "filename=-rf"],
)  # fmt: skip
def test_a_name_that_the_store_suggests_is_not_used(
    name: str, service: ScriptedService, paper: Path, out: Path
) -> None:
    disposition = [("Content-Disposition", f"attachment; {name}")]
    service.on("download", reply(200, GOOD, headers=disposition), reply(200, service.exports["docx"],
                                                                         headers=disposition))  # fmt: skip
    with service.client() as client:
        client.convert(paper, to=["md", "docx"], out=out)
        raw_file = client.download(client.export(UID, "md"), out / "raw.zip")
    assert sorted(tree(out)) == ["paper.docx", "paper.md", "paper_images/0_1.jpg", "raw.zip"]
    assert raw_file.read_bytes() == service.exports["md"]
    assert [path.name for path in sorted(out.parent.iterdir())] == ["out", "paper.pdf"]
    assert service.paid == 1


@pytest.mark.faults("DL-07")
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_storage_host_in_trouble_is_no_refusal(status: int, service: ScriptedService, paper: Path, out: Path) -> None:
    service.always("download", reply(status, b"<html>busy</html>"))
    with service.client() as client, pytest.raises(NetworkError) as caught:
        client.convert(paper, to="md", out=out)
    told(caught.value, "paper.pdf", UID, f"in trouble (HTTP {status})", "doc2x fetch")
    assert (service.count("export"), service.paid, tree(out)) == (1, 1, {})


@pytest.mark.faults("DL-07")
def test_an_export_whose_slot_was_emptied_is_made_again(service: ScriptedService, paper: Path, out: Path) -> None:
    service.on("download", reply(403))
    service.on("result", None, failed("parse_status_not_found"))
    with service.client() as client:
        client.convert(paper, to="md", out=out)
    assert (service.count("export"), service.paid) == (2, 1)
    assert "paper.md" in tree(out)


# DL-16: the slot holds another export


@pytest.mark.faults("DL-16")
def test_a_link_to_the_export_before_is_waited_out(service: ScriptedService, paper: Path, out: Path) -> None:
    def stale(to: str) -> Step:
        link = service.link(f"/store/convert_{to}_{UID}_1_{to}").replace("\\u0026", "&")
        return reply(json=envelope({"status": "success", "url": link}))

    service.on("result", None, stale("md"), stale("md"), processing(0), stale("md"))
    with service.client() as client:
        client.convert(paper, to=["md", "tex"], out=out)
    assert tree(out)["paper.tex"] == b"\\includegraphics[width=3cm]{paper_images/0_1.jpg}\n"
    assert tree(out)["paper.md"].startswith(b"# Title")
    assert (service.count("export"), service.count("download"), service.count("result")) == (2, 2, 6)
    assert service.paid == 1


@pytest.mark.faults("DL-16")
def test_both_delimiters_are_told_apart_by_the_main_file(service: ScriptedService, paper: Path, out: Path) -> None:
    """The links of md and md_dollar look alike, so an older one is known by the name of what is inside only."""
    old = service.exports["md"]
    service.on("download", None, reply(200, old), reply(200, old))
    with service.client() as client:
        client.convert(paper, to=["md", "md_dollar"], out=out)
    assert b"$x$" in tree(out)["paper.dollar.md"]
    assert b"\\( x \\)" in tree(out)["paper.md"]
    assert (service.count("download"), service.paid) == (4, 1)


@pytest.mark.faults("DL-16")
def test_a_slot_that_keeps_another_format_is_an_error(service: ScriptedService, paper: Path, out: Path) -> None:
    service.always("download", reply(200, service.exports["md"]))
    with service.client() as client, pytest.raises(ArchiveError) as caught:
        client.convert(paper, to="md_dollar", out=out)
    told(caught.value, "paper.pdf", UID, "another export than md_dollar", "doc2x fetch")
    assert (service.count("download"), service.paid, tree(out)) == (3, 1, {})


@pytest.mark.faults("DL-16")
def test_exports_of_one_uid_take_turns(service: ScriptedService) -> None:
    service.looks = 0
    uid = service.parsed(make_pdf())  # no receipt of it, whose claim would make them take turns as well
    with service.client() as client, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda to: client.fetch(uid, to=to), ["md", "tex", "docx", "md", "tex", "docx"]))
    order = [name for name, _ in service._routes if name in ("export", "download")]
    assert order == ["export", "download"] * 6
    assert service.paid == 1


# the export call itself


@pytest.mark.parametrize("step", [Done(close()), Done(reply(502)), Done(reply(200, b"no json"))])
def test_an_export_whose_answer_is_lost_is_not_started_again_while_it_is_made(
    step: Done, service: ScriptedService, paper: Path, out: Path
) -> None:
    service.on("export", step)
    service.on("result", processing(0))
    with service.client() as client:
        client.convert(paper, to="md", out=out)
    assert (service.count("export"), service.paid) == (1, 1)
    assert "paper.md" in tree(out)


@pytest.mark.faults("DL-16")
def test_what_the_slot_has_ready_is_no_answer_to_an_export_call_that_was_lost(
    service: ScriptedService, paper: Path, out: Path
) -> None:
    """It was made by an earlier run, with other options, and nothing in a docx tells."""
    with service.client() as client:
        client.convert(paper, to="docx", out=out / "before")
    service.on("export", reply(502))
    with service.client() as client:
        client.convert(paper, to="docx", out=out / "now", formula="dollar")
    fetched = [each.target for each in service.server.requests if each.target.startswith("/store/")]
    assert [target.partition("?")[0][-7:] for target in fetched] == ["_1_docx", "_2_docx"]
    assert service.paid == 1


@pytest.mark.faults("DL-16")
def test_a_new_signature_makes_no_new_export(service: ScriptedService, paper: Path, out: Path) -> None:
    with service.client() as client:
        uid = str(client.convert(paper, to="docx", out=out / "normal").uid)
        again = f"{service.export_link(uid)}&X-Signed=again"
        held = reply(json=envelope({"status": "success", "url": again}))
        service.on("result", held, held)
        client.convert(paper, to="docx", out=out / "dollar", formula="dollar")
    fetched = [each.target for each in service.server.requests if each.target.startswith("/store/")]
    assert [target.partition("?")[0][-7:] for target in fetched] == ["_1_docx", "_2_docx"]


@pytest.mark.faults("DL-16")
def test_a_service_with_one_place_for_all_exports_is_waited_for_briefly(
    service: ScriptedService, paper: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "export_link", lambda uid: service.link(f"/store/{uid}_md"))
    clock = StillClock()
    with service.client(clock) as client:
        client.convert(paper, to="md", out=out / "normal")
        began = clock.monotonic()
        client.convert(paper, to="md", out=out / "joined", merge_tables=True)
    assert tree(out / "joined")["paper.md"] == tree(out / "normal")["paper.md"]
    assert 15 <= clock.monotonic() - began < 60


def test_an_export_that_never_arrived_is_started_again(service: ScriptedService, paper: Path, out: Path) -> None:
    service.on("export", close(), close())
    with service.client() as client:
        client.convert(paper, to="md", out=out)
    assert (service.count("export"), service.paid) == (3, 1)


def test_an_export_that_never_ends_can_be_gone_on_with(service: ScriptedService, paper: Path, out: Path) -> None:
    service.always("result", processing(0))
    clock = StillClock()
    with service.client(clock, export_timeout=100) as client, pytest.raises(WaitTimeout) as caught:
        client.convert(paper, to="tex", out=out)
    told(caught.value, "paper.pdf", f"doc2x fetch {UID} --to tex", "costs nothing")
    assert (service.count("export"), service.paid, tree(out)) == (1, 1, {})
    assert service.count("result") < 60


def test_an_export_in_a_state_of_an_unknown_word_is_told(
    service: ScriptedService, paper: Path, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service.always("result", reply(json=envelope({"status": "error", "detail": "disk"})))
    with service.client(StillClock(), export_timeout=100) as client, pytest.raises(WaitTimeout) as caught:
        client.convert(paper, to="tex", out=out)
    told(caught.value, "paper.pdf", UID, "the last word was 'error'")
    warned = [record.getMessage() for record in caplog.records if "'error'" in record.getMessage()]
    assert warned == [f"uid {UID}: the service says 'error' of the export to tex: disk"]


def test_an_export_that_failed_says_why(service: ScriptedService, paper: Path, out: Path) -> None:
    service.always("result", reply(json=envelope({"status": "failed", "detail": "pandoc is out of ink"})))
    with service.client() as client, pytest.raises(TaskFailed) as caught:
        client.convert(paper, to="docx", out=out)
    told(caught.value, "paper.pdf", UID, "docx", "pandoc is out of ink")
    assert (service.paid, tree(out)) == (1, {})


@pytest.mark.parametrize("wanted", [["md", "docx", "txt"], ["docx", "txt", "md"]], ids="-".join)
def test_an_export_that_fails_takes_no_other_format_with_it(
    wanted: list[str], service: ScriptedService, paper: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = service._result

    def no_word(request: Request, path: str, query: Mapping[str, list[str]]) -> Step:
        is_word = service.export_link(query["uid"][0]).partition("?")[0].endswith("docx")
        failure = reply(json=envelope({"status": "failed", "detail": "out of ink"}))
        return failure if is_word else plain(request, path, query)

    monkeypatch.setattr(service, "_result", no_word)
    with service.client() as client:
        document = client.convert(paper, to=wanted, out=out)
        assert set(document.files) == {"md", "txt"}
        told(document.failures["docx"], "paper.pdf", UID, "out of ink")
        assert sorted(tree(out)) == ["paper.md", "paper.txt", "paper_images/0_1.jpg"]
        (row,) = client.jobs(unfinished=True)  # `rescue` and the same call try again
        assert row.uid == UID
        with pytest.raises(TaskFailed, match="out of ink"):
            client.convert(paper, to="docx", out=out)
        monkeypatch.undo()
        assert client.convert(paper, to=wanted, out=out).failures == {}
    assert service.paid == 1


def test_a_refused_key_is_no_failure_of_one_format(service: ScriptedService, paper: Path, out: Path) -> None:
    service.on("export", failed("unauthorized"))
    with service.client() as client, pytest.raises(AuthError):
        client.convert(paper, to=["md", "txt"], out=out)
    assert tree(out) == {}


def test_a_client_downloads_no_file_twice_into_one_name(service: ScriptedService, paper: Path, out: Path) -> None:
    out.mkdir()
    (out / "raw.zip").write_bytes(OLD)
    service.looks = 0
    with service.client() as client:
        client.convert(paper)
        link = client.export(UID, "md")
        with pytest.raises(Doc2XError, match=r"raw\.zip is there already"):
            client.download(link, out / "raw.zip")
        assert (out / "raw.zip").read_bytes() == OLD
        assert service.count("download") == 0
        client.download(link, out / "raw.zip", overwrite=True)
    assert (out / "raw.zip").read_bytes() == service.exports["md"]


@pytest.mark.faults("DL-16")
def test_an_export_that_the_slot_still_holds_of_other_options_is_not_taken_for_this_one(
    service: ScriptedService, paper: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(_: object, path: str, *more: object) -> Step:
        return reply(body=make_zip({"md.md": "normal" if path == normal else "dollar"}))

    service.exports["md"] = make_zip({"md.md": "normal"})
    with service.client() as client:
        uid = str(client.convert(paper, to="md", out=out / "normal").uid)
        before = service.export_link(uid)
        normal = urlsplit(before).path
        monkeypatch.setattr(service, "_download", download)
        held = reply(json=envelope({"status": "success", "url": before}))
        service.on("result", held, held)
        client.convert(paper, to="md", out=out / "dollar", formula="dollar")
        same = reply(json=envelope({"status": "success", "url": service.export_link(uid)}))
        service.on("result", same)  # of the same export again the link may be the same
        client.convert(paper, to="md", out=out / "again", formula="dollar")
    assert (out / "dollar" / "paper.md").read_text() == "dollar"
    assert (out / "again" / "paper.md").read_text() == "dollar"
