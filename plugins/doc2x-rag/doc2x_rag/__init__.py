"""Chunks for retrieval: JSON Lines and Parquet."""

from __future__ import annotations

from doc2x_rag.chunks import Chunk, chunks_of
from doc2x_rag.loading import load
from doc2x_rag.writing import Jsonl, Parquet
from doc2x_sdk import hookimpl
from doc2x_sdk.hookspecs import Register

__all__ = ["Chunk", "Jsonl", "Parquet", "chunks_of", "doc2x_register_exporters", "load"]


@hookimpl
def doc2x_register_exporters(register: Register) -> None:
    """Offer jsonl and parquet."""
    register(Jsonl())
    register(Parquet())
