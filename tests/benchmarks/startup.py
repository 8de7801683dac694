"""How long it takes until a command or an import is there, against `import click`."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.runner import ROOT, bare_environ
from tests.support.peers import PeersMissing, own_python, peer_python

__all__ = ["measure"]

PEER = 'python -c "from pdfdeal import Doc2X"'
COMMANDS = {
    'python -c "import click"': ["-c", "import click"],
    'python -c "import doc2x_sdk"': ["-c", "import doc2x_sdk"],
    "doc2x --help": ["-c", "import sys; from doc2x_sdk.cli.main import main; sys.argv[1:] = ['--help']; main()"],
    'python -c "from doc2x_sdk import Doc2X"': ["-c", "from doc2x_sdk import Doc2X"],
    PEER: ["-c", "from pdfdeal import Doc2X"],
}


def measure(repeats: int = 15) -> list[dict[str, Any]]:
    """The medians of wall seconds, taken in turns so that all meet the same machine, and their ratio to click's.

    One turn goes before, unmeasured: it compiles what pip compiles when it installs, and what the working tree lacks.
    """
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    broken: dict[str, str] = {}
    pythons = dict.fromkeys(COMMANDS, str(own_python()))
    with contextlib.suppress(PeersMissing):  # the other rows stand without it, and its own tells that it is missing
        pythons[PEER] = str(peer_python())
    with tempfile.TemporaryDirectory(prefix="doc2x-startup-") as home:
        environ = bare_environ(Path(home))
        for turn in range(repeats + 1):
            for name, arguments in COMMANDS.items():
                began = time.perf_counter()
                done = subprocess.run(
                    [pythons[name], *arguments], cwd=ROOT, env=environ, capture_output=True, check=False
                )
                if turn:
                    times[name].append(time.perf_counter() - began)
                if done.returncode:
                    broken[name] = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1]
    click = median(times['python -c "import click"'])
    return [
        {
            "command": name,
            "ms": broken.get(name) or median(taken) * 1000,
            "times import click": "-" if name in broken else median(taken) / click,
        }
        for name, taken in times.items()
    ]
