"""pdfdeal 1.0.2, as it is on PyPI, against the embedded server, and its texts beside ours.

It runs in an environment of its own (tests/peers.txt says why), and so in a process of its own.
"""

import json
import os
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doc2x_sdk.functions import refresh_key, upload_img, upload_pdf, uuid_status
from doc2x_sdk.local.server import LocalServer
from doc2x_sdk.local.settings import ServerSettings
from tests.support.v1 import PAPER, PICTURE, until_done

V1 = """
import asyncio, importlib, json, os, sys
v1 = importlib.import_module("pdfdeal.Doc2X.ConvertV1")
v1.Base_URL = os.environ["DOC2X_V1_BASE_URL"] + "/api"

async def done(token, uuid):
    for _ in range(600):
        progress, word, texts, places = await v1.uuid_status(token, uuid)
        if progress == 100:
            return word, texts
        await asyncio.sleep(0.05)

async def all_six(pdf, picture, out):
    token = await v1.refresh_key(os.environ["DOC2X_APIKEY"])
    left = await v1.get_limit(token)
    pdf, picture = await v1.upload_pdf(token, pdf), await v1.upload_img(token, picture)
    found = {"pdf": await done(token, pdf), "picture": await done(token, picture)}
    kinds = ("md", "latex", "docx")  # each in a folder of its own: that client names both archives alike
    found["files"] = [await v1.uuid2file(token, pdf, to, os.path.join(out, to)) for to in kinds]
    found["paid"] = left - await v1.get_limit(token)
    return found

print(json.dumps(asyncio.run(all_six(*sys.argv[1:]))))
"""
V2 = """
import importlib, json, os, sys
v2 = importlib.import_module("pdfdeal.Doc2X.ConvertV2")
v2.Base_URL = os.environ["DOC2X_BASE_URL"] + "/api"
from pdfdeal import Doc2X
client = Doc2X(apikey=os.environ["DOC2X_APIKEY"])
paper, out, way = sys.argv[1:]
done = [client.pdf2file(paper, output_path=out, output_format=to, oss_choose=way) for to in ("md", "docx")]
print(json.dumps(done))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(ServerSettings(workers=1)) as one:
        yield one


def run(python: Path, script: str, server: LocalServer, *arguments: object) -> Any:
    """What the script printed last, as JSON."""
    environ = {"DOC2X_V1_BASE_URL": server.url, "DOC2X_BASE_URL": server.url, "DOC2X_APIKEY": "personal"}
    command = [python, "-I", "-W", "ignore", "-c", script, *map(str, arguments)]
    done = subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_pdfdeals_six_v1_functions_and_ours_say_the_same(
    peer: Path, server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run(peer, V1, server, PAPER, PICTURE, tmp_path / "out")
    assert found["paid"] == 3
    archive, latex, word = found["files"]
    assert any(name.endswith(".md") for name in names_in(archive))
    assert any(name.endswith(".tex") for name in names_in(latex))
    assert "word/document.xml" in names_in(word)

    monkeypatch.setenv("DOC2X_V1_BASE_URL", server.url)
    token = refresh_key("personal")
    for name, uuid in (("pdf", upload_pdf(token, str(PAPER))), ("picture", upload_img(token, str(PICTURE)))):
        _, said, texts = until_done(lambda uuid=uuid: uuid_status(token, uuid))[-1]  # type: ignore[misc]
        assert without_links(texts) == without_links(found[name][1])
        assert (said, any(texts)) == (found[name][0], True)


def names_in(archive: str) -> list[str]:
    with zipfile.ZipFile(archive) as packed:
        return packed.namelist()


def without_links(texts: list[str]) -> list[str]:
    """The texts without the links to pictures, which hold the uuid of the upload."""
    return [re.sub(r'src="[^"]*"', "src", text) for text in texts]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["always", "never"])  # the upload: to the storage as a form, or to the API
def test_pdfdeals_v2_class_converts_the_sample_to_md_and_docx(
    way: str, peer: Path, server: LocalServer, tmp_path: Path
) -> None:
    results = run(peer, V2, server, PAPER, tmp_path, way)
    assert [flag for _, _, flag in results] == [False, False]
    (archive,), (word,) = (done for done, _, _ in results)
    with zipfile.ZipFile(archive) as packed:
        (name,) = (name for name in packed.namelist() if name.endswith(".md"))
        assert "Introduction" in packed.read(name).decode()
    with zipfile.ZipFile(word) as packed:
        assert b"w:tbl" in packed.read("word/document.xml")
