"""An exporter in a process of its own: with a time limit, without the key, and what crashes there crashes alone."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from doc2x_sdk.flow.disk import writing
from doc2x_sdk.formats.guard import PluginRaised, log_raised
from doc2x_sdk.formats.registry import Offer
from doc2x_sdk.models import Bundle
from doc2x_sdk.processor import all_processors

__all__ = ["ReturnedType", "environment", "run_in_child"]

KEY = re.compile(r"DOC2X_.*KEY", re.IGNORECASE)
SHORTEST_KEY = 8
TAIL_BYTES = 600
RESULT_BYTES = 16 * 1024 * 1024


class ReturnedType(str):
    """The name of the type that an exporter in a child returned, where that is no list of paths."""

    __slots__ = ()


def run_in_child(offer: Offer, bundle: Bundle, out: Path, options: Mapping[str, Any], limit: float) -> Any:
    """Run an exporter that came by an entry point and return what it returned, not checked yet.

    Args:
        offer: its `entry` is loaded anew in the child.
        bundle: is described to the child; what `bundle.warn` is told there comes back.
        out: the folder that it writes to, and the child's working directory.
        options: typed values.
        limit: seconds until the child and what it started are killed.

    Raises `PluginRaised` for what the exporter raises, for the limit, and for a child that ends without a result.
    """
    job, result, said = (out.with_name(f"{out.name}.{part}") for part in ("job", "result", "said"))
    given = {o.name: plain(options[o.name]) for o in offer.options if options[o.name] is not o.default}
    task = {
        "entry": offer.entry,
        "format": offer.name,
        "bundle": described(bundle),
        "out": str(out.absolute()),
        "options": given,
        "result": str(result.absolute()),
    }
    with writing(job, "Staging"):
        job.write_text(json.dumps(task), encoding="utf-8")
    code = run(job, out, said, limit)
    if code is None:
        raise PluginRaised(f"it did not finish within {limit:g} s and was ended")
    answer = read(result)
    if answer is None:
        raise PluginRaised(f"its process {ending(code)}{tail(said)}")
    bundle.warnings.extend(answer.get("warnings", ()))
    if "raised" in answer:
        log_raised(answer["raised"])
    if "error" in answer:
        raise PluginRaised(answer["error"])
    return [Path(file) for file in answer["files"]] if "files" in answer else ReturnedType(answer.get("kind", ""))


def run(job: Path, out: Path, said: Path, limit: float) -> int | None:
    """Run the child to its end and return its exit code; None when it was killed at the limit."""
    with writing(said, "Staging"):
        output = said.open("wb")
    with output:
        with all_processors():
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "doc2x_sdk.formats.child", str(job.absolute())],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=out,
                env=environment(os.environ),
                start_new_session=os.name == "posix",
            )
        with process:
            try:
                return process.wait(limit)
            except subprocess.TimeoutExpired:
                return None
            finally:
                if process.returncode is None:
                    end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a child that runs, and on POSIX what it started."""
    if os.name == "posix":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the account's key, whatever its name there; modules are found as here."""
    secret = {value for name, value in environ.items() if KEY.fullmatch(name) and len(value) >= SHORTEST_KEY}
    kept = {
        name: value
        for name, value in environ.items()
        if not KEY.fullmatch(name) and not any(key in value for key in secret)
    }
    return kept | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}


def described(bundle: Bundle) -> dict[str, Any]:
    """Return a bundle as plain values."""
    told = {name: getattr(bundle, name) for name in ("format", "source", "uid", "sha256", "links")}
    paths = {name: str(getattr(bundle, name).absolute()) for name in ("folder", "main")}
    return told | paths | {"pages": [asdict(page) for page in bundle.pages]}


def plain(value: Any) -> Any:
    """Return an option's value as JSON takes it; the child types it again."""
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def read(result: Path) -> dict[str, Any] | None:
    """Return the child's answer; None without a usable one."""
    try:
        with result.open("rb") as file:
            answer = json.loads(file.read(RESULT_BYTES))
    except (OSError, ValueError):
        return None
    return answer if isinstance(answer, dict) else None


def ending(code: int) -> str:
    """Say how a process ended."""
    if code >= 0:
        return f"ended without a result (exit code {code})"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def tail(said: Path) -> str:
    """Return the last that a child wrote, in one line."""
    try:
        with said.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f"; it wrote: {line}" if line else ""
