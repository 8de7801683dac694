"""A process that has imported everything, and forks one child for each job: children that start in milliseconds.

It reads a job as a line of JSON, and answers with a line: how the child ended. `python -m tests.crash.zygote`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from doc2x_sdk import Doc2X
from doc2x_sdk.clock import Clock
from doc2x_sdk.errors import Doc2XError
from tests.crash.hooks import Boundaries

__all__: list[str] = []

FASTER = 50.0
PATIENT = {"call_timeout": 6000.0, "connect_timeout": 60.0, "read_timeout": 60.0, "stall_timeout": 60.0}


def fast_clock() -> Clock:
    """Time that runs 50 times as fast, sleeps included."""
    return Clock(
        monotonic=lambda: time.monotonic() * FASTER,
        now=lambda: 1.7e9 + time.monotonic() * FASTER,
        sleep=lambda seconds: time.sleep(seconds / FASTER),
    )


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Convert the job's files, with a boundary at which the process dies; return what became of them."""
    boundaries = Boundaries(job["kill_at"], job["where"])
    api = job.get("api", "v2")
    settings = {"v1_base_url" if api == "v1" else "base_url": job["url"], "ledger": job["ledger"], **PATIENT}
    settings |= job.get("settings", {})
    boundaries.begin()
    ends = []
    with Doc2X(job["key"], api=api, clock=fast_clock(), **settings) as client:
        if job["many"]:
            run = client.convert_many(job["files"], to=job["to"], out=job["out"])
            ends += [str(done.error) if done.error else "done" for done in run]
        else:
            try:
                one(client, job)
                ends.append("done")
            except Doc2XError as error:
                ends.append(type(error).__name__)
    boundaries.end()
    return {"ends": ends, "count": boundaries.count, "names": boundaries.names}


def one(client: Doc2X, job: dict[str, Any]) -> None:
    """Do what the job's call does with its one file."""
    (path,), again = job["files"], job.get("retry_unknown", False)
    call = job.get("call", "convert")
    if call == "at once":
        client.parse_image(path, retry_unknown=again)
        return
    if call == "direct":
        client.upload(path, direct=True, retry_unknown=again)
    client.convert(path, to=job["to"], out=job["out"], retry_unknown=again)


def child(job: dict[str, Any]) -> None:
    """Do a job and leave, without the zygote's own business."""
    code = 1
    try:
        told = run(job)
        Path(job["told"]).write_text(json.dumps(told), encoding="utf-8")
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is, it is told by the exit code
        traceback.print_exc()
    finally:
        os._exit(code)


def main() -> None:
    """Serve jobs until the end of standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.dont_write_bytecode = True  # the renames of its caches would be boundaries, in whichever child is the first
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            child(json.loads(line))
        status = os.waitpid(pid, 0)[1]
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    main()
