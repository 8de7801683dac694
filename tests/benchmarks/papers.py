"""Input PDFs: as many pages as asked for, bytes of their own each, and as large as asked for."""

from __future__ import annotations

import random
from pathlib import Path

from tests.benchmarks.profile import Paper

__all__ = ["write_paper", "write_papers"]

BLOCK = 1024 * 1024


def write_papers(papers: list[Paper], folder: Path) -> list[Path]:
    """Write all papers that are not there yet and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{paper.ident}.pdf" for paper in papers]
    for paper, path in zip(papers, paths, strict=True):
        if not path.exists():
            write_paper(paper, path)
    return paths


def write_paper(paper: Paper, path: Path) -> None:
    """Write one PDF: empty pages, and a stream of noise that fills it up to its size."""
    head = f"%PDF-1.4\n%paper {paper.ident} {paper.pages} .\n".encode()
    kids = " ".join(f"{number} 0 R" for number in range(3, 3 + paper.pages))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {paper.pages} /Kids [{kids}] /MediaBox [0 0 595 842] >>".encode(),
        *[b"<< /Type /Page /Parent 2 0 R >>"] * paper.pages,
    ]
    places: list[int] = []
    with path.open("wb") as out:
        out.write(head)
        for number, content in enumerate(objects, 1):
            places.append(out.tell())
            out.write(b"%d 0 obj\n%b\nendobj\n" % (number, content))
        if paper.size is not None:
            filler = max(0, paper.size - out.tell() - 20 * len(objects) - 300)
            places.append(out.tell())
            out.write(b"%d 0 obj\n<< /Length %d >>\nstream\n" % (len(places), filler))
            noise = random.Random(paper.ident).randbytes(BLOCK)
            for start in range(0, filler, BLOCK):
                out.write(noise[: min(BLOCK, filler - start)])
            out.write(b"\nendstream\nendobj\n")
        table = out.tell()
        rows = "".join(f"{place:010d} 00000 n \n" for place in places)
        out.write(f"xref\n0 {len(places) + 1}\n0000000000 65535 f \n{rows}".encode())
        out.write(f"trailer\n<< /Size {len(places) + 1} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n".encode())
