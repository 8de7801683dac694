"""The server as a thing of the operating system: processes, signals, sockets, memory."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import requests

from doc2x_sdk.errors import ConfigError
from doc2x_sdk.local import child
from doc2x_sdk.local.failure import DocumentFailure
from doc2x_sdk.local.server import LocalServer
from doc2x_sdk.local.settings import MEGABYTE, ServerSettings
from doc2x_sdk.local.work import Workers
from tests.local.caller import Caller, make_pdf, wait_for

needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads the processes from /proc")


def descendants(pid: int) -> set[int]:
    """The processes below a process."""
    found: set[int] = set()
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for one in map(int, path.read_text().split()):
            found |= {one} | descendants(one)
    return found


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_child_serves_and_ends_with_its_input() -> None:
    with child.start(ServerSettings(workers=1)) as process:
        caller = Caller(process.url, process.key)
        _, pages = caller.parse(make_pdf("From a child"))
        assert pages[0]["md"] == "From a child"
        stats = requests.get(f"{process.url}/_local/stats", timeout=10).json()
        assert (stats["pages_parsed"], stats["parses"], stats["puts"], stats["exports"]) == (1, 1, 1, 0)
        assert stats["requests"]["POST /api/v2/parse/preupload"] == 1
        assert stats["connections"] == 2
        assert process.key not in repr(process)
        refused = requests.get(f"{process.url}/api/v1/limit", headers={"Authorization": "Bearer x"}, timeout=10)
        assert refused.status_code == 401
        caller.close()
        below = descendants(process.pid) if Path("/proc").exists() else set()
    assert process._process.returncode == 0
    wait_for(lambda: not any(map(is_alive, below)))


@needs_proc
def test_the_key_is_not_on_the_command_line() -> None:
    with child.start(ServerSettings(api_key="sk-canary")) as process:
        for pid in {process.pid} | descendants(process.pid):
            assert b"sk-canary" not in Path(f"/proc/{pid}/cmdline").read_bytes()


@needs_proc
def test_workers_do_not_outlive_a_killed_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process = child.start(ServerSettings(workers=2))
    caller = Caller(process.url, process.key)
    caller.parse(make_pdf(*"abcdef"))
    caller.close()
    below = descendants(process.pid)
    assert below
    assert list(tmp_path.glob("doc2x-local-*"))
    os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: not any(map(is_alive, below)))
    assert not list(tmp_path.glob("doc2x-local-*"))
    process.close()


def test_a_child_that_cannot_start_says_why() -> None:
    with LocalServer() as server:
        port = int(server.url.rsplit(":", 1)[1])
        with pytest.raises(ConfigError, match=f"Cannot listen on 127.0.0.1:{port}"):
            child.start(ServerSettings(port=port))


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_stops_cleanly_on_a_signal(number: signal.Signals) -> None:
    program = "from doc2x_sdk.local.server import serve; serve()"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    url = process.stdout.readline().decode().strip()
    caller = Caller(url)
    caller.parse(make_pdf("x"))
    caller.close()
    below = descendants(process.pid)
    process.send_signal(number)
    rest, errors = process.communicate(timeout=30)
    assert (process.returncode, rest, errors) == (0, b"", b"")
    wait_for(lambda: not any(map(is_alive, below)))


def test_the_temporary_folder_goes_with_the_server() -> None:
    with LocalServer() as server:
        folder = server._current._folder
        assert folder.is_dir()
    assert not folder.exists()


def test_another_address_than_loopback_is_warned_about(capfd: pytest.CaptureFixture[str]) -> None:
    with LocalServer(ServerSettings(host="0.0.0.0")):
        pass
    assert "not loopback" in capfd.readouterr().err


def test_without_the_extra_starting_names_it() -> None:
    program = (
        "import sys; sys.modules['liteparse'] = None\n"
        "from doc2x_sdk.local.server import LocalServer\n"
        "from doc2x_sdk.errors import ConfigError\n"
        "try: LocalServer().__enter__()\n"
        "except ConfigError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "liteparse" in done.stdout
    assert "pip install 'doc2x-sdk[local]'" in done.stdout


def test_answers_on_a_kept_connection_do_not_wait_for_an_acknowledgement(
    caller: Caller, shared_server: LocalServer
) -> None:
    caller.status("nobody")
    before, connections = time.monotonic(), shared_server.stats().connections
    for _ in range(100):
        caller.status("nobody")
    assert shared_server.stats().connections == connections
    assert time.monotonic() - before < 2.0  # 4 s with Nagle's algorithm on


def crash_until(path: str, times: int) -> int:
    """Crash the worker on the first `times` calls."""
    calls = Path(path)
    calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
    if len(calls.read_text()) <= times:
        os._exit(1)
    return len(calls.read_text())


def test_a_crashed_worker_is_tried_once_more_and_the_pool_is_renewed(tmp_path: Path) -> None:
    async def scenario() -> None:
        workers = Workers(1, 1)
        try:
            assert await workers.run("parse", crash_until, str(tmp_path / "once"), 1) == 2
            with pytest.raises(DocumentFailure, match="crashed"):
                await workers.run("parse", crash_until, str(tmp_path / "always"), 9)
            assert (tmp_path / "always").read_text() == "xx"
            assert await workers.run("parse", len, "works again") == 11
        finally:
            workers.close()

    asyncio.run(scenario())


def test_a_neighbour_of_a_crash_does_not_fail(tmp_path: Path) -> None:
    async def scenario() -> None:
        workers = Workers(2, 1)
        try:
            answers = await asyncio.gather(
                workers.run("parse", crash_until, str(tmp_path / "always"), 9),
                *(workers.run("parse", len, "neighbour") for _ in range(6)),
                return_exceptions=True,
            )
            assert isinstance(answers[0], DocumentFailure)
            assert answers[1:] == [9] * 6
        finally:
            workers.close()

    asyncio.run(scenario())


def run_script(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run it as a file of its own, as a user does."""
    script = folder / "script.py"
    script.write_text(text)
    return subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=60)


SERVES = """
from doc2x_sdk.local.server import LocalServer
from doc2x_sdk.local.settings import ServerSettings

def main():
    with LocalServer(ServerSettings(workers=2)) as server:
        print("serves", server.url)

"""


def test_a_script_that_serves_wherever_it_is_imported_is_told_once(tmp_path: Path) -> None:
    done = run_script(tmp_path, f"{SERVES}main()\n")
    assert done.returncode == 1
    assert done.stdout == ""
    *_, last = done.stderr.splitlines()
    assert last.startswith("doc2x_sdk.errors.ConfigError: The local server's first worker process ended as it began. ")
    assert """if __name__ == "__main__":""" in last
    assert "Doc2X.local()" in last
    assert "bootstrapping" not in done.stderr
    assert "script.py" in done.stderr
    done = run_script(tmp_path, f"{SERVES}if __name__ == '__main__':\n    main()\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("serves http://127.0.0.1:")


def test_a_plain_script_converts_on_this_machine(tmp_path: Path) -> None:
    (tmp_path / "paper.pdf").write_bytes(make_pdf("From a script"))
    script = f"""
from doc2x_sdk import Doc2X
with Doc2X.local() as client:
    print(client.convert({str(tmp_path / "paper.pdf")!r}).pages[0].md)
"""
    done = run_script(tmp_path, script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "From a script\n", "")


def test_an_executor_that_is_handed_in_stays_open() -> None:
    with ProcessPoolExecutor(1) as executor:
        with LocalServer(ServerSettings(share_files=False), executor=executor) as server:
            caller = Caller(server.url)
            _, pages = caller.parse(make_pdf("Bytes are sent along"))
            assert pages[0]["md"] == "Bytes are sent along"
            caller.close()
        assert executor.submit(len, "open").result() == 4


@needs_proc
def test_a_large_upload_is_not_held_in_memory() -> None:
    size = 200 * MEGABYTE

    def blocks() -> object:
        yield make_pdf("small") + b"\n"
        for _ in range(size // MEGABYTE):
            yield b" " * MEGABYTE

    with child.start() as process:
        caller = Caller(process.url, process.key)
        caller.parse(make_pdf("warm"))
        slot = caller.reserve()
        assert caller.session.put(slot["url"], data=blocks()).status_code == 200
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) // 1024
        assert peak < 100, f"{peak} MB"
        caller.close()
