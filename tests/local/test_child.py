"""The server as a child of somebody's program: what it imports, and when it ends."""

import gc
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from doc2x_sdk import Doc2X
from doc2x_sdk.local import child
from doc2x_sdk.local.settings import ServerSettings
from tests.local.caller import Caller, make_pdf, wait_for

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

PACKAGE = Path(__file__).parents[2] / "doc2x_sdk"
CONVERTS = """
import sys
from doc2x_sdk import Doc2X
with Doc2X.local(server={"workers": 1}) as client:
    print(client.convert(sys.argv[1]).pages[0].md)
"""
SERVES = """
from doc2x_sdk.local.server import serve
if __name__ == "__main__":
    serve()
"""
BREAKS = """
from pathlib import Path
Path(__file__).with_suffix(".imported").touch()
raise RuntimeError("this is no module of the server")
"""


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    """A folder with a paper."""
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "paper.pdf").write_bytes(make_pdf("A paper"))
    return folder


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def listens(url: str) -> bool:
    """Whether a server takes connections."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), 5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("beside", [False, True], ids=["in the current folder", "beside the script"])
def test_files_named_like_modules_are_not_taken_for_them(papers: Path, tmp_path: Path, beside: bool) -> None:
    names = ["starlette", "liteparse"] if beside else ["json", "pickle", "starlette", "liteparse"]
    for name in names:  # the first two break the server and a worker at their start, the others are imported later
        (papers / f"{name}.py").write_text(BREAKS)
    script = (papers if beside else tmp_path) / "script.py"
    script.write_text(CONVERTS)
    done = run(tmp_path if beside else papers, str(script), str(papers / "paper.pdf"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "A paper\n", "")
    assert not list(papers.glob("*.imported"))


def test_workers_of_a_server_do_not_start_with_what_lies_in_the_current_folder(papers: Path, tmp_path: Path) -> None:
    (papers / "pickle.py").write_text(BREAKS)
    script = tmp_path / "script.py"
    script.write_text(SERVES)
    process = subprocess.Popen([sys.executable, str(script)], cwd=papers, stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        caller = Caller(process.stdout.readline().decode().strip())
        try:
            assert caller.parse((papers / "paper.pdf").read_bytes())[1][0]["md"] == "A paper"
        finally:
            caller.close()
            process.terminate()
    assert not list(papers.glob("*.imported"))


@pytest.mark.parametrize("by", ["the current folder", "a line of the program"])
def test_the_child_runs_the_package_that_its_program_found(papers: Path, tmp_path: Path, by: str) -> None:
    checkout = tmp_path / "checkout"
    shutil.copytree(PACKAGE, checkout / "doc2x_sdk", ignore=shutil.ignore_patterns("__pycache__"))
    main = checkout / "doc2x_sdk" / "local" / "__main__.py"
    main.write_text(main.read_text().replace("def main()", f"open({str(tmp_path / 'ran')!r}, 'w').close()\ndef main()"))
    here = by == "the current folder"
    program = CONVERTS if here else f"import sys; sys.path.insert(0, {str(checkout)!r}){CONVERTS}"
    done = run(checkout if here else papers, "-c", program, str(papers / "paper.pdf"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "A paper\n", "")
    assert (tmp_path / "ran").exists()


@needs_fork
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_closing_does_not_wait_for_forked_children() -> None:
    with child.start(ServerSettings(workers=1)) as process:
        forked = os.fork()
        if forked == 0:
            signal.pause()
            os._exit(1)
        before = time.monotonic()
    took = time.monotonic() - before
    os.kill(forked, signal.SIGKILL)
    os.waitpid(forked, 0)
    assert took < child.STOP_SECONDS / 2
    assert process._process.returncode == 0


@needs_fork
def test_the_server_of_a_killed_program_ends_though_its_forked_child_lives(tmp_path: Path) -> None:
    program = """
import os, signal
from doc2x_sdk import Doc2X
from doc2x_sdk.local import child
process = child.start()
forked = os.fork()
if forked == 0:
    signal.pause()
print(process.url, forked, flush=True)
signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        url, forked = parent.stdout.readline().decode().split()
        assert listens(url)
        parent.kill()
    try:
        wait_for(lambda: not listens(url), 10)
    finally:
        os.kill(int(forked), signal.SIGKILL)


def drop(held: list[Any]) -> None:
    """Drop what is in a list, also where it is part of a cycle."""
    held.clear()
    gc.collect()


def test_a_dropped_client_takes_its_server_along(papers: Path) -> None:
    client = Doc2X.local(server={"workers": 1}, ledger=papers / "ledger.sqlite")
    assert client.convert(papers / "paper.pdf").pages[0].md == "A paper"
    url = client.settings.base_url
    held = [client]
    del client
    with pytest.warns(ResourceWarning, match=f"unclosed LocalProcess.{url!r}.*close that, or use it in a with"):
        drop(held)
    assert not listens(url)


def test_a_batch_keeps_the_server_of_a_client_that_nobody_holds(papers: Path) -> None:
    client = Doc2X.local(server={"workers": 1}, ledger=papers / "ledger.sqlite", outage=2)
    held = [client.convert_many([papers / "paper.pdf"], to="md", out=papers)]
    del client
    gc.collect()
    assert [done.error for done in held[0]] == [None]
    assert "A paper" in (papers / "paper.md").read_text()
    with pytest.warns(ResourceWarning, match="unclosed LocalProcess"):
        drop(held)


UNCLOSED = """
import os, sys
from doc2x_sdk import Doc2X
client = Doc2X.local(server={"workers": 1}, ledger="ledger.sqlite")
if sys.argv[1] == "fork":
    if os.fork() == 0:
        sys.exit()
    os.wait()
    print(client.convert("paper.pdf").pages[0].md)
    client.close()
print(client.settings.base_url)
"""


@needs_fork
def test_a_forked_child_that_exits_leaves_the_server_to_its_parent(papers: Path) -> None:
    done = run(papers, "-W", "always::ResourceWarning", "-c", UNCLOSED, "fork")
    assert done.returncode == 0
    assert "LocalProcess" not in done.stderr
    assert done.stdout.startswith("A paper\n")


def test_the_server_of_an_unclosed_client_has_ended_when_the_program_has(papers: Path) -> None:
    done = run(papers, "-W", "always::ResourceWarning", "-c", UNCLOSED, "exit")
    assert done.returncode == 0
    assert "ResourceWarning: unclosed LocalProcess" in done.stderr
    assert not listens(done.stdout.strip())
