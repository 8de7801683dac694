"""For plugin authors and for users' tests.

`run_exporter` runs one exporter on a sample bundle as a conversion would; `check_exporter` puts it through all of
them; the pytest fixture `doc2x_server` is Doc2X on this machine, for the tests of scripts that use the SDK.

The names are imported when they are first used: pytest loads this package in every run, for the fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from doc2x_sdk.testing.conformance import check_exporter as check_exporter
    from doc2x_sdk.testing.run import Run as Run
    from doc2x_sdk.testing.run import run_exporter as run_exporter
    from doc2x_sdk.testing.samples import SAMPLES as SAMPLES
    from doc2x_sdk.testing.samples import sample_bundle as sample_bundle

_HOMES = {
    "SAMPLES": "samples",
    "Run": "run",
    "check_exporter": "conformance",
    "run_exporter": "run",
    "sample_bundle": "samples",
}

__all__ = ["SAMPLES", "Run", "check_exporter", "run_exporter", "sample_bundle"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module  # noqa: PLC0415 - lazy on purpose

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
