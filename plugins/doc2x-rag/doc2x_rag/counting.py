"""How long a text is, in tokens."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from doc2x_sdk.errors import ConfigError

__all__ = ["Counter", "counter_of", "estimate"]

Counter = Callable[[str], int]
WORD = re.compile(r"[A-Za-zÀ-ɏЀ-ӿ]+|[^\s]")
LETTERS = 4  # of a word, to a token


def estimate(text: str) -> int:
    """Estimate the tokens of a text without a model: rather too many than too few."""
    return sum(-(-len(match[0]) // LETTERS) for match in WORD.finditer(text))


def counter_of(tokenizer: Path | None) -> Counter:
    """Return what counts tokens: a Hugging Face tokenizer from its `tokenizer.json`, or the estimate.

    Raises `ConfigError` without the extra, or for a file that is no tokenizer.
    """
    if tokenizer is None:
        return estimate
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise ConfigError(
            "Counting with a tokenizer needs the package tokenizers", advice="pip install 'doc2x-rag[tokenizers]'"
        ) from None
    try:
        model = Tokenizer.from_file(str(tokenizer))
    except Exception as error:  # noqa: BLE001 - it raises plain Exception
        raise ConfigError(f"{tokenizer.name} is no tokenizer: {error}", advice="It is a tokenizer.json.") from None
    model.no_truncation()
    model.no_padding()
    return lambda text: len(model.encode(text, add_special_tokens=False).ids)
