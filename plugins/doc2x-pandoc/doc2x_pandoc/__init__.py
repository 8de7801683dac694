"""The formats that pandoc writes, with formulas, merged table cells and pictures."""

from __future__ import annotations

from doc2x_pandoc.exporter import Pandoc
from doc2x_pandoc.formats import FORMATS
from doc2x_sdk import hookimpl
from doc2x_sdk.hookspecs import Register

__all__ = ["FORMATS", "Pandoc", "doc2x_register_exporters"]


@hookimpl
def doc2x_register_exporters(register: Register) -> None:
    """Offer every format of the table."""
    for form in FORMATS:
        register(Pandoc(form))
