"""The requests of one account: to the API's origin with the key, to storage hosts without it, each by its own session.

The key is put on API calls alone, each by itself; it is in no session header, so no redirect, storage host or .netrc
entry can take or replace it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import requests
from urllib3.util import parse_url

from doc2x_sdk.clock import Clock, Deadline
from doc2x_sdk.config import APIKey, Settings, is_loopback, no_key
from doc2x_sdk.errors import UnsafeURL
from doc2x_sdk.models import SignedURL
from doc2x_sdk.service.answers import Answer
from doc2x_sdk.service.environment import find_ca_bundle
from doc2x_sdk.service.gate import Gate, Turn
from doc2x_sdk.service.prepared import (
    Body,
    bearer,
    check_body,
    prepared,
    url_as_sent,
    with_json,
    with_query,
)
from doc2x_sdk.service.reading import ERROR_BODY
from doc2x_sdk.service.retry import ANY_FAILURE, Call, Resend, RetryBudget
from doc2x_sdk.service.sender import Sender
from doc2x_sdk.service.session import build_session
from doc2x_sdk.service.storage import check_storage_url

__all__ = ["Transport"]

AS_IT_IS = {"Accept-Encoding": "identity"}


class Transport:
    """Sends requests for one account at one origin. Safe to use from many threads."""

    def __init__(
        self,
        base_url: str,
        settings: Settings,
        key: APIKey | None,
        *,
        clock: Clock | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._origin = (url_as_sent(self.base_url) or self.base_url).rstrip("/")
        self.settings = settings
        self.clock = clock or Clock()
        self.on_loopback = is_loopback(parse_url(self.base_url).host)
        self._key = key
        self._budget = RetryBudget()
        self._gate = Gate(self.clock)
        verify = find_ca_bundle(os.environ if environ is None else environ)
        self._api = Sender(build_session(settings.connections), verify, settings.connect_timeout)
        self._storage = Sender(build_session(settings.connections), verify, settings.connect_timeout)
        self._common = {name: str(value) for name, value in self._api.session.headers.items()}

    @property
    def is_paced(self) -> bool:
        """Whether the service has said that requests come too often, so that each one waits for its place."""
        return self._gate.rate is not None

    def close(self) -> None:
        """Close all connections."""
        self._api.close()
        self._storage.close()

    def call(
        self,
        method: str,
        path: str,
        what: str,
        *,
        resend: Resend,
        statuses: frozenset[int] = ANY_FAILURE,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        body: Body | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        deadline: Deadline | None = None,
        token: APIKey | None = None,
        turn: Turn = Turn.GO_ON,
    ) -> Answer:
        """Send one API call and return its whole answer, whatever its status; redirects are not followed.

        Args:
            method: the HTTP method.
            path: below the origin, from its slash.
            what: what is asked for, as the subject of an error message.
            resend: when it may go out again without an answer.
            statuses: HTTP statuses after which it goes out again.
            params: the query.
            json: a JSON body.
            body: a raw body; its upload is bounded by silence only, and `call_timeout` counts from its end.
            headers: more headers.
            deadline: an earlier end than `call_timeout` from now.
            token: instead of the account's key.
            turn: whether it goes before others where requests are paced.

        Raises:
            FileError: the body is empty or can't be read twice; nothing was sent.
            NetworkError: no answer came within the retries; `sent` says how much of the body had left.
            DeadlineExceeded: the time ran out first.
            ResponseTooLarge: the answer is over `max_answer_bytes`.
        """
        key = token or self._key
        if key is None:
            raise no_key()
        check_body(body)
        limit = None if body is not None else self.settings.call_timeout
        content, kind = with_json(json)
        headers = {**self._common, **(headers or {}), **kind, **bearer(key)}
        request = prepared(method, with_query(self._origin + path, params), headers, content or body)
        call = self._call(request, resend, statuses, (deadline or self.clock.deadline(None)).earlier(limit))
        call.turn = turn
        return self._api.whole(request, call, what, limit=self.settings.max_answer_bytes, key=key)

    def put(self, url: SignedURL, body: Body, what: str) -> Answer:
        """Send a body to a presigned URL: no Authorization, no cookies, no redirects.

        Raises:
            FileError: the body is empty or can't be read twice; nothing was sent.
            UnsafeURL: before anything is sent, for a link that must not be followed.
            NetworkError: no answer; with `sent` = "all" the object may have been stored.
        """
        check_body(body)
        request = self._storage_request("PUT", url, body)
        call = self._call(request, Resend.UNTIL_WHOLE, ANY_FAILURE, self.clock.deadline(None))
        return self._storage.whole(request, call, what, limit=ERROR_BODY, key=self._key, cut=True)

    @contextmanager
    def stream(self, url: SignedURL, what: str) -> Iterator[requests.Response]:
        """Open a download; the body is read from `response.raw` and always closed. Redirects are not followed here.

        Raises:
            UnsafeURL: for a link that must not be followed.
            NetworkError: no answer, or the body broke off while it was read.
        """
        request = self._storage_request("GET", url)
        call = self._call(request, Resend.ALWAYS, ANY_FAILURE, self.clock.deadline(None))
        with self._storage.streamed(request, call, what) as response:
            yield response

    @contextmanager
    def stream_api(
        self, path: str, what: str, *, params: Mapping[str, str], token: APIKey
    ) -> Iterator[requests.Response]:
        """Open an API answer whose body is a file; it is read as that of `stream`. One attempt: the reader repeats.

        Args:
            path: below the origin, from its slash.
            what: what is asked for, as the subject of an error message.
            params: the query.
            token: the bearer.

        Raises:
            NetworkError: no answer, or the body broke off while it was read.
        """
        headers = {**self._common, **AS_IT_IS, **bearer(token)}
        request = prepared("GET", with_query(self._origin + path, params), headers)
        call = self._call(request, Resend.ALWAYS, frozenset(), self.clock.deadline(None))
        call.retries, call.silence = 0, self.settings.stall_timeout
        with self._api.streamed(request, call, what) as response:
            yield response

    def _storage_request(self, method: str, url: SignedURL, body: Body | None = None) -> requests.PreparedRequest:
        check_storage_url(url, self.settings.storage_hosts, loopback=self.on_loopback)
        whole = url_as_sent(url)
        if whole is None:
            raise UnsafeURL(f"The service gave a link that can't be requested: {url}")
        if whole != url.reveal():
            check_storage_url(SignedURL(whole), self.settings.storage_hosts, loopback=self.on_loopback)
        return prepared(method, whole, {**self._common, **AS_IT_IS}, body)

    def _call(
        self, request: requests.PreparedRequest, resend: Resend, statuses: frozenset[int], deadline: Deadline
    ) -> Call:
        body = request.body
        settings = self.settings
        streamed = body is not None and not isinstance(body, bytes | str)
        storage = "Authorization" not in request.headers
        return Call(
            deadline=deadline,
            silence=settings.stall_timeout if streamed or storage else settings.read_timeout,
            resend=resend,
            statuses=statuses,
            retries=settings.retries,
            clock=self.clock,
            budget=self._budget,
            gate=None if storage else self._gate,
            answer_within=settings.call_timeout,
            body_length=len(body) if body is not None else 0,
        )


def refuse_pickling(self: object) -> NoReturn:
    """Raise: connections and keys don't travel."""
    raise TypeError(f"{type(self).__name__} can't be pickled; make a new client where it is needed")


Transport.__reduce__ = refuse_pickling  # type: ignore[method-assign]
