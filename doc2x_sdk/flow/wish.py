"""What one document is to become."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from doc2x_sdk.arguments import of_kind, whole
from doc2x_sdk.errors import ConfigError
from doc2x_sdk.formats.registry import Plan
from doc2x_sdk.models import ExportOptions, Model, ParseOptions

__all__ = ["Wish", "parse_options"]


class Wish(NamedTuple):
    """What is to become of a document.

    Attributes:
        plan: the formats, already resolved.
        parse, export: the service's options.
        out: the folder of the results; None keeps them in memory.
        name: template of the results' name.
        overwrite: replace results that are there.
        force: pay for the parse again, on purpose.
        retry_unknown: pay again where nobody can tell whether it was paid.
        retry_failed: parse again what the service gave up earlier.
        pages: the only pages to be parsed, such as "1-10,15"; None for all.
        given: the folder of the results as the caller named it, where that is not `out`; see `anchored`.
    """

    plan: Plan
    parse: ParseOptions = ParseOptions()
    export: ExportOptions = ExportOptions()
    out: Path | None = None
    name: str = "{stem}"
    overwrite: bool = False
    force: bool = False
    retry_unknown: bool = False
    retry_failed: bool = False
    pages: str | None = None
    given: Path | None = None

    def anchored(self) -> Wish:
        """Return the wish with an absolute `out`: the program may change its folder."""
        if self.out is None or self.out.is_absolute():
            return self
        return self._replace(out=whole(self.out), given=self.out)

    def told(self, path: Path) -> Path:
        """Return a path in `out` as the caller would write it."""
        if self.out is None or self.given is None or not path.is_relative_to(self.out):
            return path
        return self.given / path.relative_to(self.out)


def parse_options(model: Model | None, parse: ParseOptions | None, *, translated: bool = False) -> ParseOptions:
    """Put both ways of giving the options together; a language only where a translation is meant.

    Raises `ConfigError` for one where none is meant, and for options that are none.
    """
    of_kind(parse, ParseOptions | None, "parse", "a ParseOptions, or None")
    options = parse or ParseOptions()
    if options.language is not None and not translated:
        raise ConfigError("A translation is no conversion", advice="Use `translate`.")
    return options if model is None else replace(options, model=model)
