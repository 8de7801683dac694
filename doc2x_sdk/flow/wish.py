"""What one document is to become."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from doc2x_sdk.formats.registry import Plan
from doc2x_sdk.models import ExportOptions, ParseOptions

__all__ = ["Wish"]


class Wish(NamedTuple):
    """What is to become of a document.

    Attributes:
        plan: the formats, already resolved.
        parse, export: the service's options.
        out: the folder of the results; None keeps them in memory.
        name: template of the results' name.
        overwrite: replace results that are there.
        force: pay for the parse again, on purpose.
        retry_unknown: pay again where nobody can tell whether it was paid.
        retry_failed: parse again what the service gave up earlier.
        pages: the only pages to be parsed, such as "1-10,15"; None for all.
    """

    plan: Plan
    parse: ParseOptions = ParseOptions()
    export: ExportOptions = ExportOptions()
    out: Path | None = None
    name: str = "{stem}"
    overwrite: bool = False
    force: bool = False
    retry_unknown: bool = False
    retry_failed: bool = True
    pages: str | None = None
