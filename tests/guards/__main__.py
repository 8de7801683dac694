"""`python -m tests.guards [ROW...]`: take each guard out of a copy of the package and run its test there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path

from tests.guards import LISTS, Guard

ROOT = Path(__file__).resolve().parent.parent.parent
COPIED = ("doc2x_sdk", "tests")
SETTINGS = ("pyproject.toml", "setup.cfg", "README.md", "LICENSE")
LINKED = ("docs", "plugins")
LIMIT = 90.0  # seconds for one run, on a busy machine
HANG = 20.0  # seconds after which a test that should hang without its guard is taken to do so
PASSED, FAILED = 0, 1  # pytest's exit codes; all others say that it could not run the test


def copy_project(root: Path, target: Path) -> None:
    """Copy what the tests need; the tests go along, since pytest imports the package that stands beside them."""
    for name in COPIED:
        shutil.copytree(root / name, target / name, ignore=shutil.ignore_patterns("__pycache__", "benchmarks"))
    for name in SETTINGS:
        if (root / name).exists():
            shutil.copy(root / name, target / name)
    for name in LINKED:
        if (ROOT / name).exists():
            (target / name).symlink_to(ROOT / name)


def run(folder: Path, guards: Iterable[Guard], limit: float) -> tuple[int | None, str]:
    """Run the guards' tests in a copy; the exit code is None when they hung."""
    guards = list(guards)
    ids = sorted({f"tests/{guard.test}" for guard in guards})
    case = guards[0].case if len(guards) == 1 else ""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        *ids,
        *(["-k", case] if case else []),
    ]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, timeout=limit, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        return None, "it hangs"
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return done.returncode, lines[0] if lines else done.stdout[-2000:] + done.stderr[-2000:]


def take_out(folder: Path, guard: Guard) -> None:
    """Replace the guard in a copy."""
    path = folder / "doc2x_sdk" / guard.file
    source = path.read_text(encoding="utf-8")
    for text, without in ((guard.text, guard.without), *guard.more):
        if source.count(text) != 1:
            msg = f"{guard.row}: the guard stands {source.count(text)} times in {guard.file}: {text!r}"
            raise LookupError(msg)
        source = source.replace(text, without)
    compile(source, str(path), "exec")
    path.write_text(source, encoding="utf-8")


def verdict(snapshot: Path, guard: Guard) -> tuple[bool, str]:
    """Whether the test fails without its guard, and the line that says so."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_project(snapshot, folder)
        try:
            take_out(folder, guard)
        except (LookupError, SyntaxError) as error:
            return False, f"{guard.row:6} OUT OF DATE  {error}"
        code, told = run(folder, [guard], HANG if guard.hangs else LIMIT)
    words = {PASSED: "STILL PASSES", FAILED: "fails as it should"}
    if guard.hangs:
        words[None] = "hangs, which is failing"
    word = words.get(code, "DID NOT RUN")
    first = guard.text.strip().splitlines()[0]
    more = f"\n       {told}" if code not in words else ""
    return code in words and code != PASSED, f"{guard.row:6} {word:23} {guard.file}: {first}  [{guard.test}]{more}"


def main(rows: list[str]) -> int:
    """Check all guards, or those of some rows; 0 when each one is needed."""
    guards: list[Guard] = [guard for name in LISTS for guard in import_module(f"tests.guards.{name}").GUARDS]
    chosen = [guard for guard in guards if not rows or guard.row in rows]
    if not chosen:
        print("no guard is listed for", *rows)
        return 1
    with tempfile.TemporaryDirectory() as name:
        snapshot = Path(name)  # of which all copies are made: the project may be edited meanwhile
        copy_project(ROOT, snapshot)
        code, told = run(snapshot, chosen, LIMIT * 5)
        if code != PASSED:
            print(f"With all guards in place the tests do not pass:\n{told}")
            return 1
        good = True
        with ThreadPoolExecutor(2) as workers:
            for fails, line in workers.map(partial(verdict, snapshot), chosen):
                print(line, flush=True)
                good = good and fails
    print(
        f"{len(chosen)} guards, {len({guard.row for guard in chosen})} rows:",
        "all needed" if good else "NOT ALL NEEDED",
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
