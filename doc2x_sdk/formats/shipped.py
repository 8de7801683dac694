"""Which package of this project would offer a format that is not there. Names alone: the packages aren't imported."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["SHIPPED", "how_to_install", "package_for"]

PANDOC = """
    ansi asciidoc asciidoc_legacy asciidoctor bbcode bbcode_fluxbb bbcode_hubzilla bbcode_phpbb bbcode_steam
    bbcode_xenforo beamer commonmark commonmark_x context djot docbook docbook4 docbook5 dokuwiki dzslides epub epub2
    epub3 fb2 gfm haddock html html4 html5 icml ipynb jats jats_archiving jats_articleauthoring jats_publishing jira
    latex man markdown markdown_github markdown_mmd markdown_phpextra markdown_strict markua mediawiki ms muse native
    odt opendocument opml org plain pptx revealjs rst rtf s5 slideous slidy tei texinfo textile typst vimdoc xml xwiki
    zimwiki
"""

SHIPPED: Mapping[str, frozenset[str]] = {
    "doc2x-pandoc": frozenset(PANDOC.split()),
    "doc2x-rag": frozenset({"jsonl", "parquet"}),
    "doc2x-tables": frozenset({"csv", "xlsx"}),
    "doc2x-example": frozenset({"wordcount"}),
}


def package_for(name: str) -> str | None:
    """Return the package that offers a format once it is installed."""
    return next((package for package, names in SHIPPED.items() if name in names), None)


def how_to_install(package: str) -> str:
    """Say how to get a package of `SHIPPED`: they are in no index, so that a name alone installs nothing."""
    where = "of doc2x-sdk's repository; in a checkout of that"
    return f"install the plugin {package} {where}: pip install ./plugins/{package}"
