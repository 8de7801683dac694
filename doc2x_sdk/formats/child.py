"""One exporter in a process of its own: `python -m doc2x_sdk.formats.child JOB`, see `flow.isolate`.

The job and the result are JSON files. The process ends itself when its standard input closes: then the program that
started it is gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from doc2x_sdk.errors import Doc2XError
from doc2x_sdk.formats.guard import PluginRaised, call_plugin, raised_at
from doc2x_sdk.formats.offers import Offer
from doc2x_sdk.formats.options import typed_options
from doc2x_sdk.formats.plugins import GROUP, Plugins
from doc2x_sdk.formats.registry import Formats
from doc2x_sdk.models import Bundle, Page

__all__ = ["main"]


def main(path: str) -> None:
    """Do the job and write its result; ends the process, whatever threads the exporter left behind."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    job = json.loads(Path(path).read_text(encoding="utf-8"))
    result = Path(job["result"])
    aside = result.with_name(f"{result.name}.part")
    aside.write_text(json.dumps(done(job)), encoding="utf-8")
    aside.replace(result)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def done(job: dict[str, Any]) -> dict[str, Any]:
    """Run the exporter; return `files` and `warnings`, or `error` and, where it raised, `raised`."""
    try:
        offer = find(job["entry"], job["format"])
        bundle = bundle_of(job["bundle"])
        options = typed_options(offer.name, offer.options, job["options"])
        files: Any = call_plugin(lambda: offer.exporter.export(bundle, Path(job["out"]), options))
    except PluginRaised as error:
        return {"error": str(error), "raised": raised_at(error.__cause__ or error)}
    except Doc2XError as error:
        return {"error": error.message}
    warnings = [str(text) for text in bundle.warnings]
    if not isinstance(files, list) or not all(isinstance(file, str | Path) for file in files):
        return {"kind": type(files).__name__, "warnings": warnings}
    return {"files": [os.fspath(file) for file in files], "warnings": warnings}


def find(entry: str, name: str) -> Offer:
    """Load the one plugin that offers the format."""
    return Formats(Plugins.installed({}, [EntryPoint(name, entry, GROUP)])).offer(name)


def bundle_of(job: dict[str, Any]) -> Bundle:
    """Return the bundle that a job describes."""
    pages = tuple(Page(**page | {"blocks": tuple(page["blocks"])}) for page in job["pages"])
    return Bundle(**job | {"pages": pages, "folder": Path(job["folder"]), "main": Path(job["main"])})


def end_with_parent() -> None:
    """Wait for the end of standard input, then end this process and what it started."""
    while os.read(0, 4096):
        continue
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
