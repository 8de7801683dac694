"""Rebuilds the samples of this directory: paper.pdf, damage.png and figure.png.

Run it as `python build.py`; README.md says what it needs. The measurements that the paper reports are made here, with a
fixed seed, and written to numbers.tex.
"""

import os
import random
import shutil
import subprocess
import tempfile
from pathlib import Path

import matplotlib as mpl
import pypdfium2 as pdfium
from matplotlib import pyplot as plt

HERE = Path(__file__).resolve().parent
EPOCH = "1767225600"  # 2026-01-01, the date in the metadata, so that a rebuild gives the same bytes
ROUNDS = 400
RATES = (0.01, 0.05, 0.10, 0.20)

FORMULAS = [
    r"x = \frac { - b \pm \sqrt { b ^ 2 - 4 a c } } { 2 a }",
    r"E = m c ^ 2",
    r"a ^ 2 + b ^ 2 = c ^ 2",
    r"e ^ { i \pi } + 1 = 0",
    r"F = G \frac { m M } { r ^ 2 }",
    r"P V = n R T",
    r"\int _ a ^ b f ' ( x ) d x = f ( b ) - f ( a )",
    r"\sum _ { k = 1 } ^ n k = \frac { n ( n + 1 ) } { 2 }",
    r"\frac { \partial u } { \partial t } = \alpha \nabla ^ 2 u",
    r"\sin ^ 2 x + \cos ^ 2 x = 1",
    r"P ( A | B ) = \frac { P ( B | A ) P ( A ) } { P ( B ) }",
    r"\lim _ { n \to \infty } ( 1 + \frac { 1 } { n } ) ^ n = e",
]

# One row a line, cells parted by bars; a cell may end in *rxc, the rows and columns it spans.
PLAIN_TABLES = [
    """item | unit | price
       white bread | loaf | 2.40
       olive oil | bottle | 9.80
       green tea | tin | 6.20""",
    """train | leaves | arrives
       night express | 22:10 | 06:45
       local | 07:05 | 08:20
       fast regional train | 09:30 | 10:15""",
    """city | country | people
       Lisbon | Portugal | 0.5 million
       Nanjing | China | 9.4 million
       Cape Town | South Africa | 4.8 million""",
]
MERGED_TABLES = [
    """room*2x1 | opening hours*1x2
       weekdays | weekends
       reading room | 8 to 20 | 10 to 16
       map room | 9 to 17 | closed""",
    """line | from | first | last
       ring line*2x1 | east gate | 05:10 | 23:40
       west gate | 05:20 | 23:50
       harbour line | old port | 06:00 | 22:30""",
    """fares in euro*1x3
       adult*2x1 | single | 2.90
       day ticket | 7.00
       child under 14 | single | 1.50""",
]


def cells(text: str) -> list[tuple[list[str], int]]:
    """The cells of a table: the words of each, and how many places of the grid it covers."""
    out = []
    for cell in text.replace("\n", "|").split("|"):
        words, _, span = cell.strip().partition("*")
        rows, _, columns = (span or "1x1").partition("x")
        out.append((words.split(), int(rows) * int(columns)))
    return out


def measure(rate: float, seed: int) -> tuple[float, float, float]:
    """The mean scores of formulas, of tables with their spans kept, and of tables with their spans lost."""
    rng = random.Random(seed)
    formulas = [formula.split() for formula in FORMULAS]
    tables = [cell for table in (*PLAIN_TABLES, *MERGED_TABLES) for cell in cells(table)]
    places = sum(span for _, span in tables)
    f_sum = kept = lost = 0.0
    for _ in range(ROUNDS):
        for tokens in formulas:
            # What remains is a subsequence, so the edit distance to it is the number of tokens lost.
            f_sum += sum(rng.random() >= rate for _ in tokens) / len(tokens) / len(formulas)
        for words, span in tables:
            if all(rng.random() >= rate for _ in words):
                kept += span / places
                lost += 1 / places
    return f_sum / ROUNDS, kept / ROUNDS, lost / ROUNDS


def harmonic(f: float, t: float) -> float:
    return 2 * f * t / (f + t)


def write_numbers() -> None:
    plain = [cell for table in PLAIN_TABLES for cell in cells(table)]
    merged = [cell for table in MERGED_TABLES for cell in cells(table)]
    places = sum(span for _, span in plain + merged)
    tokens = sum(len(formula.split()) for formula in FORMULAS)

    def mean(some: list[tuple[list[str], int]]) -> str:
        return f"{sum(len(words) * span for words, span in some) / sum(span for _, span in some):.2f}"

    rows = [measure(rate, seed) for seed, rate in enumerate(RATES)]

    def row(*values: float) -> str:
        return " & ".join(f"{value:.3f}" for value in values)

    at_five = rows[RATES.index(0.05)]
    macros = {
        "FormulaItems": len(FORMULAS),
        "FormulaTokens": tokens,
        "FormulaMean": f"{tokens / len(FORMULAS):.2f}",
        "PlainItems": len(PLAIN_TABLES),
        "PlainTokens": sum(len(words) for words, _ in plain),
        "PlainMean": mean(plain),
        "MergedItems": len(MERGED_TABLES),
        "MergedTokens": sum(len(words) for words, _ in merged),
        "MergedMean": mean(merged),
        "MeanCell": mean(plain + merged),
        "Rounds": ROUNDS,
        "ShadowShare": round(100 * sum(span - 1 for _, span in merged) / places),
        "FormulaAtFive": f"{at_five[0]:.2f}",
        "TableAtFive": f"{at_five[1]:.2f}",
        "OneIn": round(1 / (1 - at_five[1])),
        "RootTokens": len(FORMULAS[0].split()),
        "RootScore": f"{1 - 2 / len(FORMULAS[0].split()):.2f}",
        "RateRow": " & ".join(f"{rate:.2f}" for rate in RATES),
        "FormulaRow": "Formulas & none & " + row(*(f for f, _, _ in rows)),
        "TableKeptRow": "kept & " + row(*(t for _, t, _ in rows)),
        "TableLostRow": "lost & " + row(*(t for _, _, t in rows)),
        "PageKeptRow": "kept & " + row(*(harmonic(f, t) for f, t, _ in rows)),
        "PageLostRow": "lost & " + row(*(harmonic(f, t) for f, _, t in rows)),
    }
    lines = ["% Written by build.py: the measurements that the paper reports.\n"]
    lines += [f"\\newcommand{{\\{name}}}{{{value}}}\n" for name, value in macros.items()]
    (HERE / "numbers.tex").write_text("".join(lines), encoding="utf-8")


def draw_damage() -> None:
    """damage.png, the figure of the paper: scores against the rate of damage."""
    tables = [cell for table in (*PLAIN_TABLES, *MERGED_TABLES) for cell in cells(table)]
    places = sum(span for _, span in tables)
    fine = [i / 200 for i in range(61)]
    coarse = [i / 40 for i in range(13)]
    scores = [measure(rate, 100 + i) for i, rate in enumerate(coarse)]
    expected = [sum(span * (1 - p) ** len(words) for words, span in tables) / places for p in fine]
    first_only = [sum((1 - p) ** len(words) for words, _ in tables) / places for p in fine]
    mpl.rcParams.update(
        {"font.family": "DejaVu Sans", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    )
    figure, axes = plt.subplots(figsize=(6.4, 2.15), dpi=200, layout="constrained")
    curves = [
        ("formulas", [1 - p for p in fine], "#1b6ca8", "o"),
        ("tables, merged cells kept", expected, "#c8553d", "s"),
        ("tables, merged cells lost", first_only, "#6b7a3a", "^"),
    ]
    for index, (label, line, colour, marker) in enumerate(curves):
        axes.plot(fine, line, color=colour, linewidth=1.2)
        axes.plot(coarse, [score[index] for score in scores], marker, color=colour, markersize=4.5, label=label)
    axes.set(xlabel="rate of damage", ylabel="mean score", xlim=(-0.005, 0.305), ylim=(0.4, 1.02))
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.legend(frameon=False, loc="lower left")
    figure.savefig(HERE / "damage.png", metadata={"Software": None})


def typeset(name: str, folder: Path) -> Path:
    """One document through XeLaTeX, twice, so that the references are right."""
    for source in (*HERE.glob("*.tex"), HERE / "damage.png"):
        shutil.copy(source, folder)
    env = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, "FORCE_SOURCE_DATE": "1"}
    for _ in range(2):
        command = ["xelatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"]
        subprocess.run(command, cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL)
    return folder / f"{name}.pdf"


def main() -> None:
    write_numbers()
    draw_damage()
    with tempfile.TemporaryDirectory() as name:
        shutil.copy(typeset("paper", Path(name)), HERE / "paper.pdf")
        with pdfium.PdfDocument(typeset("figure", Path(name))) as document:
            picture = document[0].render(scale=160 / 72).to_pil()
        picture.convert("L").save(HERE / "figure.png", optimize=True)


if __name__ == "__main__":
    main()
