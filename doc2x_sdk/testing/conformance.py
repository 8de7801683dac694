"""What any exporter should stand, whatever it makes."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from doc2x_sdk.errors import Doc2XError
from doc2x_sdk.hookspecs import Exporter
from doc2x_sdk.testing.run import Run, run_exporter
from doc2x_sdk.testing.samples import CANARY, SAMPLES

__all__ = ["check_exporter"]

ARCHIVES = (b"PK\x03\x04",)


def check_exporter(exporter: Exporter, options: Mapping[str, Any] | None = None) -> None:
    """Put an exporter through all samples, alone and from several threads at once.

    It must not fail, print, change its bundle, carry in what lies outside the bundle, or give other file names when it
    runs beside itself.

    Args:
        exporter: yours; it must read a native format.
        options: for all runs.

    Raises `AssertionError` with a line for each thing that is wrong; its cause is the first error, whose traceback
    leads to the line in the exporter.
    """
    problems = list(problems_of(exporter, dict(options or {})))
    where: dict[str, list[str]] = {}
    for problem in problems:
        where.setdefault(problem.text, []).append(problem.where)
    if where:
        lines = [f"- {', '.join(dict.fromkeys(places))}: {text}" for text, places in where.items()]
        first = next((problem.error for problem in problems if problem.error is not None), None)
        raise AssertionError("the exporter does not conform:\n" + "\n".join(lines)) from first


class Problem(NamedTuple):
    """Something that is wrong."""

    where: str
    text: str
    error: BaseException | None = None


def problems_of(exporter: Exporter, options: dict[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong."""
    alone: dict[str, Run] = {}
    for sample in SAMPLES:
        said, where = io.StringIO(), f"sample {sample}"
        try:
            with contextlib.redirect_stdout(said):
                alone[sample] = run_exporter(exporter, sample, options=options)
        except Doc2XError as error:
            yield Problem(where, error.message, error)
            continue
        if said.getvalue():
            yield Problem(where, f"it prints to stdout, where results belong: {said.getvalue()[:60]!r}")
        leaks = [file.name for file in alone[sample].files if any(CANARY.encode() in each for each in contents(file))]
        if leaks:
            yield Problem(where, f"{', '.join(leaks)} holds a file from outside the bundle")
    if alone:
        yield from side_by_side(exporter, options, alone)


def side_by_side(exporter: Exporter, options: dict[str, Any], alone: Mapping[str, Run]) -> Iterator[Problem]:
    """Run the samples that worked from threads, and yield what differs."""

    def names(sample: str) -> list[str]:
        return [file.name for file in run_exporter(exporter, sample, options=options).files]

    with ThreadPoolExecutor(4) as pool:
        futures = {sample: [pool.submit(names, sample) for _ in range(2)] for sample in alone}
    for sample, runs in futures.items():
        for run in runs:
            error = run.exception()
            if error is not None:
                yield Problem(f"sample {sample}, from threads", str(error), error)
            elif run.result() != [file.name for file in alone[sample].files]:
                yield Problem(f"sample {sample}, from threads", "other file names than alone")


def contents(file: Path) -> Iterator[bytes]:
    """Yield a file's bytes, and those of its members where it is a zip."""
    content = file.read_bytes()
    yield content
    if content.startswith(ARCHIVES):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield archive.read(name)
