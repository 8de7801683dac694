"""One client at work, in a process of its own: `python -m tests.benchmarks.contestant SPEC.json RESULT.json`.

The clock runs from the client's construction to its end, imports aside. Imports here are few and of the standard
library: CPU and memory of the whole process are what is compared, and a peer's environment has nothing of ours.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

__all__ = ["Outcome", "main"]

KEY = "sk-benchmark"
THREADS = 48  # of the stand-in for convert_many
BARE_THREADS = 100  # no more than the simulated account takes at once: a refusal is not understood
BARE_PARSE, BARE_EXPORT, BARE_PAUSE = 0.8, 1.0, 0.4  # seconds, near what the simulation takes for one page
REMOTE_FLOOR = {False: 0.3, True: 0.4}  # one, a batch: the pauses that a remote service gets; loopback would get 0.05
SETTLED = 100  # documents after which memory should no longer grow

Outcome = tuple[str, str | None]  # the input, and what went wrong with it


def run_doc2x(spec: dict[str, Any]) -> Iterator[Outcome]:
    """Our own client, through its front door."""
    from doc2x_sdk import Doc2X

    yield ("", None)  # ready: the clock begins
    floor = REMOTE_FLOOR[len(spec["inputs"]) > 1]
    with Doc2X(KEY, base_url=spec["origin"], **{"poll_floor": floor, **spec["options"]}) as client:
        if len(spec["inputs"]) == 1:
            yield one(client, spec["inputs"][0], spec)
        elif hasattr(client, "convert_many"):
            for done in client.convert_many(spec["inputs"], to=spec["formats"], out=spec["out"]):
                yield str(done.source), None if done.error is None else repr(done.error)
        else:
            with ThreadPoolExecutor(THREADS) as pool:
                jobs = [pool.submit(one, client, path, spec) for path in spec["inputs"]]
                for job in as_completed(jobs):
                    yield job.result()


def one(client: Any, path: str, spec: dict[str, Any]) -> Outcome:
    """Convert one document."""
    from doc2x_sdk import Doc2XError

    try:
        client.convert(path, to=spec["formats"], out=spec["out"])
    except Doc2XError as error:
        return path, repr(error)
    return path, None


def run_pdfdeal(spec: dict[str, Any]) -> Iterator[Outcome]:
    """The client that most people use, through its documented call."""
    import importlib
    import logging

    from pdfdeal import Doc2X

    logging.disable(logging.CRITICAL)
    importlib.import_module("pdfdeal.Doc2X.ConvertV2").Base_URL = f"{spec['origin']}/api"  # type: ignore[attr-defined]
    yield ("", None)
    client = Doc2X(apikey=KEY, **spec["options"])
    _, failures, _ = client.pdf2file(
        pdf_file=spec["inputs"], output_path=spec["out"], output_format=",".join(spec["formats"])
    )
    for path, failure in zip(spec["inputs"], failures, strict=True):
        yield path, str(failure["error"]) if failure["path"] else None


def run_requests(spec: dict[str, Any]) -> Iterator[Outcome]:
    """The calls of a document to md by requests alone: what its least of CPU is, for a client built upon it.

    There are no receipts, checks, retries or files, and it knows beforehand when to look.
    """
    import requests
    from requests.adapters import HTTPAdapter

    yield ("", None)
    api, head = f"{spec['origin']}/api/v2", {"Authorization": f"Bearer {KEY}"}
    with requests.Session() as session, ThreadPoolExecutor(BARE_THREADS) as pool:
        session.trust_env = False
        session.mount("http://", HTTPAdapter(pool_maxsize=BARE_THREADS))

        def until_done(path: str, uid: str) -> dict[str, Any]:
            while True:
                data = session.get(f"{api}/{path}", params={"uid": uid}, headers=head).json()["data"]
                if data["status"] == "success":
                    return dict(data)
                time.sleep(BARE_PAUSE)

        def one_bare(path: str) -> Outcome:
            slot = session.post(f"{api}/parse/preupload", headers=head).json()["data"]
            session.put(slot["url"], data=Path(path).read_bytes())
            time.sleep(BARE_PARSE)
            until_done("parse/status", slot["uid"])
            wanted = {"uid": slot["uid"], "to": "md", "formula_mode": "normal"}
            session.post(f"{api}/convert/parse", json=wanted, headers=head)
            time.sleep(BARE_EXPORT)
            got = session.get(until_done("convert/parse/result", slot["uid"])["url"])
            return path, None if got.status_code == 200 and got.content else "no result"

        yield from pool.map(one_bare, spec["inputs"])


CLIENTS: dict[str, Callable[[dict[str, Any]], Iterator[Outcome]]] = {
    "doc2x": run_doc2x,
    "pdfdeal": run_pdfdeal,
    "requests": run_requests,
}


def memory(field: str) -> int | None:
    """A field of this process's status in bytes: VmHWM is the peak since it began, VmRSS the present; None elsewhere.

    Not `ru_maxrss`, which counts the parent's memory at the fork as well.
    """
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(f"{field}:"))


def main() -> None:
    """Run the client and write what came of it."""
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    outcomes = CLIENTS[spec["client"]](spec)
    next(outcomes)
    began, cpu = time.monotonic(), time.process_time()
    failures: list[Outcome] = []
    settled = None
    for number, outcome in enumerate(outcomes, 1):
        if outcome[1] is not None:
            failures.append(outcome)
        if number == SETTLED:
            settled = memory("VmRSS")
    ended = time.monotonic()
    now = memory("VmRSS")
    result = {
        "began": began,
        "wall": ended - began,
        "cpu": time.process_time(),
        "cpu_call": time.process_time() - cpu,
        "peak": memory("VmHWM"),
        "growth": now - settled if now is not None and settled is not None else None,
        "failures": failures,
    }
    Path(sys.argv[2]).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
