"""Other people's clients, unchanged, against the server (pdfdeal 1.0.2)."""

import asyncio
import importlib
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doc2x_sdk.local.server import LocalServer
from tests.local.caller import make_pdf

pytestmark = [
    pytest.mark.slow,  # fixed sleeps of 3 s in that client
    pytest.mark.filterwarnings("ignore"),  # its own: deprecated calls and files left open
]


@pytest.fixture
def pdf(tmp_path: Path) -> str:
    path = tmp_path / "sample.pdf"
    path.write_bytes(make_pdf("A page for pdfdeal", "And another"))
    return str(path)


def module(name: str, url: str, patch: pytest.MonkeyPatch) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = importlib.import_module(f"pdfdeal.Doc2X.{name}")
    patch.setattr(found, "Base_URL", f"{url}/api")
    return found


@pytest.fixture
def quiet_loop() -> Iterator[None]:
    yield
    asyncio.set_event_loop_policy(None)


@pytest.mark.parametrize("way", ["always", "never"])
def test_pdfdeal_converts_by_v2(
    way: str, pdf: str, tmp_path: Path, shared_server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    module("ConvertV2", shared_server.url, monkeypatch)
    from pdfdeal import Doc2X

    client = Doc2X(apikey="sk-test")
    out = tmp_path / "out"
    for name, member in (("md", ".md"), ("docx", "word/document.xml")):
        done, failed, flag = client.pdf2file(pdf_file=pdf, output_path=str(out), output_format=name, oss_choose=way)
        assert not flag, failed
        with zipfile.ZipFile(done[0]) as archive:
            assert any(one.endswith(member) for one in archive.namelist())


def test_pdfdeal_converts_by_v1(
    pdf: str, tmp_path: Path, shared_server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    v1 = module("ConvertV1", shared_server.url, monkeypatch)

    async def all_calls() -> None:
        token = await v1.refresh_key("personal")
        left = await v1.get_limit(token)
        uuid = await v1.upload_pdf(token, pdf)
        for _ in range(200):
            progress, _, texts, _ = await v1.uuid_status(token, uuid)
            if progress == 100:
                break
            await asyncio.sleep(0.05)
        assert texts == ["A page for pdfdeal", "And another"]
        assert await v1.get_limit(token) <= left - 2
        for name in ("md", "latex", "docx"):
            path = await v1.uuid2file(token, uuid, name, output_path=str(tmp_path))
            assert zipfile.is_zipfile(path)

    asyncio.run(all_calls())
