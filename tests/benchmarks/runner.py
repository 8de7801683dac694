"""Runs one client on one workload: a service of its own, a child process, and what both of them saw."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.benchmarks.papers import write_papers
from tests.benchmarks.profile import Paper, Profile
from tests.benchmarks.workloads import Contestant, Workload, bound
from tests.support.peers import own_python, peer_python

__all__ = ["ROOT", "Run", "Simulator", "bare_environ", "fsync_seconds", "peer_client_seconds", "run", "server_capacity"]

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Run:
    """One run. Times are in seconds, sizes in bytes; requests, connections and waste are per document.

    Attributes:
        wall: the library call, imports aside; of a client that was stopped, its patience.
        bound: the least that was possible.
        cpu: user and system time of the client's whole process; `cpu_call`: of the call alone, imports aside.
        peak: its largest resident memory.
        growth: of its memory from document 100 to the end; None for fewer.
        wasted: between the instants at which a parse or export was ready and its answer left for the client.
        failed: documents without all their results.
        refused: answers "no slot is free"; `throttled`: HTTP 429.
        twice: documents that were uploaded more than once.
        server_cpu: what the simulation took, in all.
    """

    workload: str
    contestant: str
    seed: int
    documents: int
    wall: float
    bound: float
    cpu: float | None
    cpu_call: float | None
    peak: int | None
    growth: int | None
    wasted: float
    requests: float
    connections: float
    failed: int
    refused: int
    throttled: int
    twice: int
    server_cpu: float
    reasons: tuple[str, ...] = ()
    report: dict[str, Any] | None = None


class Simulator:
    """The simulated service, from entering the context to leaving it."""

    def __init__(self, profile: Profile, folder: Path) -> None:
        self._profile = profile
        self._path = folder / "service.json"

    def __enter__(self) -> Self:
        described = json.dumps(self._profile.__dict__)
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.simulator", described],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        ports = json.loads(self._said())
        self.port = ports["api"]
        self.origin = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.close()
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child.stdout.close()

    def report(self) -> dict[str, Any]:
        """What happened so far."""
        assert self._child.stdin is not None
        self._child.stdin.write(f"{self._path}\n")
        self._child.stdin.flush()
        self._said()
        report: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        return report

    def _said(self) -> str:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError("the simulated service ended")
        return line


def run(workload: Workload, contestant: Contestant, seed: int, folder: Path) -> Run:
    """Run one client once; `folder` holds the inputs and the results of all runs.

    Nothing is removed between runs: ext4 looks at each place that was freed in the last minute before it makes a file,
    so that the next client would pay for what the one before it left.
    """
    papers = workload.papers(seed)
    if not contestant.ours and workload.peer_papers:
        papers = papers[: workload.peer_papers]
    inputs = write_papers(papers, folder / "inputs")
    here = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
    profile = replace(workload.profile, seed=seed)
    with Simulator(profile, here) as service:
        spec = {
            "client": contestant.client,
            "options": dict(contestant.options),
            "origin": service.origin,
            "inputs": [str(path) for path in inputs],
            "formats": workload.formats,
            "out": str(here / "out"),
        }
        python = own_python() if contestant.ours else peer_python()
        result = run_child(spec, here, python, workload.patience)
        report = service.report()
    return judged(workload, contestant, seed, papers=papers, profile=profile, result=result, report=report)


def bare_environ(home: Path) -> dict[str, str]:
    """What a client finds in its environment: no settings but our files in `home`; Python keeps what it compiled."""
    kept = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "LANG", "VIRTUAL_ENV")
    environ = {name: os.environ[name] for name in kept if name in os.environ}
    environ |= {"HOME": str(home), "USERPROFILE": str(home), "DOC2X_CONFIG": str(home / "config.toml")}
    environ["DOC2X_LEDGER"] = str(home / "ledger.sqlite")
    return environ


def run_child(spec: dict[str, Any], here: Path, python: Path, patience: float) -> dict[str, Any]:
    """Run a client in a child process; one that takes too long is stopped."""
    asked, answered = here / "spec.json", here / "result.json"
    asked.write_text(json.dumps(spec), encoding="utf-8")
    with (here / "output").open("w+b") as output:
        child = subprocess.Popen(
            [str(python), "-m", "tests.benchmarks.contestant", str(asked), str(answered)],
            cwd=ROOT, env=bare_environ(here), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        output.seek(max(0, output.seek(0, 2) - 2000))
        said = output.read().decode("utf-8", "replace")
    if child.returncode == 0:
        result: dict[str, Any] = json.loads(answered.read_text(encoding="utf-8"))
        return result
    reason = f"stopped after {patience:.0f} s" if child.returncode < 0 else f"it broke: {said[-250:]}"
    return {"wall": patience, "cpu": None, "cpu_call": None, "peak": None, "growth": None, "failures": [["", reason]]}


def judged(
    workload: Workload,
    contestant: Contestant,
    seed: int,
    *,
    papers: list[Paper],
    profile: Profile,
    result: dict[str, Any],
    report: dict[str, Any],
) -> Run:
    """Put together what the client and the service say; a document counts when all its results were fetched."""
    jobs = [job for job in report["jobs"] if job["stored"] is not None]
    wanted = {to.removesuffix("_dollar") for to in workload.formats}
    done = {
        job["ident"] for job in jobs if wanted <= {each["to"] for each in job["exports"] if each["fetched"] is not None}
    }
    failed_there = {Path(path).stem for path, _ in result["failures"] if path}
    broken = any(not path for path, _ in result["failures"])
    failed = [paper for paper in papers if broken or paper.ident not in done or paper.ident in failed_there]
    waste = sum(job["noticed"] - job["ready"] for job in jobs if job["noticed"])
    waste += sum(each["noticed"] - each["ready"] for job in jobs for each in job["exports"] if each["noticed"])
    count = len(papers)
    return Run(
        workload=workload.name,
        contestant=contestant.name,
        seed=seed,
        documents=count,
        wall=result["wall"],
        bound=bound(papers, workload.formats, profile),
        cpu=result["cpu"],
        cpu_call=result["cpu_call"],
        peak=result["peak"],
        growth=result["growth"],
        wasted=waste / count,
        requests=len(report["requests"]) / count,
        connections=sum(report["connections"].values()) / count,
        failed=len(failed),
        refused=sum(job["refused"] for job in jobs),
        throttled=sum(request["status"] == 429 for request in report["requests"]),
        twice=len(jobs) - len({job["ident"] for job in jobs}),
        server_cpu=report["cpu"],
        reasons=tuple(sorted({reason[:300] for _, reason in result["failures"]}))[:3],
        report=report,
    )


def fsync_seconds(folder: Path) -> float:
    """The median time of one fsync on the disk of a folder."""
    times = []
    path = folder / "fsync"
    with path.open("wb", buffering=0) as file:
        for _ in range(21):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    path.unlink()
    return sorted(times)[10]


def peer_client_seconds() -> float:
    """The median CPU time of making an HTTP client with its TLS context, as pdfdeal does for each of its calls.

    By this the CPU of one machine can be compared with that of another, roughly. Raises `PeersMissing`.
    """
    script = """
import time, httpx
times = []
for _ in range(21):
    began = time.process_time()
    client = httpx.AsyncClient(timeout=60)
    times.append(time.process_time() - began)
print(sorted(times)[10])
"""
    done = subprocess.run([str(peer_python()), "-c", script], capture_output=True, text=True, check=True)
    return float(done.stdout)


def server_capacity(folder: Path) -> tuple[float, float]:
    """Requests a second that the simulation answers without delays on one connection, and its CPU seconds for one."""
    import socket

    asked, ahead = 2000, 50
    request = b"GET /api/v2/parse/status?uid=none HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n\r\n"
    with Simulator(Profile(round_trip=0.0), folder) as service:
        before = service.report()["cpu"]
        with socket.create_connection(("127.0.0.1", service.port)) as line:
            began = time.perf_counter()
            for _ in range(asked // ahead):
                line.sendall(request * ahead)
                got = b""
                while got.count(b"HTTP/1.1 ") < ahead or not got.endswith(b"}"):
                    got += line.recv(65536)
            wall = time.perf_counter() - began
        return asked / wall, (service.report()["cpu"] - before) / asked
