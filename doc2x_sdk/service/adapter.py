"""requests' adapter upon our connections: each call has a retry engine of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import ConnectionPool
from urllib3.poolmanager import PoolManager, ProxyManager
from urllib3.response import BaseHTTPResponse

from doc2x_sdk.service.connections import BoundedHTTPPool, BoundedHTTPSPool
from doc2x_sdk.service.prepared import path_at
from doc2x_sdk.service.retry import CallRetry, current_call

__all__ = ["CallAdapter"]

UPLOAD_BLOCK = 1024 * 1024  # bytes of a body read and written at a time, at most: a source gives fewer
ORIGINS = 8  # whose connections are kept: the API's, or those of storage hosts
POOLS = {"http": BoundedHTTPPool, "https": BoundedHTTPSPool}


class PlainResponse(requests.Response):
    """An answer without what nobody here reads and is dear to make: a jar for cookies, the encoding of its text."""

    def __init__(self, request: requests.PreparedRequest, raw: BaseHTTPResponse, adapter: HTTPAdapter) -> None:
        self._content = cast(Any, False)  # not read yet
        self._content_consumed = False
        self.status_code, self.reason, self.raw = raw.status, raw.reason or "", raw
        self.headers = cast(Any, raw.headers)
        self.url, self.request, self.connection = request.url or "", request, adapter
        self.encoding = None
        self.history = []


class CallAdapter(HTTPAdapter):
    """requests' adapter with bounded connections and one retry engine a call.

    requests takes the engine from the adapter, not from the call; `max_retries` therefore answers for the call that
    this thread is sending.
    """

    def __init__(self, *, connections: int) -> None:
        super().__init__(pool_connections=ORIGINS, pool_maxsize=connections, pool_block=False)
        self._pools: dict[tuple[object, ...], ConnectionPool] = {}

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._pools.clear()
        super().close()

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: Any = None,
    ) -> ConnectionPool:
        """Return the pool of a request's origin; to look for it costs as much as to write the request."""
        url = request.url or ""
        way = (url[: path_at(url)], verify, cert, *(proxies or {}).items())
        pool = self._pools.get(way)
        if pool is None:
            pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
            if len(self._pools) >= ORIGINS:
                self._pools.clear()
            self._pools[way] = pool
        return pool

    def request_url(self, request: requests.PreparedRequest, proxies: Mapping[str, str] | None) -> str:
        """Return what stands in the request line."""
        if proxies:
            return super().request_url(request, proxies)
        url = request.url or ""
        return url[path_at(url) :].partition("#")[0]

    def build_response(self, req: requests.PreparedRequest, resp: BaseHTTPResponse) -> requests.Response:
        """Describe an answer."""
        return PlainResponse(req, resp, self)

    @property
    def max_retries(self) -> CallRetry:
        """The retry engine of the current call."""
        call = current_call.get()
        if call is None:
            msg = "the adapter is used through Transport only"
            raise RuntimeError(msg)
        return call.engine or CallRetry.for_call(call)

    @max_retries.setter
    def max_retries(self, value: object) -> None:
        """Take no notice of the engine that the base class makes for all calls."""

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        """Build the pools with bounded connections and large upload blocks."""
        self._pool_connections = connections
        self._pool_maxsize = maxsize
        self._pool_block = block
        self.poolmanager = PoolManager(
            num_pools=connections, maxsize=maxsize, block=block, blocksize=UPLOAD_BLOCK, **options
        )
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> ProxyManager:
        """Build the pools that go through a proxy, bounded as well."""
        manager = cast(ProxyManager, super().proxy_manager_for(proxy, blocksize=UPLOAD_BLOCK, **options))
        if proxy.lower().startswith("socks"):
            from doc2x_sdk.service import socks  # noqa: PLC0415 - needs an extra

            manager.pool_classes_by_scheme = socks.POOLS
        else:
            manager.pool_classes_by_scheme = POOLS
        return manager
