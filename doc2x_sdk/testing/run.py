"""One exporter, run as a conversion would run it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doc2x_sdk.flow.derive import Exporters
from doc2x_sdk.formats.offers import checked_offer
from doc2x_sdk.formats.options import typed_options
from doc2x_sdk.hookspecs import Exporter
from doc2x_sdk.models import Bundle
from doc2x_sdk.testing.samples import sample_bundle

__all__ = ["Run", "run_exporter"]


@dataclass(frozen=True, slots=True)
class Run:
    """What an exporter made.

    Attributes:
        files: what it returned, the main file first. They stay until the process ends, or in the `out` that was given.
        warnings: what it told the user, with the format's name before it.
        bundle: what it read.
    """

    files: tuple[Path, ...]
    warnings: tuple[str, ...]
    bundle: Bundle = field(repr=False)

    @property
    def main(self) -> Path:
        """The main file."""
        return self.files[0]

    @property
    def text(self) -> str:
        """The main file as UTF-8 text."""
        return self.main.read_text(encoding="utf-8")

    @property
    def content(self) -> bytes:
        """The main file's bytes."""
        return self.main.read_bytes()


def run_exporter(
    exporter: Exporter,
    sample: str = "paper",
    *,
    bundle: Bundle | None = None,
    out: Path | None = None,
    options: Mapping[str, Any] | None = None,
    **more: Any,
) -> Run:
    """Run an exporter on a sample and hold it to the contract, as a conversion would.

    Args:
        exporter: yours.
        sample: one of `SAMPLES`.
        bundle: one of your own instead.
        out: an existing folder to work in; a temporary one by default.
        options: the exporter's, as text or typed.
        **more: the same, for names that are not among the arguments here.

    Raises:
        ConfigError: what the exporter says about itself, or an option, is wrong; or there is no such sample.
        ExporterError: it failed or broke the contract, as in a conversion.
    """
    offer = checked_offer(exporter, package="under test")
    values = typed_options(offer.name, offer.options, {**(options or {}), **more})
    stage = Path(tempfile.mkdtemp(prefix="doc2x-testing-", dir=out))
    try:
        given = bundle or sample_bundle(sample, stage / "sample", needs=offer.needs)
        made = Exporters(stage).run(offer, given, values)
        run = Run(tuple(made.files), made.warnings, given)
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        raise
    if out is None:
        atexit.register(shutil.rmtree, stage, ignore_errors=True)
    return run
