"""Transforms of the service's Markdown that leave formulas, code and unknown HTML alone; each is idempotent."""

from doc2x_sdk.markdown.formulas import code_ranges, to_brackets, to_dollars
from doc2x_sdk.markdown.scan import Block, Scan, Span, scan

__all__ = ["Block", "Scan", "Span", "code_ranges", "scan", "to_brackets", "to_dollars"]
