"""Runs that are killed while they send a document in one step, where no uid is known before it is paid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from doc2x_sdk.ledger.rows import read_jobs
from doc2x_sdk.local.server import LocalServer
from tests.crash.world import World, Zygote

__all__ = ["WAYS", "Once", "Way"]

WORD = "HARBOUR"


@dataclass(frozen=True)
class Way:
    """How the document goes: what the child calls, of which generation, by which endpoint it is paid."""

    call: str
    api: str
    paid_by: str
    picture: bool = False


WAYS = {
    "direct": Way("direct", "v2", "POST /api/v2/parse/pdf"),
    "picture": Way("convert", "v2", "POST /api/v2/async/parse/img/layout", picture=True),
    "picture at once": Way("at once", "v2", "POST /api/v2/parse/img/layout", picture=True),
    "v1": Way("convert", "v1", "POST /api/v1/async/pdf"),
    "v1 picture": Way("convert", "v1", "POST /api/v1/async/img", picture=True),
}


class Once(World):
    """One fresh document that goes this way, with a ledger of its own, against a server that counts.

    The promise: it is sent at most once, and in doubt its outcome is unknown until the user says to send it again.
    """

    def __init__(self, folder: Path, server: LocalServer, process: Zygote, way: Way) -> None:
        self._way = way
        self._sent_before = server.stats().requests.get(way.paid_by, 0)
        super().__init__(folder, server, process, documents=1, to=["md"])
        self.more = {"call": way.call, "api": way.api}

    def write(self, number: int, pages: int) -> Path:
        """Write a document that was never seen, and return where."""
        if not self._way.picture:
            return super().write(number, pages)
        path = self.folder / f"paper{number}.png"
        picture = Image.new("L", (420, 420), "white")  # OCR makes the shorter side 736 points, at the cost of the area
        ImageDraw.Draw(picture).text((20, 30), WORD, fill="black", font=ImageFont.load_default(48))
        seen = PngInfo()
        seen.add_text("Comment", self.folder.name)
        picture.save(path, pnginfo=seen)
        return path

    @property
    def sent(self) -> int:
        """How often the paid request came."""
        return self.server.stats().requests.get(self._way.paid_by, 0) - self._sent_before

    @property
    def parses(self) -> int:
        """How many parses were paid."""
        return self.server.stats().parses - self.before.parses

    def check_once(self, end: str) -> None:
        """After a run to the end that was not to pay again: sent at most once, and what is said of it is true."""
        assert self.sent <= 1, "it was sent twice"
        assert self.parses <= 1, "it was paid twice"
        (row,) = read_jobs(self.ledger)
        if end == "done":
            assert (self.sent, self.parses, row.state) == (1, 1, "parsed")
            assert row.uid is not None
            self.check_files(whole=True)
            return
        assert (end, row.state, row.uid) == ("OutcomeUnknown", "unknown", None)
        assert not self.finals()
        sent = self.sent
        assert self.told() == ["OutcomeUnknown"], "a doubt went away by itself"
        assert self.sent == sent, "it was sent again without the user's word"
        assert self.told(retry_unknown=True) == ["done"]
        assert self.sent == sent + 1
        self.check_files(whole=True)

    def told(self, **more: object) -> list[str]:
        """Run once more to the end, and return how it ended."""
        code, told = self.run(0, **more)
        assert code == 0
        return list(told["ends"])

    def check_files(self, *, whole: bool) -> None:
        """Nothing partial stands under a final name; at the end all is there, and nothing else."""
        if not self._way.picture:
            super().check_files(whole=whole)
            return
        for path in self.finals():
            assert path.name == "paper0.md"
            assert WORD in path.read_text(encoding="utf-8")
        if whole:
            assert self.found() == ([] if self._way.call == "at once" else [self.out / "paper0.md"])
