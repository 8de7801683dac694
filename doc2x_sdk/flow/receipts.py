"""How a receipt names a document, what it forbids, and what stands for it where there is no ledger."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from doc2x_sdk.errors import Doc2XError, OutcomeUnknown, TaskFailed
from doc2x_sdk.flow.source import Source
from doc2x_sdk.flow.wish import Wish
from doc2x_sdk.ledger.ledger import Receipt
from doc2x_sdk.ledger.rows import ParseRow, ResultRow
from doc2x_sdk.models import ExportOptions, ParseOptions

__all__ = ["AnyReceipt", "NoReceipt", "canonical", "check_known", "fields_of", "path_text", "where_of"]


class NoReceipt:
    """Stands for a receipt where there is no ledger: every slot is free and nothing is remembered."""

    row = None
    probes = False

    def start_over(self, reason: str) -> None:
        """Do nothing."""

    def wait_for_slot(self, check: Callable[[], None]) -> None:
        """Do nothing."""

    def uploading(self, uid: str) -> None:
        """Do nothing."""

    def paying(self) -> None:
        """Do nothing."""

    def submitted(self, uid: str) -> None:
        """Do nothing."""

    def working(self) -> None:
        """Do nothing."""

    def parsed(self, pages: int) -> None:
        """Do nothing."""

    def archived(self, uid: str, pages: int) -> None:
        """Do nothing."""

    def failed(self, error: Doc2XError) -> None:
        """Do nothing."""

    def unknown(self, error: Doc2XError) -> None:
        """Do nothing."""

    def unpaid(self, error: Doc2XError | None = None) -> None:
        """Do nothing."""

    def limit_met(self, code: str | None) -> None:
        """Do nothing."""

    def result(self, result: ResultRow, *, wait: bool) -> None:
        """Do nothing."""


AnyReceipt = Receipt | NoReceipt


SORTED = json.JSONEncoder(sort_keys=True, default=str)


def canonical(options: Mapping[str, Any]) -> str:
    """Return options as JSON that is equal for equal options: sorted, and without what is not set."""
    return SORTED.encode({name: value for name, value in options.items() if value is not None})


def fields_of(options: ParseOptions | ExportOptions) -> dict[str, Any]:
    """Return options by their names; `asdict` would copy each value, for each document, deeply."""
    return {field.name: getattr(options, field.name) for field in fields(options)}


def where_of(source: Source) -> str:
    """Return how a receipt names a source: its whole path, or what bytes were called."""
    is_own_path = source.path is not None and source.stamp is not None and source.path.name.startswith(source.stem)
    return path_text(source.path) if is_own_path and source.path is not None else source.name


def path_text(path: Path) -> str:
    """Return a whole path as a receipt holds it: as it is, or as a file URL where the name's bytes are no UTF-8."""
    whole = path.absolute()
    try:
        str(whole).encode()
    except UnicodeEncodeError:
        return whole.as_uri()
    return str(whole)


def check_known(row: ParseRow, wish: Wish) -> None:
    """Raise for a receipt that must not be paid again without the user's word."""
    if row.state == "unknown" and not wish.retry_unknown:
        raise OutcomeUnknown(
            f"An earlier attempt may have been paid: {row.reason or 'no answer came'}",
            uid=row.uid,
            advice="Look at the account's page count; then `--retry-unknown` (retry_unknown=True) sends it again.",
        )
    if row.state == "failed" and not wish.retry_failed:
        raise TaskFailed(
            f"The service gave it up earlier: {row.reason or 'no reason given'}",
            uid=row.uid,
            code=row.code,
            trace_id=row.trace_id,
            advice="`--retry-failed` (retry_failed=True) parses it again.",
        )
