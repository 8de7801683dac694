"""Transforms of the service's Markdown that leave formulas, code and unknown HTML alone; each is idempotent.

This room is text in, text out: it knows no other room, so that all may use it.
"""

from doc2x_sdk.markdown.clean import clean
from doc2x_sdk.markdown.comments import SERVICE_COMMENTS, drop_comments
from doc2x_sdk.markdown.formulas import code_ranges, to_brackets, to_dollars
from doc2x_sdk.markdown.headings import Section, split_headings
from doc2x_sdk.markdown.lines import Span
from doc2x_sdk.markdown.links import ImageLink, image_links, rewrite_images
from doc2x_sdk.markdown.pages import join_pages, page_at, page_starts, split_pages
from doc2x_sdk.markdown.pipes import tables_to_pipes
from doc2x_sdk.markdown.scan import Block, Scan, scan
from doc2x_sdk.markdown.tables import Cell, Table, find_tables

__all__ = [
    "SERVICE_COMMENTS",
    "Block",
    "Cell",
    "ImageLink",
    "Scan",
    "Section",
    "Span",
    "Table",
    "clean",
    "code_ranges",
    "drop_comments",
    "find_tables",
    "image_links",
    "join_pages",
    "page_at",
    "page_starts",
    "rewrite_images",
    "scan",
    "split_headings",
    "split_pages",
    "tables_to_pipes",
    "to_brackets",
    "to_dollars",
]
