"""The simulated account: documents, limits, exports and their results. No sockets: a question and an instant go in."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from tests.benchmarks.profile import Profile, export_seconds, parse_seconds

__all__ = ["Account", "Reply"]

PICTURE_BYTES = 20_000
PAGES_A_PICTURE = 5
TEXT = "The quick brown fox jumps over the lazy dog, and \\( a^{2} + b^{2} = c^{2} \\) holds. " * 24


@dataclass
class Export:
    """One export of a document, with the instants at which it was asked for, was ready, was noticed and fetched."""

    to: str
    filename: str
    number: int
    asked: float
    ready: float
    noticed: float | None = None
    fetched: float | None = None


@dataclass
class Job:
    """One uid. `refused` counts the answers that no slot was free."""

    uid: str
    reserved: float
    ident: str = ""
    pages: int = 0
    stored: float | None = None
    admitted: float | None = None
    begins: float = 0.0
    ready: float = 0.0
    noticed: float | None = None
    refused: int = 0
    exports: list[Export] = field(default_factory=list)


@dataclass
class Reply:
    """An answer; `sent` is called with the instant at which it leaves."""

    status: int
    body: bytes
    code: str = ""
    kind: str = "application/json"
    uid: str = ""
    headers: str = ""
    sent: Callable[[float], None] | None = None


class Account:
    """Answers API calls and storage requests at given instants."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.storage = ""
        self.jobs: dict[str, Job] = {}
        self._running: list[Job] = []
        self._tokens = profile.rate_limit or 0.0
        self._filled = 0.0

    def api(self, what: str, argument: str | dict[str, Any], now: float) -> Reply:
        """Answer a call of the API: its name, its uid or its JSON body."""
        if not self._within_rate(now):
            return Reply(429, b"", "429", headers=f"Retry-After: {self.profile.retry_after}\r\n")
        if what == "preupload":
            uid = f"sim-{self.profile.seed}-{len(self.jobs):06d}"
            self.jobs[uid] = Job(uid, now)
            return self._success(uid, {"uid": uid, "url": f"{self.storage}/up/{uid}?Expires=1&Signature=s"})
        uid = argument["uid"] if isinstance(argument, dict) else argument
        job = self.jobs.get(uid)
        if job is None or job.stored is None:
            return self._refusal(uid, "parse_status_not_found")
        if what == "status":
            return self._status(job, now)
        if what == "export" and isinstance(argument, dict):
            return self._export(job, argument, now)
        return self._result(job, now)

    def store(self, uid: str, head: bytes, now: float) -> Reply:
        """Take a whole upload; the parse begins when a slot is free."""
        job = self.jobs.get(uid)
        _, mark, rest = head.partition(b"%paper ")
        if job is None or not mark or job.stored is not None:
            return Reply(403, b"", "403", uid=uid)
        ident, pages = rest.split(b" ", 2)[:2]
        job.ident, job.pages, job.stored = ident.decode(), int(pages), now
        self._admit(job, now)
        return Reply(200, b"", uid=uid)

    def fetch(self, name: str) -> Reply:
        """Give a result, by the last part of its path."""
        uid, _, number = name.partition(".")[0].rpartition("_")
        job = self.jobs.get(uid)
        if job is None or int(number) != len(job.exports) - 1:
            return Reply(404, b"", "404", uid=uid)
        export = job.exports[-1]

        def sent(now: float) -> None:
            export.fetched = export.fetched or now

        return Reply(200, archive(export.to, export.filename, job.pages), kind="application/zip", uid=uid, sent=sent)

    def report(self) -> list[dict[str, Any]]:
        """Tell what became of each uid."""
        return [asdict(job) for job in self.jobs.values()]

    def _within_rate(self, now: float) -> bool:
        rate = self.profile.rate_limit
        if rate is None:
            return True
        self._tokens = min(rate, self._tokens + (now - self._filled) * rate)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _admit(self, job: Job, now: float) -> str:
        """Begin a parse, or return the code of the limit that is in the way."""
        self._running = [each for each in self._running if each.ready > now]
        limits = self.profile
        if limits.task_limit is not None and len(self._running) >= limits.task_limit:
            return "parse_task_limit_exceeded"
        if limits.page_limit is not None and sum(each.pages for each in self._running) + job.pages > limits.page_limit:
            return "parse_concurrency_limit"
        queue, work = parse_seconds(limits, job.ident, job.pages)
        job.admitted, job.begins, job.ready = now, now + queue, now + queue + work
        self._running.append(job)
        return ""

    def _status(self, job: Job, now: float) -> Reply:
        code = self._admit(job, now) if job.admitted is None else ""
        if code:
            job.refused += 1
            return self._refusal(job.uid, code)
        if now < job.ready:
            done = int(job.pages * max(0.0, now - job.begins) / (job.ready - job.begins))
            return self._success(job.uid, {"status": "processing", "progress": 100 * done // job.pages})

        def sent(instant: float) -> None:
            job.noticed = job.noticed or instant

        return Reply(200, success_of(job.pages), uid=job.uid, sent=sent)

    def _export(self, job: Job, wish: dict[str, Any], now: float) -> Reply:
        seconds = export_seconds(self.profile, job.ident, wish["to"])
        name = wish.get("filename") or "result"
        job.exports.append(Export(wish["to"], name, len(job.exports), now, now + seconds))
        return self._success(job.uid, {"status": "processing", "url": ""})

    def _result(self, job: Job, now: float) -> Reply:
        if not job.exports:
            return self._refusal(job.uid, "parse_status_not_found")
        export = job.exports[-1]
        if now < export.ready:
            return self._success(job.uid, {"status": "processing", "url": ""})

        def sent(instant: float) -> None:
            export.noticed = export.noticed or instant

        name = f"convert_{export.to}/{job.uid}_{export.number}.{'docx' if export.to == 'docx' else 'zip'}"
        reply = self._success(job.uid, {"status": "success", "url": f"{self.storage}/{name}?Expires=1&Signature=s"})
        reply.sent = sent
        return reply

    @staticmethod
    def _success(uid: str, data: dict[str, Any]) -> Reply:
        return Reply(200, json.dumps({"code": "success", "data": data}).encode(), uid=uid)

    @staticmethod
    def _refusal(uid: str, code: str) -> Reply:
        return Reply(200, json.dumps({"code": code, "msg": code}).encode(), code, uid=uid)


@cache
def success_of(pages: int) -> bytes:
    """The status answer of a parse that succeeded."""
    result = [
        {"url": "https://cdn.example/p.jpg", "page_idx": i, "page_width": 1654, "page_height": 2339, "md": TEXT}
        for i in range(pages)
    ]
    data = {"status": "success", "progress": 100, "result": {"version": "v2", "pages": result}}
    return json.dumps({"code": "success", "data": data}).encode()


@cache
def archive(to: str, filename: str, pages: int) -> bytes:
    """A result: text and a picture for every five pages; of docx the parts that make it one."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        if to == "docx":
            out.writestr("[Content_Types].xml", "<Types/>")
            out.writestr("word/document.xml", f"<w:document>{TEXT * pages}</w:document>")
        else:
            names = [f"images/{page}_0_0_100_100_0.jpg" for page in range(0, pages, PAGES_A_PICTURE)]
            for name in names:
                out.writestr(name, b"\xff\xd8\xff" + name.encode() * (PICTURE_BYTES // len(name)))
            links = "\n".join(f"![]({name})" if to == "md" else f"\\includegraphics{{{name}}}" for name in names)
            out.writestr(f"{filename}.{to}", f"{TEXT * pages}\n{links}\n")
    return file.getvalue()
