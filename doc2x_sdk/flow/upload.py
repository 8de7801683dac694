"""Step 2, upload: a uid first, then the bytes, and never a second uid while the first may have been paid.

The presigned way is the one used: its uid is known, and can be written down, before the paid step.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from doc2x_sdk.clock import Clock
from doc2x_sdk.config import Settings
from doc2x_sdk.errors import (
    AuthError,
    Doc2XError,
    IncompleteResult,
    NetworkError,
    ProtocolError,
    RateLimit,
)
from doc2x_sdk.flow.body import SourceBody
from doc2x_sdk.flow.pace import GrowingPace
from doc2x_sdk.flow.polling import Forgiving
from doc2x_sdk.flow.silence import Silence
from doc2x_sdk.flow.source import Source
from doc2x_sdk.models import ParseOptions, ParseStatus, UploadSlot
from doc2x_sdk.service.answers import NOT_FOUND
from doc2x_sdk.service.contract import Presigned

__all__ = ["is_stored", "upload"]

log = logging.getLogger("doc2x_sdk")

NEW_LINKS = 2  # how often a link that the storage host refuses is replaced by a new one
STORED_WITHIN = 10.0  # seconds in which a stored object shows up in the status,
STORED_LATE = 60.0  # and where a second try was refused, perhaps because the first had arrived


def upload(
    service: Presigned,
    source: Source,
    options: ParseOptions,
    *,
    settings: Settings,
    clock: Clock,
    silence: Silence,
    on_uid: Callable[[str], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
    on_working: Callable[[], None] | None = None,
    on_limit: Callable[[str | None], None] | None = None,
) -> str:
    """Send a PDF and return its uid, once the service has the bytes.

    Args:
        service: the presigned way.
        source: a checked PDF.
        options: of the parse.
        settings: retries and patience.
        clock: time and chance.
        silence: what all documents of the client know of it.
        on_uid: called with each uid before its bytes are sent: the moment to write it down.
        on_progress: called with the bytes handed over so far.
        on_working: called when a look after a lost answer sees the service at work on it.
        on_limit: called with the code, where there is one, when the service is too full to give a uid.

    Raises:
        InputChanged: the file is no longer the one that was checked; the uid of the attempt is in the error.
        NetworkError: no answer, and the service says that it has no file: nothing was paid.
        ProtocolError: the service gave the uid of another parse, by the ledger: nothing was sent under it.
        Doc2XError: as the service's methods.
    """
    for attempt in range(NEW_LINKS + 1):
        slot = reserve(service, options, settings=settings, clock=clock, on_limit=on_limit)
        log.info("%s: uid %s", source.name, slot.uid)
        if on_uid is not None:
            on_uid(slot.uid)
        try:
            with SourceBody(source, on_progress, clock=clock) as body:
                send(service, slot, body, settings=settings, clock=clock, silence=silence, on_working=on_working)
        except Doc2XError as error:
            refused = error.status in (401, 403) and not isinstance(error, AuthError)  # the store, not the API
            if not refused or attempt == NEW_LINKS:
                error.about(uid=slot.uid, source=source.name)
                raise
            log.info("%s: the link of uid %s was refused; taking a new one", source.name, slot.uid)
        else:
            return slot.uid
    raise AssertionError("the loop returns or raises")


def reserve(
    service: Presigned,
    options: ParseOptions,
    *,
    settings: Settings,
    clock: Clock,
    on_limit: Callable[[str | None], None] | None = None,
) -> UploadSlot:
    """Get an upload slot; a full service is asked again for `patience` seconds."""
    patience = settings.patience
    asking = Forgiving(clock, clock.deadline(patience), patience=patience, retries=settings.retries, network=False)
    asking.on_limit = on_limit
    while True:
        slot = asking.ask(lambda: service.preupload(options))
        if slot is not None:
            return slot
        asking.pause_after_failure()


def send(
    service: Presigned,
    slot: UploadSlot,
    body: SourceBody,
    *,
    settings: Settings,
    clock: Clock,
    silence: Silence,
    on_working: Callable[[], None] | None = None,
) -> None:
    """Send the bytes; when the answer is lost, ask the status, and send once more only if there is no file.

    A link takes a file once: where another try than the first is refused the status decides as well, and is asked for
    longer the second time.
    """
    for last in (False, True):
        try:
            put(service, slot, body, settings=settings, clock=clock)
        except Doc2XError as error:
            is_lost = isinstance(error, NetworkError) and error.sent == "all"
            is_early = isinstance(error, NetworkError) and error.sent == "part" and error.status is not None
            if is_early and not last:
                log.info("uid %s: %s; sending it again", slot.uid, error.message)
                body.seek(0)
                continue
            is_refused = last and error.status is not None and 400 <= error.status < 500
            if not (is_lost or is_refused):
                raise
            body.check_unchanged()
            log.info("uid %s: nobody knows whether the upload arrived; asking the status", slot.uid)
            within = STORED_LATE if is_refused else STORED_WITHIN
            if is_stored(
                service.status,
                slot.uid,
                settings=settings,
                clock=clock,
                silence=silence,
                within=within,
                on_working=on_working,
            ):
                return
            if last:
                raise
            body.seek(0)
        else:
            body.check_unchanged()
            return


def put(service: Presigned, slot: UploadSlot, body: SourceBody, *, settings: Settings, clock: Clock) -> None:
    """Send the bytes; a storage host that takes no more for now is asked again for `patience` seconds."""
    patience, pace = clock.deadline(settings.patience), GrowingPace(clock, first=1.0)
    while True:
        try:
            service.put(slot, body)
        except RateLimit as error:
            pause = max(pace.pause(), error.retry_after or 0.0)
            if pause > patience.left():
                raise
            clock.sleep(pause)
            body.seek(0)
        else:
            return


def is_stored(
    ask: Callable[[str], ParseStatus],
    uid: str,
    *,
    settings: Settings,
    clock: Clock,
    silence: Silence,
    within: float = STORED_WITHIN,
    on_working: Callable[[], None] | None = None,
) -> bool:
    """Tell whether the service has the bytes of a uid.

    Any word about the parse says yes, and `on_working` is called when that word is that it has begun; "not found" for
    `within` seconds says no. Raises `NetworkError`, whose `sent` is
    "all", when nothing is said for `patience` seconds: nothing is sent twice on a guess.
    """
    said = "nothing was asked yet"
    not_found_for, silent_for = None, clock.deadline(settings.patience)
    pace = GrowingPace(clock, first=0.5)
    while not silent_for.passed():
        asked = clock.monotonic()
        try:
            status = ask(uid)
        except AuthError:
            raise
        except IncompleteResult:  # of what it has
            return True
        except (NetworkError, ProtocolError) as error:
            log.debug("uid %s: no word about the upload: %s", uid, error)
            said = error.message
            silence.failed(error, clock, asked=asked, left=silent_for.left())
        except Doc2XError as error:
            log.debug("uid %s: no word about the upload: %s", uid, error)
            if error.code not in (None, NOT_FOUND):
                return True
            said = error.message
            if error.code == NOT_FOUND:
                not_found_for, said = not_found_for or clock.deadline(within), "so far it knows of none"
                if not_found_for.passed():
                    return False
        else:
            note_work(status, on_working)
            return True
        clock.sleep(pace.pause())
    raise NetworkError(f"The service does not tell whether it has the upload: {said}", sent="all", uid=uid)


def note_work(status: ParseStatus, on_working: Callable[[], None] | None) -> None:
    """Tell that the service has begun with a parse."""
    if on_working is not None and (status.done or status.state == "processing"):
        on_working()
