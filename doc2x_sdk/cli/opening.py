"""Opens the client that a command needs, or says what is missing before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from doc2x_sdk.cli import terminal

if TYPE_CHECKING:
    from doc2x_sdk.client import Doc2X
    from doc2x_sdk.formats.registry import Formats

__all__ = ["KEY_ADVICE", "open_account", "open_client"]

KEY_ADVICE = "Run `doc2x config set-key`, or set DOC2X_APIKEY."


def open_account(formats: Formats | None = None, *, api: Literal["v1", "v2"] = "v2", **settings: Any) -> Doc2X:
    """Return a client of the account; a setting that is None is as configured.

    Raises:
        ConfigError: there is no key, or a setting is wrong.
    """
    from doc2x_sdk import config
    from doc2x_sdk.client import Doc2X
    from doc2x_sdk.errors import ConfigError

    if config.load().key is None:
        raise ConfigError("No key is set, and this needs the key of an account", advice=KEY_ADVICE)
    return Doc2X(formats=formats, api=api, **settings)


def open_client(
    formats: Formats | None = None,
    *,
    local: bool,
    dask: str | None = None,
    api: Literal["v1", "v2"] = "v2",
    quiet: bool = False,
    **settings: Any,
) -> tuple[Doc2X, bool]:
    """Return a client, and whether it works on this machine, or on the cluster behind the scheduler `dask`.

    Without a key the embedded engine is taken, and stderr says so; not for v1, which is asked for by name.

    Raises:
        ConfigError: neither a key nor the engine is there, or a setting is wrong.
    """
    from doc2x_sdk import config
    from doc2x_sdk.client import Doc2X
    from doc2x_sdk.errors import ConfigError
    from doc2x_sdk.local import extra

    if local:
        server = {"dask": dask} if dask else None
        return Doc2X.local(formats=formats, api=api, server=server, **settings), True
    loaded = config.load()
    if loaded.key is not None or api == "v1":
        return open_account(formats, api=api, **settings), False
    if extra.missing_packages():
        raise ConfigError(
            "There is no key, and the engine that works without one is not installed",
            advice=f"Either store your account's key by `doc2x config set-key` (or set DOC2X_APIKEY), or run: "
            f"{extra.INSTALL}",
        )
    if not quiet:
        aside = ""
        if loaded.origins["base_url"] != "default":
            aside = f" {loaded.settings.base_url} ({loaded.origins['base_url']}) is not asked."
        terminal.say(
            f"No key is set, so this machine converts by itself.{aside} For the service: doc2x config set-key",
            label="Note:",
            colour="cyan",
        )
    return Doc2X.local(formats=formats, **settings), True
