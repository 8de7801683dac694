"""A large file is sent without being held in memory."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.scripted import Conversation, Request, Step
from tests.support.scripted_service import ScriptedService
from tests.support.wire import KEY

SIZE = 300_000_000
PEAK = 50_000_000  # bytes resident at most, interpreter and libraries included
CHILD = """
import resource, sys
from doc2x_sdk import Doc2X
from doc2x_sdk.models import Progress

def peak() -> int:
    if sys.platform == "linux":  # ru_maxrss begins there at the peak of the parent, from which it was forked
        lines = open("/proc/self/status").read().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024

with Doc2X(base_url=sys.argv[1]) as client:
    uid = client.upload(sys.argv[2])
print(uid, peak())
"""


def write_pdf(path: Path, size: int) -> str:
    """Write a PDF of one page whose content is a hole in the file, as large as asked; return its sha256."""
    head = b"%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n"
    second = b"2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n"
    third = b"3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 4 0 R>>\nendobj\n"
    fourth = b"4 0 obj\n<</Length %d>>\nstream\n" % size
    places = [len(b"%PDF-1.4\n"), len(head), len(head + second), len(head + second + third)]
    start = len(head + second + third + fourth) + size
    end = b"\nendstream\nendobj\n"
    table = b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    trailer = b"trailer\n<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (start + len(end))
    with path.open("wb") as file:
        file.write(head + second + third + fourth)
        file.seek(size, 1)
        file.write(end + table + trailer)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.slow
@pytest.mark.faults("UP-12")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no getrusage")
def test_a_large_upload_needs_little_memory(
    service: ScriptedService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOC2X_APIKEY", KEY)
    path = tmp_path / "large.pdf"
    digest = write_pdf(path, SIZE)
    came = hashlib.sha256()
    counted = 0

    def swallow(conversation: Conversation, request: Request) -> None:
        """Hash the body and keep none of it."""
        nonlocal counted
        left = int(request.headers["content-length"])
        while left:
            block = conversation.take(min(262_144, left))
            came.update(block)
            left -= len(block)
            counted += len(block)
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        conversation.close()

    service.on("put", Step(swallow, at=0))
    child = subprocess.run(
        [sys.executable, "-c", CHILD, service.server.origin, str(path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    uid, peak = child.stdout.split()
    assert uid == service.uids[0]
    assert (counted, came.hexdigest()) == (path.stat().st_size, digest)
    assert int(peak) < PEAK
