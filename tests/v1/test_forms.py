"""The multipart form: its bytes, its file names, and that it is never held in memory."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_multipart.multipart import MultipartParser, parse_options_header

from doc2x_sdk.service.multipart import MultipartBody
from tests.support.scripted import Conversation, Request, ScriptedServer, Step
from tests.support.scripted_service import make_pdf
from tests.support.v1 import taken
from tests.support.wire import KEY, Blob

ROOT = Path(__file__).resolve().parents[2]
MEGABYTE = 1024 * 1024


def parsed(form: MultipartBody, content: bytes) -> list[tuple[dict[str, str], bytes]]:
    """The headers and values of the parts, by a parser of somebody else."""
    parts: list[tuple[dict[str, str], bytearray]] = []
    name = bytearray()

    def begin() -> None:
        parts.append(({}, bytearray()))
        name.clear()

    def header_field(data: bytes, start: int, end: int) -> None:
        name.extend(data[start:end])

    def header_value(data: bytes, start: int, end: int) -> None:
        key = name.decode().lower()
        parts[-1][0][key] = parts[-1][0].get(key, "") + data[start:end].decode()

    kind, options = parse_options_header(form.content_type)
    assert kind == b"multipart/form-data"
    parser = MultipartParser(
        options[b"boundary"],
        {
            "on_part_begin": begin,
            "on_header_field": header_field,
            "on_header_value": header_value,
            "on_header_end": name.clear,
            "on_part_data": lambda data, start, end: parts[-1][1].extend(data[start:end]),
        },
    )
    parser.write(content)
    parser.finalize()
    return [(headers, bytes(value)) for headers, value in parts]


def read_by(form: MultipartBody, size: int) -> bytes:
    return b"".join(iter(lambda: form.read(size), b""))


@given(
    content=st.binary(min_size=1, max_size=300),
    fields=st.dictionaries(st.sampled_from(["ocr", "parse_to", "lang", "model"]), st.text(max_size=20), max_size=4),
    filename=st.text(max_size=200),
    size=st.integers(1, 97),
)
def test_a_form_says_what_it_was_made_of(content: bytes, fields: dict[str, str], filename: str, size: int) -> None:
    fields = {name: value.encode("utf-8", "ignore").decode() for name, value in fields.items()}
    form = MultipartBody(fields, Blob(content), filename, "application/pdf")
    whole = form.read()
    assert len(whole) == len(form) == form.tell()
    assert form.read(size) == b""
    for _ in range(2):
        assert form.seek(0) == 0
        assert read_by(form, size) == whole
    *texts, (headers, file) = parsed(form, whole)
    assert [value.decode() for _, value in texts] == list(fields.values())
    assert [part["content-disposition"] for part, _ in texts] == [f'form-data; name="{name}"' for name in fields]
    assert (file, headers["content-type"]) == (content, "application/pdf")
    assert headers["content-disposition"].isascii()
    assert set(headers) == {"content-disposition", "content-type"}


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("paper.pdf", "paper.pdf"),
        ("论文.pdf", "__.pdf"),
        ('a"; filename="b.pdf', "a__ filename=_b.pdf"),
        ("a\r\nX-Evil: 1.pdf", "a__X-Evil_ 1.pdf"),
        ("..\\..\\x.pdf", ".._.._x.pdf"),
        ("", "file"),
        ("x" * 500 + ".pdf", "x" * 116 + ".pdf"),
    ],
)
def test_file_names_are_plain_and_once_more_in_full(name: str, plain: str) -> None:
    form = MultipartBody({}, Blob(b"x"), name, "application/pdf")
    ((headers, _),) = parsed(form, form.read())
    options = parse_options_header(headers["content-disposition"])[1]
    found = re.search(r'filename="([^"]*)"', headers["content-disposition"])
    assert found
    assert found[1] == plain
    full = re.search(r"filename\*=UTF-8''([A-Za-z0-9_.~%-]+)$", headers["content-disposition"])
    assert (unquote(full[1]) if full else plain) == (name[-120:] or plain)
    assert options[b"name"] == b"file"


CHILD = """
import json, os, sys
from pathlib import Path
from doc2x_sdk.functions import upload_pdf
upload_pdf(os.environ["DOC2X_APIKEY"], sys.argv[1])
lines = Path("/proc/self/status").read_text().splitlines()
print(json.dumps({"peak": int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) // 1024}))
"""


def drain(conversation: Conversation, request: Request) -> None:
    """Take the body without keeping it, then answer."""
    conversation.read_body(request, 1)  # what came together with the head
    left = int(request.headers["content-length"]) - len(request.body) - len(conversation._pending)
    while left > 0:
        left -= len(conversation.sock.recv(min(left, MEGABYTE)))
    conversation._pending = b""
    request.whole = True
    taken().action(conversation, request)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process's memory is read from /proc")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    peaks = {}
    for size in (1, 99):
        path = tmp_path / f"{size}.pdf"
        path.write_bytes(make_pdf(size=size * MEGABYTE))
        with ScriptedServer(Step(drain, at=0)) as server:
            environ = os.environ | {"DOC2X_V1_BASE_URL": server.origin, "DOC2X_APIKEY": KEY, "PYTHONPATH": str(ROOT)}
            done = subprocess.run(
                [sys.executable, "-c", CHILD, str(path)],
                env=environ, capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert len(server.requests) == 1
        peaks[size] = json.loads(done.stdout)["peak"]
    assert peaks[99] - peaks[1] < 8, peaks
    assert peaks[99] < 80
