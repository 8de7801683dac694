"""The plugin contract: what third parties may implement, marked with `doc2x_sdk.hookimpl`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import pluggy

from doc2x_sdk.models import Bundle

__all__ = ["Exporter", "Register", "hookimpl", "hookspec"]

hookspec = pluggy.HookspecMarker("doc2x")
hookimpl = pluggy.HookimplMarker("doc2x")


class Exporter(Protocol):
    """Makes a derived format out of a native one."""

    @property
    def name(self) -> str:
        """The format's name, as given to `--to`; lower case."""

    @property
    def suffix(self) -> str:
        """The main file's extension, with its dot."""

    @property
    def needs(self) -> str:
        """The format that it reads: "parse", or one of `NATIVE_FORMATS`."""

    def export(self, bundle: Bundle, out: Path, options: Mapping[str, Any]) -> list[Path]:
        """Read the bundle, write into the folder `out`, and return the files written, the main one first."""


Register = Callable[[Exporter], None]


@hookspec
def doc2x_register_exporters(register: Register) -> None:
    """Offer derived formats: call `register(exporter)` once for each.

    It is called once for a client, before anything is sent. An exporter is called from the thread that converts the
    document, for many documents at a time: it keeps no state between calls.
    """


@hookspec
def doc2x_process_bundle(bundle: Bundle) -> None:
    """Post-process a downloaded native format in its staging folder, before exporters read it and it is published.

    Change the files in `bundle.folder` in place. What is raised fails the format and leaves an older file as it is.
    """
