"""The built-in post-processor of Markdown: drops the service's comments, turns tables into tables of pipes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doc2x_sdk.errors import ArchiveError
from doc2x_sdk.hookspecs import Context, Option, hookimpl
from doc2x_sdk.models import Bundle

__all__ = ["CLEAN", "CLEAN_OPTIONS", "MARKDOWN", "doc2x_process_bundle", "leaves_alone"]

CLEAN = "clean"
MARKDOWN = ("md", "md_dollar")
"""The formats of the service that it changes."""
CLEAN_OPTIONS = (
    Option("comments", bool, default=True, help="Keep the service's comments (Meanless, Media, figureText, Footnote)."),
    Option("tables", default="html", choices=("pipe", "html"), help="pipe: tables of pipes where nothing is lost."),
)


def leaves_alone(options: Mapping[str, Any]) -> bool:
    """Tell whether nothing is to be cleaned with these options."""
    return bool(options.get("comments", True)) and options.get("tables", "html") == "html"


@hookimpl(tryfirst=True)
def doc2x_process_bundle(bundle: Bundle, context: Context) -> None:
    """Clean the Markdown before any other post-processor or exporter reads it; without options it stays as it came."""
    options = context.options.get(CLEAN, {})
    if bundle.format not in MARKDOWN or leaves_alone(options):
        return
    comments, tables = options.get("comments", True), options.get("tables", "html")
    from doc2x_sdk import markdown  # noqa: PLC0415 - a parser that most conversions don't need

    try:
        text = bundle.main.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise ArchiveError("The Markdown is not UTF-8 and can't be cleaned", uid=bundle.uid) from None
    cleaned = markdown.clean(text, comments=comments, tables=tables)
    if cleaned != text:
        bundle.main.write_bytes(cleaned.encode("utf-8"))
