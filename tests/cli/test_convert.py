"""`doc2x convert`, as a child process against real servers."""

import os
import re
import shutil
import signal
import subprocess
import sys

import pytest
from PIL import Image, ImageDraw

from doc2x_sdk.local import ocr
from tests.cli.command import EXAMPLE, UID, Working, account, doc2x, ended, no_picture, refused, start, upload
from tests.support.scripted import ScriptedServer, envelope, reply, reset
from tests.support.scripted_service import ScriptedService, failed, make_pdf
from tests.support.wire import KEY, SIGNATURE

PAGE = {"page_idx": 0, "md": "words", "page_width": 10, "page_height": 10}
PARSED = [{**PAGE, "page_idx": index} for index in range(2)]
SUCCESS = reply(json=envelope({"status": "success", "progress": 100, "detail": "", "result": {"pages": PARSED}}))


def test_without_a_key_this_machine_converts_and_says_so(tmp_path):
    done = doc2x("convert", EXAMPLE, "--to", "md", "--to", "docx", "--out", tmp_path / "out")
    assert (done.code, done.lines) == (0, [str(tmp_path / "out" / "paper.md"), str(tmp_path / "out" / "paper.docx")])
    assert "No key is set" in done.err
    assert "set-key" in done.err
    assert (tmp_path / "out" / "paper.md").read_text(encoding="utf-8").strip()
    assert (tmp_path / "out" / "paper.docx").read_bytes().startswith(b"PK")


def test_local_is_local_even_with_a_key(tmp_path):
    with ScriptedServer(reply(500)) as server:
        done = doc2x("convert", EXAMPLE, "--to", "txt", "--local", "--out", tmp_path, env=account(server.origin))
    assert (done.code, done.lines) == (0, [str(tmp_path / "paper.txt")])
    assert server.connections == 0
    assert "No key" not in done.err


def test_a_key_leads_to_the_service(tmp_path, service):
    done = doc2x("convert", EXAMPLE, "--to", "txt", "--to", "json", "--out", tmp_path, env=account(service.url))
    assert (done.code, done.lines) == (0, [str(tmp_path / "paper.txt"), str(tmp_path / "paper.json")])
    assert "uid " in done.err, "the way to the paid pages is told as soon as there is one"


def test_a_result_that_is_there_is_left_and_told(tmp_path, service):
    there = tmp_path / "paper.txt"
    there.write_text("mine")
    done = doc2x("convert", EXAMPLE, "--to", "txt", "--out", tmp_path, env=account(service.url))
    assert (done.code, done.out) == (0, "")
    assert "--overwrite" in done.err
    assert there.read_text() == "mine"
    done = doc2x("convert", EXAMPLE, "--to", "txt", "--out", tmp_path, "--overwrite", env=account(service.url))
    assert (done.code, done.lines) == (0, [str(there)])
    assert there.read_text() != "mine"


def test_options_reach_the_service(tmp_path):
    with ScriptedServer(refused("parse_error")) as server:
        upload(server, SUCCESS, refused("parse_file_lock"))
        options = ["--model", "v3-2026", "--formula", "dollar", "--formula-level", "1", "--merge-tables"]
        doc2x("convert", EXAMPLE, *options, "--out", tmp_path, env=account(server.origin))
    assert b"v3-2026" in server.requests[0].body
    sent = server.requests[3].body.replace(b" ", b"")
    assert (b'"formula_mode":"dollar"' in sent, b'"formula_level":1' in sent) == (True, True)
    assert b'"merge_cross_page_forms":true' in sent


def test_json_is_one_document_with_a_row_each(tmp_path, service):
    broken = tmp_path / "broken.pdf"
    broken.write_text("no PDF")
    done = doc2x("convert", EXAMPLE, broken, "--to", "txt", "--out", tmp_path, "--json", env=account(service.url))
    assert done.code == 8
    good, bad = done.json
    assert good["source"] == str(EXAMPLE)
    assert (good["pages"], good["files"], good["error"]) == (2, {"txt": str(tmp_path / "paper.txt")}, None)
    assert good["uid"]
    assert (bad["source"], bad["uid"], bad["files"]) == (str(broken), None, {})
    assert (bad["error"]["type"], bad["error"]["exit"]) == ("FileError", 5)
    assert bad["error"]["message"]
    assert bad["error"]["advice"]
    names = {"source", "uid", "pages", "files", "skipped", "archived", "warnings", "failures", "error"}
    assert set(good) == set(bad) == names


def test_quiet_shows_errors_only(tmp_path, service):
    done = doc2x("convert", EXAMPLE, "--to", "txt", "--out", tmp_path, "--quiet", env=account(service.url))
    assert (done.code, done.out, done.err) == (0, "", "")
    done = doc2x("convert", tmp_path / "none.pdf", "--quiet", env=account(service.url))
    assert (done.code, done.out) == (5, "")
    assert "no such file" in done.err


def test_verbose_logs_without_key_and_signature(tmp_path):
    with ScriptedServer(refused("parse_error")) as server:
        upload(server, SUCCESS)
        done = doc2x("convert", EXAMPLE, "--to", "txt", "--out", tmp_path, "--verbose", env=account(server.origin))
    assert done.code == 0
    assert "doc2x_sdk" in done.err
    assert UID in done.err
    assert KEY not in done.err
    assert SIGNATURE not in done.err


@pytest.mark.faults("FS-09")
def test_two_inputs_of_one_name_get_two_results(tmp_path, service):
    for folder, source in (("a", EXAMPLE), ("b", EXAMPLE)):
        (tmp_path / folder).mkdir()
        shutil.copy(source, tmp_path / folder / "x.pdf")
    done = doc2x("convert", tmp_path, "--to", "txt", "--out", tmp_path / "out", env=account(service.url))
    assert done.code == 0
    first, second = sorted((tmp_path / "out").iterdir(), key=lambda path: len(path.name))
    assert sorted(done.lines) == sorted([str(first), str(second)])
    assert first.name == "x.txt"
    assert second.name.startswith("x-")


# exit codes


@pytest.mark.faults("CL-05")
@pytest.mark.parametrize(
    ("script", "code", "kind"),
    [
        ([refused("unauthorized", 401)], 3, "AuthError"),
        ([refused("parse_quota_limit")], 4, "QuotaExceeded"),
        (["upload", refused("parse_file_invalid")], 5, "FileError"),
        (["upload", refused("parse_file_lock")], 6, "TaskFailed"),
        (["upload", SUCCESS, "export", reply(200, b"no archive")], 7, "ArchiveError"),
        ([reply(200, b"<html>log in here</html>")], 10, "ProtocolError"),
    ],
    ids=["key", "quota", "input", "service", "download", "login-page"],
)
def test_one_document_ends_with_its_own_reason(tmp_path, script, code, kind):
    with ScriptedServer(reply(500)) as server:
        steps = [step for step in script if not isinstance(step, str)]
        if "export" in script:
            link = {"status": "success", "url": f"{server.origin}/bucket/md.zip?Signature={SIGNATURE}"}
            waiting = reply(json=envelope({"status": "processing", "url": ""}))
            steps[1:1] = [waiting, reply(json=envelope(link))]
        server.script[:] = steps
        if "upload" in script:
            upload(server, *steps)
        done = doc2x("convert", EXAMPLE, "--out", tmp_path, "--json", env=account(server.origin))
    [row] = done.json
    assert (done.code, row["error"]["exit"], row["error"]["type"]) == (code, code, kind)
    assert done.err.count("Error:") == 1
    assert KEY not in done.out + done.err
    assert SIGNATURE not in done.out + done.err


def test_the_trace_id_and_the_code_are_told(tmp_path):
    with ScriptedServer(refused("parse_quota_limit")) as server:
        done = doc2x("convert", EXAMPLE, "--out", tmp_path, "--json", env=account(server.origin))
    error = done.json[0]["error"]
    assert (error["code"], error["trace_id"]) == ("parse_quota_limit", "trace-4711")
    assert "trace-4711" in done.err


@pytest.mark.faults("CL-05")
def test_an_outcome_that_nobody_knows_is_9(tmp_path):
    with ScriptedServer(reset()) as server:
        done = doc2x("convert", no_picture(tmp_path), "--out", tmp_path, "--json", env=account(server.origin))
    assert (done.code, done.json[0]["error"]["type"]) == (9, "OutcomeUnknown")
    assert len(server.requests) == 1


@pytest.mark.faults("CL-05")
def test_no_connection_is_10(tmp_path):
    with ScriptedServer(reply(500)) as server:
        origin = server.origin
    done = doc2x("convert", EXAMPLE, "--out", tmp_path, env=account(origin, DOC2X_PATIENCE="0.1"))
    assert done.code == 10
    assert "refused" in done.err


@pytest.mark.faults("CL-05")
def test_an_output_folder_that_is_a_file_is_11_and_nothing_is_sent(tmp_path):
    (tmp_path / "out").write_text("mine")
    with ScriptedServer(reply(500)) as server:
        done = doc2x("convert", EXAMPLE, "--out", tmp_path / "out", env=account(server.origin))
    assert (done.code, server.connections) == (11, 0)
    assert "is not a folder" in done.err
    assert "Choose another folder: `out`, or --out." in done.err


@pytest.mark.faults("CL-05")
def test_a_stop_leaves_the_rest_undone(tmp_path):
    broken = tmp_path / "broken.pdf"
    broken.write_text("no PDF")
    with ScriptedServer(refused("unauthorized", 401)) as server:
        inputs = [broken, EXAMPLE, no_picture(tmp_path)]
        done = doc2x("convert", *inputs, "--jobs", "1", "--out", tmp_path, "--json", env=account(server.origin))
    assert done.code == 3
    assert [row["error"]["type"] for row in done.json] == ["FileError", "AuthError", "NotDone"]
    assert [row["error"]["exit"] for row in done.json] == [5, 3, 3]
    assert done.json[2]["error"]["code"] == "unauthorized"
    assert done.json[2]["error"]["message"].startswith("Not begun: the run was stopped before: The service refused")
    assert len(server.requests) == 1
    assert "1 not done" in done.err


@pytest.mark.faults("CL-05")
def test_an_unknown_outcome_among_many_is_9_and_stops_nothing(tmp_path):
    with ScriptedServer(reset()) as server:
        inputs = [no_picture(tmp_path, "a.jpg"), tmp_path / "none.pdf"]
        done = doc2x("convert", *inputs, "--out", tmp_path, "--json", env=account(server.origin))
    assert done.code == 9
    assert [row["error"]["type"] for row in done.json] == ["OutcomeUnknown", "FileError"]


# before anything is sent


@pytest.mark.faults("CL-06")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--to", "nonsense"], "nonsense"),
        (["--to", "md", "--to", "parse"], "parse"),
        (["--name", "{uid}-{foo}"], "template"),
        (["--formula-level", "3"], "formula-level"),
        (["--model", "v9"], "model"),
        (["--nonsense"], "--nonsense"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_option_is_2_without_a_request(tmp_path, arguments, told):
    with ScriptedServer(reply(500)) as server:
        done = doc2x("convert", EXAMPLE, *arguments, "--out", tmp_path / "out", env=account(server.origin))
    assert (done.code, done.out, server.connections) == (2, "", 0)
    assert told in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.faults("CL-06")
def test_a_wrong_setting_is_2_without_a_request(tmp_path):
    with ScriptedServer(reply(500)) as server:
        done = doc2x("convert", EXAMPLE, "--out", tmp_path, env=account(server.origin, DOC2X_READ_TIMEOUT="soon"))
    assert (done.code, server.connections) == (2, 0)
    assert "DOC2X_READ_TIMEOUT" in done.err


@pytest.mark.faults("CL-06")
@pytest.mark.parametrize("name", ["none.pdf", "*.pdf", "folder"], ids=["file", "pattern", "folder"])
def test_inputs_that_are_none_are_5_without_a_request(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with ScriptedServer(reply(500)) as server:
        done = doc2x("convert", tmp_path / name, "--out", tmp_path / "out", env=account(server.origin))
    assert (done.code, server.connections) == (5, 0)
    assert name in done.err


BLOCK = """
import importlib.machinery, sys

class Blind(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in HIDDEN else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Blind
"""


@pytest.mark.parametrize("talk", [[], ["--verbose"]], ids=["plain", "verbose"])
def test_a_warning_of_the_library_is_shown_once_with_the_time(tmp_path, talk):
    (tmp_path / "file").touch()
    words = ["convert", EXAMPLE, "--to", "txt", "--out", tmp_path / "out", "--ledger", tmp_path / "file" / "ledger"]
    with ScriptedService(pages=2) as service:
        done = doc2x(*words, *talk, env=account(service.origin))
    assert done.code == 0
    lines = [line for line in done.err.splitlines() if "receipts are not kept" in line]
    assert len(lines) == 1
    assert re.match(r"\d\d:\d\d:\d\d ", lines[0].removeprefix("Warning: "))


def without(folder, *packages):
    """An environment in which these packages are not installed."""
    (folder / "sitecustomize.py").write_text(f"HIDDEN = {packages!r}\n{BLOCK}")
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))}


def test_a_picture_without_ocr_names_the_extra_and_the_service(tmp_path):
    Image.new("RGB", (90, 90), "white").save(tmp_path / "scan.png")
    done = doc2x(
        "convert", tmp_path / "scan.png", "--local", "--out", tmp_path / "out", env=without(tmp_path, "rapidocr")
    )
    assert (done.code, done.out) == (6, "")
    assert "pip install 'doc2x-sdk[local-ocr]'" in done.err
    assert "With an account's key the service may" in done.err


@pytest.mark.skipif(not ocr.is_installed(), reason="the extra local-ocr is not installed")
def test_what_this_machine_could_not_do_is_tried_again_once_it_can(tmp_path):
    for name in ("one.png", "two.png"):
        picture = Image.new("RGB", (400, 400), "white")
        ImageDraw.Draw(picture).text((30, 30), name.partition(".")[0].upper(), "black", font_size=60)
        picture.save(tmp_path / name)
    words = ["convert", tmp_path, "--to", "txt", "--local", "--out", tmp_path / "out"]
    assert doc2x(*words, env=without(tmp_path, "rapidocr")).code == 8
    assert "tries it again" in doc2x("jobs", "show", "1").err
    assert doc2x(*words, "--dry-run", "--json").json["counts"] == {"new": 2}
    done = doc2x(*words)
    assert (done.code, len(done.lines)) == (0, 2), done.err


@pytest.mark.faults("CL-06")
@pytest.mark.parametrize("arguments", [[], ["--local"]], ids=["no-key", "local"])
def test_without_key_and_engine_the_ways_out_are_named(tmp_path, arguments):
    done = doc2x(
        "convert", EXAMPLE, *arguments, "--out", tmp_path / "out", env=without(tmp_path, "liteparse", "uvicorn")
    )
    assert (done.code, done.out) == (2, "")
    assert "pip install 'doc2x-sdk[local]'" in done.err
    assert ("doc2x config set-key" in done.err) is (not arguments)
    assert "this machine converts" not in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.faults("FS-01")
@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_on_this_machine_a_full_disk_is_to_be_freed(tmp_path, many):
    small = tmp_path / "disk"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user can't mount a file system of 64 kB")
    try:
        (small / "filler").write_bytes(bytes(60_000))
        other = tmp_path / "other.pdf"
        other.write_bytes(EXAMPLE.read_bytes() + b"%other")
        done = doc2x("convert", EXAMPLE, *([other] if many else []), "--to", "docx", "--local", "--out", small)
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
    assert (done.code, done.out) == (11, "")
    assert "no space" in done.err.lower()
    assert "Free some space, then run the same command again." in done.err
    assert ("Stopped:" in done.err) is many
    assert "doc2x fetch" not in done.err


# signals


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_it_with_the_way_to_the_paid_pages(tmp_path, name, code):
    working = Working()
    with ScriptedServer(reply(500)) as server:
        upload(server, working.step)
        process = start("convert", EXAMPLE, "--to", "tex", "--json", env=account(server.origin), cwd=tmp_path)
        assert working.asked.wait(60)
        process.send_signal(getattr(signal, name))
        done = ended(process)
    assert done.code == code
    assert f"doc2x fetch {UID} --to tex --name paper\n" in done.err
    assert "Traceback" not in done.err
    assert [(row["uid"], row["error"]["type"]) for row in done.json] == [(UID, "Interrupted")]


def test_the_way_to_the_paid_pages_leads_to_the_same_name_and_form(tmp_path):
    given = ["--name", "a {stem}", "--formula", "dollar", "--clean", "--ledger", "led ger"]
    given += ["--tables", "pipe", "--to", "md", "--out", "there", "--model", "v3-2026", "--no-archive"]
    working = Working()
    with ScriptedServer(reply(500)) as server:
        upload(server, working.step)
        process = start("convert", *given, EXAMPLE, "--json", env=account(server.origin), cwd=tmp_path)
        assert working.asked.wait(60)
        process.send_signal(signal.SIGINT)
        done = ended(process)
    line = f"doc2x fetch {UID} --to md --out there --name 'a paper'"
    line += " --ledger 'led ger' --no-archive --formula dollar --tables pipe --clean"
    assert f"  {line}\n" in done.err
    assert done.json[0]["error"]["advice"] == f"Run `{line}` within 24 hours; it costs nothing."


def test_what_could_not_be_fetched_has_its_own_name_in_the_line_and_the_options(tmp_path):
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
        (folder / "same.pdf").write_bytes(make_pdf(mark=folder.name))
    (tmp_path / "a" / "other.pdf").write_bytes(make_pdf(mark="other"))
    with ScriptedService() as service:
        service.exports["md"] = b"no archive"
        env = account(service.origin)
        done = doc2x("convert", *folders, "--merge-tables", "--name", "{{{stem}", env=env, cwd=tmp_path)
    lines = sorted(re.findall("`(doc2x fetch .*?)`", done.err))
    named = [line for line in lines if "--name" in line]
    assert (len(lines), len(named)) == (3, 1), "two would have one name: theirs is the uid"
    assert named[0].endswith(" --to md --name '{{other' --merge-tables")


def test_on_this_machine_a_uid_is_not_offered(tmp_path):
    process = start("convert", EXAMPLE, "--local", "--to", "txt", "--out", tmp_path)
    for line in process.stderr:
        if b"uploading" in line or b"parsing" in line:
            break
    process.send_signal(signal.SIGINT)
    done = ended(process)
    assert done.code == 130
    assert "Interrupted" in done.err
    assert "doc2x fetch" not in done.err


def test_one_document_that_the_service_gave_up_is_sent_again_only_on_demand(tmp_path):
    path = tmp_path / "paper.pdf"
    path.write_bytes(make_pdf())
    words = ["convert", path, "--to", "txt", "--out", tmp_path / "out"]
    with ScriptedService() as service:
        env = account(service.origin)
        service.on("status", failed("parse_file_lock"))
        assert doc2x(*words, env=env).code == 6
        kept = doc2x(*words, env=env)
        assert (kept.code, service.paid) == (6, 1)
        assert "--retry-failed" in kept.err
        quoted = doc2x(*words, "--dry-run", "--json", env=env)
        assert (quoted.code, quoted.json["counts"], quoted.json["to_pay"]) == (6, {"failed": 1}, 0)
        assert doc2x(*words, "--dry-run", "--json", "--retry-failed", env=env).json["to_pay"] == 1
        assert doc2x(*words, "--retry-failed", env=env).code == 0
    assert service.paid == 2


@pytest.mark.parametrize("more", [[], ["--dry-run"]], ids=["", "dry-run"])
def test_pages_that_a_picture_lacks_are_a_usage_error(tmp_path, more):
    Image.new("RGB", (20, 20)).save(tmp_path / "sign.png")
    with ScriptedService() as service:
        words = ["convert", tmp_path / "sign.png", "--to", "md", "--out", tmp_path / "out", "--pages", "2", *more]
        done = doc2x(*words, env=account(service.origin))
    assert (done.code, service.server.connections) == (2, 0)
    assert "There are no pages 2" in done.err + done.out
