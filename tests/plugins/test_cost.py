"""What plugins may cost."""

import subprocess
import sys
import time

from tests.benchmarks.exporters import LIMIT_MS, measure


def test_an_exporter_costs_less_than_its_limit_over_the_function_alone() -> None:
    assert measure(100, clock=time.thread_time, typical=min)["more_ms"] < LIMIT_MS


def test_the_help_does_not_look_for_plugins() -> None:
    code = (
        "import importlib.metadata as m, sys\n"
        "def scan(*a, **k): raise SystemExit('scanned')\n"
        "m.entry_points = scan\n"
        "from doc2x_sdk.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    run = [sys.executable, "-c", code]
    help_text = subprocess.run([*run, "--help"], capture_output=True, text=True, check=False)
    assert help_text.returncode == 0, help_text.stderr
    unknown = subprocess.run([*run, "no-such-command"], capture_output=True, text=True, check=False)
    assert "scanned" in unknown.stderr  # the stand-in is what an unknown command meets
