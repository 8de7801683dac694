"""Whether the packages that the engine needs are there: the extra `local`."""

from __future__ import annotations

from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from doc2x_sdk.errors import ConfigError
from doc2x_sdk.version import __version__

__all__ = ["INSTALL", "engine_name", "missing_packages", "require_extra"]

NEEDED = ("liteparse", "pypandoc", "starlette", "uvicorn", "python_multipart", "PIL", "pypdfium2")
ENGINES = ("liteparse", "rapidocr", "onnxruntime", "pypandoc_binary", "pypandoc")
INSTALL = "pip install 'doc2x-sdk[local]'"


def missing_packages() -> list[str]:
    """Return the import names of the extra's packages that are not installed; nothing is imported."""
    return [name for name in NEEDED if find_spec(name) is None]


def engine_name(chunk_pages: int) -> str:
    """Return a name of the engine that changes with all that its results depend on: versions, and pages at a time."""
    parts = [f"doc2x-sdk {__version__}", f"chunks of {chunk_pages}"]
    for name in ENGINES:
        with suppress(PackageNotFoundError):
            parts.append(f"{name} {version(name)}")
    return f"this machine: {', '.join(parts)}"


def require_extra() -> None:
    """Raise `ConfigError` unless the extra is there."""
    missing = missing_packages()
    if missing:
        raise ConfigError(
            f"Doc2X on this machine needs packages that are not installed: {', '.join(missing)}",
            advice=f"Run: {INSTALL}",
        )
