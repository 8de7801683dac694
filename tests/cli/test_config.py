"""`doc2x config`, and the key, which is never an argument."""

import os
import stat
from dataclasses import fields
from pathlib import Path

import click
import pytest

from doc2x_sdk.cli.main import app
from doc2x_sdk.config import Settings, key_path
from tests.cli.command import doc2x, start
from tests.support.scripted import ScriptedServer, reply
from tests.support.wire import KEY


def test_every_setting_with_its_value_and_origin(tmp_path):
    Path(os.environ["DOC2X_CONFIG"]).parent.mkdir(exist_ok=True)
    Path(os.environ["DOC2X_CONFIG"]).write_text("parse_timeout = 600\n")
    done = doc2x("config", env={"DOC2X_RETRIES": "5", "DOC2X_APIKEY": KEY})
    assert done.code == 0
    rows = {line.split("\t")[0]: line.split("\t")[1:3] for line in done.lines}
    assert set(rows) == {"apikey", *(each.name for each in fields(Settings))}
    assert rows["apikey"] == ["set", "DOC2X_APIKEY"]
    assert rows["parse_timeout"] == ["600.0", os.environ["DOC2X_CONFIG"]]
    assert rows["retries"] == ["5", "DOC2X_RETRIES"]
    assert rows["export_timeout"] == ["600.0", "default"]
    assert KEY not in done.out + done.err


def test_where_the_ledger_is_and_what_is_misspelt_is_told(tmp_path):
    env = {"DOC2X_LEDGER": "", "DOC2X_PARSETIMEOUT": "5", "DOC2X_BASEURL": "", "XDG_STATE_HOME": str(tmp_path)}
    done = doc2x("config", env=env)
    rows = {line.split("\t")[0]: line.split("\t")[1:3] for line in done.lines}
    assert Path(rows["ledger"][0]).name == "ledger.sqlite3"
    assert rows["ledger"][1] == "default"
    assert "DOC2X_PARSETIMEOUT is no setting. Is DOC2X_PARSE_TIMEOUT meant?" in done.err
    assert "DOC2X_BASEURL" in done.err
    assert "DOC2X_LEDGER is no" not in done.err
    given = doc2x("config", env={"DOC2X_LEDGER": "~/mine.sqlite"})
    assert "ledger\t~/mine.sqlite\tDOC2X_LEDGER" in given.out


def test_json():
    told = doc2x("config", "--json").json
    assert told["apikey"] == {"set": False, "origin": "not set"}
    assert told["config_file"] == os.environ["DOC2X_CONFIG"]
    assert told["settings"]["connect_timeout"]["value"] == 5.0
    assert told["settings"]["connect_timeout"]["origin"] == "default"


def test_path_is_told_even_when_the_file_is_broken():
    path = Path(os.environ["DOC2X_CONFIG"])
    path.parent.mkdir(exist_ok=True)
    path.write_text("= broken")
    assert doc2x("config", "path").lines == [str(path)]
    done = doc2x("config")
    assert (done.code, done.out) == (2, "")
    assert str(path) in done.err


@pytest.mark.faults("CL-06")
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("retries == 2", ["{path} can't be read", "at line 2", "Correct or remove the file"]),
        ("retrys = 2", ["Unknown setting 'retrys'", "Correct or remove that line of the file. Is retries meant?"]),
        ("retries = 'two'", ["must be a whole number", "Correct retries in {path}."]),
        ("retries = -1", ["retries must not be below 0", "Correct retries in {path}."]),
        ("read_timeout = 0", ["number of seconds above 0", "Correct read_timeout in {path}."]),
        ("base_url = 'nonsense'", ["Set base_url to an origin such as https://", "Correct base_url in {path}."]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_in_the_config_file_is_told_with_the_place_to_correct_it(line, told):
    path = Path(os.environ["DOC2X_CONFIG"])
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"call_timeout = 50\n{line}\n")
    for words in (["config"], ["jobs"], ["convert", "a.pdf"]):
        done = doc2x(*words)
        assert (done.code, done.out) == (2, "")
        assert str(path) in done.err
        assert "`doc2x config`" not in done.err, "it would end with the same error"
        for text in told:
            assert text.format(path=path) in done.err


@pytest.mark.faults("CL-06")
def test_a_mistake_in_a_variable_is_told_with_its_name():
    for name, value in {"DOC2X_RETRIES": "two", "DOC2X_READ_TIMEOUT": "-1"}.items():
        done = doc2x("config", env={name: value})
        assert (done.code, done.out) == (2, "")
        assert f"Correct {name}, or unset it." in done.err
        assert "`doc2x config`" not in done.err


@pytest.mark.faults("CL-06")
def test_json_before_a_subcommand_that_has_none_is_2():
    done = doc2x("config", "--json", "path")
    assert (done.code, done.out) == (2, "")
    assert "--json does nothing before 'path'. Leave it out." in done.err


@pytest.mark.faults("SE-03")
@pytest.mark.parametrize("given", [KEY, f"{KEY}\n", f"  {KEY}\r\n"], ids=["bare", "line", "spaces"])
def test_the_key_comes_by_standard_input_into_a_file_of_its_own(given):
    done = doc2x("config", "set-key", given=given)
    assert (done.code, done.out) == (0, "")
    assert str(key_path()) in done.err
    assert KEY not in done.err
    assert key_path().read_text() == f"{KEY}\n"
    if os.name == "posix":
        assert stat.S_IMODE(key_path().stat().st_mode) == 0o600
    assert doc2x("config").lines[0].split("\t")[:3] == ["apikey", "set", str(key_path())]


@pytest.mark.faults("SE-03")
def test_a_variable_that_goes_before_the_file_is_told():
    done = doc2x("config", "set-key", given=KEY, env={"DOC2X_APIKEY": "sk-another"})
    assert done.code == 0
    assert "DOC2X_APIKEY" in done.err


@pytest.mark.faults("SE-03")
@pytest.mark.parametrize("given", ["", "\n", f"{KEY} {KEY}", f"Bearer {KEY}", f"{KEY}é"], ids=range(5))
def test_what_is_no_key_is_refused_and_not_repeated(given):
    done = doc2x("config", "set-key", given=given)
    assert (done.code, done.out) == (2, "")
    assert KEY not in done.err
    assert not key_path().exists()


@pytest.mark.faults("SE-03")
@pytest.mark.parametrize("arguments", [[KEY], ["--key", KEY], [f"--apikey={KEY}"]], ids=["word", "option", "joined"])
def test_a_key_as_an_argument_is_refused_and_not_repeated(arguments):
    done = doc2x("config", "set-key", *arguments)
    assert (done.code, done.out) == (2, "")
    assert KEY not in done.err
    assert not key_path().exists()


@pytest.mark.faults("SE-03")
@pytest.mark.parametrize("option", ["--api-key", "--apikey", "--key", "--token"])
@pytest.mark.parametrize("joined", [False, True], ids=["apart", "joined"])
@pytest.mark.parametrize("command", [[], ["convert", "a.pdf"], ["fetch", "0192"], ["status", "0192"], ["config"]])
def test_the_key_is_no_option(command, option, joined):
    with ScriptedServer(reply(500)) as server:
        value = [f"{option}={KEY}"] if joined else [option, KEY]
        done = doc2x(*command, *value, env={"DOC2X_BASE_URL": server.origin})
    assert (done.code, done.out, server.connections) == (2, "", 0)
    assert KEY not in done.err
    assert "config set-key" in done.err


def every_command(group: click.Group) -> list[tuple[str, click.Command]]:
    context = click.Context(group)
    found = [(name, group.get_command(context, name)) for name in group.list_commands(context)]
    return found + [below for _, each in found if isinstance(each, click.Group) for below in every_command(each)]


@pytest.mark.faults("SE-03")
def test_no_command_has_an_option_for_the_accounts_key():
    named = {
        f"{name} {word}"
        for name, command in every_command(app)
        for parameter in command.params
        for word in parameter.opts
        if "key" in word or "token" in word or "secret" in word
    }
    assert named == {"serve --api-key"}, "that one is of the caller's own making"


@pytest.mark.faults("SE-03")
@pytest.mark.skipif(os.name != "posix", reason="Windows has no pseudo-terminals of this kind")
def test_on_a_terminal_the_key_is_asked_for_and_not_shown():
    import pty

    ours, theirs = pty.openpty()
    process = start("config", "set-key", stdin=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    while b"not shown" not in seen:
        seen += os.read(ours, 1000)
    os.write(ours, f"{KEY}\n".encode())
    while b"stored" not in seen:
        seen += os.read(ours, 1000)
    with process:
        assert process.wait(30) == 0
    os.close(ours)
    assert KEY.encode() not in seen
    assert key_path().read_text() == f"{KEY}\n"
