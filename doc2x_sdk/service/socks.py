"""Bounded connections through a SOCKS proxy: urllib3's, which need PySocks, of the extra `socks`."""

from __future__ import annotations

from urllib3.contrib.socks import SOCKSConnection

from doc2x_sdk.service.connections import (
    BoundedHTTPConnection,
    BoundedHTTPPool,
    BoundedHTTPSConnection,
    BoundedHTTPSPool,
)

__all__ = ["POOLS"]


class BoundedSOCKSConnection(BoundedHTTPConnection, SOCKSConnection):
    """A plain connection through the proxy."""


class BoundedSOCKSHTTPSConnection(BoundedSOCKSConnection, BoundedHTTPSConnection):
    """The same over TLS."""


class BoundedSOCKSPool(BoundedHTTPPool):
    """A pool of plain connections through the proxy."""

    ConnectionCls = BoundedSOCKSConnection


class BoundedSOCKSHTTPSPool(BoundedHTTPSPool):
    """A pool of TLS connections through the proxy."""

    ConnectionCls = BoundedSOCKSHTTPSConnection


POOLS = {"http": BoundedSOCKSPool, "https": BoundedSOCKSHTTPSPool}
