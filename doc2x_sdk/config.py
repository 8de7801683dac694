"""Settings, the key, and where each of them came from.

A setting is taken from the first of: the argument, the environment (`DOC2X_` and the setting's name in capitals), the
config file, the default. The config file is TOML, one `name = value` a line, in the user's config folder;
`DOC2X_CONFIG` names another. The key stands in a file of its own beside it, mode 0600, written by `set_key`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NoReturn
from urllib.parse import urlsplit

from doc2x_sdk.errors import ConfigError

__all__ = [
    "APIKey",
    "Configuration",
    "Generation",
    "Settings",
    "bytes_of",
    "config_path",
    "is_loopback",
    "key_fault",
    "key_path",
    "ledger_path",
    "load",
    "set_key",
]

Generation = Literal["v1", "v2"]
"""The two generations of the service (Doc2X API, "Two generations")."""

KEY_VARIABLES = ("DOC2X_APIKEY", "DOC2X_API_KEY")
STORAGE_HOSTS = (".aliyuncs.com", ".amazonaws.com.cn", ".noedgeai.com")
MEGABYTE = 1024 * 1024
WHOLE = frozenset({"retries", "connections", "archive_days", "archive_size"})
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
V1_LIMITS = {"max_pdf_bytes": 100 * MEGABYTE, "max_image_bytes": 10 * MEGABYTE}
"""Where v1 takes other sizes than the defaults below, which are v2's (Doc2X API v1, upload)."""


def setting(default: Any, text: str) -> Any:
    """Declare a setting with its default and the one line that `doc2x config` prints about it."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, slots=True)
class Settings:
    """Every default of the package by name. Times are in seconds, sizes in bytes."""

    base_url: str = setting("https://v2.doc2x.noedgeai.com", "origin of the v2 service")
    v1_base_url: str = setting("https://api.doc2x.noedgeai.com", "origin of the v1 service")
    connect_timeout: float = setting(5.0, "to open one connection")
    read_timeout: float = setting(30.0, "silence after which one answer is given up")
    call_timeout: float = setting(60.0, "one API call, its retries included")
    stall_timeout: float = setting(60.0, "silence after which an upload or a download is given up")
    parse_timeout: float = setting(3600.0, "the wait for a parse")
    export_timeout: float = setting(600.0, "the wait for an export")
    patience: float = setting(180.0, "how long a full service is asked again before the document is given up")
    retries: int = setting(2, "how often a request that may be sent again is")
    connections: int = setting(32, "connections kept open to one host")
    poll_floor: float | None = setting(None, "shortest pause between two looks; by default 0.3, on loopback 0.05")
    exporter_timeout: float | None = setting(
        None, "longest run of a plugin's exporter, which is then a process of its own"
    )
    outage: float = setting(600.0, "how long a batch waits for a service that gives no answer")
    ledger: str | None = setting(None, "file of the receipts; by default in the user's state folder")
    account: str | None = setting(None, "name of the account in the ledger; by default a fingerprint of the key")
    archive: bool = setting(False, "keep results in files beside the ledger, and serve them from there")
    archive_days: int = setting(30, "days after its last use that a result stays in the archive")
    archive_size: int = setting(5120 * MEGABYTE, "most bytes of the archive, such as 500MB; the oldest make room")
    storage_hosts: tuple[str, ...] = setting(STORAGE_HOSTS, "hosts (or .suffixes) that uploads and downloads may go to")
    max_answer_bytes: int = setting(128 * MEGABYTE, "largest JSON answer")
    max_download_bytes: int = setting(2048 * MEGABYTE, "largest result file")
    max_pdf_bytes: int = setting(1024 * MEGABYTE, "largest PDF that the service takes")
    max_image_bytes: int = setting(7 * MEGABYTE, "largest picture that the service takes")
    max_file_pages: int = setting(2000, "most pages that the service takes in one parse")

    def __post_init__(self) -> None:
        for name in ("base_url", "v1_base_url"):
            check_base_url(getattr(self, name), name)
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, float) and not 0 < value < float("inf"):
                msg = f"{each.name} must be a number of seconds above 0"
                raise ConfigError(msg)
            if isinstance(value, int) and not isinstance(value, bool) and value < (0 if each.name == "retries" else 1):
                msg = f"{each.name} must not be below {0 if each.name == 'retries' else 1}"
                raise ConfigError(msg)


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


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings, the key where there is one, and the origin of each by name."""

    settings: Settings
    key: APIKey | None
    origins: Mapping[str, str] = field(repr=False)


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
    """Return where the ledger is or would be."""
    if settings.ledger:
        return Path(settings.ledger).expanduser()
    from platformdirs import user_state_path  # noqa: PLC0415 - only when no setting names the file

    return user_state_path("doc2x", appauthor=False) / "ledger.sqlite3"


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


def load(
    *,
    apikey: str | None = None,
    environ: Mapping[str, str] | None = None,
    api: Generation = "v2",
    **given: Any,
) -> Configuration:
    """Gather the settings and the key. Nothing is sent; a missing key is None.

    Args:
        apikey: the key as an argument, before all other places.
        environ: the environment; the process's own by default.
        api: whose limits are the defaults.
        given: settings by name; None means not given.

    Raises:
        ConfigError: an unknown setting, a value of the wrong kind, a key file that others can read.
    """
    environ = os.environ if environ is None else environ
    path = config_path(environ)
    written = read_config_file(path)
    known = {each.name: each for each in fields(Settings)}
    for origin, names in (("argument", given), (str(path), written)):
        for name in names:
            if name not in known:
                msg = f"Unknown setting {name!r} ({origin})"
                raise ConfigError(msg)
    values: dict[str, Any] = dict(V1_LIMITS) if api == "v1" else {}
    origins: dict[str, str] = {}
    for name in known:
        variable = f"DOC2X_{name.upper()}"
        if given.get(name) is not None:
            values[name], origins[name] = coerce(name, given[name], "the argument"), "argument"
        elif environ.get(variable):
            values[name], origins[name] = coerce(name, environ[variable], variable), variable
        elif name in written:
            values[name], origins[name] = coerce(name, written[name], str(path)), str(path)
        else:
            origins[name] = "default"
    key = find_key(apikey, environ)
    origins["apikey"] = key.origin if key else "not set"
    return Configuration(Settings(**values), key, origins)


def read_config_file(path: Path) -> dict[str, Any]:
    """Read the TOML file; a missing one is empty."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"The config file {path} can't be read: {error}"
        raise ConfigError(
            msg, advice="Mend or remove the file; `doc2x config` shows the names of the settings."
        ) from error


def coerce(name: str, value: Any, origin: str) -> Any:
    """Turn text into the setting's type, or raise `ConfigError` that names setting and origin."""
    if name == "storage_hosts":
        parts = value.replace(",", " ").split() if isinstance(value, str) else value
        if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
            msg = f"storage_hosts must be a list of host names, but {origin} gives {value!r}"
            raise ConfigError(msg)
        return tuple(part.lower() for part in parts)
    if name in {"base_url", "v1_base_url"}:
        return str(value).rstrip("/")
    if name in {"ledger", "account"}:
        if not isinstance(value, str | os.PathLike):
            raise ConfigError(
                f"{name} must be a {'path' if name == 'ledger' else 'name'}, but {origin} gives {value!r}"
            )
        return str(value)
    if name == "archive":
        return truth(value, origin)
    if name == "archive_size" and isinstance(value, str):
        value = bytes_of(value) or value
    kind: type[int] | type[float] = int if name in WHOLE or name.startswith("max_") else float
    word = "whole number" if kind is int else "number"
    with suppress(TypeError, ValueError, OverflowError):
        number = kind(value)
        if not isinstance(value, bool) and (isinstance(value, str) or number == value):
            return number
    msg = f"{name} must be a {word}, but {origin} gives {value!r}"
    raise ConfigError(msg)


def truth(value: Any, origin: str) -> bool:
    """Read the setting `archive`: true, yes, on, 1 and their opposites."""
    found = value if isinstance(value, bool) else WORDS.get(str(value).strip().lower())
    if found is None:
        raise ConfigError(f"archive must be true or false, but {origin} gives {value!r}")
    return found


def bytes_of(text: str) -> int | None:
    """Read a size such as 500MB, 1.5 GiB or 1000000 (bytes), in units of 1024; None for what is none."""
    found = SIZE.fullmatch(text.strip())
    return None if found is None else int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))


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
