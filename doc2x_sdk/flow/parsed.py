"""From sources to their pages, or uids, each under its receipt: documents, the parts of a book, uploads, pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from doc2x_sdk.flow.callbacks import Reporter
from doc2x_sdk.flow.kit import Kit
from doc2x_sdk.flow.parse import Parsing
from doc2x_sdk.flow.receipts import AnyReceipt
from doc2x_sdk.flow.source import Source
from doc2x_sdk.flow.wish import Wish
from doc2x_sdk.models import ImageResult, ParseStatus

__all__ = ["parse", "parse_parts", "parse_picture", "send"]


def parse(source: Source, wish: Wish, kit: Kit, report: Reporter, receipt: AnyReceipt) -> ParseStatus:
    """Return the pages of a source: from the uid that was paid earlier where it is still good, else by a new parse.

    Raises:
        OutcomeUnknown: an earlier attempt may have been paid, and the wish does not say to risk paying again.
        TaskFailed: the service gave it up, now or, without `retry_failed`, earlier.
        BudgetExceeded: it would have to be paid for, and the budget has too few pages left.
        Doc2XError: as the steps; a uid that was paid stays in the receipt.
    """
    (status,) = parse_parts([(source, receipt)], wish, kit, report)
    return status


def parse_parts(
    parts: Sequence[tuple[Source, AnyReceipt]],
    wish: Wish,
    kit: Kit,
    report: Reporter,
    on_parsed: Callable[[int, ParseStatus], None] | None = None,
) -> list[ParseStatus]:
    """Return the pages of all parts of a document, in their order, and tell each by its number as it comes.

    What was paid earlier comes first. The budget is asked once, for all that then is left to pay, so that of a book
    which does not fit nothing is paid. Raises as `parse`.
    """
    parsings = [Parsing(source, wish.parse, kit, report, receipt) for source, receipt in parts]
    for parsing in parsings:
        parsing.check(wish)
    statuses: dict[int, ParseStatus] = {}

    def note(number: int, status: ParseStatus) -> None:
        source, receipt = parts[number]
        receipt.parsed(len(status.pages) or source.pages)
        statuses[number] = status
        if on_parsed is not None:
            on_parsed(number, status)

    for number, parsing in enumerate(parsings):
        status = parsing.resume(wish)
        if status is not None:
            note(number, status)
    waiting = {number: source.pages for number, (source, _) in enumerate(parts) if number not in statuses}
    kit.budget.take(sum(waiting.values()))
    try:
        for number in list(waiting):
            del waiting[number]  # what it does not pay it gives back itself
            note(number, parsings[number].begin())
    finally:
        kit.budget.give_back(sum(waiting.values()))
    return [statuses[number] for number in range(len(parts))]


def send(source: Source, wish: Wish, kit: Kit, report: Reporter, receipt: AnyReceipt, *, direct: bool = False) -> str:
    """Upload a source and return its uid, without waiting for the parse; one that is known already is not sent again.

    `direct` sends it in one step, where a uid is not known before. Raises as `parse`.
    """
    parsing = Parsing(source, wish.parse, kit, report, receipt, direct=direct)
    uid = parsing.known_uid(wish)
    if uid is None or not parsing.is_stored(uid):
        parsing.start_over()
        uid = parsing.send()
    receipt.submitted(uid)
    return uid


def parse_picture(source: Source, wish: Wish, kit: Kit, report: Reporter, receipt: AnyReceipt) -> ImageResult:
    """Parse a picture in one call that answers with the result; the uid of one that was paid earlier is asked for its.

    Raises as `parse`.
    """
    parsing = Parsing(source, wish.parse, kit, report, receipt)
    status = parsing.resume(wish)
    if status is None:
        parsing.start_over()
        result = parsing.picture()
    else:
        result = ImageResult(status.uid, status.pages, status.convert_zip, status.trace_id, status.raw)
    receipt.parsed(len(result.pages) or source.pages)
    return result
