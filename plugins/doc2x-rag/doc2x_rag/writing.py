"""The formats jsonl and parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doc2x_rag.chunks import chunks_of
from doc2x_rag.counting import counter_of
from doc2x_sdk.errors import ConfigError
from doc2x_sdk.hookspecs import Option
from doc2x_sdk.markdown import drop_comments
from doc2x_sdk.models import Bundle

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Jsonl", "Parquet"]

LEAST_TOKENS = 16
ROWS = 1000  # of a group in a Parquet file
OPTIONS = (
    Option("max_tokens", int, default=512, help=f"the length of a chunk, from {LEAST_TOKENS}"),
    Option("tokenizer", Path, default=None, help="a tokenizer.json to count with; without it lengths are estimated"),
    Option("comments", bool, default=False, help="keep the service's comments"),
)


class Jsonl:
    """A line of JSON for each chunk."""

    name = "jsonl"
    suffix = ".jsonl"
    needs = "md"
    help = "chunks for retrieval, a JSON object a line"
    options = OPTIONS

    def export(self, bundle: Bundle, out: Path, options: Mapping[str, Any]) -> list[Path]:
        """Write the chunks."""
        target = out / "chunks.jsonl"
        with target.open("w", encoding="utf-8", newline="\n") as file:
            for row in rows_of(bundle, options):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        return [target]


class Parquet:
    """A row for each chunk."""

    name = "parquet"
    suffix = ".parquet"
    needs = "md"
    help = "chunks for retrieval, as a Parquet file"
    options = OPTIONS

    def export(self, bundle: Bundle, out: Path, options: Mapping[str, Any]) -> list[Path]:
        """Write the chunks."""
        import pyarrow as pa
        from pyarrow import parquet

        target = out / "chunks.parquet"
        table = pa.Table.from_pylist(list(rows_of(bundle, options)), schema=schema())
        parquet.write_table(table, target, row_group_size=ROWS, compression="zstd")
        return [target]


def schema() -> pa.Schema:
    """Return the columns of the Parquet file."""
    import pyarrow as pa

    return pa.schema(
        [
            ("id", pa.string()),
            ("text", pa.string()),
            ("headings", pa.list_(pa.string())),
            ("pages", pa.list_(pa.int32())),
            ("start", pa.int64()),
            ("end", pa.int64()),
            ("tokens", pa.int32()),
            ("oversize", pa.bool_()),
            ("images", pa.list_(pa.string())),
            ("source", pa.string()),
            ("sha256", pa.string()),
        ]
    )


def rows_of(bundle: Bundle, options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the chunks of a bundle as plain values."""
    if options["max_tokens"] < LEAST_TOKENS:
        raise ConfigError(f"max_tokens must be {LEAST_TOKENS} or more")
    text = bundle.main.read_bytes().decode("utf-8", errors="replace")
    if not options["comments"]:
        text = drop_comments(text)
    chunks = chunks_of(
        text,
        [page.md for page in bundle.pages],
        max_tokens=options["max_tokens"],
        count=counter_of(options["tokenizer"]),
    )
    for number, chunk in enumerate(chunks):
        row = asdict(chunk)
        row["images"] = [bundle.links.get(link, link) for link in chunk.images]
        yield {
            "id": f"{bundle.sha256[:16]}-{number:05}",
            **{name: list(value) if isinstance(value, tuple) else value for name, value in row.items()},
            "source": bundle.source,
            "sha256": bundle.sha256,
        }
