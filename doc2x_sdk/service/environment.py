"""What the environment says about the way to a host: certificates and proxies, as curl reads them."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from requests.utils import get_environ_proxies
from urllib3.util import parse_url

from doc2x_sdk.config import is_loopback
from doc2x_sdk.errors import ConfigError

__all__ = ["find_ca_bundle", "proxies_for"]

SOCKS = frozenset({"socks4", "socks4a", "socks5", "socks5h"})
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


def find_ca_bundle(environ: Mapping[str, str]) -> str | bool:
    """Return the CA file or folder that the environment names; True for the built-in list.

    Raises `ConfigError` when it names one that can't be used: certificates are never left unchecked.
    """
    for variable in CA_VARIABLES:
        value = environ.get(variable)
        if not value:
            continue
        path = Path(value)
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(**{"capath" if path.is_dir() else "cafile": value})
        except (OSError, ValueError) as error:
            told = "is not there" if isinstance(error, FileNotFoundError) else "can't be read as certificates (PEM)"
            raise ConfigError(
                f"{variable} names a CA file that {told}: {value}", advice="Correct or unset the variable."
            ) from None
        return value
    return True


def proxies_for(url: str) -> dict[str, str]:
    """Return the environment's proxies for a URL; none for loopback.

    Raises `ConfigError` where a SOCKS proxy would count that says no version, or without the extra `socks`.
    """
    parts = parse_url(url)
    if is_loopback(parts.host):
        return {}
    proxies = dict(get_environ_proxies(url))
    chosen = proxies.get(parts.scheme or "") or proxies.get("all") or ""
    scheme = chosen.partition("://")[0].lower()
    if scheme.startswith("socks"):
        check_socks(scheme)
    return proxies


def check_socks(scheme: str) -> None:
    """Raise `ConfigError` for a SOCKS proxy that can't be used."""
    if scheme not in SOCKS:
        raise ConfigError(
            f"The environment asks for a proxy by {scheme[:20]}://, which does not tell the version",
            advice="Write socks5h:// (names are looked up by the proxy), or name an HTTP proxy in HTTPS_PROXY, which "
            "counts before ALL_PROXY.",
        )
    if find_spec("socks") is None:
        raise ConfigError(
            "The environment asks for a SOCKS proxy, which needs the extra `socks`",
            advice="Install it: pip install 'doc2x-sdk[socks]'. Or name an HTTP proxy in HTTPS_PROXY, which counts "
            "before ALL_PROXY.",
        )
