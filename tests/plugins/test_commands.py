"""What plugins do to the command line: `doc2x plugins`, `doc2x formats NAME`, and commands of their own."""

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from doc2x_sdk import hookimpl
from doc2x_sdk.cli.extension import find_command
from doc2x_sdk.cli.main import main
from tests.cli.command import account, doc2x
from tests.plugins.conftest import GOOD, Install, Plugin, formats_of
from tests.support.scripted_service import ScriptedService

COMMAND = """
    import click
    from doc2x_sdk import hookimpl

    @hookimpl
    def doc2x_register_commands(cli):
        @cli.command()
        @click.argument("word")
        def greet(word):
            click.echo(f"hello {word}")

        @cli.command("convert")
        def taken_over():
            click.echo("taken over")
"""


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    try:
        code = main(list(words))
    except SystemExit as end:
        code = int(end.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.faults("PL-07")
def test_plugins_lists_what_is_broken_with_its_reason(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("doc2x-good", GOOD)
    install("doc2x-bad", "import no_such_module_of_doc2x")
    code, out, _ = run(capsys, "plugins", "--json")
    rows = {row["package"]: row for row in json.loads(out)}
    assert code == 0
    assert rows["doc2x-good"]["state"] == "loaded"
    assert rows["doc2x-bad"]["state"] == "broken"
    assert "no_such_module_of_doc2x" in rows["doc2x-bad"]["reason"]
    assert set(rows["doc2x-bad"]) == {
        *("package", "version", "name", "hooks", "formats", "state", "reason", "entry"),
    }
    _, out, err = run(capsys, "plugins")
    assert "doc2x-bad\t1.2\tbroken" in out
    assert err == "", "the table has the reason"
    assert "doc2x-bad 1.2 is not used" in run(capsys, "formats")[2]


def test_formats_tells_the_options_of_one(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    source = GOOD.replace("def export", "options = (Option('size', int, 3, 'how large'),)\n\n        def export")
    install("doc2x-good", source.replace("import hookimpl", "import Option, hookimpl"))
    assert run(capsys, "formats", "good")[1].splitlines()[1] == "good.size\tint\t3\thow large"
    told = json.loads(run(capsys, "formats", "good", "--json")[1])
    assert told["options"] == [
        {"name": "size", "type": "int", "default": 3, "choices": [], "multiple": False, "help": "how large"}
    ]
    code, _, err = run(capsys, "formats", "epub")
    assert code == 2
    assert "pip install ./plugins/doc2x-pandoc" in err


def test_a_plugins_command_is_found_and_takes_over_nothing(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install("doc2x-other", COMMAND)
    assert run(capsys, "greet", "you")[:2] == (0, "hello you\n")
    assert "taken over" not in run(capsys, "convert", "--help")[1]


def adding(name: str) -> Callable[..., object]:
    class Adding(Plugin):
        @hookimpl
        def doc2x_register_commands(self, cli: click.Group) -> None:
            if not name:
                raise SystemExit(3)
            cli.add_command(click.Command(name))

    return Adding


TALKATIVE = """
    import subprocess, sys
    from doc2x_sdk import hookimpl

    print("imported")

    class Exporter:
        name, suffix, needs, options = "good", ".good", "md", ()

        def export(self, bundle, out, options):
            print("exporting")
            subprocess.run([sys.executable, "-c", "print('started')"])
            (out / "good.txt").write_text("x")
            return [out / "good.txt"]

    @hookimpl
    def doc2x_register_exporters(register):
        register(Exporter())

    @hookimpl
    def doc2x_register_commands(cli):
        @cli.command()
        def greet():
            print("hello")
"""


def test_what_a_plugin_prints_stays_out_of_the_results(install: Install, paper: Path, tmp_path: Path) -> None:
    install("doc2x-good", TALKATIVE)
    with ScriptedService() as service:
        env = account(service.origin, PYTHONPATH=str(tmp_path / "site-packages"))
        done = doc2x("convert", paper, "--to", "good", "--out", tmp_path / "out", "--json", env=env)
    assert done.code == 0
    assert [Path(file).name for row in done.json for file in row["files"].values()] == [f"{paper.stem}.good"]
    assert {"imported", "exporting", "started"} <= set(done.err.splitlines())
    listed = doc2x("formats", "--json", env=env)
    assert "good" in {row["name"] for row in listed.json}
    assert "imported" in listed.err
    assert doc2x("greet", env=env).lines[-1] == "hello"


def test_an_error_in_a_plugins_own_command_is_its_authors(install: Install, tmp_path: Path) -> None:
    install("doc2x-good", TALKATIVE.replace('print("hello")', 'raise ValueError("no\\x1bsuch\\nperson")'))
    done = doc2x("greet", env={"PYTHONPATH": str(tmp_path / "site-packages")})
    assert done.code == 1
    assert done.err.splitlines() == [
        "Error: The command of doc2x-good 1.2 failed: ValueError: no such person (doc2x_good.py line 24).",
        "  Please tell the plugin's authors.",
    ]


def test_what_a_plugins_own_command_refuses_is_told_as_it_says(install: Install, tmp_path: Path) -> None:
    raised = "import click; raise click.ClickException('There is nobody to greet')"
    install("doc2x-good", TALKATIVE.replace('print("hello")', raised))
    done = doc2x("greet", env={"PYTHONPATH": str(tmp_path / "site-packages")})
    assert (done.code, done.err.splitlines()) == (1, ["Error: There is nobody to greet"])


def test_two_plugins_that_add_one_command_are_both_named() -> None:
    with pytest.raises(click.UsageError, match="added twice: by doc2x-test and by doc2x-test1"):
        find_command("greet", formats_of(adding("greet")(), adding("greet")()))


def test_a_plugin_that_fails_to_add_its_commands_does_not_stop_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    command = find_command("greet", formats_of(adding("")(), adding("greet")()))
    assert command is not None
    assert command.name == "greet"
    assert "doc2x-test 1.2 can't add its commands: SystemExit: 3" in capsys.readouterr().err
