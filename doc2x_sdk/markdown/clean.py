"""Several transforms in one call."""

from __future__ import annotations

from typing import Literal

from doc2x_sdk.markdown.comments import drop_comments
from doc2x_sdk.markdown.formulas import to_brackets, to_dollars
from doc2x_sdk.markdown.pipes import tables_to_pipes

__all__ = ["clean"]

Tables = Literal["pipe", "html"]
Formulas = Literal["dollar", "normal"]


def clean(text: str, *, comments: bool = False, tables: Tables = "html", formulas: Formulas | None = None) -> str:
    r"""Return a text for people and programs to read.

    Args:
        text: the service's Markdown.
        comments: keep the service's comments, see `SERVICE_COMMENTS`.
        tables: "pipe" for tables of pipes where nothing is lost, "html" leaves them as they are.
        formulas: "dollar" for `$` and `$$`, "normal" for `\( \)` and `\[ \]`; None leaves them as they are.
    """
    if not comments:
        text = drop_comments(text)
    if tables == "pipe":
        text = tables_to_pipes(text)
    if formulas is not None:
        text = (to_dollars if formulas == "dollar" else to_brackets)(text)
    return text
