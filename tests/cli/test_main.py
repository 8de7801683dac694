"""What all commands share: streams, odd names, bugs, suggestions."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from doc2x_sdk.version import __version__
from tests.cli.command import EXAMPLE, account, doc2x, ended, start
from tests.support.scripted import ScriptedServer, reply


def test_version():
    assert doc2x("--version").lines == [f"doc2x {__version__}"]


def test_alone_it_shows_the_help_where_nothing_reads_results():
    done = doc2x()
    assert (done.code, done.out) == (2, "")
    assert "doc2x convert paper.pdf" in done.err


@pytest.mark.parametrize(
    ("word", "told"),
    [("convrt", "Did you mean convert?"), ("paper.pdf", "doc2x convert paper.pdf"), ("xyzzy", "xyzzy")],
)
def test_an_unknown_command_is_2_with_what_may_be_meant(word, told):
    done = doc2x(word)
    assert (done.code, done.out) == (2, "")
    assert told in done.err


# a reader that goes away


def without_reader(*arguments: str | Path, env: dict[str, str] | None = None):
    """Run with a standard output that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    process = start(*arguments, env=env, stdout=writing)
    os.close(writing)
    return ended(process)


@pytest.mark.faults("CL-04")
@pytest.mark.parametrize(
    "arguments", [["--help"], ["formats"], ["config", "--json"], ["convert", "--help"]], ids=" ".join
)
def test_a_closed_pipe_ends_it_quietly(arguments):
    done = without_reader(*arguments)
    assert (done.code, done.err) == (141, "")


@pytest.mark.faults("CL-04")
def test_a_closed_pipe_ends_a_run_and_the_same_command_goes_on(tmp_path, service):
    for name in "ab":
        (tmp_path / f"{name}.pdf").write_bytes(EXAMPLE.read_bytes() + f"%pipe {name}".encode())
    arguments = [tmp_path, "--to", "txt", "--out", tmp_path / "out", "--jobs", "1"]
    before = service.stats().pages_parsed
    done = without_reader("convert", *arguments, env=account(service.url))
    assert done.code == 141
    assert "Traceback" not in done.err
    assert "BrokenPipe" not in done.err
    assert doc2x("convert", *arguments, env=account(service.url)).code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.txt", "b.txt"]
    assert service.stats().pages_parsed - before == 4, "each document is paid once"


# odd names

ODD = b"odd \xff \x1b[31m\n\xe8\xae\xba.pdf"
LOCALES = {
    "C": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "ascii": {"PYTHONIOENCODING": "ascii:strict"},
    "latin-1": {"PYTHONIOENCODING": "latin-1:strict"},
    "utf-8": {"PYTHONIOENCODING": "utf-8:strict"},
}


@pytest.fixture
def odd(tmp_path):
    """A document whose name no terminal should be shown as it is."""
    path = os.fsencode(tmp_path) + b"/" + ODD
    try:
        with open(path, "wb") as file:  # noqa: PTH123 - pathlib takes no bytes
            file.write(EXAMPLE.read_bytes())
    except OSError:
        pytest.skip("this file system takes no such name")
    return path


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_stream_that_cannot_be_written_is_told_or_done_without(unbuffered):
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        for words in (["formats"], ["config", "--json"], ["--help"], ["config", "--help"]):
            done = ended(start(*words, stdout=full, env={"PYTHONUNBUFFERED": unbuffered}))
            assert (done.code, "Traceback" in done.err, "bug" in done.err) == (11, False, False), words
            assert "Standard output can't be written: No space left" in done.err
        process = start("convert", "no-such-file.pdf", stderr=full)
        assert process.communicate(timeout=60)[0] == b""
        assert process.returncode == 5


@pytest.mark.faults("CL-08")
@pytest.mark.parametrize("locale", LOCALES)
def test_an_odd_name_is_converted_and_shown_escaped(tmp_path, service, odd, locale):
    env = account(service.url) | LOCALES[locale]
    done = doc2x("convert", odd, "--to", "txt", "--out", os.fsencode(tmp_path) + b"/out\xff", env=env)
    assert done.code == 0, done.err
    assert len(done.lines) == 1, "one path, one line"
    assert "\\udcff" in done.lines[0] or "\\xff" in done.lines[0]
    assert "\\n" in done.err
    assert "\x1b" not in done.err


@pytest.mark.faults("CL-08")
@pytest.mark.parametrize("locale", LOCALES)
def test_json_of_an_odd_name_names_the_file_exactly(tmp_path, service, odd, locale):
    env = account(service.url) | LOCALES[locale]
    out = os.fsencode(tmp_path) + b"/\xe8\xae\xba\xff"
    done = doc2x("convert", odd, "--to", "txt", "--out", out, "--json", env=env)
    assert done.code == 0, done.err
    [row] = json.loads(done.raw.decode("ascii"))
    assert os.fsencode(row["files"]["txt"]).startswith(out + b"/")
    with open(os.fsencode(row["files"]["txt"]), "rb") as file:  # noqa: PTH123 - pathlib takes no bytes
        assert file.read()
    assert "\n" not in row["source"]


@pytest.mark.faults("CL-08")
def test_an_odd_name_among_many_is_converted_and_in_the_receipts(tmp_path, service, odd):
    env = account(service.url) | LOCALES["C"]
    words = ["convert", odd, EXAMPLE, "--to", "txt", "--out", tmp_path / "out"]
    done = doc2x(*words, "--json", env=env)
    assert done.code == 0, done.err
    assert [row["error"] for row in json.loads(done.raw.decode("ascii"))] == [None, None]
    assert "nothing to do" in doc2x(*words, env=env).err
    assert doc2x(*words, "--dry-run", env=env).code == 0
    jobs = doc2x("jobs", env=env)
    assert (jobs.code, len(jobs.lines)) == (0, 1), "they have the same content"
    assert "\x1b" not in jobs.out


@pytest.mark.faults("CL-08")
@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(
    "arguments",
    [
        ["convert", b"none \xff\n\x1b.pdf"],
        ["convert", "x.pdf", "--to", b"\xff\n\x1b"],
        ["convert", "x.pdf", b"--a\xff\n\x1b"],
        [b"a \xff\n\x1b.pdf"],
    ],
    ids=["input", "format", "option", "command"],
)
def test_an_odd_word_in_an_error_is_escaped(locale, arguments):
    with ScriptedServer(reply(500)) as server:
        done = doc2x(*arguments, env=account(server.origin) | LOCALES[locale])
    assert (done.code in {2, 5}, server.connections) == (True, 0)
    assert "\\n" in done.err
    assert "\x1b" not in done.err
    assert len(done.err.splitlines()) <= 3, "usage, error, advice"
    assert "UnicodeEncodeError" not in done.err


# bugs

BUG = """
import sys
from doc2x_sdk.formats import registry

def planless(self, *words):
    canary_local = "canary-in-a-local"
    raise ZeroDivisionError("the text of the bug")

registry.Formats.plan = planless
sys.argv[0] = "doc2x"
from doc2x_sdk.cli.main import main
sys.exit(main())
"""


@pytest.mark.parametrize("verbose", [False, True], ids=["plain", "verbose"])
def test_a_bug_asks_to_be_reported(verbose):
    words = ["convert", "x.pdf", "--local", *(["--verbose"] if verbose else [])]
    done = subprocess.run([sys.executable, "-c", BUG, *words], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert "bug" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert "report" in done.stderr
    assert ("Traceback" in done.stderr) is verbose
    assert "canary-in-a-local" not in done.stderr.replace('canary_local = "canary-in-a-local"', "")
