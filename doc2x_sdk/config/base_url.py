"""Where the key may travel: to an https origin, or to this machine itself."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from urllib.parse import urlsplit

from doc2x_sdk.errors import ConfigError

__all__ = ["check_base_url", "is_loopback"]


@lru_cache(maxsize=64)
def is_loopback(host: str | None) -> bool:
    """Tell whether a host name or IP literal is this machine's loopback; names other than localhost are not."""
    if not host:
        return False
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_base_url(url: str, name: str) -> None:
    """Raise `ConfigError` unless `url` is an https origin, or an http one on loopback."""
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    advice = f"Set {name} to an origin such as https://v2.doc2x.noedgeai.com (environment: DOC2X_{name.upper()})."
    if not usable or re.search(r"[\s\\\x00-\x20\x7f]", url):
        msg = f"{name} is not a URL"
        raise ConfigError(msg, advice=advice)
    if re.search(r"[@?#]", url) or parts.path.strip("/"):
        msg = f"{name} must be an origin: no user, path, query or fragment"
        raise ConfigError(msg, advice=advice)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        msg = f"{name} must be https, since the key travels there; plain http is taken on loopback only"
        raise ConfigError(msg, advice=advice)
