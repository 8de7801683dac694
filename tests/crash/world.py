"""Documents, a server with a till, and runs that are killed: what the crash tests have in common."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from doc2x_sdk.ledger.rows import read_jobs
from doc2x_sdk.local.server import LocalServer
from tests.support.pdf import text_pdf

__all__ = ["Killed", "World", "Zygote", "zygote"]

KEY = "sk-crash-tests-own-key"
SIGKILL = -9
OPEN = ("01", "08")  # ESTABLISHED, and CLOSE_WAIT: the other end is gone


class Zygote:
    """The other end of `tests.crash.zygote`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, job: dict[str, Any]) -> int:
        """Run a job in a child of its own and return its exit code, negative for a signal."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return int(json.loads(self._process.stdout.readline())["code"])


@contextmanager
def zygote(home: Path) -> Iterator[Zygote]:
    """A zygote with an environment of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DOC2X_")}
    environment |= {"HOME": str(home), "DOC2X_CONFIG": str(home / "config.toml")}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.crash.zygote"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    with process:
        yield Zygote(process)
        assert process.stdin is not None
        process.stdin.close()


@dataclass
class Killed:
    """What a run was, until it ended."""

    kills: int = 0
    runs: int = 0
    ends: list[str] = field(default_factory=list)
    killed_at: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


class World:
    """Fresh documents in a folder of their own, with a ledger of their own, against a server that counts."""

    def __init__(self, folder: Path, server: LocalServer, process: Zygote, *, documents: int, to: list[str]) -> None:
        self.server = server
        self.out = folder / "out"
        self.ledger = folder / "ledger.sqlite3"
        self.to = to
        self.folder = folder
        self.more: dict[str, Any] = {}
        self._process = process
        self.before = server.stats()
        counts = [1 + number % 3 for number in range(documents)]
        self.pages = sum(counts)
        self.files = [self.write(number, pages) for number, pages in enumerate(counts)]

    def write(self, number: int, pages: int) -> Path:
        """Write a document that was never seen, and return where."""
        path = self.folder / f"paper{number}.pdf"
        path.write_bytes(text_pdf(f"{self.folder.name} {number}", pages=pages))
        return path

    def run(self, kill_at: int | str, **more: Any) -> tuple[int, dict[str, Any]]:
        """Convert all, killed at a boundary, or with 0 to the end."""
        told = self.folder / "told.json"
        told.unlink(missing_ok=True)
        code = self._process.run(
            {
                "url": self.server.url,
                "key": KEY,
                "ledger": str(self.ledger),
                "files": [str(path) for path in self.files],
                "out": str(self.out),
                "to": self.to,
                "many": len(self.files) > 1,
                "kill_at": kill_at,
                "told": str(told),
                "where": str(self.folder / "where"),
                **self.more,
                **more,
            }
        )
        return code, json.loads(told.read_text(encoding="utf-8")) if told.exists() else {}

    def through(self, kills: Sequence[int | str]) -> Killed:
        """Run, killed at each of these boundaries in turn, then run to the end; checks the files after each kill."""
        seen = Killed()
        for kill_at in kills:
            code, told = self.run(kill_at)
            seen.runs += 1
            assert code in (0, SIGKILL), f"the child failed by itself: {code}"
            if code == SIGKILL:
                seen.kills += 1
                seen.killed_at.append((self.folder / "where").read_text(encoding="utf-8"))
                self.settle()
            self.check_files(whole=False)
            if code == 0:
                break
        code, told = self.run(0)
        assert code == 0
        seen.runs += 1
        seen.ends, seen.names = told["ends"], told["names"]
        return seen

    def settle(self) -> None:
        """Wait until the server has heard the killed process out: what it sent may still be in the kernel.

        Where only Linux tells, the others go by their luck.
        """
        port = f":{urlsplit(self.server.url).port:04X}"
        end = time.monotonic() + 60.0
        while time.monotonic() < end and Path("/proc/net/tcp").exists():
            lines = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
            if not any(words[1].endswith(port) and words[3] in OPEN for words in lines):
                return
            time.sleep(0.002)

    def check(self) -> None:
        """After a run to the end: paid once each, no paid uid lost, nothing partial, nothing left behind."""
        stats = self.server.stats()
        assert stats.parses - self.before.parses == len(self.files), "documents paid twice, or not at all"
        assert stats.pages_parsed - self.before.pages_parsed == self.pages
        rows = list(read_jobs(self.ledger))
        assert len(rows) == len(self.files)
        known = {row.uid for row in rows} | {uid for row in rows for uid in row.history}
        paid = {uid for uid in known if uid is not None and self.server_has(uid)}
        assert len(paid) == len(self.files), "paid uids that the ledger does not know"
        assert all(row.state == "parsed" and row.uid in paid for row in rows)
        assert all(result.state == "done" for row in rows for result in row.results)
        self.check_files(whole=True)

    def server_has(self, uid: str) -> bool:
        """Whether the server has parsed under this uid."""
        import requests

        answer = requests.get(
            f"{self.server.url}/api/v2/parse/status",
            params={"uid": uid},
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=30,
        )
        return answer.json()["code"] == "success"

    def check_files(self, *, whole: bool) -> None:
        """Nothing partial stands under a final name; at the end all are there, and nothing else."""
        for path in self.finals():
            number = int(path.stem.removeprefix("paper"))
            if path.suffix == ".md":
                text = path.read_text(encoding="utf-8")
                pages = range(1, 2 + number % 3)
                assert all(f"{self.folder.name} {number} page {page}" in text for page in pages), path
            else:
                assert path.suffix == ".docx"
                with zipfile.ZipFile(path) as archive:
                    assert archive.testzip() is None
        if whole:
            wanted = sorted(f"{path.stem}.{to}" for path in self.files for to in self.to)
            assert [path.name for path in self.found()] == wanted

    def found(self) -> list[Path]:
        """What stands beside the results, and they."""
        return sorted(self.out.iterdir()) if self.out.exists() else []

    def finals(self) -> list[Path]:
        """What stands under a final name."""
        return [path for path in self.found() if not path.name.startswith(".doc2x-")]


def dice(count: int, of: int, seed: int) -> list[list[int]]:
    """Where to kill: mostly once, at times up to three times in a row, anywhere."""
    rng = random.Random(seed)
    return [[rng.randint(1, of) for _ in range(rng.choice((1, 1, 1, 2, 3)))] for _ in range(count)]
