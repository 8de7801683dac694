"""A plan: what is wanted of a document, and what that takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from doc2x_sdk.formats.offers import Offer

__all__ = ["NATIVE_SUFFIX", "PARSE", "Plan"]

PARSE = "parse"
NATIVE_SUFFIX: Mapping[str, str] = {"md": ".md", "md_dollar": ".md", "tex": ".tex", "docx": ".docx"}


class Plan(NamedTuple):
    """What is wanted and what that takes.

    Attributes:
        wanted: the formats that the user named, each once, in his order.
        natives: the service's formats to export, each once; those that only exporters need come along.
        offers: the derived formats, also those that only others need; each after the one that it needs.
        options: format, or post-processor, -> its typed options.
    """

    wanted: tuple[str, ...]
    natives: tuple[str, ...]
    offers: tuple[Offer, ...]
    options: Mapping[str, Mapping[str, Any]] = MappingProxyType({})

    def suffix_of(self, name: str) -> str:
        """Return a wanted format's extension.

        `md_dollar` beside `md` gets `.dollar.md`; a derived format whose extension another one has gets its own name
        before it, such as `.latex.tex` beside `tex`.
        """
        if name in NATIVE_SUFFIX:
            return ".dollar.md" if name == "md_dollar" and "md" in self.wanted else NATIVE_SUFFIX[name]
        suffixes = {offer.name: offer.suffix for offer in self.offers}
        earlier = self.wanted[: self.wanted.index(name)] if name in self.wanted else ()
        taken = {NATIVE_SUFFIX[each] for each in self.wanted if each in NATIVE_SUFFIX}
        taken |= {suffixes[each] for each in earlier if each in suffixes}
        return f".{name}{suffixes[name]}" if suffixes[name] in taken else suffixes[name]

    def native_of(self, name: str) -> str:
        """Return what a wanted format is made of in the end: a format of the service, or `parse`."""
        needs = {offer.name: offer.needs for offer in self.offers}
        while name in needs:
            name = needs[name]
        return name

    def needed(self, todo: Collection[str]) -> tuple[tuple[str, ...], tuple[Offer, ...]]:
        """Return the natives and the derived formats that some of the wanted formats take, in the plan's order."""
        needed = set(todo)
        for offer in reversed(self.offers):
            if offer.name in needed:
                needed.add(offer.needs)
        return (
            tuple(name for name in self.natives if name in needed),
            tuple(offer for offer in self.offers if offer.name in needed),
        )
