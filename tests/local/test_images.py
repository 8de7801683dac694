"""v2's image layout, read by OCR."""

import base64
import io
import zipfile

import pytest
from PIL import Image

from doc2x_sdk.local import ocr
from tests.local.caller import Caller, make_scan_pdf
from tests.local.test_v1 import as_png

pytestmark = pytest.mark.skipif(not ocr.is_installed(), reason="the extra local-ocr is not installed")


def text_in(convert_zip: str) -> str:
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(convert_zip))) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".md")]
        return archive.read(name).decode()


def test_a_picture_in_one_answer(caller: Caller, drawn_text: Image.Image) -> None:
    data = caller.post("/api/v2/parse/img/layout", data=as_png(drawn_text)).json()["data"]
    (page,) = data["result"]["pages"]
    assert "4711" in page["md"]
    assert (page["page_width"], page["page_height"]) == drawn_text.size
    assert text_in(data["convert_zip"]).strip() == page["md"]


def test_a_picture_by_polling(caller: Caller, drawn_text: Image.Image) -> None:
    uid = caller.post("/api/v2/async/parse/img/layout", data=as_png(drawn_text)).json()["data"]["uid"]
    data = caller.wait(uid, "/api/v2/parse/img/layout/status")["data"]
    assert "4711" in data["result"]["pages"][0]["md"]
    assert "4711" in text_in(data["convert_zip"])
    with Image.open(io.BytesIO(caller.session.get(data["result"]["pages"][0]["url"]).content)) as picture:
        assert picture.size == drawn_text.size


def test_text_and_scanned_pages_of_one_document(caller: Caller, drawn_text: Image.Image) -> None:
    content = make_scan_pdf(drawn_text, before="A page of text before the scanned one.")
    _, pages = caller.parse(content, model="v3-2026")
    assert pages[0]["md"] == "A page of text before the scanned one."
    assert "4711" in pages[1]["md"]
    assert pages[0]["score"] > pages[1]["score"] > 50
