"""What the tests of plugins share: exporters made on the spot, and packages that are really found by entry points."""

import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from doc2x_sdk import Document, Option, hookimpl
from doc2x_sdk.formats.plugins import new_manager
from doc2x_sdk.formats.registry import Formats
from tests.support.scripted_service import ScriptedService

Export = Callable[..., Any]
Install = Callable[..., None]


class Exporter:
    """An exporter whose `export` is a function of the test."""

    def __init__(self, export: Export, name: str = "x", needs: str = "md", suffix: str = "", **more: Any) -> None:
        self.name = name
        self.suffix = suffix or f".{name}"
        self.needs = needs
        self.options: tuple[Option, ...] = more.get("options", ())
        self.linked_images: object = more.get("linked_images", False)
        self.export = export


class Plugin:
    """A plugin that offers exporters; each test adds the hooks that it is about by subclassing."""

    __version__ = "1.2"

    def __init__(self, *exporters: Exporter) -> None:
        self._exporters = exporters

    @hookimpl
    def doc2x_register_exporters(self, register: Callable[[Exporter], None]) -> None:
        for exporter in self._exporters:
            register(exporter)


def formats_of(*plugins: object, **named: object) -> Formats:
    """Formats with these plugins; a keyword names its package, with `_` for `-`."""
    manager = new_manager()
    for number, plugin in enumerate(plugins):
        manager.register(plugin, f"doc2x-test{number or ''}")
    for name, plugin in named.items():
        manager.register(plugin, name.replace("_", "-"))
    return Formats(manager)


def write_text(bundle: Any, out: Path, options: Mapping[str, Any]) -> list[Path]:
    """An exporter that does what it should."""
    target = out / "good.txt"
    target.write_text(f"{bundle.format}: {len(bundle.main.read_bytes())}", encoding="utf-8")
    return [target]


@pytest.fixture
def convert(service: ScriptedService, paper: Path, tmp_path: Path) -> Callable[..., Document]:
    """Convert the paper with these formats at hand; settings of the client as `settings=`."""

    def run(formats: Formats, to: list[str], *, settings: Mapping[str, Any] | None = None, **options: Any) -> Document:
        with service.client(formats=formats, **(settings or {})) as client:
            return client.convert(paper, to=to, **{"out": tmp_path / "out", **options})

    return run


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Install]:
    """Install a package as pip would leave it: a module and its metadata, in a folder on `sys.path`."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    modules: list[str] = []

    def write(package: str, source: str, *, version: str = "1.2", name: str = "", target: str = "") -> None:
        module = package.replace("-", "_")
        modules.append(module)
        (folder / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        info = folder / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[doc2x]\n{name or package} = {target or module}\n")

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield write
    for module in modules:
        sys.modules.pop(module, None)


GOOD = """
    from doc2x_sdk import hookimpl

    class Good:
        name, suffix, needs = "good", ".good", "md"

        def export(self, bundle, out, options):
            target = out / "good.good"
            target.write_text("good")
            return [target]

    @hookimpl
    def doc2x_register_exporters(register):
        register(Good())
"""
"""The source of a plugin that works; it offers the format `good`."""
