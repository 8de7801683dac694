"""How a document's end is told by its receipts: failed, failed and to be fetched, or not begun."""

from __future__ import annotations

from doc2x_sdk.batch.done import Done, because, is_not_there, is_to_fetch, is_unsent
from doc2x_sdk.batch.feed import Checked
from doc2x_sdk.errors import BudgetExceeded, Doc2XError, QuotaExceeded
from doc2x_sdk.flow.kit import Kit
from doc2x_sdk.ledger.rows import ParseKey

__all__ = ["Ends"]


class Ends:
    """The ends of one batch's documents."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    def failed(self, checked: Checked, error: Doc2XError, reason: Doc2XError | None = None) -> Done:
        """Describe a document that failed; one that was wholly unsent as that, where the batch ended for a `reason`.

        A refusal by the budget or the quota is such a reason itself.
        """
        ledger, key = self._kit.ledger, self._key_of(checked)
        if reason is None and is_refused(error):
            reason = error
        if reason is not None and is_unsent(ledger, key):
            return self.not_sent(checked.source.name, reason)
        return Done(checked.source.name, error=error, to_fetch=is_to_fetch(error, ledger, key))

    def stopped(self, checked: Checked, reason: Doc2XError | None) -> Done:
        """Describe a document that the batch's end kept from going on."""
        return self.failed(checked, because(reason, "Not all of it was sent", checked.source.name), reason)

    @staticmethod
    def not_sent(name: str, reason: Doc2XError | None) -> Done:
        """Describe an input that the batch's end kept from being begun; what ended it is the cause of the error."""
        return Done(name, error=because(reason, "Not sent", name), sent=False)

    def is_not_there(self, checked: Checked) -> bool:
        """Tell whether no upload of a document is known to have arrived, so that it waits for no parse."""
        return is_not_there(self._kit.ledger, self._key_of(checked))

    def _key_of(self, checked: Checked) -> ParseKey:
        kit, source, wish = self._kit, checked.source, checked.wish
        return kit.key_of(source.sha256, wish.parse, sent_as=kit.goes_as(source, wish.plan.natives))


def is_refused(error: Doc2XError) -> bool:
    """Tell whether the budget refused a document, or the quota before it had a uid."""
    return isinstance(error, BudgetExceeded) or (isinstance(error, QuotaExceeded) and error.uid is None)
