"""Whose a result's name is: two inputs of one name do not meet, in one run or in several."""

from __future__ import annotations

from doc2x_sdk.flow.filenames import result_name
from doc2x_sdk.flow.kit import Kit
from doc2x_sdk.flow.publish import Publisher
from doc2x_sdk.flow.receipts import path_text, where_of
from doc2x_sdk.flow.source import Source
from doc2x_sdk.flow.wish import Wish

__all__ = ["marked", "owners_of", "settled"]


def marked(template: str, source: Source) -> str:
    """Return a name template with 8 digits of the input's sha256 behind it."""
    return f"{template}-{source.sha256[:8]}"


def owners_of(template: str, source: Source, wish: Wish, kit: Kit) -> list[tuple[str, str]]:
    """Return the inputs, and their sha256, that earlier runs gave the name to, by the ledger."""
    if kit.ledger is None or wish.out is None or "{uid" in template:
        return []
    publisher = Publisher(wish.out, result_name(template, source, uid=None, clock=kit.clock), overwrite=False)
    targets = [(name, path_text(publisher.target(wish.plan.suffix_of(name)))) for name in wish.plan.wanted]
    known = [kit.ledger.targets_of(target, name) for name, target in targets]
    return [(rows[0].source, rows[0].source_sha256) for rows in known if rows]


def settled(wish: Wish, source: Source, kit: Kit) -> Wish:
    """Return the wish; with a marked name where an earlier run gave the plain one to another input."""
    owners, here = owners_of(wish.name, source, wish, kit), where_of(source)
    if any(owner != here and sha256 != source.sha256 for owner, sha256 in owners):
        return wish._replace(name=marked(wish.name, source))
    return wish
