"""Whether the packages that the engine needs are there: the extra `local`."""

from __future__ import annotations

from importlib.util import find_spec

from doc2x_sdk.errors import ConfigError

__all__ = ["INSTALL", "missing_packages", "require_extra"]

NEEDED = ("liteparse", "pypandoc", "starlette", "uvicorn", "python_multipart", "PIL", "pypdfium2")
INSTALL = "pip install 'doc2x-sdk[local]'"


def missing_packages() -> list[str]:
    """Return the import names of the extra's packages that are not installed; nothing is imported."""
    return [name for name in NEEDED if find_spec(name) is None]


def require_extra() -> None:
    """Raise `ConfigError` unless the extra is there."""
    missing = missing_packages()
    if missing:
        raise ConfigError(
            f"Doc2X on this machine needs packages that are not installed: {', '.join(missing)}",
            advice=f"Run: {INSTALL}",
        )
