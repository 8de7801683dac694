"""Help: complete, quick, and true to what the commands take."""

import shlex
import subprocess
import sys

import click
import pytest

from doc2x_sdk.cli.main import COMMANDS, app

NOT_FOR_HELP = ("requests", "rich", "urllib3", "pluggy", "platformdirs", "doc2x_sdk.client", "doc2x_sdk.errors")


def walk(group: click.Group, words: tuple[str, ...] = ("doc2x",)) -> list[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    found: list[tuple[tuple[str, ...], click.Command]] = [(words, group)]
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found += walk(command, (*words, name)) if isinstance(command, click.Group) else [((*words, name), command)]
    return found


ALL = walk(app)
each_command = pytest.mark.parametrize("command", [each for _, each in ALL], ids=[" ".join(words) for words, _ in ALL])


@each_command
def test_every_command_and_option_has_a_help_text(command):
    assert command.help
    assert command.get_short_help_str(200).rstrip(".")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.opts


@each_command
def test_every_option_is_in_the_help(command):
    text = command.get_help(click.Context(command, info_name="doc2x", max_content_width=100))
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[-1] in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("name", COMMANDS)
def test_the_overview_says_what_the_command_says(name):
    command = app.get_command(click.Context(app), name)
    assert command is not None
    assert command.name == name
    assert command.short_help == COMMANDS[name].short_help


def examples() -> list[str]:
    from doc2x_sdk.cli.main import EXAMPLES

    lines = [line for _, line in EXAMPLES]
    return lines + [line for _, command in ALL for _, line in getattr(command, "examples", ())]


@pytest.mark.parametrize("line", examples())
def test_every_example_is_a_line_that_the_command_takes(line):
    words = shlex.split(line.partition(" | ")[0].partition(" < ")[0].partition(" > ")[0])
    while words and "=" in words[0]:
        words.pop(0)
    if words[0] != "doc2x":
        assert "$(doc2x config path)" in line
        return
    command: click.Command = app
    words.pop(0)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, words[0]
        command = found
        words.pop(0)
    with command.make_context("doc2x", words):
        pass


LOADED = """
import sys
before = set(sys.modules)
sys.argv = ["doc2x", *sys.argv[1:]]
from doc2x_sdk.cli.main import main
code = main()
print("\\n".join(sorted(sys.modules)), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize("words", [["--help"], ["--version"]], ids=" ".join)
def test_help_imports_nothing_but_click(words):
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *words], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stderr.split())
    assert done.stdout
    assert "click" in loaded
    assert not loaded & {*NOT_FOR_HELP, *(entry.module for entry in COMMANDS.values())}
    assert "importlib.metadata" not in loaded, "a scan of the entry points"


def test_the_shell_completes_commands_options_formats_and_files():
    def complete(line: str, whole: bool = False) -> set[str]:
        at = len(shlex.split(line)) - (not line.endswith(" "))
        env = {"_DOC2X_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(at)}
        done = subprocess.run(
            [sys.executable, "-m", "doc2x_sdk"], capture_output=True, text=True, check=True, timeout=60, env=env
        )
        return {word if whole else word.partition(",")[2] for word in done.stdout.split()}

    assert complete("doc2x con") == {"convert", "config"}
    assert complete("doc2x jobs sh") == {"show"}
    assert "--overwrite" in complete("doc2x convert --over")
    assert complete("doc2x convert --to do") == {"docx"}
    assert complete("doc2x convert pap", whole=True) == {"file,pap"}
    assert complete("doc2x convert --out o", whole=True) == {"dir,o"}
    assert complete("doc2x jobs --ledger l", whole=True) == {"file,l"}
