"""How a document is parsed and exported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["NATIVE_FORMATS", "ExportOptions", "Model", "ParseOptions"]

Model = Literal["v2", "v3-2026"]

NATIVE_FORMATS = ("md", "md_dollar", "tex", "docx")
"""The formats that the service exports. `parse`, the status result itself, is native too but costs no export."""


@dataclass(frozen=True, slots=True)
class ParseOptions:
    """How a document is parsed. They are part of what is paid for: other options are another parse.

    None leaves a choice to the service.

    Attributes:
        model: "v2" or "v3-2026" (Doc2X API v2, preupload).
        ocr: read scanned pages; v1's PDFs.
        formula_only: the picture is one formula; v1's pictures.
        img_correction: straighten the picture first; v1's pictures.
        language: translate the text into it, such as "zh"; v1's PDFs.
        translator: the model that translates; "deepseek" unless given.
    """

    model: Model | None = None
    ocr: bool | None = None
    formula_only: bool | None = None
    img_correction: bool | None = None
    language: str | None = None
    translator: str | None = None


@dataclass(frozen=True, slots=True)
class ExportOptions:
    r"""How a parsed document is exported; an export costs no pages (Doc2X API v2, convert/parse).

    Attributes:
        formula: delimiters of formulas in md and tex: "normal" for \( \) and \[ \], "dollar" for $ and $$.
        formula_level: 0 keeps formulas, 1 flattens inline ones, 2 all of them; only parses by v3-2026 know 1 and 2.
        merge_tables: join tables that run over pages. None leaves it to the service.
    """

    formula: Literal["normal", "dollar"] = "normal"
    formula_level: Literal[0, 1, 2] | None = None
    merge_tables: bool | None = None
