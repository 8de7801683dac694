"""Chunks back from a file, as LangChain documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doc2x_sdk.errors import ConfigError

if TYPE_CHECKING:
    from langchain_core.documents import Document

__all__ = ["load"]


def load(path: str | Path) -> list[Document]:
    """Read a `.jsonl` or `.parquet` file of this plugin into LangChain documents; all fields but `text` are metadata.

    Raises:
        ConfigError: the extra `langchain` is not installed, or the file has another extension.
        OSError: the file can't be read.
    """
    try:
        from langchain_core.documents import Document
    except ImportError:
        raise ConfigError("LangChain is not installed", advice="pip install 'doc2x-rag[langchain]'") from None
    documents = []
    for row in read(Path(path)):
        text = row.pop("text")
        documents.append(Document(page_content=text, metadata=row, id=row["id"]))
    return documents


def read(path: Path) -> list[dict[str, Any]]:
    """Return a file's rows."""
    if path.suffix == ".jsonl":
        with path.open(encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    if path.suffix == ".parquet":
        from pyarrow import parquet

        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
        return rows
    raise ConfigError(f"{path.name} is neither .jsonl nor .parquet")
