"""Each entry of `tests.guards` still fits: its guard stands in its file once, and its test exists."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.guards import LISTS, Guard

ROOT = Path(__file__).resolve().parent.parent
GUARDS: list[Guard] = [guard for name in LISTS for guard in import_module(f"tests.guards.{name}").GUARDS]


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: f"{guard.row}-{guard.file}")
def test_the_entry_fits(guard: Guard) -> None:
    source = (ROOT / "doc2x_sdk" / guard.file).read_text(encoding="utf-8")
    for text, without in ((guard.text, guard.without), *guard.more):
        assert source.count(text) == 1
        source = source.replace(text, without)
    file, _, name = guard.test.partition("::")
    assert re.search(rf"^\s*def {re.escape(name)}\(", (ROOT / "tests" / file).read_text(encoding="utf-8"), re.MULTILINE)
