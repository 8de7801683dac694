"""The local server as a child process, for programs that want Doc2X on this machine without an account.

The child ends when its standard input closes, so it ends with the program that started it. Its key goes by the
environment, never by the command line, which other users can read. It finds modules where this program does, but not in
the current directory: what lies among somebody's papers, such as a `json.py`, is no part of the server.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import warnings
import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import IO, Any, Self

from doc2x_sdk.errors import ConfigError
from doc2x_sdk.local.extra import require_extra
from doc2x_sdk.local.settings import ServerSettings

__all__ = ["KEY_VARIABLE", "LocalProcess", "settings_from_environment", "start"]

KEY_VARIABLE = "DOC2X_LOCAL_KEY"
SETTINGS_VARIABLE = "DOC2X_LOCAL_SETTINGS"
START_SECONDS = 30.0
STOP_SECONDS = 15.0
TAIL_BYTES = 2000


class LocalProcess:
    """A server in a child process; `close` ends it, as does the end of a with statement.

    Attributes:
        url: the origin to call.
        key: what to send as the bearer key. Not in the repr.
    """

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[bytes], url: str, key: str) -> None:
        self._process = process
        self._errors = errors
        self._parent = os.getpid()
        self.url = url
        self.key = key
        if hasattr(os, "register_at_fork"):
            # A forked child would keep the pipe open, and so the server alive, when this process closes it or ends.
            itself = weakref.ref(self)
            os.register_at_fork(after_in_child=lambda: _let_go(itself()))

    def __repr__(self) -> str:
        return f"LocalProcess({self.url!r}, pid={self._process.pid})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def close(self) -> None:
        """End the child and wait for it; a child that does not end is killed. In a forked process it does nothing."""
        if os.getpid() == self._parent:
            _end(self._process)
            self._errors.close()

    def end_with(self, user: object) -> None:
        """End the child with this object at the latest, or with the program; that warns with `ResourceWarning`."""
        weakref.finalize(user, self._end_unclosed)

    def _end_unclosed(self) -> None:
        if os.getpid() == self._parent and not self._errors.closed:
            self.close()
            told = f"unclosed {self!r}: it has ended with its client; close that, or use it in a with statement"
            warnings.warn(told, ResourceWarning, stacklevel=2)


def start(settings: ServerSettings | None = None, *, timeout: float = START_SECONDS) -> LocalProcess:
    """Start a server as a child of this process and wait until it answers.

    Args:
        settings: what it does; without an `api_key` it gets one of its own, see `LocalProcess.key`.
        timeout: seconds until it must have told its URL.

    Raises:
        ConfigError: the extra `local` is missing, or it did not start; the message ends with what it wrote on stderr.
    """
    require_extra()
    settings = settings or ServerSettings()
    key = settings.api_key or f"local-{secrets.token_urlsafe(24)}"
    told = {KEY_VARIABLE: key, SETTINGS_VARIABLE: json.dumps(_plain(settings))}
    environment = os.environ | told | {"PYTHONPATH": os.pathsep.join(_module_path())}
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "doc2x_sdk.local"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        bufsize=0,  # stdin is closed in forked children too, where the lock of a buffer might be held for ever
        env=environment,
    )
    url = _first_line(process, timeout)
    if not url.startswith("http://"):
        _end(process)
        errors.seek(0)
        said = errors.read()[-TAIL_BYTES:].decode(errors="replace").strip()
        errors.close()
        raise ConfigError(f"The local server did not start: {said or 'it said nothing in time'}", advice="")
    return LocalProcess(process, errors, url, key)


def settings_from_environment(environment: Mapping[str, str]) -> ServerSettings:
    """The settings that `start` passed to its child."""
    values: dict[str, Any] = json.loads(environment.get(SETTINGS_VARIABLE, "{}"))
    if values.get("data"):
        values["data"] = Path(values["data"])
    return ServerSettings(**values, api_key=environment.get(KEY_VARIABLE) or None)


def _let_go(process: LocalProcess | None) -> None:
    """Close a forked child's end of the pipe that its parent ends the server by."""
    if process is not None and process._process.stdin is not None:
        process._process.stdin.close()


def _module_path() -> list[str]:
    """Where the child looks for modules: where this program does, but last in its own folder and the current one.

    The folder of doc2x_sdk keeps its place, so that the child runs the same one.
    """
    home = str(Path(__file__).parents[2])
    main = sys.modules.get("__main__")
    last = set()
    if getattr(main, "__spec__", None) is None:  # a script: `python -m` puts the current folder alone on the path
        last.add(str(Path(getattr(main, "__file__", "")).parent))
    with suppress(FileNotFoundError):  # it was removed
        last.add(str(Path.cwd()))
    last.discard(home)
    entries = sorted((entry for entry in sys.path if entry and isinstance(entry, str)), key=last.__contains__)
    return entries if home in entries else [home, *entries]


def _plain(settings: ServerSettings) -> dict[str, Any]:
    values = {one.name: getattr(settings, one.name) for one in fields(settings) if one.name != "api_key"}
    return values | {"data": str(settings.data.resolve()) if settings.data else None}


def _first_line(process: subprocess.Popen[bytes], timeout: float) -> str:
    """The first line of the child's stdout; empty when it ended or did not write one in time."""
    lines: list[bytes] = []

    def read() -> None:
        if process.stdout is not None:
            lines.append(process.stdout.readline())

    reader = threading.Thread(target=read, daemon=True)  # a pipe cannot be read with a deadline on every system
    reader.start()
    reader.join(timeout)
    if reader.is_alive():
        process.kill()
        reader.join(STOP_SECONDS)
    return lines[0].decode(errors="replace").strip() if lines else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
