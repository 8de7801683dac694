"""The clients of tests/peers.txt in an environment of their own, and ours in one of its own, made once for a checkout.

An environment rather than a folder on the path of ours: no package of theirs can stand in for one of ours, nor one of
ours for theirs, and their commands replace none.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import venv
from configparser import ConfigParser
from contextlib import closing
from pathlib import Path

__all__ = ["PeersMissing", "own_python", "peer_python"]

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv-peers"
ENVIRON = dict(os.environ)  # pip's settings and proxies, read here: each test starts from an emptied environment
PATIENCE = 900.0  # seconds for pip, and for another process that is at it


class PeersMissing(RuntimeError):
    """The peers could not be installed; the message holds what pip said."""


def peer_python(requirements: Path = ROOT / "tests" / "peers.txt", folder: Path = FOLDER) -> Path:
    """The interpreter that has the peers and not our package; the first call installs them, which takes the network.

    `folder` holds an environment for each Python and each text of `requirements`. Raises `PeersMissing`.
    """
    wanted = requirements.read_bytes() + sys.version.encode() + sys.base_prefix.encode()
    home = folder / hashlib.sha256(wanted).hexdigest()[:16]
    python = python_of(home)
    if python.exists():
        return python
    folder.mkdir(exist_ok=True)
    # SQLite's lock waits, is free again when its process dies, and is the same on every system.
    with closing(sqlite3.connect(folder / "lock.sqlite", timeout=PATIENCE, isolation_level=None)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        if not python.exists():
            install(requirements, home)
    return python


def own_python(folder: Path = FOLDER) -> Path:
    """The interpreter that has what our package needs, and no more; the package is the one of the working directory.

    Among the many packages of a developer, of which each is asked for plugins, ours would be compared with peers that
    have an environment to themselves. Raises `PeersMissing`.
    """
    project = ConfigParser()
    project.read(ROOT / "setup.cfg", encoding="utf-8")
    needed = folder / "needed.txt"
    folder.mkdir(exist_ok=True)
    aside = folder / f"needed.{os.getpid()}"  # several workers may ask at once, and none may read half of it
    aside.write_text(project["options"]["install_requires"], encoding="utf-8")
    aside.replace(needed)
    return peer_python(needed, folder)


def python_of(home: Path) -> Path:
    """The interpreter of an environment."""
    return home / "Scripts" / "python.exe" if os.name == "nt" else home / "bin" / "python"


def install(requirements: Path, home: Path) -> None:
    """Make the environment aside and put it in place when it is whole; only its `python` stands being moved."""
    aside = home.with_name(f"{home.name}.partial")
    for remains in (aside, home):
        shutil.rmtree(remains, ignore_errors=True)
    venv.create(aside, symlinks=os.name != "nt")
    pip = [sys.executable, "-m", "pip", "--python", str(python_of(aside)), "--disable-pip-version-check", "--no-input"]
    done = subprocess.run(
        [*pip, "install", "--quiet", "-r", str(requirements)],
        env=ENVIRON, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    if done.returncode:
        shutil.rmtree(aside)
        raise PeersMissing(f"pip could not install {requirements.name} (exit code {done.returncode}):\n{done.stderr}")
    aside.rename(home)
