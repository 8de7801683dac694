"""Reading pages that are pictures: rapidocr finds the words, liteparse lays them out.

liteparse asks an HTTP endpoint for the words of a page picture, so each worker process has one of its own, on
loopback under a random path, that lives as long as the process. The models take about 1 GB of memory and are loaded
at the first page.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import secrets
import threading
from typing import Any

from doc2x_sdk.local.failure import DocumentFailure

__all__ = ["MISSING", "is_installed", "read"]

MISSING = "the page is a picture, and reading pictures needs OCR: pip install 'doc2x-sdk[local-ocr]'"
DPI = 200
MAX_SIDE = 1280  # pixels; more costs time without better text
MAX_BODY = 256 * 1024 * 1024


def is_installed() -> bool:
    """Whether the extra `local-ocr` is there."""
    from importlib.util import find_spec

    return find_spec("rapidocr") is not None and find_spec("onnxruntime") is not None


def read(source: str | bytes, index: int | None) -> tuple[Any, float]:
    """The engine's page of a scanned page (`index` from 0) or of a picture (None), and how sure it is, 0 to 100.

    Raises:
        DocumentFailure: OCR is not installed, or the engine cannot read the source.
    """
    if not is_installed():
        raise DocumentFailure("parse_error", MISSING)
    from liteparse import LiteParse, ParseError

    pages: dict[str, Any] = {} if index is None else {"target_pages": str(index + 1)}
    endpoint = _endpoint()
    parser = LiteParse(
        ocr_enabled=True,
        ocr_server_url=endpoint.url,
        ocr_failure_fatal=True,
        num_workers=1,
        dpi=DPI,
        output_format="markdown",
        image_mode="off",
        extract_blocks=True,
        quiet=True,
        **pages,
    )
    try:
        result = parser.parse(source)
    except ParseError as error:
        raise DocumentFailure("parse_error", f"the page cannot be read: {error}") from error
    if not result.pages:
        raise DocumentFailure("parse_error", "the engine gave no page")
    sure = [item.confidence for item in result.pages[0].text_items if item.confidence is not None]
    return result.pages[0], round(100 * sum(sure) / len(sure), 1) if sure else 0.0


class _Endpoint:
    """The OCR endpoint of this process, in the form that liteparse asks for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._path = f"/{secrets.token_urlsafe(16)}"
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:  # the standard library prints each request
                return

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                if self.path != endpoint._path or not 0 < length <= MAX_BODY:
                    self.send_error(404)
                    return
                picture = _file_part(self.headers["Content-Type"] or "", self.rfile.read(length))
                answer = json.dumps({"results": endpoint.words(picture)}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_address[1]}{self._path}"
        threading.Thread(target=server.serve_forever, daemon=True, name="doc2x-ocr").start()

    @functools.cached_property
    def _recogniser(self) -> Any:
        from rapidocr import RapidOCR

        return RapidOCR(
            params={
                "Global.max_side_len": MAX_SIDE,
                "Global.use_cls": False,
                "Global.log_level": "error",
                "EngineConfig.onnxruntime.intra_op_num_threads": min(os.cpu_count() or 1, 4),
            }
        )

    def words(self, picture: bytes) -> list[dict[str, Any]]:
        with self._lock:
            found = self._recogniser(picture)
        if found.boxes is None:
            return []
        results = []
        for polygon, text, score in zip(found.boxes, found.txts, found.scores, strict=True):
            points = [[float(x), float(y)] for x, y in polygon]
            across, down = [x for x, _ in points], [y for _, y in points]
            results.append(
                {
                    "text": text,
                    "bbox": [min(across), min(down), max(across), max(down)],
                    "confidence": float(score),
                    "polygon": points,
                }
            )
        return results


@functools.cache
def _endpoint() -> _Endpoint:
    return _Endpoint()


def _file_part(content_type: str, body: bytes) -> bytes:
    """The part `file` of a multipart body."""
    from python_multipart.multipart import parse_options_header

    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    for part in body.split(b"--" + boundary):
        head, _, data = part.partition(b"\r\n\r\n")
        if b'name="file"' in head:
            return data.removesuffix(b"\r\n")
    return b""
