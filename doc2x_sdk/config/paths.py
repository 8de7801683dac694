"""Where the config file, the key's file and the ledger are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from doc2x_sdk.config.settings import Settings

__all__ = ["config_path", "key_path", "ledger_path"]


def config_path(environ: Mapping[str, str] | None = None) -> Path:
    """Return where the config file is or would be."""
    environ = os.environ if environ is None else environ
    if environ.get("DOC2X_CONFIG"):
        return Path(environ["DOC2X_CONFIG"]).expanduser()
    from platformdirs import user_config_path  # noqa: PLC0415 - only when no variable names the file

    return user_config_path("doc2x", appauthor=False) / "config.toml"


def key_path(environ: Mapping[str, str] | None = None) -> Path:
    """Return where the key's file is or would be: `apikey` beside the config file."""
    return config_path(environ).with_name("apikey")


def ledger_path(settings: Settings) -> Path:
    """Return where the ledger is or would be: its real path, since what lies beside it tells who is at work on it.

    Two names of one ledger, one of them a link, must not be two ledgers to two processes.
    """
    if settings.ledger:
        return Path(os.path.realpath(Path(settings.ledger).expanduser()))
    from platformdirs import user_state_path  # noqa: PLC0415 - only when no setting names the file

    return Path(os.path.realpath(user_state_path("doc2x", appauthor=False) / "ledger.sqlite3"))
