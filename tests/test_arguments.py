"""Arguments of the wrong type at the public doors: told by name, before anything is sent."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from doc2x_sdk import Doc2X, functions
from doc2x_sdk.errors import ConfigError
from tests.support.scripted_service import PICTURE, ScriptedService, make_pdf
from tests.support.wire import KEY

UID = "0192d745-5776-7261-abbd-000000000001"
Call = Callable[[Doc2X, Any], object]


@pytest.fixture
def client(service: ScriptedService, tmp_path: Path) -> Iterator[Doc2X]:
    with service.client(ledger=str(tmp_path / "ledger.sqlite3")) as one:
        yield one


def door(method: str, argument: str, *given: Any, **others: Any) -> Any:
    """A call of a client's method with one argument that is to be wrong."""

    def call(client: Doc2X, value: Any) -> object:
        made = getattr(client, method)(*given, **(others | {argument: value}))
        return list(made) if hasattr(made, "__next__") else made

    return pytest.param(argument, call, id=f"{method}-{argument}")


PDF = make_pdf()
CONVERT = [door("convert", argument, PDF, to="txt") for argument in ("name", "result_name", "options", "parse")]
MANY = {"sources": ["a.pdf"], "to": "md", "out": "out"}
EVERYWHERE = [
    *(door(method, "to", *given, **others) for method, given, others in (
        ("convert", (PDF,), {}), ("convert_many", (), MANY), ("quote", (["a.pdf"],), {}), ("fetch", (UID,), {}),
        ("rescue", (), {}))),
    *(door(method, "out", *given, **others) for method, given, others in (
        ("convert", (PDF,), {}), ("convert_many", (), MANY), ("quote", (["a.pdf"],), {}), ("fetch", (UID,), {}),
        ("rescue", (), {}))),
    *(door(method, "on_progress", *given, **others) for method, given, others in (
        ("convert", (PDF,), {}), ("convert_many", (), MANY), ("fetch", (UID,), {}), ("rescue", (), {}),
        ("wait", (UID,), {}))),
    *CONVERT,
    door("convert_many", "sources", **MANY),
    door("convert_many", "options", **MANY),
    door("convert_many", "result_name", **MANY),
    door("convert_many", "fail_fast", **MANY),
    door("quote", "sources"),
    door("fetch", "result_name", UID),
    door("upload", "name", PDF),
    door("upload", "parse", PDF),
    door("upload", "direct", PDF),
    door("parse_image", "name", PICTURE),
    door("status", "picture", UID),
    door("wait", "picture", UID),
    door("download", "link", target="x.zip"),
    door("jobs", "states"),
    door("jobs", "uid"),
    door("jobs", "source"),
]  # fmt: skip


@pytest.mark.parametrize("wrong", [5, b"md", object()], ids=["number", "bytes", "object"])
@pytest.mark.parametrize(("argument", "call"), EVERYWHERE)
def test_an_argument_of_the_wrong_type_is_told_by_name(
    argument: str, call: Call, wrong: object, client: Doc2X, service: ScriptedService
) -> None:
    told = "not several paths" if argument == "sources" and wrong == b"md" else f"`{argument}` is"
    with pytest.raises(ConfigError, match=told):
        call(client, wrong)
    assert service.server.connections == 0


@pytest.mark.parametrize("to", [["md", 5], [["md"]], [None], None])
def test_formats_are_named_by_text(to: Any, client: Doc2X, service: ScriptedService) -> None:
    for call in (client.convert, client.fetch):
        with pytest.raises(ConfigError, match="`to` is the name of a format, or a list of names"):
            call(PDF if call == client.convert else UID, to=to)
    assert service.server.connections == 0


def test_options_of_a_format_are_a_dict(client: Doc2X) -> None:
    with pytest.raises(ConfigError, match="`options` is a dict of options for each format"):
        client.convert(PDF, to="txt", options={"txt": 5})  # type: ignore[dict-item]


def test_an_open_file_is_one_document_and_no_list_of_paths(client: Doc2X, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(PDF)
    with (tmp_path / "a.pdf").open("rb") as file, pytest.raises(ConfigError, match="not several paths but one"):
        client.convert_many(file, to="md", out=tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize("timeout", ["5", [5]])
def test_a_timeout_is_a_number(timeout: Any, client: Doc2X, service: ScriptedService) -> None:
    with pytest.raises(ConfigError, match="`timeout` is a number of seconds"):
        client.wait(UID, timeout=timeout)
    assert service.server.connections == 0


@pytest.mark.parametrize("target", [5, b"x.zip", ""])
def test_a_download_goes_into_a_file(target: Any, client: Doc2X, service: ScriptedService) -> None:
    link = client.export(service.parsed(PDF), "md")
    with pytest.raises(ConfigError, match="`target` is"):
        client.download(link, target)
    assert service.count("download") == 0


@pytest.mark.parametrize("server", [5, ["workers"], {"no_such": 1}])
def test_a_local_server_is_told_settings_by_name(server: Any) -> None:
    with pytest.raises(ConfigError, match=r"`server` (is a dict|has no setting 'no_such')"):
        Doc2X.local(server=server)


def test_the_six_functions_take_text_too() -> None:
    with pytest.raises(ConfigError, match="`output_path` is the path of a folder"):
        functions.uuid2file(KEY, UID, "md", 5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no output format"):
        functions.uuid2file(KEY, UID, ["md"])  # type: ignore[arg-type]
