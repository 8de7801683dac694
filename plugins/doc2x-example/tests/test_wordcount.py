"""The word counter, run as a conversion would run it."""

import pytest
from doc2x_example import WordCount

from doc2x_sdk.errors import ConfigError
from doc2x_sdk.testing import check_exporter, run_exporter


def test_words_are_counted() -> None:
    run = run_exporter(WordCount(), "paper", top=2)
    first, *rest = run.text.splitlines()
    assert first.endswith(" different")
    assert len(rest) == 2
    assert "Meanless" not in run.text


def test_chinese_characters_count() -> None:
    assert "     3 湾" in run_exporter(WordCount(), "chinese", top=50).text


def test_an_empty_document_has_no_words() -> None:
    assert run_exporter(WordCount(), "empty").text == "0 words, 0 different\n"


def test_the_option_is_a_number() -> None:
    with pytest.raises(ConfigError, match=r"wordcount\.top must be a whole number"):
        run_exporter(WordCount(), top="many")


def test_it_keeps_the_contract() -> None:
    check_exporter(WordCount())
