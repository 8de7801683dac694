"""The format `wordcount`: how many words a document has, and which are the most frequent."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from doc2x_sdk import Bundle, Option, hookimpl
from doc2x_sdk.hookspecs import Register

WORD = re.compile(r"[\u3400-\u9fff]|[^\W\d_]+")  # each Chinese character counts as a word


class WordCount:
    """Counts the words of a document."""

    name = "wordcount"
    suffix = ".wordcount.txt"
    needs = "md"
    help = "How many words the document has, and which are the most frequent"
    options = (Option("top", int, 10, "how many of the most frequent words to list"),)

    def export(self, bundle: Bundle, out: Path, options: Mapping[str, Any]) -> list[Path]:
        """Write the counts, a word a line."""
        text = re.sub(r"<!--.*?-->|<[^>]+>", " ", bundle.main.read_text(encoding="utf-8"), flags=re.DOTALL)
        words = Counter(word.lower() for word in WORD.findall(text))
        lines = [f"{words.total()} words, {len(words)} different"]
        lines += [f"{count:6} {word}" for word, count in words.most_common(options["top"])]
        target = out / "wordcount.txt"
        target.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return [target]


@hookimpl
def doc2x_register_exporters(register: Register) -> None:
    """Offer the format."""
    register(WordCount())
