"""The account's key, and the file that holds it."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from doc2x_sdk.config.paths import key_path
from doc2x_sdk.errors import ConfigError

__all__ = ["APIKey", "find_key", "key_fault", "no_key", "set_key"]

KEY_VARIABLES = ("DOC2X_APIKEY", "DOC2X_API_KEY")


class APIKey:
    """The account's key. It prints as stars, does not pickle, and is checked before anything is sent."""

    __slots__ = ("_value", "origin")

    def __init__(self, value: str, origin: str) -> None:
        reason = key_fault(value)
        if reason:
            msg = f"The key from {origin} {reason}"
            raise ConfigError(msg, advice="Copy it again, alone and without quotes. Its text is not shown here.")
        self._value = value
        self.origin = origin

    def reveal(self) -> str:
        """Return the key itself, for the Authorization header."""
        return self._value

    def fingerprint(self) -> str:
        """Return a name for the account that tells nothing of the key."""
        return hashlib.sha256(b"doc2x account " + self._value.encode()).hexdigest()[:16]

    @property
    def is_access_token(self) -> bool:
        """Whether it is an open-platform key, which is its own access token (Doc2X API v1, token kinds)."""
        return self._value.startswith("sk-")

    def __repr__(self) -> str:
        return f"APIKey(***, from {self.origin})"

    def __reduce__(self) -> NoReturn:
        msg = "a key is not written anywhere; make a new client where it is needed"
        raise TypeError(msg)


def key_fault(value: object) -> str | None:
    """Say what is wrong with a key's text, without the text; None when it can be sent."""
    if not isinstance(value, str):
        return "is not a text"
    checks = (
        (not value, "is empty"),
        (value.lower().startswith("bearer"), "begins with 'Bearer'; give the key alone"),
        ("${" in value or value.startswith("$"), "is the name of a variable that was not replaced"),
        (not value.isascii(), "holds characters outside ASCII"),
        (re.search(r"[\s\x00-\x1f\x7f]", value) is not None, "holds a space, a line break or a control character"),
        (value[:1] in "'\"", "begins with a quote"),
    )
    return next((reason for wrong, reason in checks if wrong), None)


def find_key(apikey: str | None, environ: Mapping[str, str]) -> APIKey | None:
    """Return the key from argument, environment or key file, in this order."""
    if apikey is not None:
        return APIKey(apikey, "the argument")
    for variable in KEY_VARIABLES:
        if environ.get(variable):
            return APIKey(environ[variable], variable)
    path = key_path(environ)
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        msg = f"The key file {path} can't be read: {error.strerror}"
        raise ConfigError(
            msg, advice="Give the key as DOC2X_APIKEY, or write it anew with `doc2x config set-key`."
        ) from error
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        msg = f"The key file {path} can be read by others on this machine"
        raise ConfigError(msg, advice=f"Run `chmod 600 {path}`, and think about a new key.")
    return APIKey(text, str(path))


def set_key(value: str) -> Path:
    """Write the key to its file, mode 0600 in a folder of mode 0700, and return the path.

    Raises `ConfigError` when the key can't be one, or the file can't be written; an older key then stays.
    """
    key = APIKey(value, "what was given")
    path = key_path()
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside.unlink(missing_ok=True)
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(key.reveal() + "\n")
            out.flush()
            os.fsync(out.fileno())
        aside.replace(path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        msg = f"The key could not be written to {path}: {error.strerror}"
        raise ConfigError(msg, advice="Give it as DOC2X_APIKEY instead, or make that folder writable.") from error
    return path


def no_key() -> ConfigError:
    """Build the error of a call without a key: it names both ways out."""
    return ConfigError(
        "No API key is set",
        advice="Set DOC2X_APIKEY or run `doc2x config set-key`; without an account use Doc2X.local() or --local.",
    )
