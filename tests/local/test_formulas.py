"""Formulas: what the engine marks, what the service writes, and what must stay as it is."""

import pytest

from doc2x_sdk.local.formulas import flatten, from_dollars, is_display, to_dollars


@pytest.mark.parametrize(
    ("engine", "service"),
    [
        (r"force $F_{i}$ is", r"force \( F_{i} \) is"),
        (r"$9\times 10^{-10}$t/mm3", r"\( 9\times 10^{-10} \)t/mm3"),
        (r"particle$,m_{i}$ is", r"particle, \( m_{i} \) is"),
        (r"$$E = mc^2$$", r"\[ E = mc^2 \]"),
        (r"$a_{1}$ and $b^{2}$", r"\( a_{1} \) and \( b^{2} \)"),
        ("It costs $5 and $6 in all", "It costs $5 and $6 in all"),
        ("US$5, A$6 or $7/$8", "US$5, A$6 or $7/$8"),
        (r"for $5 the force $F_{i}$", r"for $5 the force \( F_{i} \)"),
        (r"escaped \$F_{i}\$ stays", r"escaped \$F_{i}\$ stays"),
        ("`$F_{i}$` in code", "`$F_{i}$` in code"),
        ("```\n$F_{i}$\n```\n$G_{i}$", "```\n$F_{i}$\n```\n\\( G_{i} \\)"),
    ],
)
def test_marked_formulas_get_the_services_delimiters_and_prices_do_not(engine: str, service: str) -> None:
    assert from_dollars(engine) == service


def test_a_paragraph_that_is_one_formula_is_display() -> None:
    assert is_display(r"\[ a = b \].")
    assert not is_display(r"\[ a \] and \[ b \]")


def test_dollar_mode_keeps_code_and_escapes_prices() -> None:
    text = "\\( a_1 \\) for $5, `\\(x\\)`\n\n\\[ b \\]\n\n<table><tr><td>\\( c \\) $6</td></tr></table>"
    assert to_dollars(text) == "$a_1$ for \\$5, `\\(x\\)`\n\n$$ b $$\n\n<table><tr><td>$c$ $6</td></tr></table>"


@pytest.mark.parametrize(
    ("level", "expected"),
    [(0, r"\( a \) `\(c\)` \[ b \]"), (1, r"<a> `\(c\)` \[ b \]"), (2, r"<a> `\(c\)` <b>")],
)
def test_formula_levels(level: int, expected: str) -> None:
    assert flatten(r"\( a \) `\(c\)` \[ b \]", level, lambda many: [f"<{one}>" for one in many]) == expected
