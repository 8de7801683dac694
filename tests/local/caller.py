"""A plain caller of the wire protocol, and documents made on the spot."""

import io
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import requests
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen import canvas
from reportlab.platypus import Table

WAIT_SECONDS = 60.0
STEP_SECONDS = 0.02


def wait_for(ready: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
    """The first true answer of `ready`, which is asked again and again for a bounded time."""
    pause = threading.Event()
    for _ in range(int(seconds / STEP_SECONDS)):
        if answer := ready():
            return answer
        pause.wait(STEP_SECONDS)
    raise AssertionError(f"not ready within {seconds} s")


class Caller:
    """Calls one server with one key."""

    def __init__(self, url: str, key: str = "sk-test") -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.auth = {"Authorization": f"Bearer {key}"}

    def close(self) -> None:
        self.session.close()

    def get(self, path: str, **query: Any) -> requests.Response:
        return self.session.get(self.url + path, params=query, headers=self.auth)

    def post(self, path: str, **body: Any) -> requests.Response:
        return self.session.post(self.url + path, headers=self.auth, **body)

    def data(self, path: str, **query: Any) -> dict[str, Any]:
        answer = self.get(path, **query).json()
        assert answer["code"] == "success", answer
        return answer["data"]

    def reserve(self, model: str | None = None) -> dict[str, str]:
        answer = self.post("/api/v2/parse/preupload", json={"model": model} if model else None).json()
        assert answer["code"] == "success", answer
        return answer["data"]

    def upload(self, content: bytes, model: str | None = None) -> str:
        slot = self.reserve(model)
        assert self.session.put(slot["url"], data=content).status_code == 200
        return slot["uid"]

    def status(self, uid: str) -> dict[str, Any]:
        return self.get("/api/v2/parse/status", uid=uid).json()

    def wait(self, uid: str, path: str = "/api/v2/parse/status", **query: str) -> dict[str, Any]:
        """The first answer that is neither `processing` nor `ready`."""
        query = query or {"uid": uid}
        waiting = {"processing", "ready", "translate_processing"}

        def ended() -> dict[str, Any] | None:
            answer = self.get(path, **query).json()
            return None if answer.get("data", {}).get("status") in waiting else answer

        return wait_for(ended)

    def parse(self, content: bytes, model: str | None = None) -> tuple[str, list[dict[str, Any]]]:
        uid = self.upload(content, model)
        answer = self.wait(uid)
        assert answer["data"]["status"] == "success", answer
        return uid, answer["data"]["result"]["pages"]

    def export(self, uid: str, to: str, **options: Any) -> requests.Response:
        answer = self.post("/api/v2/convert/parse", json={"uid": uid, "to": to, "formula_mode": "normal"} | options)
        assert answer.json()["code"] == "success", answer.text
        result = self.wait(uid, "/api/v2/convert/parse/result")
        assert result["data"]["status"] == "success", result
        return self.session.get(result["data"]["url"])


class HeldExecutor(ThreadPoolExecutor):
    """An executor whose parses wait until they are let go, so that a test can look at a server at work."""

    def __init__(self) -> None:
        super().__init__(4)
        self.gate = threading.Event()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        def held() -> Any:
            if fn.__name__ == "parse_pages":
                assert self.gate.wait(WAIT_SECONDS)
            return fn(*args, **kwargs)

        return super().submit(held)


def make_pdf(*pages: str, password: str | None = None) -> bytes:
    """A PDF with these lines on its pages."""
    stream = io.BytesIO()
    encrypt = StandardEncryption(password) if password else None
    sheet = canvas.Canvas(stream, pagesize=A4, encrypt=encrypt)
    for text in pages:
        for row, line in enumerate(text.splitlines()):
            sheet.drawString(72, 760 - 40 * row, line)
        sheet.showPage()
    sheet.save()
    return stream.getvalue()


def make_table_pdf(rows: list[list[str]]) -> bytes:
    """A PDF with one ruled table."""
    stream = io.BytesIO()
    sheet = canvas.Canvas(stream, pagesize=A4)
    sheet.drawString(72, 780, "Before the table there is a line of text.")
    table = Table(rows, colWidths=110, rowHeights=24, style=[("GRID", (0, 0), (-1, -1), 1, colors.black)])
    table.wrapOn(sheet, 450, 400)
    table.drawOn(sheet, 72, 600)
    sheet.save()
    return stream.getvalue()


def make_scan_pdf(picture: Any, before: str = "") -> bytes:
    """A PDF whose last page is nothing but a picture."""
    stream = io.BytesIO()
    sheet = canvas.Canvas(stream, pagesize=A4)
    if before:
        sheet.drawString(72, 760, before)
        sheet.showPage()
    sheet.drawImage(ImageReader(picture), 0, 0, *A4)
    sheet.save()
    return stream.getvalue()
