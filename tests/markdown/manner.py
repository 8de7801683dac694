r"""Documents in the service's manner, for hypothesis: what stands in them is known, since they are built from it."""

from dataclasses import dataclass, field

from hypothesis import strategies as st

WORDS = ["alpha", "Beta", "速度", "结果。", "см.", "a < b", "x & y", "5 %", "(sic)", "R\\&D", "- dash", "naïve", "A|B"]
BODIES = [
    "a<b",
    "{}^{1, \\dagger  }",
    "6\\mathrm{R}",
    "x_1 * y_2",
    "\\left\\lbrack  {0,1}\\right)",
    "\\begin{matrix} a & b \\\\ c & d \\end{matrix}",
    "E = m{c}^{2}\\tag{3}",
    "f(x)",
    "\\pm",
    "\\|v\\|",
    "a > b",
    "`x",
]
UNKNOWN_HTML = ['<div class="a">x</div>', "<custom-tag/>", "<!-- my own: a > b -->", "<u>q</u>", "<!-- Medial -->"]


@dataclass
class Made:
    """A document and what it was made of.

    `kept` are pieces that no transform may change, `formulas` bodies with whether they are displayed, `images` links.
    """

    text: str
    kept: list[str] = field(default_factory=list)
    formulas: list[tuple[bool, str]] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    headings: list[tuple[int, str]] = field(default_factory=list)


@dataclass
class Piece:
    """A piece of a document; `source` as in `Made`."""

    source: str
    kept: list[str] = field(default_factory=list)
    formulas: list[tuple[bool, str]] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    headings: list[tuple[int, str]] = field(default_factory=list)


words = st.sampled_from(WORDS).map(Piece)


@st.composite
def formulas(draw, *, display=None, bodies=BODIES):
    body = draw(st.sampled_from([each for each in bodies if "`" not in each]))
    shown = draw(st.booleans()) if display is None else display
    gap = draw(st.sampled_from(["", " "]))
    dollars = draw(st.booleans())
    if shown:
        source = f"$${gap}{body}{gap}$$" if dollars else f"\\[{gap}{body}{gap}\\]"
    else:
        source = f"${body}$" if dollars else f"\\({gap}{body}{gap}\\)"
    return Piece(source, formulas=[(shown, body)])


@st.composite
def code(draw):
    body = draw(
        st.sampled_from(["\\(x\\)", "$y$", "<!-- Media -->", "<table><tr><td>1</td></tr></table>", "![](images/c.jpg)"])
    )
    source = f"`{body}`" if draw(st.booleans()) else f"<code>{body}</code>"
    return Piece(source, kept=[source])


@st.composite
def pictures(draw):
    numbers = [draw(st.integers(0, 900)) for _ in range(5)]
    if draw(st.booleans()):
        x, y, w, h = numbers[1:]
        url = f"https://cdn.example.com/0f3_{numbers[0]}.jpg?x={x}&y={y}&w={w}&h={h}&r=0"
    else:
        url = f"images/{'_'.join(map(str, numbers))}_0.jpg"
    source = f'<img src="{url}"/>' if draw(st.booleans()) else f"![图 1]({url})"
    return Piece(source, images=[url])


@st.composite
def comments(draw):
    name = draw(st.sampled_from(["Meanless", "Media", "figureText", "Footnote"]))
    told = draw(
        st.sampled_from(
            ["", ": page 3 of 9", ": a > b", ": two\nlines -- of it", ": $x$ \\(y\\)", ": ![](images/m.jpg)"]
        )
    )
    source = f"<!-- {name}{told} -->"
    return Piece(source, comments=[source])


unknown = st.sampled_from(UNKNOWN_HTML).map(lambda source: Piece(source, kept=[source]))


def joined(pieces: list[Piece], by: str) -> Piece:
    """Several pieces as one."""
    whole = Piece(by.join(piece.source for piece in pieces))
    for piece in pieces:
        for name in ("kept", "formulas", "images", "comments", "headings"):
            getattr(whole, name).extend(getattr(piece, name))
    return whole


def sentences(*more):
    """Lines of text that begin with a word."""
    inside = st.one_of(words, formulas(display=False), code(), pictures(), unknown, *more)
    return st.tuples(words, st.lists(inside, max_size=6)).map(
        lambda both: joined([Piece("So"), both[0], *both[1]], " ")
    )


@st.composite
def headings(draw):
    level = draw(st.integers(1, 6))
    title = " ".join(draw(st.lists(st.sampled_from(["Method", "结果", "2.1", "Sea Ice"]), min_size=1, max_size=3)))
    return Piece(f"{'#' * level} {title}", headings=[(level, title)])


@st.composite
def fences(draw):
    mark = draw(st.sampled_from(["```", "~~~~", "```python"]))
    body = draw(
        st.sampled_from(["x = '\\(a\\)'", "<!-- Media -->", "$$a$$\n\n\\[b\\]", "# no heading", "![](images/f.jpg)"])
    )
    source = f"{mark}\n{body}\n{mark.rstrip('python')}"
    return Piece(source, kept=[source])


@st.composite
def displays(draw):
    piece = draw(formulas(display=True))
    if draw(st.booleans()):
        opening, closing = piece.source[:2], piece.source[-2:]
        body = piece.formulas[0][1]
        body = f"{body}\n= 0\n- 1"
        return Piece(f"{opening}\n{body}\n{closing}", formulas=[(True, body)])
    return piece


@st.composite
def tables(draw, *, merged=None):
    """HTML tables on one line; with merged cells they are kept as they are."""
    columns = draw(st.integers(1, 4))
    inside = st.one_of(words, formulas(display=False), st.just(Piece("1<br>2")), st.just(Piece("")))
    rows = draw(st.lists(st.lists(inside, min_size=columns, max_size=columns), min_size=1, max_size=4))
    is_merged = draw(st.booleans()) if merged is None else merged
    first = f' rowspan="{len(rows) + 1}"' if is_merged else ""
    whole = joined([cell for row in rows for cell in row], "")
    lines = [
        "".join(f"<td{first if (r, c) == (0, 0) else ''}>{cell.source}</td>" for c, cell in enumerate(row))
        for r, row in enumerate(rows)
    ]
    whole.source = f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
    return whole


@st.composite
def documents(draw, *, with_tables=True):
    block = [sentences(comments()), headings(), fences(), displays(), comments(), pictures()]
    if with_tables:
        block.append(tables())
    lists = st.lists(sentences(), min_size=1, max_size=3).map(
        lambda items: joined([joined([Piece("-"), item], " ") for item in items], "\n")
    )
    whole = joined(draw(st.lists(st.one_of(*block, lists), max_size=7)), "\n\n")
    end = draw(st.sampled_from(["", "\n"]))
    return Made(whole.source + end, whole.kept, whole.formulas, whole.images, whole.comments, whole.headings)


noise = st.text(alphabet="$\\()[]`<>!-|#~\n\r\t ab1是&;:/\"'*_=.{}", max_size=120) | st.lists(
    st.sampled_from(
        [
            "<!--",
            "-->",
            "<!-- Media -->",
            "<table>",
            "</table>",
            "<tr>",
            "<td>",
            "</td>",
            "<td rowspan=2>",
            "\\(",
            "\\)",
            "\\[",
            "\\]",
            "$",
            "$$",
            "`",
            "```\n",
            "\n\n",
            "\n",
            "a",
            " ",
            "|",
            "| a |\n|---|\n",
            "![",
            "](",
            ")",
            "<img src=",
            "<code>",
            "</code>",
            "# ",
            "- ",
            "> ",
            "[r]: x\n",
            "1",
            "<br>",
            "\\",
            "<!-- Meanless: x",
            "    ",
        ]
    ),
    max_size=30,
).map("".join)
"""Texts that mean nothing, full of what means something."""
