"""v1's translations: the blocks of a parsed document through the translator that the server was handed."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from doc2x_sdk.local.settings import Translator
from doc2x_sdk.local.store import Task

__all__ = ["read_translation", "translate"]

log = logging.getLogger("doc2x_sdk.local")

NO_TRANSLATOR = "this server has no translator: hand one to it, or use the service"
FILE = "translation.json"


async def translate(task: Task, translator: Translator | None) -> None:
    """Translate a parsed task, if that was asked for, and write the result beside its pages."""
    if task.translate is None:
        return
    if translator is None:
        task.end("failed", "parse_error", NO_TRANSLATOR)
        return
    task.translation = "processing"
    blocks = [block for page in task.read_pages() for block in _blocks(page)]
    language, model = task.translate
    texts = [str(block["raw"]) for block in blocks]
    try:
        translated = await asyncio.to_thread(translator.translate, texts, language, model)
    except (OSError, ValueError) as error:
        log.warning("the translation of %s failed: %s", task.uid, error)
        task.end("failed", "parse_error", f"the translator failed: {error}")
        return
    if len(translated) != len(blocks):
        task.end("failed", "parse_error", "the translator gave another number of texts than it got")
        return
    rows = [block | {"translated": text} for block, text in zip(blocks, translated, strict=True)]
    (task.folder / FILE).write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    task.translation = "success"
    task.save()


def read_translation(task: Task) -> str:
    """The `result` of `translate_success`: a JSON text (Doc2X API v1, status)."""
    return (task.folder / FILE).read_text(encoding="utf-8")


def _blocks(page: dict[str, Any]) -> list[dict[str, Any]]:
    """What is translated of a page: each block with a text, and where it stands."""
    return [
        {
            "raw": block["text"],
            "page_idx": page["page_idx"],
            "page_width": page["page_width"],
            "page_height": page["page_height"],
            "x": block["bbox"][0],
            "y": block["bbox"][1],
        }
        for block in page["blocks"]
        if block["text"] and block["type"] not in {"Figure", "FigureGroup", "Formula"}
    ]
