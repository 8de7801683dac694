"""A service that gives no answer: the documents of a batch wait in line, and one after another tries, ever more seldom.

A pause is as long as what is waited for has lasted by then, from 1 s to a minute. It counts from the outage's begin
between two tries in line, and from the first of a document's own failures in a row between two of its own: where others
are answered each outage is over at once, though a document's storage, or its own question, stays out of reach. What a
try asks before it hears of its parse, such as whether an upload arrived whose answer was lost, is asked no more often.
One that has not failed in the outage goes before those that have: what keeps them may not keep it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from doc2x_sdk.batch.workers import LOOK
from doc2x_sdk.clock import Clock
from doc2x_sdk.errors import Doc2XError, NetworkError, ProtocolError
from doc2x_sdk.flow.silence import Silence, clock_time

__all__ = ["Outage", "Visit"]

PAUSE_FIRST = 1.0
PAUSE_MOST = 60.0
IN_A_ROW = 180.0  # seconds, and the patience: failures so close belong together though its parse was heard of between


@dataclass(eq=False, slots=True)
class Visit:
    """A document at work. Its failures in a row began at `since`; after the last it waits until `due` (monotonic).

    `pause` is the least between two questions until the service tells of its parse: then nothing is out of reach there.
    `heard` says whether it has told since the last failure.
    """

    heard: bool = False
    since: float = float("inf")
    failed_at: float = float("-inf")
    due: float = float("-inf")
    pause: float = 0.0

    @property
    def fails_for_long(self) -> bool:
        """Whether its failures in a row have lasted for a minute: its pauses don't grow any more."""
        return self.pause >= PAUSE_MOST


class Outage:
    """What the threads of a batch know of the service's silence.

    Args:
        clock: time and chance; its sleep may raise, which ends the wait.
        longest: seconds of silence after which the batch gives up, and of its own failures after which a document does.
        patience: seconds for which a question is asked before its document has failed.
        check: called while a document waits for its turn; may raise, which ends the wait.
        silence: what the documents at work know of it; it tells the user.
    """

    def __init__(
        self, clock: Clock, longest: float, check: Callable[[], None], silence: Silence, *, patience: float
    ) -> None:
        self._clock = clock
        self._longest = longest
        self._in_a_row = IN_A_ROW + patience
        self._check = check
        self._silence = silence
        self._changed = threading.Condition()
        self._since: float | None = None
        self._line: list[Visit] = []  # the first has its turn
        self._given_up = False  # then what is at work waits for nobody any more, and the batch ends
        self.reason: NetworkError | None = None
        """Why the batch gives up, with the last failure as its cause; None until then."""

    @contextmanager
    def visit(self, one: Visit | None = None) -> Iterator[Visit]:
        """Yield what is known of a document while it is at work, or at work again."""
        one = one or Visit()
        try:
            yield one
        finally:
            with self._changed:
                self._step_back(one)

    def enter(self, one: Visit) -> None:
        """Return when the document may ask: its own pause is over and then, in an outage, it is the first in line."""
        while True:
            with self._changed:
                now, due, is_its_turn = self._clock.monotonic(), one.due, True
                if self._since is not None and due <= now:
                    if one not in self._line:
                        self._stand_in_line(one, self._since)
                    failed_at, is_its_turn = self._silence.failed_at, self._line[0] is one
                    due = failed_at + pause_after(failed_at - self._since)
                if self._given_up or (is_its_turn and due <= now):
                    return
                if not is_its_turn:
                    self._changed.wait(LOOK)
            if is_its_turn:
                self._clock.sleep(due - now)
            else:
                self._check()

    def sleep(self, one: Visit, seconds: float) -> None:
        """Sleep between two questions; in an outage it goes to the end of the line."""
        with self._changed:
            self._step_back(one)
            seconds = seconds if self._given_up else max(seconds, one.pause)
        self._clock.sleep(seconds)
        self.enter(one)

    def step_aside(self, one: Visit | None) -> None:
        """Let others have the turn of a document that waits for one of them, who may stand behind it."""
        if one is not None:
            with self._changed:
                self._step_back(one)

    def silent(self, one: Visit, error: NetworkError) -> bool:
        """Note a failure; False when the silence has lasted too long, and then `reason` says so.

        So it has for one document alone where others are answered: then `reason` is None.
        """
        with self._changed:
            now = self._clock.monotonic()
            if one.since > now or (one.heard and now - one.failed_at > self._in_a_row):
                one.since = now
            one.failed_at, one.heard, one.pause = now, False, pause_after(now - one.since)
            one.due = now + one.pause * self._clock.uniform(0.5, 1.0)
            self._silence.failed(error, self._clock, asked=now if self._since is None else self._since)
            if self._since is None:
                self._since = self._silence.since or now
            if now - self._since > self._longest and not self._given_up:
                self._given_up = True
                self.reason = self._too_long(error, now - self._since)
            self._step_back(one)
            return not self._given_up and now - one.since <= self._longest

    def _too_long(self, last: NetworkError, lasted: float) -> NetworkError:
        began = clock_time(self._clock.now() - lasted)
        reason = NetworkError(
            f"The service gave no usable answer for {lasted:.0f} s, since {began}; the last cause: {last.message}",
            status=last.status,
            trace_id=last.trace_id,
            advice=f"How long a batch waits for it is the setting `outage` (DOC2X_OUTAGE), here {self._longest:g} s. "
            "Check the connection and the proxy settings.",
        )
        reason.__cause__ = last
        return reason

    def over(self, one: Visit | None = None) -> None:
        """Note that the service answered, about the parse of `one` document where it is given: all go on."""
        with self._changed:
            if one is not None:
                one.heard, one.pause = True, 0.0
            self._silence.answered(self._clock)
            self._since = None
            self._line.clear()
            self._changed.notify_all()

    def refused(self, error: Doc2XError) -> None:
        """Note an error that no other try follows: a refusal is an answer, unless it was of no use."""
        if (error.status or error.code) and not isinstance(error, ProtocolError):
            self.over()

    def _stand_in_line(self, one: Visit, since: float) -> None:
        """Join the line; the first in it may be at its try, so that nobody goes before it."""
        place = len(self._line)
        if one.failed_at < since:
            place = next((i for i, other in enumerate(self._line) if i and other.failed_at >= since), place)
        self._line.insert(place, one)

    def _step_back(self, one: Visit) -> None:
        """Leave the line."""
        if one in self._line:
            self._line.remove(one)
            self._changed.notify_all()


def pause_after(lasted: float) -> float:
    """Return the seconds to wait for the end of what has lasted for so many seconds."""
    return min(PAUSE_MOST, max(PAUSE_FIRST, lasted))
