"""A system that lets a process start few threads: a batch does with those, and says so where there is none at all."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.batch.conftest import Papers
from tests.support.scripted_service import ScriptedService

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the address space is limited as on Linux")

LIMIT = """
import json, resource, sys, threading
from pathlib import Path
from doc2x_sdk import Doc2X
from doc2x_sdk.errors import Doc2XError
from doc2x_sdk.ledger.store import Store

STACK = 256 * 1024 * 1024

def limit(threads):
    size = int(next(line for line in Path("/proc/self/status").open() if line.startswith("VmSize:")).split()[1]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (size + threads * STACK + STACK // 2, resource.RLIM_INFINITY))
    threading.stack_size(STACK)

"""
BATCH = """
origin, ledger, out, allowed, *papers = sys.argv[1:]
with Doc2X("sk-few-threads", base_url=origin, ledger=ledger) as client:
    client.convert(papers[0], to="md", out=out)
    list(client.convert_many(papers[:2], to="md", out=out))  # all is imported
    limit(int(allowed))
    most, errors = 0, []
    try:
        for done in client.convert_many(papers[2:], to="md", out=out):
            most = max(most, sum(thread.name.startswith("doc2x-") for thread in threading.enumerate()))
            errors += [str(done.error)] if done.error else []
    except Doc2XError as error:
        errors.append(str(error))
print(json.dumps([most, errors]))
"""
LEDGER = """
limit(0)
try:
    Store(Path(sys.argv[1]))
except Doc2XError as error:
    print(error)
"""


def ran(code: str, *arguments: str) -> str:
    """What a process of its own printed."""
    command = [sys.executable, "-c", LIMIT + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=True).stdout


def limited(service: ScriptedService, out: Path, papers: list[Path], threads: int) -> tuple[int, list[str]]:
    """Convert papers by a process that may have so many more threads, of large stacks."""
    arguments = [service.server.origin, str(out.parent / "ledger.sqlite"), str(out), str(threads), *map(str, papers)]
    most, errors = json.loads(ran(BATCH, *arguments))
    return most, errors


def test_a_batch_does_with_the_threads_that_there_are(service: ScriptedService, papers: Papers, out: Path) -> None:
    most, errors = limited(service, out, papers(40), threads=5)
    assert errors == []
    assert 1 < most <= 6  # the ledger's among them
    assert (service.paid, len(list(out.glob("*.md")))) == (40, 40)


def test_no_thread_at_all_is_told_and_nothing_is_sent(service: ScriptedService, papers: Papers, out: Path) -> None:
    most, errors = limited(service, out, papers(5), threads=0)
    assert most == 0
    assert errors == [
        "The system lets this process start no thread. Raise its limit of threads (`ulimit -u`, or the container's), "
        "then run it again; nothing was sent."
    ]
    assert service.paid == 2


def test_a_ledger_without_its_thread_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    told = ran(LEDGER, str(path))
    assert told.startswith(f"The ledger {path} needs a thread, and the system lets this process start none. ")
    with closing(sqlite3.connect(path)) as ledger:
        assert ledger.execute("SELECT COUNT(*) FROM parse").fetchone() == (0,)
