"""A process with a batch of its own: `python -m tests.batch.worker JSON`; tells on stdout how it went, as JSON.

With `missing` it goes through that many paths that are not there, and tells the memory that took.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from doc2x_sdk import Doc2X


def paths(job: dict[str, Any]) -> Iterator[Path]:
    """The job's inputs, one at a time."""
    for number in range(job.get("missing", 0)):
        yield Path(job["folder"]) / f"not-there-{number}.pdf"
    yield from sorted(Path(job["folder"]).glob("*.pdf"), key=lambda path: path.name, reverse=job.get("reverse", False))


def main() -> None:
    """Run the batch."""
    job = json.loads(sys.argv[1])
    errors: dict[str, int] = {}
    count = 0
    try:
        with Doc2X(job["key"], base_url=job["url"], ledger=job["ledger"], **job.get("settings", {})) as client:
            for done in client.convert_many(paths(job), to="md", out=job["out"]):
                count += 1
                if done.error is not None:
                    told = f"{type(done.error).__name__}: {done.error.message}"
                    errors[told] = errors.get(told, 0) + 1
                if count == job.get("tell_after"):
                    print("going", flush=True)
    except KeyboardInterrupt:
        print(json.dumps({"count": count, "interrupted": True}), flush=True)
        raise SystemExit(130) from None
    print(json.dumps({"count": count, "errors": errors, "peak": peak()}), flush=True)


def peak() -> int:
    """The most memory that the process had, in bytes."""
    if sys.platform == "linux":  # ru_maxrss begins there at the peak of the parent, from which it was forked
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


if __name__ == "__main__":
    main()
