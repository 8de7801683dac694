"""The picture links of a result: as the archive has them, and as they are beside the published file."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from urllib.parse import quote, unquote

__all__ = ["missing_in", "rewrite", "rewrite_paths"]

LINK = re.compile(
    r"(?P<before>[\]s\\]"  # the first character alone, which the engine looks for four times as fast as for three texts
    r"(?:(?<=\])\(|(?<=\bs)rc\s*=\s*[\"']?|(?<=\\)includegraphics\s*(?:\[[^\]]*\])?\{))"
    r"(?:\./)?(?P<path>images/[^\s\"'(){}<>]+)"
)


def missing_in(text: str, links: Collection[str]) -> list[str]:
    """Return the pictures that a text names and `links` lacks."""
    return sorted({unquote(match["path"]) for match in LINK.finditer(text)} - set(links))


def rewrite_paths(text: str, links: Mapping[str, str], *, escape: bool) -> str:
    """Put new links in place of the pictures' paths, wherever they stand in a text of any syntax."""
    if not links:
        return text

    def follow(match: re.Match[str]) -> str:
        return quoted(links[match[1]]) if escape else links[match[1]]

    paths = "|".join(re.escape(path) for path in sorted(links, key=len, reverse=True))
    return re.sub(rf"(?<![\w./-])(?:\./)?({paths})(?![\w/-])", follow, text)


def quoted(link: str) -> str:
    """Return a link as Markdown and HTML want it: percent-encoded, a URL only where it is not yet."""
    return quote(link, safe="%/:=&?~#+!$,;@[]*") if "://" in link else quote(link)


def rewrite(text: str, links: Mapping[str, str], *, escape: bool) -> str:
    """Put new picture links in place of the archive's; with `escape`, percent-encoded as Markdown and HTML want it."""

    def replaced(match: re.Match[str]) -> str:
        new = links.get(unquote(match["path"]))
        if new is None:
            return match.group()
        return match["before"] + (quoted(new) if escape else new)

    return LINK.sub(replaced, text)
