"""The code blocks of README and docs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r"(?P<mark><!-- not run: (?P<reason>[^>]+) -->\n)?^```(?P<language>python|sh)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    code: str
    reason: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> Iterator[Path]:
    """README and all pages of the site."""
    yield ROOT / "README.md"
    yield from sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)


def blocks() -> list[Block]:
    """All blocks of Python and shell, with the reason of those that can't be run."""
    found = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text[: match.start("code")].count("\n")
            name = page.relative_to(ROOT).as_posix()
            found.append(Block(name, line, match["language"], match["code"], match["reason"]))
    return found
