"""Runs the command `doc2x` as a child process, and scripts of the service for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.scripted import Conversation, Request, ScriptedServer, Step, envelope, reply
from tests.support.wire import KEY, SIGNATURE

__all__ = ["EXAMPLE", "LIKE_A_USER", "UID", "Result", "account", "doc2x", "no_picture", "refused", "start", "upload"]

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "paper.pdf"
UID = "0192d745-5776-7261-abbd-814df4af3449"
LIMIT = 90.0  # seconds until a child is killed and its test fails


@dataclass(frozen=True)
class Result:
    """How a child ended."""

    code: int
    out: str
    err: str
    raw: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """The lines of stdout."""
        return self.out.splitlines()


def like_a_user() -> list[str] | None:
    """Return the words before a command that take root's rights to all files from it; None where that can't be done."""
    if os.name != "posix":
        return None
    if os.geteuid() != 0:
        return []
    rights = ["--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search"]
    return ["setpriv", *rights] if shutil.which("setpriv") else None


LIKE_A_USER = like_a_user()


def start(
    *arguments: str | bytes | Path, env: dict[str, str] | None = None, under: Sequence[str] = (), **options: Any
) -> subprocess.Popen[bytes]:
    """Start `doc2x` with pipes, in a process group of its own, `under` another command where one is given.

    Its output is buffered as a user's is.
    """
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen(
        [*under, sys.executable, "-m", "doc2x_sdk", *arguments],
        env=environ | (env or {}),
        start_new_session=True,
        **settings,
    )


def ended(process: subprocess.Popen[bytes], given: bytes | None = None) -> Result:
    """Wait for a child's end."""
    try:
        out, err = process.communicate(given, timeout=LIMIT)
    finally:
        process.kill()
    return Result(
        process.returncode, (out or b"").decode("utf-8", "replace"), err.decode("utf-8", "replace"), out or b""
    )


def doc2x(
    *arguments: str | bytes | Path,
    env: dict[str, str] | None = None,
    given: str | None = None,
    cwd: Path | None = None,
    under: Sequence[str] = (),
) -> Result:
    """Run `doc2x` to its end; `given` is its standard input."""
    options: dict[str, Any] = {"cwd": cwd, "under": under} | ({} if given is None else {"stdin": subprocess.PIPE})
    return ended(start(*arguments, env=env, **options), None if given is None else given.encode())


def account(origin: str, **settings: str) -> dict[str, str]:
    """The environment of somebody with a key whose service is at `origin`."""
    return {"DOC2X_BASE_URL": origin, "DOC2X_APIKEY": KEY, "DOC2X_RETRIES": "0", **settings}


def upload(server: ScriptedServer, *after: Step) -> None:
    """Let a server take one upload by presigned URL, then go on with `after`."""
    slot = envelope({"uid": UID, "url": f"{server.origin}/bucket/object?Signature={SIGNATURE}"})
    server.script[:] = [reply(json=slot), reply(200), *after]


def refused(code: str, status: int = 200) -> Step:
    """An answer with one of the service's failure codes."""
    return reply(status, json=envelope(code=code), headers=[("trace-id", "trace-4711")])


def no_picture(folder: Path, name: str = "picture.jpg") -> Path:
    """A file that is a JPEG to everybody who reads only its first bytes."""
    path = folder / name
    path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(200))
    return path


class Working:
    """Steps of a service that is at work for ever; `asked` is set once somebody asked how far it is."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    @property
    def step(self) -> Step:
        """The answer about a parse."""
        answer = reply(json=envelope({"status": "processing", "progress": 40, "detail": "", "result": None}))

        def act(conversation: Conversation, request: Request) -> None:
            self.asked.set()
            answer.action(conversation, request)

        return Step(act)
