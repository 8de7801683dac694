"""Both generations of the service, behind one contract."""

from __future__ import annotations

from collections.abc import Mapping

from doc2x_sdk.clock import Clock
from doc2x_sdk.config import Configuration, Generation, no_key
from doc2x_sdk.errors import ConfigError
from doc2x_sdk.service.contract import Service
from doc2x_sdk.service.transport import Transport
from doc2x_sdk.service.v2 import ServiceV2

__all__ = ["open_service"]


def open_service(
    api: Generation, loaded: Configuration, *, clock: Clock, environ: Mapping[str, str] | None = None
) -> Service:
    """Open a generation of the service for the account of a configuration. Nothing is sent.

    Raises `ConfigError` without a key, or for another generation than v1 and v2.
    """
    if loaded.key is None:
        raise no_key()
    settings = loaded.settings
    if api == "v1":
        from doc2x_sdk.service.v1 import ServiceV1  # noqa: PLC0415 - few still speak it

        transport = Transport(settings.v1_base_url, settings, loaded.key, clock=clock, environ=environ)
        return ServiceV1(transport, loaded.key)
    if api == "v2":
        return ServiceV2(Transport(settings.base_url, settings, loaded.key, clock=clock, environ=environ))
    raise ConfigError(f"There is no API {api!r}", advice="Choose api='v1' or api='v2'.")
