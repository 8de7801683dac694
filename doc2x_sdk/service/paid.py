"""Paid steps without a uid: sent at most once, and in doubt about whether they were paid, that is what is said."""

from __future__ import annotations

from collections.abc import Callable

from doc2x_sdk.errors import Doc2XError, NetworkError, OutcomeUnknown, ProtocolError, ResponseTooLarge
from doc2x_sdk.service.answers import Answer, data_of
from doc2x_sdk.service.readers import check_uid

__all__ = ["answer_of_paid", "uid_of_paid"]

SAYS_NOTHING = frozenset({"internal_error", "parse_error"})
"""Codes of a service in trouble, after which a task may or may not have been made (Doc2X API v2, codes)."""


def answer_of_paid(send: Callable[[], Answer], what: str) -> Answer:
    """Send a paid step and return its answer, which may be a refusal.

    Args:
        send: sends it; not again once a byte of its body has left.
        what: what is sent, as the subject of an error message.

    Raises:
        OutcomeUnknown: some of it was sent, and no trustworthy answer came.
        NetworkError: nothing of it was sent.
    """
    failure: Doc2XError
    try:
        answer = send()
    except NetworkError as error:
        if error.sent == "nothing":
            raise
        failure = OutcomeUnknown(f"{what} was sent, but no answer came: {error.message}")
    except ResponseTooLarge as error:
        failure = OutcomeUnknown(f"{what} was sent, but the answer can't be read: {error.message}")
    else:
        if answer.status < 500 and (not 200 <= answer.status < 300 or answer.is_envelope()):
            return answer
        failure = doubt(answer, what)
    raise failure


def uid_of_paid(answer: Answer, what: str, name: str) -> str:
    """Return the uid from the field `name` of a paid step's answer.

    Raises:
        OutcomeUnknown: it was taken, but there is no usable uid in the answer; or the service had trouble.
        Doc2XError: the service refused it: nothing was paid.
    """
    try:
        return check_uid(data_of(answer, what).get(name), what, answer)
    except ProtocolError:
        if not 200 <= answer.status < 300:
            raise
    except Doc2XError as error:
        if error.code not in SAYS_NOTHING:
            raise
    raise doubt(answer, what)


def doubt(answer: Answer, what: str) -> OutcomeUnknown:
    """Build the error of an answer that does not tell whether the step was taken."""
    return OutcomeUnknown(
        f"{what} was sent, but the answer does not tell what became of it: {answer.excerpt()!r}",
        status=answer.status,
        trace_id=answer.trace_id,
    )
