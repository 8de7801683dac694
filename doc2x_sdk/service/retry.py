"""Which request may be sent again, when, and how often: `urllib3.Retry` with a deadline, a budget and a memory.

A `Call` is one request with all its attempts. It knows how much of the body left this machine in each attempt, which
decides whether the request may go out again (see `Resend`), and it carries the deadline that attempts and pauses share.
"""

from __future__ import annotations

import enum
import logging
import ssl
import threading
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import MaxRetryError, ResponseError, SSLError
from urllib3.response import BaseHTTPResponse
from urllib3.util.retry import Retry

from doc2x_sdk.clock import Clock, Deadline
from doc2x_sdk.service.gate import Gate, Turn
from doc2x_sdk.service.retryafter import retry_after_seconds

__all__ = ["ANY_FAILURE", "Call", "CallRetry", "Resend", "RetryBudget", "current_call"]

log = logging.getLogger("doc2x_sdk")

BACKOFF_FIRST = 0.5  # seconds before the second attempt; doubles with each one
BACKOFF_MOST = 8.0
DRAINED_BYTES = 64 * 1024  # a longer error body is not read to its end just to keep the connection

ANY_FAILURE = frozenset({429, 500, 502, 503, 504})
"""HTTP statuses after which a request that costs nothing is sent again."""


class Resend(enum.Enum):
    """When a request whose answer did not come may be sent again."""

    ALWAYS = "always"
    """It costs nothing: any GET, preupload, token refresh."""
    UNTIL_WHOLE = "until the whole body was sent"
    """The presigned PUT: one that broke off is no object; after a whole one the status decides."""
    BEFORE_BODY = "before a byte of the body was sent"
    """Paid steps without a uid, and the export call, whose result is asked first."""


class RetryBudget:
    """A token bucket that all calls of a client share, so that a service in trouble is not flooded by retries.

    It holds 500 tokens; a retry takes 5, an answered call gives 1 back: over time at most one retry for five answers.
    """

    CAPACITY = 500
    COST = 5

    def __init__(self) -> None:
        self._tokens = self.CAPACITY
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Take one retry's worth; False when the bucket has too little."""
        with self._lock:
            if self._tokens < self.COST:
                return False
            self._tokens -= self.COST
            return True

    def give(self) -> None:
        """Return one token after an answered call."""
        with self._lock:
            self._tokens = min(self.CAPACITY, self._tokens + 1)


@dataclass(slots=True, eq=False)
class Call:
    """One request with its attempts.

    Attributes:
        deadline: attempts, pauses and the reading of the answer end before it.
        answer_within: seconds for the answer to one attempt, counted from the end of its request.
        silence: seconds without a byte, in either direction, after which an attempt is given up.
        resend: what may be sent again after a failure without an answer.
        statuses: HTTP statuses that are tried again.
        retries: attempts after the first.
        body_length: bytes of the body, 0 without one.
        sent: bytes of the body handed to the socket in the present attempt.
        ever_sent: the most that any attempt handed over, those aside that the service refused with 429.
        whole_before: whether an attempt before the present one handed over the whole body and was not so refused.
        answer_by: when the answer of the present attempt is due; None while the request is being sent.
        engine: the retry engine as far as it has come; None before the first attempt.
        gate: what paces its attempts; None for storage hosts.
        turn: who goes first of those that wait for the gate.
    """

    deadline: Deadline
    silence: float
    resend: Resend
    statuses: frozenset[int]
    retries: int
    clock: Clock
    budget: RetryBudget
    answer_within: float = 60.0
    body_length: int = 0
    sent: int = 0
    ever_sent: int = 0
    whole_before: bool = False
    attempts: int = 0
    answer_by: Deadline | None = None
    engine: CallRetry | None = field(default=None, repr=False)
    gate: Gate | None = field(default=None, repr=False)
    turn: Turn = Turn.GO_ON

    def pass_gate(self) -> None:
        """Wait until an attempt may leave; before it takes a connection, which others can use meanwhile."""
        if self.gate is not None:
            self.gate.enter(turn=self.turn, deadline=self.deadline)

    def begin_attempt(self) -> None:
        """Count an attempt: its request line is about to leave."""
        self.attempts += 1
        self.sent = 0
        self.answer_by = None

    def await_answer(self) -> None:
        """The request has left: from now on the answer is due."""
        self.answer_by = self.clock.deadline(self.answer_within)

    def unbind_answer(self) -> None:
        """Let the rest of the answer take its time: only silence ends it, and the call's deadline."""
        self.answer_by = None

    def end_attempt(self, *, refused: bool) -> None:
        """Forget an attempt that another follows; one that was `refused` has left nothing at the service."""
        if refused:
            self.ever_sent = 0
        elif self.body_length:
            self.whole_before = self.whole_before or self.sent >= self.body_length
        self.sent = 0
        self.answer_by = None

    def count_body(self, length: int) -> None:
        """Count body bytes before they are handed to the socket: a failed write may still have sent some."""
        self.sent += length
        self.ever_sent = max(self.ever_sent, self.sent)

    def patience(self) -> float:
        """Return the seconds that the next read or write may take; raises `TimeoutError` past the deadline."""
        left = min(self.deadline.left(), self.answer_by.left() if self.answer_by is not None else float("inf"))
        if left <= 0:
            msg = "the call's deadline has passed"
            raise TimeoutError(msg)
        return min(self.silence, left)

    def late(self) -> bool:
        """Tell whether the time for the call, or for the answer of this attempt, has run out."""
        return self.deadline.passed() or (self.answer_by is not None and self.answer_by.passed())

    def how_much_sent(self) -> str:
        """Say how much of the body has left, in the attempt that came furthest: "nothing", "part" or "all"."""
        if self.ever_sent == 0:
            return "nothing"
        return "all" if self.ever_sent >= self.body_length else "part"

    def may_send_again(self, error: Exception) -> bool:
        """Tell whether a request that failed without an answer may go out again."""
        if is_refused_certificate(error):
            return False
        if self.resend is Resend.ALWAYS:
            return True
        if self.resend is Resend.UNTIL_WHOLE:
            return self.sent < self.body_length
        return self.ever_sent == 0

    def pause(self, headers: Mapping[str, str] | None, attempt: int) -> float | None:
        """Return the seconds to wait before the next attempt, or None when it would pass the deadline or the budget.

        A call without a deadline, an upload, waits no longer than an answer may take.

        The service's Retry-After counts where it can be used; otherwise the pause doubles up to 8 s, and chance takes
        away up to half of it, so that clients which failed together don't return together.
        """
        asked = retry_after_seconds(headers, self.clock) if headers is not None else None
        backoff = min(BACKOFF_MOST, BACKOFF_FIRST * 2 ** (attempt - 1)) * self.clock.uniform(0.5, 1.0)
        wait = backoff if asked is None else asked + self.clock.uniform(0.0, 0.1)
        if wait >= min(self.deadline.left(), self.answer_within) or not self.budget.take():
            return None
        return wait


current_call: ContextVar[Call | None] = ContextVar("doc2x_current_call", default=None)
"""The call that this thread is sending; connections and the retry engine read it."""


class CallRetry(Retry):
    """urllib3's retry engine, led by the `Call`.

    It adds what the engine lacks: the body's progress decides about a resend, pauses end before the deadline, the last
    answer is kept instead of turned into an error, and all retries of a client draw on one budget.
    """

    call: Call
    next_pause: float

    @classmethod
    def for_call(cls, call: Call) -> Self:
        """Build the engine for one call."""
        engine = cls(
            total=call.retries,
            redirect=0,
            allowed_methods=None,
            raise_on_status=False,
            respect_retry_after_header=False,
            remove_headers_on_redirect=(),
        )
        engine.call = call
        engine.next_pause = 0.0
        return engine

    def new(self, **kw: Any) -> Self:
        """Copy with other counters; the call goes along."""
        engine = super().new(**kw)
        engine.call = self.call
        engine.next_pause = 0.0
        return engine

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:  # noqa: ARG002 - urllib3's
        """Tell whether an answer with this status is tried again."""
        return status_code in self.call.statuses

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        """Take one attempt away and fix the pause before the next; raise when there must not be one."""
        if error is not None and not self.call.may_send_again(error):
            raise error
        if response is not None and response.status == 429 and self.call.gate is not None:
            self.call.gate.refused()
        engine = super().increment(method, url, response, error, _pool, _stacktrace)
        pause = self.call.pause(response.headers if response is not None else None, len(engine.history))
        if pause is None:
            reason = error or ResponseError("no time or no budget for another attempt")
            raise MaxRetryError(_pool, url, reason)  # type: ignore[arg-type] # urllib3 allows None at run time
        if response is not None and not 0 <= int_or(response.headers.get("Content-Length"), -1) <= DRAINED_BYTES:
            response.close()
        engine.next_pause = pause
        why = f"HTTP {response.status}" if response is not None else type(error).__name__
        log.debug("attempt %d ended with %s, the next is in %.1f s", self.call.attempts, why, pause)
        self.call.engine = engine
        self.call.end_attempt(refused=response is not None and response.status == 429)
        return engine

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:  # noqa: ARG002 - urllib3's signature
        """Wait the pause that `increment` fixed, and then for the gate."""
        self.call.clock.sleep(self.next_pause)
        self.call.pass_gate()


def is_refused_certificate(error: Exception) -> bool:
    """Tell whether TLS was refused, in which case another attempt would fail as well, and not merely broken off."""
    found = [each for each in (error, getattr(error, "original_error", None)) if isinstance(each, SSLError)]
    broken_off = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
    return any(not any(isinstance(cause, broken_off) for cause in each.args) for each in found)


def int_or(value: str | None, default: int) -> int:
    """Return a header's number, or the default when it is none."""
    return int(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 19 else default
