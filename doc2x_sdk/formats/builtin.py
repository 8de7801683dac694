"""The built-in derived formats, offered through the same hooks as everybody's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from doc2x_sdk.formats.clean import CLEAN, CLEAN_OPTIONS, doc2x_process_bundle
from doc2x_sdk.hookspecs import Register, hookimpl
from doc2x_sdk.models import Bundle

__all__ = ["Json", "Text", "doc2x_process_bundle", "doc2x_register_exporters"]


class Json:
    """The status result as the service sent it, unknown fields included; costs no export."""

    name = "json"
    suffix = ".json"
    needs = "parse"

    def export(self, bundle: Bundle, out: Path, options: Mapping[str, Any]) -> list[Path]:  # noqa: ARG002 - no options
        """Write the parse result, indented, with where it came from."""
        target = out / "result.json"
        result = json.loads(bundle.main.read_text(encoding="utf-8"))
        told = {"source": bundle.source, "sha256": bundle.sha256, "uid": bundle.uid}
        told = told | result | told  # first, and never the service's
        target.write_text(json.dumps(told, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        return [target]


class Text:
    """The pages' Markdown as one text, a form feed between pages; costs no export."""

    name = "txt"
    suffix = ".txt"
    needs = "parse"

    def export(self, bundle: Bundle, out: Path, options: Mapping[str, Any]) -> list[Path]:  # noqa: ARG002 - no options
        """Write the text."""
        target = out / "result.txt"
        target.write_text("\n\f\n".join(page.md.strip() for page in bundle.pages) + "\n", encoding="utf-8")
        return [target]


@hookimpl
def doc2x_register_exporters(register: Register) -> None:
    """Offer json and txt, and the options of `clean`."""
    register(Json())
    register(Text())
    register.processor(CLEAN, CLEAN_OPTIONS, help="Markdown without the service's comments, tables as pipes.")
