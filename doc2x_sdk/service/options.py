"""What a parse and an export may be asked for, checked before pages are paid: the service may look only afterwards."""

from __future__ import annotations

from doc2x_sdk.errors import ConfigError
from doc2x_sdk.models import ExportOptions, ParseOptions

__all__ = ["check_level", "check_values"]

FORMULAS = ("normal", "dollar")
FLATTENS = "v3-2026"
"""The model whose parses know formula levels over 0 (Doc2X API v2, convert/parse)."""
MODELS = ("v2", FLATTENS)  # Doc2X API v2, preupload


def check_values(parse: ParseOptions | None, export: ExportOptions) -> None:
    """Raise `ConfigError` for a value that no service takes, or would take for another one.

    `parse` is None for one that was paid earlier.
    """
    parse = parse or ParseOptions()
    level: object = export.formula_level
    tables: object = export.merge_tables
    switches = {name: getattr(parse, name) for name in ("ocr", "formula_only", "img_correction")}
    checks = (
        (parse.model not in (None, *MODELS), f"model is {' or '.join(MODELS)}, or None, not {parse.model!r}"),
        *(
            (not isinstance(value, bool | None), f"{name} is True, False or None, not {value!r}")
            for name, value in switches.items()
        ),
        (export.formula not in FORMULAS, f"formula is normal or dollar, not {export.formula!r}"),
        (
            level is not None and (type(level) is not int or level not in {0, 1, 2}),
            f"formula_level is 0 to 2, not {level!r}",
        ),
        (not isinstance(tables, bool | None), f"merge_tables is True, False or None, not {tables!r}"),
    )
    for wrong, told in checks:
        if wrong:
            raise ConfigError(f"An option can't be used: {told}", advice="Nothing was sent.")


def check_level(parse: ParseOptions, export: ExportOptions) -> None:
    """Raise `ConfigError` for a formula level that the parse, which is still to be paid, would not know."""
    if export.formula_level and parse.model != FLATTENS:
        raise ConfigError(
            f"formula_level {export.formula_level} needs a parse by {FLATTENS}",
            advice=f"Add the model (--model {FLATTENS}, model={FLATTENS!r}), or leave the level out.",
        )
