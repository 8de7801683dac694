"""How many pages one call may pay for."""

from __future__ import annotations

import threading

from doc2x_sdk.errors import BudgetExceeded

__all__ = ["Budget"]


class Budget:
    """Pages that may be paid for in one batch; None is no limit. Safe to use from many threads."""

    def __init__(self, pages: int | None = None) -> None:
        self._left = pages
        self._lock = threading.Lock()

    def take(self, pages: int) -> None:
        """Take a document's pages; raises `BudgetExceeded` when fewer are left, and takes none."""
        with self._lock:
            if self._left is None:
                return
            if pages > self._left:
                raise BudgetExceeded(f"Its {pages} pages are over the {self._left} that the budget has left")
            self._left -= pages

    def give_back(self, pages: int) -> None:
        """Return the pages of a document that was not paid after all."""
        with self._lock:
            if self._left is not None:
                self._left += pages
