"""Sends a request through a session until there is an answer, or an error that tells why there is none.

Failures leave here as our own errors, raised outside the handlers that caught the library's, so that no traceback
leads into frames which hold the key or a signed URL.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import requests
import urllib3

from doc2x_sdk.config import APIKey
from doc2x_sdk.errors import Doc2XError, ResponseTooLarge
from doc2x_sdk.service.answers import Answer
from doc2x_sdk.service.environment import proxies_for
from doc2x_sdk.service.failures import LIBRARY_ERRORS, failure_from, without_libraries
from doc2x_sdk.service.prepared import HasSeek, path_at
from doc2x_sdk.service.reading import read_capped
from doc2x_sdk.service.retry import Call, CallRetry, current_call
from doc2x_sdk.service.retryafter import retry_after_seconds

__all__ = ["Sender"]

log = logging.getLogger("doc2x_sdk")


class Sender:
    """One session and its way out: which certificates it trusts, and the proxy of each host. For many threads."""

    def __init__(self, session: requests.Session, verify: str | bool, connect_timeout: float) -> None:
        self.session = session
        self._verify = verify
        self._connect_timeout = connect_timeout
        self._ways: dict[str, dict[str, str]] = {}

    def close(self) -> None:
        """Close all connections."""
        self.session.close()

    def whole(
        self,
        request: requests.PreparedRequest,
        call: Call,
        what: str,
        *,
        limit: int,
        key: APIKey | None,
        cut: bool = False,
    ) -> Answer:
        """Send and read to the end; an answer that breaks off is asked for again as far as the call allows.

        Args:
            request: its body, if it has one, can be read again.
            call: its attempts.
            what: what is asked for, as the subject of an error message.
            limit: bytes of the answer's body.
            key: what the answer must not show where it is quoted.
            cut: leave what is over the limit unread, instead of raising.

        Raises:
            NetworkError: no answer came within the retries.
            ResponseTooLarge: the answer is over the limit.
        """
        while True:
            response = self._send(request, call, what)
            engine = cast(CallRetry, response.raw.retries)
            failure: Doc2XError | None = None
            again: CallRetry | None = None
            try:
                body = read_capped(response, limit, cut=cut)
            except LIBRARY_ERRORS as error:
                failure = failure_from(error, call, what, request)
                again = next_engine(engine, request, error)
            else:
                if body is not None:
                    call.budget.give()
                    if call.gate is not None and response.status_code != 429:
                        call.gate.answered()
                    retry_after = retry_after_seconds(response.headers, call.clock)
                    whole = call.sent >= call.body_length
                    return Answer(
                        response.status_code, response.headers, body, key, retry_after, call.whole_before, whole
                    )
                failure = ResponseTooLarge(f"{what}: the answer is over {limit} bytes", status=response.status_code)
            finally:
                response.close()
            if again is None:
                raise failure
            sent: object = request.body
            if isinstance(sent, HasSeek):
                sent.seek(0)
            call.clock.sleep(again.next_pause)

    @contextmanager
    def streamed(self, request: requests.PreparedRequest, call: Call, what: str) -> Iterator[requests.Response]:
        """Send and yield the answer, whose body may take as long as it moves; it is closed afterwards.

        Raises `NetworkError` when no answer came, or when its body broke off while it was read.
        """
        response = self._send(request, call, what)
        call.unbind_answer()
        failure: Doc2XError | None = None
        try:
            yield response
        except LIBRARY_ERRORS as error:
            if isinstance(error, OSError) and not isinstance(error, requests.RequestException | TimeoutError):
                raise  # the reader's own disk, not the network
            failure = failure_from(error, call, what, request)
        finally:
            response.close()
        if failure is not None:
            raise failure from None

    def _send(self, request: requests.PreparedRequest, call: Call, what: str) -> requests.Response:
        failure: Doc2XError
        proxies = self._proxies(request.url or "")
        call.pass_gate()
        token = current_call.set(call)
        try:
            response = self.session.send(
                request,
                stream=True,
                timeout=patience(self._connect_timeout, call.silence),  # type: ignore[arg-type] # requests passes it on
                verify=self._verify,
                proxies=proxies,
            )
        except LIBRARY_ERRORS as error:
            failure = failure_from(error, call, what, request)
        except Doc2XError as error:  # the body's reader found something; its traceback leads through the libraries
            failure = error.with_traceback(None)
        except BaseException as error:  # the caller's own: a progress callback, Ctrl-C
            error.with_traceback(without_libraries(error.__traceback__))
            raise
        else:
            log.debug("%s: HTTP %d (%d attempts)", what, response.status_code, call.attempts)
            return response
        finally:
            current_call.reset(token)
        log.debug("%s", failure)
        raise failure

    def _proxies(self, url: str) -> dict[str, str]:
        """Return the proxies on the way to a URL's host, as the environment had them at the first request to it."""
        origin = url[: path_at(url)]
        if origin not in self._ways:
            self._ways[origin] = proxies_for(url)
        return self._ways[origin]


@functools.lru_cache
def patience(connect: float, read: float) -> urllib3.Timeout:
    """Return the time limits of a request; urllib3 takes a copy for each, and checks only what is new."""
    return urllib3.Timeout(connect=connect, read=read)


def next_engine(engine: CallRetry, request: requests.PreparedRequest, error: Exception) -> CallRetry | None:
    """Count a broken answer as a failed attempt; None when there must not be another."""
    broken = urllib3.exceptions.ProtocolError("The answer broke off.", error)
    try:
        return engine.increment(request.method, "", error=broken)
    except urllib3.exceptions.HTTPError:
        return None
