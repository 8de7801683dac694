"""Shows that the fault tests can fail: each guard is taken out once, and the test of its row must notice.

`python -m tests.guards [ROW...]` does so. Lists stand in the modules of this package that `LISTS` names; a new one is
a module with a list `GUARDS` of `Guard`.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LISTS", "Guard"]

LISTS = ("service", "cli", "plugins", "flow", "ledger", "archive", "pages")


@dataclass(frozen=True)
class Guard:
    """One guard and the test that needs it.

    Attributes:
        row: of the fault matrix, or a word for what stands in no row, such as `input`.
        test: the node id, below tests/, without the row's brackets: all cases run unless `case` names one.
        file: below doc2x_sdk/.
        text: the guard as it stands there, exactly once.
        without: what stands there when the guard is gone.
        case: a part of the wanted case's id, as for `pytest -k`.
        hangs: without the guard the test waits for ever; only then does a run that takes too long count as failing.
        more: further pairs of text and replacement in the same file, where two guards do one job.
    """

    row: str
    test: str
    file: str
    text: str
    without: str
    case: str = ""
    more: tuple[tuple[str, str], ...] = ()
    hangs: bool = False
