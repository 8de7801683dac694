"""A document cut into chunks that a model can take.

What must not be cut, such as a table or a formula, is replaced by one private character before the splitter sees the
text, and counts with its full length: a splitter cuts between characters, never through one. The splitter takes for
granted that a text has no more tokens than bytes, which is true of all tokenizers but not of such a character: so it
is followed by as many joiners as it has tokens, which belong to it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from doc2x_rag.counting import Counter, estimate
from doc2x_sdk.markdown import Scan, Section, find_tables, image_links, page_at, page_starts, scan, split_headings

__all__ = ["Chunk", "chunks_of"]

WHOLE = ("formula", "image", "tag", "comment", "target", "definition")
PRIVATE = range(0xF0000, 0x10FFFE)
JOINER = "\u034f"
MASK = re.compile(f"([\U000f0000-\U0010fffd]){JOINER}*")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of the text: `whole[start:end]`; the README tells about each field."""

    text: str
    headings: tuple[str, ...]
    pages: tuple[int, ...]
    start: int
    end: int
    tokens: int
    oversize: bool
    images: tuple[str, ...]


def chunks_of(
    text: str, pages: Sequence[str] = (), *, max_tokens: int = 512, count: Counter = estimate
) -> Iterator[Chunk]:
    """Cut a text into chunks of at most `max_tokens`; one that is a single table or formula may be longer.

    Args:
        text: Markdown.
        pages: the Markdown of the parsed pages, for the page numbers.
        max_tokens: of a chunk.
        count: tells how many tokens a text has.
    """
    scanned = scan(text)
    starts = page_starts(text, pages, scanned)
    images = [(link.inner, link.url) for link in image_links(text, scanned)]
    masked = Masked(scanned, count, max_tokens)
    for path, start, end in parts(split_headings(text, scanned=scanned)):
        for first, last in masked.split(start, end):
            piece = text[first:last]
            tokens = count(piece)
            last_word = first + max(len(piece.rstrip()), 1) - 1
            on = range(page_at(starts, first + len(piece) - len(piece.lstrip())), page_at(starts, last_word) + 1)
            yield Chunk(
                piece,
                path,
                tuple(index + 1 for index in on) if pages else (),
                first,
                last,
                tokens,
                tokens > max_tokens,
                tuple(dict.fromkeys(url for place, url in images if first <= place < last)),
            )


def parts(sections: Sequence[Section]) -> Iterator[tuple[tuple[str, ...], int, int]]:
    """Yield each section's headings and place; one that is only a heading goes with the next one below it."""
    start: int | None = None
    for index, section in enumerate(sections):
        following = sections[index + 1] if index + 1 < len(sections) else None
        start = section.start if start is None else start
        body = section.text[section.body - section.start :]
        if following is not None and not body.strip() and (section.level == 0 or following.level > section.level):
            continue
        yield section.path, start, section.end
        start = None


class Masked:
    """A text in which each thing that must not be cut is one character."""

    def __init__(self, scanned: Scan, count: Counter, max_tokens: int) -> None:
        self._text = scanned.text
        self._most = max_tokens
        used = set(scanned.text)
        free = (chr(number) for number in PRIVATE if chr(number) not in used)
        self._places = list(whole_places(scanned, count, max_tokens))
        self._whole: dict[str, str] = {}
        self._masks: list[str] = []
        self._lengths: dict[str, int] = {}
        for start, end in self._places:
            letter = next(free)
            thing = scanned.text[start:end]
            self._whole[letter] = thing
            self._lengths[letter] = tokens = count(thing)
            self._masks.append(letter + JOINER * (0 if tokens > max_tokens else tokens))
        self._count = lru_cache(maxsize=4096)(lambda masked: count(self.shown(masked)))

    def shown(self, masked: str) -> str:
        """Return a masked text as it is."""

        def one(match: re.Match[str]) -> str:
            letter = match[1]
            if letter not in self._whole:
                return match[0]
            joiners = 0 if self._lengths[letter] > self._most else self._lengths[letter]
            return self._whole[letter] + match[0][1 + joiners :]

        return MASK.sub(one, masked)

    def split(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the places of the pieces that a part of the text is cut into; none is blank beside one that is not."""
        at, waiting = start, ""
        for piece in self._pieces(self.masked(start, end)):
            both = waiting + piece
            fits = self._count(both) <= max(self._most, self._count(waiting), self._count(piece))
            if waiting and not (fits and not (waiting.strip() and piece.strip())):
                yield at, at + len(self.shown(waiting))
                at += len(self.shown(waiting))
                both = piece
            waiting = both
        if waiting:
            yield at, at + len(self.shown(waiting))

    def _pieces(self, masked: str) -> Iterator[str]:
        """Yield what a masked text is cut into, a thing longer than a chunk for itself."""
        from semantic_text_splitter import MarkdownSplitter

        splitter = MarkdownSplitter.from_callback(self._count, self._most, trim=False)
        at = 0
        for index, letter in enumerate(masked):
            if self._lengths.get(letter, 0) > self._most:
                yield from splitter.chunks(masked[at:index])
                yield letter
                at = index + 1
        yield from splitter.chunks(masked[at:])

    def masked(self, start: int, end: int) -> str:
        """Return a part of the text, masked; it begins and ends between things."""
        at, pieces = start, []
        for index in range(bisect_left(self._places, (start, start)), len(self._places)):
            first, last = self._places[index]
            if last > end:
                break
            pieces += [self._text[at:first], self._masks[index]]
            at = last
        return "".join([*pieces, self._text[at:end]])


def whole_places(scanned: Scan, count: Counter, max_tokens: int) -> Iterator[tuple[int, int]]:
    """Yield what must not be cut, in order and without overlaps. Code is cut only where it is longer than a chunk."""
    text = scanned.text
    places = [(table.start, table.end) for table in find_tables(text, scanned)]
    places += [(span.start, span.end) for span in scanned.of(*WHOLE)]
    places += [
        (span.start, span.end) for span in scanned.of("code") if count(text[span.start : span.end]) <= max_tokens
    ]
    at = 0
    for start, end in sorted(places, key=lambda place: (place[0], -place[1])):
        while end > start and text[end - 1] in "\r\n":
            end -= 1  # noqa: PLW2901 - line ends may be cut off
        if start >= at and end > start:
            yield start, end
            at = end
