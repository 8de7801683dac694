"""How long it takes until a command or an import is there, against `import click`."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median
from typing import Any

__all__ = ["measure"]

COMMANDS = {
    'python -c "import click"': ["-c", "import click"],
    'python -c "import doc2x_sdk"': ["-c", "import doc2x_sdk"],
    "doc2x --help": ["-c", "import sys; from doc2x_sdk.cli.main import main; sys.argv[1:] = ['--help']; main()"],
    'python -c "from doc2x_sdk import Doc2X"': ["-c", "from doc2x_sdk import Doc2X"],
    'python -c "from pdfdeal import Doc2X"': ["-c", "from pdfdeal import Doc2X"],
}


def measure(repeats: int = 15) -> list[dict[str, Any]]:
    """The medians of wall seconds, taken in turns so that all meet the same machine, and their ratio to click's."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    broken: dict[str, str] = {}
    for _ in range(repeats):
        for name, arguments in COMMANDS.items():
            began = time.perf_counter()
            done = subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
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
