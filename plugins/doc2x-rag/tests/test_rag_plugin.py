"""Chunks: what the text says, all of it, once; nothing cut that must not be."""

import json
import re
import runpy
from pathlib import Path

import pytest
from doc2x_rag import Jsonl, Parquet, chunks_of, load
from doc2x_rag.counting import counter_of, estimate
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from tokenizers import Tokenizer, models, pre_tokenizers

from doc2x_sdk.errors import ConfigError, ExporterError
from doc2x_sdk.markdown import drop_comments, find_tables, image_links, scan
from doc2x_sdk.models import Bundle, Page
from doc2x_sdk.testing import SAMPLES, check_exporter, run_exporter

SENTENCE = st.lists(
    st.sampled_from(["Tides", "rise", "在湾口", "slowly。", "and", "fall,", "1.5"]), min_size=1, max_size=30
).map(" ".join)
FORMULA = st.sampled_from(
    [r"\( a<b \)", r"$x_1 + y. Then z$", r"\( {}^{1, \dagger  } \)", r"\( \text{for all. } n \geq 1 \)"]
)
LINE = st.lists(SENTENCE | FORMULA | st.just('<img src="images/0_1_2_3_4_0.jpg"/>'), min_size=1, max_size=8).map(
    " ".join
)
ROW = '<tr><td rowspan="1">cell one. Two</td><td>$a$</td></tr>'
TABLE = st.integers(1, 40).map(lambda n: f"<table>{ROW * n}</table>")
PIPES = st.integers(1, 20).map(lambda n: "\n".join(["| a | b |", "| --- | --- |", *["| one. two | $a$ |"] * n]))
DISPLAY = st.integers(1, 12).map(lambda n: "\\[\n" + "a = b + c \\\\\n" * n + "\\tag{3}\n\\]")
HEADING = st.tuples(st.integers(1, 6), st.sampled_from(["Setting", "结果", "A B"])).map(
    lambda pair: f"{'#' * pair[0]} {pair[1]}"
)
FENCE = st.integers(1, 30).map(lambda n: "```python\n" + "x = 1  # not. a $formula$\n" * n + "```")
TEXT = st.lists(LINE | TABLE | PIPES | DISPLAY | HEADING | FENCE | st.just("<!-- my own -->"), max_size=9).map(
    "\n\n".join
)


def whole_things(text: str) -> list[tuple[int, int]]:
    places = [(span.start, span.end) for span in scan(text).of("formula")]
    places += [(link.start, link.end) for link in image_links(text)]
    return places + [(table.start, len(text[: table.end].rstrip())) for table in find_tables(text)]


@given(TEXT, st.sampled_from([16, 40, 120, 512]))
@settings(max_examples=150, deadline=None)
def test_chunks_are_the_text_in_pieces_within_the_limit(text, limit):
    chunks = list(chunks_of(text, max_tokens=limit))
    assert "".join(chunk.text for chunk in chunks) == text
    edges = [0]
    for chunk in chunks:
        assert (chunk.start, text[chunk.start : chunk.end]) == (edges[-1], chunk.text)
        assert chunk.tokens == estimate(chunk.text)
        assert chunk.oversize == (chunk.tokens > limit)
        edges.append(chunk.end)
    things = whole_things(text)
    assert not [(place, edge) for place in things for edge in edges if place[0] < edge < place[1]]
    for chunk in chunks:
        if chunk.oversize:
            core = chunk.text.strip()
            assert [1 for start, end in things if text[start:end].strip() == core], "only a single thing is too long"


@given(TEXT)
@settings(max_examples=60, deadline=None)
def test_headings_are_those_above(text):
    above: dict[int, str] = {}
    expected: dict[int, tuple[str, ...]] = {}
    at = 0
    for block in text.split("\n\n"):
        heading = re.fullmatch(r"(#{1,6}) (.*)", block)
        if heading:
            above = {level: title for level, title in above.items() if level < len(heading[1])}
            above[len(heading[1])] = heading[2]
        else:
            expected[at] = tuple(above[level] for level in sorted(above))
        at += len(block) + 2
    for chunk in chunks_of(text, max_tokens=100):
        for start, path in expected.items():
            if chunk.start <= start < chunk.end:
                assert chunk.headings == path


@pytest.mark.parametrize("exporter", [Jsonl(), Parquet()], ids=lambda exporter: exporter.name)
def test_it_conforms(exporter):
    check_exporter(exporter, {"max_tokens": 40})


def lines_of(run) -> list[dict]:
    return [json.loads(line) for line in run.text.splitlines()]


def test_rows_know_where_they_are_from():
    run = run_exporter(Jsonl(), "paper", max_tokens="60")
    rows = lines_of(run)
    whole = drop_comments(run.bundle.main.read_text(encoding="utf-8"))
    assert "".join(row["text"] for row in rows) == whole
    assert all(whole[row["start"] : row["end"]] == row["text"] for row in rows)
    assert "<!--" not in whole
    by_word = {
        word: next(row for row in rows if word in row["text"]) for word in ("Abstract", "motion", "<table>", "Gull")
    }
    assert by_word["Abstract"]["headings"] == ["Tides in a Narrow Bay", "Abstract"]
    assert by_word["motion"]["headings"] == ["Tides in a Narrow Bay", "Abstract", "1.1 Setting"]
    assert [by_word[word]["pages"] for word in by_word] == [[1], [1], [2], [3]]
    assert [image for row in rows for image in row["images"]] == [
        "images/0_140_620_520_300_0.jpg",
        "images/1_90_200_400_260_0.jpg",
    ]
    assert {(row["source"], row["sha256"]) for row in rows} == {("paper.pdf", "5e" * 32)}
    assert len({row["id"] for row in rows}) == len(rows)
    assert lines_of(run_exporter(Jsonl(), "paper", max_tokens=60)) == rows


def test_comments_can_be_kept():
    run = run_exporter(Jsonl(), "paper", comments="yes")
    assert "".join(row["text"] for row in lines_of(run)) == run.bundle.main.read_text(encoding="utf-8")


@pytest.mark.parametrize("sample", SAMPLES)
def test_parquet_has_the_same_rows(sample):
    lines, run = run_exporter(Jsonl(), sample), run_exporter(Parquet(), sample)
    table = parquet.read_table(run.main)
    assert table.to_pylist() == lines_of(lines)
    assert str(table.schema.field("pages").type) == "list<element: int32>"


def test_uploaded_pictures_are_named_by_their_new_links(tmp_path):
    main = tmp_path / "a.md"
    main.write_text("![](images/a.jpg) ![](images/b.jpg)", encoding="utf-8")
    bundle = Bundle("md", tmp_path, main, (Page(0, ""),), "a.pdf", "u", "5e" * 32, {"images/a.jpg": "https://x/1.jpg"})
    run = run_exporter(Jsonl(), bundle=bundle)
    assert lines_of(run)[0]["images"] == ["https://x/1.jpg", "images/b.jpg"]


def test_a_chunk_over_a_page_break_has_both_pages():
    pages = ["## One\n\nfirst half of it", "second half of it\n\n## Two\n\nend"]
    chunks = list(chunks_of("\n\n".join(pages), pages))
    assert [chunk.pages for chunk in chunks] == [(1, 2), (2,)]


@pytest.fixture
def tokenizer(tmp_path) -> Path:
    """A tokenizer of bytes, which makes three tokens of a Chinese character; it can be checked without itself."""
    letters = pre_tokenizers.ByteLevel.alphabet()
    model = Tokenizer(models.BPE({letter: number for number, letter in enumerate(sorted(letters))}, []))
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    target = tmp_path / "tokenizer.json"
    model.save(str(target))
    return target


def test_a_tokenizer_counts(tokenizer):
    count = counter_of(tokenizer)
    assert count("ab湾") == 5
    text = "湾口水位，" * 8
    chunks = list(chunks_of(text, max_tokens=50, count=count))
    assert "".join(chunk.text for chunk in chunks) == text
    assert max(chunk.tokens for chunk in chunks) <= 50, "although the whole has fewer characters than that"
    rows = lines_of(run_exporter(Jsonl(), "chinese", max_tokens=50, tokenizer=str(tokenizer)))
    assert [row["tokens"] for row in rows] == [len(row["text"].encode()) for row in rows]
    assert {row["text"].strip()[:6] for row in rows if row["oversize"]} == {"<table"}


def test_wrong_options_are_told(tmp_path):
    with pytest.raises(ExporterError, match="16 or more"):
        run_exporter(Jsonl(), max_tokens=5)
    wrong = tmp_path / "a.json"
    wrong.write_text("{}")
    with pytest.raises(ConfigError, match=r"a\.json is no tokenizer"):
        counter_of(wrong)
    with pytest.raises(ConfigError, match="neither"):
        load(tmp_path / "a.txt")


@pytest.mark.parametrize("exporter", [Jsonl(), Parquet()], ids=lambda exporter: exporter.name)
def test_chunks_are_langchain_documents_in_three_lines(exporter, tmp_path, monkeypatch, capsys):
    """The README's lines, run as they stand; then a vector store of LangChain's takes the documents."""
    run = run_exporter(exporter, "paper", max_tokens=60)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / f"paper{exporter.suffix}").write_bytes(run.content)
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    code = readme.split("```python\n")[1].split("```")[0].replace(".jsonl", exporter.suffix)
    assert len([line for line in code.splitlines() if line]) == 3
    (tmp_path / "three.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    docs = runpy.run_path("three.py")["docs"]
    assert "[1] ['Tides in a Narrow Bay']" in capsys.readouterr().out

    from langchain_core.embeddings import DeterministicFakeEmbedding
    from langchain_core.vectorstores import InMemoryVectorStore

    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=16))
    store.add_documents(docs)
    wanted = next(doc for doc in docs if "<table>" in doc.page_content)
    (found,) = store.similarity_search(wanted.page_content, k=1)
    assert (found.id, found.metadata["pages"], found.metadata["sha256"]) == (wanted.id, [2], "5e" * 32)
