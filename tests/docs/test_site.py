"""The site builds strictly, and nothing of the command or the package is missing in it."""

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import doc2x_sdk
from doc2x_sdk import errors
from doc2x_sdk.cli.main import COMMANDS, app
from doc2x_sdk.client import Doc2X
from tests.docs.blocks import ROOT


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site, as text."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "text", "-d", str(target / "trees")]
    done = subprocess.run(
        [*command, str(ROOT / "docs"), str(target / "text")], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return target / "text"


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command of the table, with those below it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def test_every_command_and_option_is_documented(site: Path) -> None:
    text = (site / "reference" / "command.txt").read_text(encoding="utf-8")
    found = list(commands(app))
    assert {path[0] for path, _ in found} == set(COMMANDS)
    for path, command in found:
        assert " ".join(("doc2x", *path)) in text or path[-1] in text, path
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert parameter.help, (path, parameter.name)
                assert any(re.search(rf"{re.escape(name)}\b", text) for name in parameter.opts), (path, parameter.opts)


def test_every_public_name_is_documented(site: Path) -> None:
    text = (site / "reference" / "api.txt").read_text(encoding="utf-8")
    methods = [name for name, _ in inspect.getmembers(Doc2X, callable) if not name.startswith("_")]
    wanted = [*methods, *errors.__all__, *(name for name in doc2x_sdk.__all__ if not name.startswith("__"))]
    missing = [name for name in wanted if not re.search(rf"\b{name}\b", text)]
    assert missing == []


def test_every_setting_and_error_has_its_row(site: Path) -> None:
    from dataclasses import fields

    from doc2x_sdk.config import Settings

    settings = (site / "reference" / "settings.txt").read_text(encoding="utf-8")
    told = (site / "guide" / "errors.txt").read_text(encoding="utf-8")
    assert [each.name for each in fields(Settings) if f'| "{each.name}"' not in settings] == []
    assert [name for name in errors.__all__ if f'| "{name}"' not in told] == []
