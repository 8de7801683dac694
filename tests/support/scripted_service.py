"""A Doc2X v2 service on a scripted socket, with a till: what was stored under which uid, and what that would cost.

Every call is answered as the service would (Doc2X API v2), unless a script says otherwise for that call:

    with ScriptedService(pages=2) as service, service.client() as client:
        service.on("put", Done(close()), None)   # first PUT: stored, then no answer; second: as usual
        client.convert("paper.pdf", to="md", out="out")
    assert service.paid == 1
"""

from __future__ import annotations

import base64
import io
import json
import ssl
import threading
import zipfile
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from doc2x_sdk import Doc2X
from tests.support.clocks import StillClock
from tests.support.scripted import Conversation, Request, ScriptedServer, Step, envelope, reply
from tests.support.wire import KEY, SIGNATURE

__all__ = ["PICTURE", "Done", "ScriptedService", "failed", "make_pdf", "make_zip", "processing", "told", "word_file"]

ROUTES = {
    ("POST", "/api/v2/parse/preupload"): "preupload",
    ("POST", "/api/v2/parse/pdf"): "direct",
    ("GET", "/api/v2/parse/status"): "status",
    ("POST", "/api/v2/convert/parse"): "export",
    ("GET", "/api/v2/convert/parse/result"): "result",
    ("POST", "/api/v2/async/parse/img/layout"): "image",
    ("GET", "/api/v2/parse/img/layout/status"): "image_status",
    ("POST", "/api/v2/parse/img/layout"): "layout",
}
PICTURE = b"\xff\xd8\xff\xe0 the crop of a figure"
NAMES = "0192d745-5776-7261-abbd-{:012x}"


@dataclass(frozen=True)
class Done:
    """Do what the call is for, but answer by this step."""

    step: Step


Scripted = Step | Done | None


class ScriptedService:
    """The service; see the module.

    Args:
        pages: what each parse has.
        looks: how many status calls answer "processing" before the success.
        tls, proxy_to: as for `ScriptedServer`.
        origin: what links to storage begin with, where that is not the server itself.
    """

    def __init__(
        self,
        pages: int = 1,
        *,
        looks: int = 1,
        tls: ssl.SSLContext | None = None,
        proxy_to: ssl.SSLContext | None = None,
        origin: str | None = None,
    ) -> None:
        self.server = ScriptedServer(Step(self._serve, at=0), tls=tls, proxy_to=proxy_to)
        self.pages = [{"page_idx": at, "page_width": 1224, "page_height": 1584, "md": f"Page {at + 1}. \\( x_{at} \\)",
                       "url": f"https://cdn.noedgeai.com/page{at}.jpg"} for at in range(pages)]  # fmt: skip
        self.looks = looks
        self.uids: list[str] = []
        self.stored: list[tuple[str, bytes]] = []  # each object that came whole, in order, with its uid
        self.exports = {
            "md": make_zip({"md.md": "# Title\n\n![](images/0_1.jpg)\n\n\\( x \\)\n", "images/0_1.jpg": PICTURE}),
            "md_dollar": make_zip(
                {"md_dollar.md": "# Title\n\n![](images/0_1.jpg)\n\n$x$\n", "images/0_1.jpg": PICTURE}
            ),
            "tex": make_zip({"tex.tex": "\\includegraphics[width=3cm]{images/0_1.jpg}\n", "images/0_1.jpg": PICTURE}),
            "docx": word_file(),
        }
        self.convert_zip: bytes | None = make_zip({"picture.md": "# Sign\n\n![](images/0_1.jpg)\n\n\\( y \\)\n",
                                                   "images/0_1.jpg": PICTURE})  # fmt: skip
        self._origin = origin
        self._script: dict[str, deque[Scripted]] = defaultdict(deque)
        self._always: dict[str, Scripted] = {}
        self._looked: dict[str, int] = defaultdict(int)
        self._slots: dict[str, tuple[str, int]] = {}
        self._made = 0
        self._lock = threading.RLock()
        self._routes: list[tuple[str, Request]] = []

    def __enter__(self) -> Self:
        self.server.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.server.__exit__(kind, *rest)

    # the script

    def on(self, route: str, *steps: Scripted) -> None:
        """The next calls of this kind are answered by these steps; None is as usual."""
        self._script[route].extend(steps)

    def always(self, route: str, step: Scripted) -> None:
        """All calls of this kind for which there is no other step are answered by this one."""
        self._always[route] = step

    @contextmanager
    def client(self, clock: StillClock | None = None, **settings: Any) -> Iterator[Doc2X]:
        """A client of this service whose sleeps are written down only."""
        still = {"connect_timeout": 5.0, "read_timeout": 5.0, "stall_timeout": 5.0, "base_url": self.server.origin}
        with Doc2X(KEY, clock=(clock or StillClock()).clock, **(still | settings)) as client:
            yield client

    # what tests ask

    @property
    def origin(self) -> str:
        """Where the storage is."""
        return self._origin or self.server.origin

    @property
    def paid(self) -> int:
        """How many documents were billed: one for each uid that has an object."""
        return len({uid for uid, _ in self.stored})

    def of(self, route: str) -> list[Request]:
        """The calls of one kind."""
        with self._lock:
            return [request for name, request in self._routes if name == route]

    def count(self, route: str) -> int:
        """How many calls of this kind came."""
        return len(self.of(route))

    def parsed(self, content: bytes) -> str:
        """Take a document that nobody uploaded, and return its uid."""
        return self._new(content)

    # answering

    def _serve(self, conversation: Conversation, request: Request) -> None:
        parts = urlsplit(request.target)
        route = ROUTES.get((request.method, parts.path))
        if route is None:
            route = "put" if request.method == "PUT" else "download" if parts.path.startswith("/store/") else "other"
        with self._lock:
            self._routes.append((route, request))
            queue = self._script[route]
            scripted = queue.popleft() if queue else self._always.get(route)
        if isinstance(scripted, Step):
            if not request.whole:
                conversation.read_body(request, scripted.at if isinstance(scripted.at, int) else None)
            scripted.action(conversation, request)
            return
        if not request.whole:
            conversation.read_body(request)
        with self._lock:
            step = getattr(self, f"_{route}")(request, parts.path, parse_qs(parts.query))
        (scripted.step if scripted else step).action(conversation, request)

    def _new(self, content: bytes | None = None) -> str:
        uid = NAMES.format(len(self.uids) + 1)
        self.uids.append(uid)
        if content is not None:
            self.stored.append((uid, content))
        return uid

    def link(self, path: str) -> str:
        r"""A signed link to the storage, with the literal \u0026 that the service sends at times."""
        return f"{self.origin}{path}?Expires=1700000000\\u0026Signature={SIGNATURE}"

    def result(self) -> dict[str, object]:
        """The `result` of a parse."""
        return {"version": "v2", "pages": self.pages}

    def _preupload(self, request: Request, *_: object) -> Step:
        uid = self._new()
        return reply(json=envelope({"uid": uid, "url": self.link(f"/bucket/{uid}")}))

    def _put(self, request: Request, path: str, *_: object) -> Step:
        self.stored.append((path.rpartition("/")[2], request.body))
        return reply(200)

    def _direct(self, request: Request, *_: object) -> Step:
        return reply(json=envelope({"uid": self._new(request.body)}))

    _image = _direct

    def _layout(self, request: Request, *_: object) -> Step:
        return reply(json=envelope({"uid": self._new(request.body), **self._picture()}))

    def _picture(self) -> dict[str, object]:
        packed = base64.b64encode(self.convert_zip).decode() if self.convert_zip is not None else None
        page = {"md": "# Sign", "page_width": 10, "page_height": 20}
        return {"result": {"pages": [page]}, "convert_zip": packed}

    def _finished(self, uid: str) -> bool:
        self._looked[uid] += 1
        return self._looked[uid] > self.looks

    def _status(self, request: Request, path: str, query: Mapping[str, list[str]]) -> Step:
        return self._state(query["uid"][0], {"result": self.result()})

    def _image_status(self, request: Request, path: str, query: Mapping[str, list[str]]) -> Step:
        return self._state(query["uid"][0], self._picture())

    def _state(self, uid: str, result: dict[str, object]) -> Step:
        if uid not in {known for known, _ in self.stored}:
            return reply(json=envelope(code="parse_status_not_found"))
        if not self._finished(uid):
            return processing(40)
        return reply(json=envelope({"status": "success", "progress": 100, **result}))

    def _export(self, request: Request, *_: object) -> Step:
        asked = json.loads(request.body)
        to = "md_dollar" if asked["to"] == "md" and asked["formula_mode"] == "dollar" else asked["to"]
        self._made += 1
        self._slots[asked["uid"]] = (to, self._made)
        return processing(0)

    def _result(self, request: Request, path: str, query: Mapping[str, list[str]]) -> Step:
        uid = query["uid"][0]
        if uid not in self._slots:
            return reply(json=envelope(code="parse_status_not_found"))
        return reply(json=envelope({"status": "success", "url": self.export_link(uid)}))

    def export_link(self, uid: str) -> str:
        """The link to what is in the uid's slot."""
        to, number = self._slots[uid]
        return self.link(f"/store/convert_{to.partition('_')[0]}_{uid}_{number}_{to}")

    def _download(self, request: Request, path: str, *_: object) -> Step:
        to = next(name for name in sorted(self.exports, key=len, reverse=True) if path.endswith(f"_{name}"))
        return reply(body=self.exports[to], headers=[("Content-Type", "application/octet-stream")])

    def _other(self, *_: object) -> Step:
        return reply(404)


def processing(progress: object) -> Step:
    """The answer of a service at work."""
    return reply(json=envelope({"status": "processing", "progress": progress}))


def failed(code: str, status: int = 200) -> Step:
    """An answer with a failure code."""
    return reply(status, json=envelope(code=code), headers=[("trace-id", "trace-4711")])


def told(error: BaseException, *words: str) -> None:
    """Assert that a message says all of this."""
    missing = [word for word in words if word not in str(error)]
    assert not missing, f"{missing} missing in: {error}"


def make_pdf(pages: int = 1, *, size: int = 0, mark: str = "") -> bytes:
    """A valid PDF of empty pages, with a comment that makes it at least `size` bytes long."""
    kids = " ".join(f"{number + 3} 0 R" for number in range(pages))
    objects = ["<</Type/Catalog/Pages 2 0 R>>", f"<</Type/Pages/Kids[{kids}]/Count {pages}>>"]
    objects += ["<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>"] * pages
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n%" + mark.encode() + b"\n")
    out.write(b"%" + b"x" * size + b"\n" if size else b"")
    places = []
    for number, text in enumerate(objects, 1):
        places.append(out.tell())
        out.write(f"{number} 0 obj\n{text}\nendobj\n".encode())
    start = out.tell()
    out.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode())
    out.writelines(f"{place:010} 00000 n \n".encode() for place in places)
    out.write(f"trailer\n<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n".encode())
    return out.getvalue()


def make_zip(members: Mapping[str, str | bytes] | Iterable[tuple[str | zipfile.ZipInfo, str | bytes]]) -> bytes:
    """A zip with these members, in this order; a name may be a `ZipInfo`."""
    out = io.BytesIO()
    pairs = members.items() if isinstance(members, Mapping) else members
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in pairs:
            packed.writestr(name, content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def word_file() -> bytes:
    """The least that passes for a Word file."""
    return make_zip({"[Content_Types].xml": "<Types/>", "word/document.xml": "<w:document/>"})
