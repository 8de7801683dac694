"""What the results of each input of a batch are called, so that no two inputs meet under one name."""

from __future__ import annotations

import threading
from pathlib import Path

from doc2x_sdk.flow.filenames import result_name
from doc2x_sdk.flow.kit import Kit
from doc2x_sdk.flow.naming import marked, owners_of, settled
from doc2x_sdk.flow.receipts import where_of
from doc2x_sdk.flow.source import Source
from doc2x_sdk.flow.wish import Wish

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
        plain = template.removesuffix(f"-{MARK}")
        wish = self._wish._replace(name=plain)
        if plain == template:
            return settled(wish, source, self._kit).name
        owners = owners_of(plain, source, wish, self._kit)
        return plain if any(owner == where_of(source) for owner, _ in owners) else marked(plain, source)
