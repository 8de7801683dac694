"""Step 3, wait: ask for the status until the parse has ended, without waste and without giving up a paid page."""

from __future__ import annotations

import logging
from collections.abc import Callable

from doc2x_sdk.clock import Clock, Deadline
from doc2x_sdk.config import Settings
from doc2x_sdk.errors import FileError, IncompleteResult, RateLimit, TaskFailed, WaitTimeout
from doc2x_sdk.flow.heldup import HeldUp
from doc2x_sdk.flow.pace import ParsePace, ParseSpeed
from doc2x_sdk.flow.polling import Forgiving
from doc2x_sdk.flow.silence import Silence
from doc2x_sdk.models import ParseStatus
from doc2x_sdk.service.contract import Ask
from doc2x_sdk.service.readers import failed_parse

__all__ = ["FAST", "poll_floor", "wait"]

log = logging.getLogger("doc2x_sdk")

EARLY = 0.2  # seconds
FAST = 0.1
"""A floor below this many seconds is that of a service on this machine: all its first looks come early."""
HERE = 0.1, 0.004
"""Seconds before the first page, and for each, that such a service takes at least: looks there cost next to nothing."""


def poll_floor(settings: Settings, *, on_loopback: bool) -> float:
    """Return the shortest pause between two looks, in seconds."""
    return settings.poll_floor or (0.05 if on_loopback else 0.3)


def wait(
    ask: Ask,
    uid: str,
    *,
    settings: Settings,
    clock: Clock,
    deadline: Deadline,
    floor: float,
    pages: int | None = None,
    fresh: bool = False,
    young: bool = False,
    working: bool = False,
    early: bool = False,
    speed: ParseSpeed | None = None,
    looks_are_dear: Callable[[], bool] = lambda: False,
    others: HeldUp | None = None,
    silence: Silence | None = None,
    on_working: Callable[[], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
    on_limit: Callable[[str | None], None] | None = None,
) -> ParseStatus:
    """Return the status of success.

    Args:
        ask: the service's status method for this kind of document.
        uid: the parse.
        settings: patience and retries.
        clock: time and chance.
        deadline: when to give up waiting.
        floor: shortest pause between two looks, in seconds.
        pages: what the document has, where it is known; the result must have as many.
        fresh: the upload has just ended, so a look at once is of no use.
        young: the service must know the uid, or will soon: that it does not is believed after half a minute only.
        working: the service was seen at work on it before.
        early: look soon whether it is.
        speed: of other parses: what the first look goes by, and what it teaches.
        looks_are_dear: tells whether the service limits requests at present, so that each look costs another a place.
        others: documents of the same client; the end of each parse lets one look that the service is too full for.
        silence: what all documents of the client know of it; it tells the user.
        on_working: called when it first is.
        on_progress: called with a percentage that never falls.
        on_limit: called with the code when the service is too full to begin with the uid.

    Raises:
        WaitTimeout: the deadline came first; the job goes on and the uid is in the error.
        TaskFailed: the service gave the document up, or does not know the uid.
        IncompleteResult: pages are missing.
        RateLimit: the service stayed full for `patience` seconds and never began with this uid: nothing is paid.
        AuthError, QuotaExceeded, NetworkError: as the service's methods.
    """
    fast = floor < FAST
    start, per_page = HERE if fast else (0.5, 0.15)
    pace = ParsePace(clock, pages or 1, floor=floor, start=start, per_page=per_page, speed=speed if fresh else None)
    polls = Forgiving(clock, deadline, patience=settings.patience, retries=settings.retries, young=fresh or young)
    polls.on_limit, polls.working, polls.others, polls.silence = on_limit, working, others, silence
    shown, word, tell = 0, "not asked yet", on_progress or untold
    room = others.a_parse_ended if others is not None else no_room
    if fresh:
        pace.dear = looks_are_dear()
        polls.sleep(min(pace.first_pause(), EARLY) if early else pace.first_pause())
    while not deadline.passed():
        try:
            status = polls.ask(lambda: look(ask, uid, deadline))
        except (TaskFailed, FileError):
            room()
            raise
        if status is None:
            polls.pause_after_failure()
            continue
        if status.done:
            room()
            pace.ended()
            tell(100)
            return check_complete(status, pages)
        if status.state == "failed":
            room()
            raise failed_parse(status)
        if status.state == "processing":
            note_working(polls, on_working)
        if status.state not in ("processing", word):
            log.warning(
                "uid %s: the service says %.60r, which this version does not know; waiting on", uid, status.state
            )
        word, shown = status.state, max(shown, status.progress)
        tell(shown)
        if polls.was_held_up():
            pace.begin_anew(shown)
        pace.dear = looks_are_dear()
        polls.sleep(pace.pause(min(shown, 99)))
    raise WaitTimeout(f"The parse had not ended in time; the last word was {word[:60]!r} at {shown} %", uid=uid)


def look(ask: Ask, uid: str, deadline: Deadline) -> ParseStatus:
    """Return one answer about the parse. A failure for want of room is raised as the limit code that it names is."""
    status = ask(uid, deadline=deadline)
    if status.state == "failed":
        error = failed_parse(status)
        if isinstance(error, RateLimit):
            raise error
    return status


def untold(percent: int) -> None:
    """Tell nobody of the progress."""


def no_room() -> None:
    """Tell nobody that a slot may be free."""


def note_working(polls: Forgiving, on_working: Callable[[], None] | None) -> None:
    """Remember that the service is at work on the uid, so that a limit code is no more than a throttled answer."""
    if not polls.working and on_working is not None:
        on_working()
    polls.working = True


def check_complete(status: ParseStatus, pages: int | None) -> ParseStatus:
    """Return the status if no page is missing; raise `IncompleteResult` otherwise."""
    numbers = {page.index for page in status.pages}
    expected = pages or len(status.pages)
    missing = sorted(set(range(expected)) - numbers)
    if missing:
        shown = ", ".join(str(number + 1) for number in missing[:8]) + (" ..." if len(missing) > 8 else "")
        raise IncompleteResult(
            f"The result lacks {len(missing)} of {expected} pages: page {shown}",
            expected=expected,
            got=len(numbers),
            uid=status.uid,
            trace_id=status.trace_id,
        )
    return status
