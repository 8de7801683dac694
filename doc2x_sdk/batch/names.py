"""What the results of each input of a batch are called, so that no two inputs meet under one name."""

from __future__ import annotations

import threading
from pathlib import Path

from doc2x_sdk.flow.kit import Kit, Wish, path_text, where_of
from doc2x_sdk.flow.publish import Publisher, result_name
from doc2x_sdk.flow.source import Source

__all__ = ["Names"]

MARK = "{mark}"


class Names:
    """The templates of one batch.

    The first input of a name has it; those that follow get 8 digits of their sha256 behind it. A name that an earlier
    run gave to another input stays that one's, whatever order the inputs come in.
    """

    def __init__(self, wish: Wish, kit: Kit) -> None:
        self._wish = wish
        self._kit = kit
        self._taken: set[int] = set()  # hashes, since there may be very many names
        self._guard = threading.Lock()
        result_name(wish.name, Source("", "check", "pdf", 0, "", 1), uid="0", clock=kit.clock)

    def reserve(self, path: Path) -> str:
        """Return the template of the next input; called in the order of the inputs."""
        template = self._wish.name
        if "{uid" in template:
            return template
        key = hash(template.replace("{stem}", path.stem).casefold())
        with self._guard:
            if key in self._taken:
                return f"{template}-{MARK}"
            self._taken.add(key)
        return template

    def settle(self, template: str, source: Source) -> str:
        """Return the template with the input's own digits where it needs them."""
        plain, mark = template.removesuffix(f"-{MARK}"), source.sha256[:8]
        owners = self._owners(plain, source)
        here = where_of(source)
        if plain != template:
            return plain if any(owner == here for owner, _ in owners) else f"{plain}-{mark}"
        is_anothers = any(owner != here and sha256 != source.sha256 for owner, sha256 in owners)
        return f"{plain}-{mark}" if is_anothers else plain

    def _owners(self, template: str, source: Source) -> list[tuple[str, str]]:
        """Return the inputs, and their sha256, that earlier runs gave the name to."""
        wish, ledger = self._wish, self._kit.ledger
        if ledger is None or wish.out is None or "{uid" in template:
            return []
        publisher = Publisher(wish.out, result_name(template, source, uid=None, clock=self._kit.clock), overwrite=False)
        targets = [(name, path_text(publisher.target(wish.plan.suffix_of(name)))) for name in wish.plan.wanted]
        known = [ledger.target_of(target, name) for name, target in targets]
        return [(row.source, row.source_sha256) for row in known if row is not None]
