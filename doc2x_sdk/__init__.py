"""Doc2X for Python: PDFs and pictures into Markdown, LaTeX and Word.

The names below are imported when they are first used, so that `import doc2x_sdk` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from doc2x_sdk.version import __version__

if TYPE_CHECKING:
    from doc2x_sdk.client import Doc2X as Doc2X
    from doc2x_sdk.errors import Doc2XError as Doc2XError
    from doc2x_sdk.hookspecs import Option as Option
    from doc2x_sdk.hookspecs import hookimpl as hookimpl
    from doc2x_sdk.models import Bundle as Bundle
    from doc2x_sdk.models import Document as Document
    from doc2x_sdk.models import ExportOptions as ExportOptions
    from doc2x_sdk.models import Page as Page
    from doc2x_sdk.models import ParseOptions as ParseOptions
    from doc2x_sdk.models import Progress as Progress
    from doc2x_sdk.models import Translation as Translation

_HOMES = {
    "Bundle": "models",
    "Doc2X": "client",
    "Doc2XError": "errors",
    "Document": "models",
    "ExportOptions": "models",
    "Option": "hookspecs",
    "Page": "models",
    "ParseOptions": "models",
    "Progress": "models",
    "Translation": "models",
    "hookimpl": "hookspecs",
}

__all__ = [
    "Bundle",
    "Doc2X",
    "Doc2XError",
    "Document",
    "ExportOptions",
    "Option",
    "Page",
    "ParseOptions",
    "Progress",
    "Translation",
    "__version__",
    "hookimpl",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module  # noqa: PLC0415 - lazy on purpose

    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
