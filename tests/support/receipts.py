"""Receipts for tests: keys, claims, and a process of its own that holds one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from doc2x_sdk.errors import LedgerError
from doc2x_sdk.ledger.ledger import Ledger, Receipt
from doc2x_sdk.ledger.rows import ParseKey

__all__ = ["ACCOUNT", "claim", "holding", "key", "no_room"]

ACCOUNT = "account"
HOLDER = """
import sys
from pathlib import Path
from doc2x_sdk.ledger.ledger import Ledger
from tests.support.receipts import claim
ledger = Ledger(Path(sys.argv[1]))
with claim(ledger, int(sys.argv[2]), pages=int(sys.argv[4])) as receipt:
    if sys.argv[3] != "planned":
        receipt.wait_for_slot(lambda: None)
    if sys.argv[3] == "uploading":
        receipt.uploading("uid-of-the-other")
    print(sys.argv[3], flush=True)
    sys.stdin.read()
ledger.close()
"""


def key(number: int, account: str = ACCOUNT) -> ParseKey:
    """The identity of a parse."""
    return ParseKey(account, f"{number:064x}", "{}")


def claim(ledger: Ledger, number: int, *, pages: int = 1) -> AbstractContextManager[Receipt]:
    """A claim on a parse."""
    return ledger.claim(key(number), source=f"/papers/{number}.pdf", size=100, pages=pages)


@contextmanager
def no_room(ledger: Ledger) -> Iterator[int]:
    """A ledger whose disk is full, as SQLite sees it; gives the number of a parse that no longer fits."""
    writer = ledger._store._writer
    writer.execute("PRAGMA max_page_count=1").close()
    for number in range(10_000, 20_000):
        try:
            with claim(ledger, number):
                continue
        except LedgerError:
            break
    try:
        yield number
    finally:
        writer.execute("PRAGMA max_page_count=1000000").close()


@contextmanager
def holding(path: Path, number: int, state: str, *, pages: int = 1) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a parse in a state until its standard input is closed, or it is killed."""
    command = [sys.executable, "-c", HOLDER, str(path), str(number), state, str(pages)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == state
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
