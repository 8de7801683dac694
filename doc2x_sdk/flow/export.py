"""Step 4, export: one format of one uid at a time, since the service keeps one result a uid."""

from __future__ import annotations

import logging
from collections.abc import Callable

from doc2x_sdk.clock import Clock
from doc2x_sdk.config import Settings
from doc2x_sdk.errors import Doc2XError, NetworkError, ProtocolError, TaskFailed, WaitTimeout
from doc2x_sdk.flow.pace import GrowingPace
from doc2x_sdk.flow.polling import Forgiving
from doc2x_sdk.flow.silence import Silence
from doc2x_sdk.models import ExportLink, ExportOptions, ExportStatus, SignedURL
from doc2x_sdk.service.contract import Exports

__all__ = ["ask_again", "export"]

log = logging.getLogger("doc2x_sdk")

MARKS = {"md": "convert_md", "md_dollar": "convert_md", "tex": "convert_tex", "docx": "convert_docx"}
POSTS = 3  # how often an export whose answer is lost is started in all
STALE_WITHIN = 15.0
"""Seconds in which the slot may still show the export before; a link to the same place after that is the new one."""


def export(
    service: Exports,
    uid: str,
    to: str,
    options: ExportOptions,
    *,
    settings: Settings,
    clock: Clock,
    first_look: float,
    stale: SignedURL | None = None,
    silence: Silence | None = None,
) -> ExportLink:
    """Start an export and return the link to its result.

    Args:
        service: the service.
        uid: a parse that succeeded.
        to: one of `NATIVE_FORMATS`.
        options: of the export.
        settings: patience, retries and `export_timeout`.
        clock: time and chance.
        first_look: seconds until the first look; the next follow at four tenths of it, ever more slowly.
        stale: the link of the export before this one, which the slot may still hold for a moment.
        silence: what all documents of the client know of the service's silence; it tells the user.

    Raises:
        WaitTimeout: the export had not ended in time.
        TaskFailed: the service could not make the format.
    """
    deadline = clock.deadline(settings.export_timeout)
    polls = Forgiving(clock, deadline, patience=settings.patience, retries=settings.retries)
    polls.working, polls.silence = True, silence
    calls = Forgiving(clock, deadline, patience=settings.patience, retries=settings.retries, network=False)
    status: ExportStatus | None = start(service, uid, to, options, polls=calls)
    settled = clock.deadline(STALE_WITHIN)
    pace = GrowingPace(clock, first=first_look, then=0.4 * first_look, grow=1.2)
    word = "processing"
    while not deadline.passed():
        if status is not None and status.state == "failed":
            raise TaskFailed(
                f"The service could not export to {to}: {status.detail or 'no reason given'}",
                uid=uid,
                trace_id=status.trace_id,
            )
        if status is not None and is_fresh(status, to, None if settled.passed() else stale):
            return ExportLink(uid, to, url=status.url)
        if status is not None and status.state not in ("success", word):
            word = status.state
            log.warning("uid %s: the service says %.60r of the export to %s: %s", uid, word, to, status.detail or "-")
        polls.sleep(pace.pause())
        status = polls.ask(lambda: service.export_result(uid, deadline=deadline))
    raise WaitTimeout(
        f"The export to {to} had not ended in time; the last word was {word[:60]!r}",
        uid=uid,
        advice=f"Run `doc2x fetch {uid} --to {to}`; an export costs nothing.",
    )


def ask_again(
    service: Exports, link: ExportLink, *, settings: Settings, clock: Clock, silence: Silence | None = None
) -> ExportLink:
    """Return a new link to the same result, for one that has expired; the export is not started again."""
    polls = Forgiving(clock, clock.deadline(settings.patience), patience=settings.patience, retries=settings.retries)
    polls.silence = silence
    while True:
        status = polls.ask(lambda: service.export_result(link.uid))
        if status is not None and status.url is not None:
            return ExportLink(link.uid, link.format, url=status.url)
        if polls.deadline.passed():
            raise WaitTimeout(f"The service gave no new link to the {link.format} export", uid=link.uid)
        polls.pause_after_failure()


def start(service: Exports, uid: str, to: str, options: ExportOptions, *, polls: Forgiving) -> ExportStatus:
    """Send the export call; after a lost answer look at the slot first, and leave alone what is being made there.

    What is ready there may have been made before, with other options: it is made again, which costs nothing.
    """
    for _ in range(POSTS - 1):
        try:
            return answered(polls, lambda: service.export(uid, to, options, filename=to, deadline=polls.deadline))
        except (NetworkError, ProtocolError) as error:
            log.debug("uid %s: the answer to the export call was lost (%s); asking for its result", uid, error.message)
        status = in_slot(service, uid, polls)
        if status is not None and status.state == "processing":
            return status
    return answered(polls, lambda: service.export(uid, to, options, filename=to, deadline=polls.deadline))


def in_slot(service: Exports, uid: str, polls: Forgiving) -> ExportStatus | None:
    """Return what the slot holds; None where the service knows of no export."""
    try:
        return answered(polls, lambda: service.export_result(uid, deadline=polls.deadline))
    except Doc2XError as error:
        if error.code is None:
            raise
        return None


def answered(polls: Forgiving, question: Callable[[], ExportStatus]) -> ExportStatus:
    """Ask until there is an answer; only limits are waited out."""
    while True:
        status = polls.ask(question)
        if status is not None:
            return status
        polls.pause_after_failure()


def is_fresh(status: ExportStatus, to: str, stale: SignedURL | None) -> bool:
    """Tell whether the slot holds the export that was asked for: not the one before, not another format.

    A link that is asked for again has a new signature, and leads to the same place.
    """
    if status.state != "success" or status.url is None or str(status.url) == str(stale):
        return False
    path = str(status.url)
    return MARKS[to] in path or not any(mark in path for mark in MARKS.values())
