"""Excel and CSV out of the tables of a document."""

from __future__ import annotations

from doc2x_sdk import hookimpl
from doc2x_sdk.hookspecs import Register
from doc2x_tables.sheets import Xlsx
from doc2x_tables.values import Csv

__all__ = ["Csv", "Xlsx", "doc2x_register_exporters"]


@hookimpl
def doc2x_register_exporters(register: Register) -> None:
    """Offer xlsx and csv."""
    register(Xlsx())
    register(Csv())
