"""What an export may be asked for, checked before its parse is paid: the service looks at it only afterwards."""

from __future__ import annotations

from doc2x_sdk.errors import ConfigError
from doc2x_sdk.models import ExportOptions, ParseOptions

__all__ = ["check_export", "check_level"]

FORMULAS = ("normal", "dollar")
FLATTENS = "v3-2026"
"""The model whose parses know formula levels over 0 (Doc2X API v2, convert/parse)."""


def check_export(export: ExportOptions) -> None:
    """Raise `ConfigError` for a value that no service takes."""
    level, tables = export.formula_level, export.merge_tables
    checks = (
        (export.formula not in FORMULAS, f"formula is normal or dollar, not {export.formula!r}"),
        (
            isinstance(level, bool) or level not in (None, 0, 1, 2),
            f"formula_level is 0 to 2, not {level!r}",
        ),
        (not isinstance(tables, bool | None), f"merge_tables is True, False or None, not {tables!r}"),
    )
    for wrong, told in checks:
        if wrong:
            raise ConfigError(f"An option of the export can't be used: {told}", advice="Nothing was sent.")


def check_level(parse: ParseOptions, export: ExportOptions) -> None:
    """Raise `ConfigError` for a formula level that the parse, which is still to be paid, would not know."""
    if export.formula_level and parse.model != FLATTENS:
        raise ConfigError(
            f"formula_level {export.formula_level} needs a parse by {FLATTENS}",
            advice=f"Add the model (--model {FLATTENS}, model={FLATTENS!r}), or leave the level out.",
        )
