"""`doc2x serve`."""

import signal
import socket
import sys

import pytest
import requests

from doc2x_sdk.cli.commands.serve import for_clients
from tests.cli.command import EXAMPLE, LIKE_A_USER, UID, account, doc2x, ended, start

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such a folder")
MODES = pytest.mark.skipif(LIKE_A_USER is None, reason="no modes of folders here, or root that can't be held to them")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_line_is_its_url_and_it_stops_cleanly(tmp_path, number):
    process = start("serve")
    url = process.stdout.readline().decode().strip()
    assert url.startswith("http://127.0.0.1:")
    done = doc2x("convert", EXAMPLE, "--to", "txt", "--out", tmp_path, env=account(url))
    assert (done.code, done.lines) == (0, [str(tmp_path / "paper.txt")])
    process.send_signal(number)
    end = ended(process)
    assert (end.code, end.out) == (0, "")
    assert "Traceback" not in end.err


def test_a_key_of_the_callers_own_making(tmp_path):
    process = start("serve", "--api-key", "word-of-my-own")
    url = process.stdout.readline().decode().strip()
    try:
        codes = [
            doc2x("status", UID, "--json", env=account(url) | {"DOC2X_APIKEY": key}).code
            for key in ("another", "word-of-my-own")
        ]
    finally:
        process.terminate()
        end = ended(process)
    assert codes == [3, 6], "refused; let in, and the uid is not known"
    assert "word-of-my-own" not in end.err


def test_on_all_addresses_it_prints_one_that_a_client_takes(tmp_path):
    process = start("serve", "--host", "0.0.0.0")
    url = process.stdout.readline().decode().strip()
    try:
        done = doc2x("convert", EXAMPLE, "--to", "txt", "--out", tmp_path, env=account(url))
    finally:
        process.terminate()
        end = ended(process)
    assert (done.code, done.lines) == (0, [str(tmp_path / "paper.txt")])
    assert url.startswith("http://127.0.0.1:")
    assert f"on this machine: DOC2X_BASE_URL={url} DOC2X_V1_BASE_URL={url} DOC2X_APIKEY=any\n" in end.err
    port = url.rpartition(":")[2]
    assert f"ssh -N -L {port}:127.0.0.1:{port}" in end.err


def test_of_an_address_that_a_client_refuses_it_tells_what_works():
    told = for_clients("http://192.0.2.2:8786", "192.0.2.2", has_key=False)
    assert "DOC2X_BASE_URL" not in told
    assert "serve on 127.0.0.1" in told
    assert "ssh -L" in told


def test_the_settings_that_it_prints_are_enough_for_v1_too():
    process = start("serve")
    url = process.stdout.readline().decode().strip()
    try:
        told = for_clients(url, "127.0.0.1", has_key=False)
        settings = dict(word.split("=") for word in told.split() if "=" in word)
        done = doc2x("quota", env=settings)
    finally:
        process.terminate()
        end = ended(process)
    assert (done.code, done.err) == (0, "")
    assert told in end.err


def test_a_limit_and_a_folder(tmp_path):
    process = start("serve", "--rate", "0.001", "--data", tmp_path / "data")
    url = process.stdout.readline().decode().strip()
    try:
        with requests.Session() as caller:
            ask = {"url": f"{url}/api/v2/parse/status?uid={UID}", "headers": {"Authorization": "Bearer any"}}
            codes = [caller.get(**ask, timeout=30).status_code for _ in range(2)]
    finally:
        process.terminate()
        end = ended(process)
    assert codes == [200, 429]
    assert end.code == 0
    assert (tmp_path / "data").is_dir()


def test_a_port_that_is_taken_is_2():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = doc2x("serve", "--port", str(taken.getsockname()[1]))
    assert (done.code, done.out) == (2, "")
    assert "--port" in done.err


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param("/proc/doc2x", "No such file or directory", marks=LINUX),
        pytest.param("/proc", "No such file or directory", marks=LINUX),
        ("file/below", "Not a directory"),
        pytest.param("closed", "Permission denied", marks=MODES),
    ],
    ids=["unmakeable", "read-only", "below-a-file", "closed"],
)
def test_a_folder_that_cannot_be_written_is_11(tmp_path, data, reason):
    (tmp_path / "file").touch()
    (tmp_path / "closed").mkdir(mode=0o500)
    done = doc2x("serve", "--data", data, cwd=tmp_path, under=LIKE_A_USER or ())
    assert (done.code, done.out) == (11, "")
    error = f"The server's folder {data} can't be written: {reason}."
    assert done.err == f"Error: {error}\n  Choose another with --data.\n"


@pytest.mark.parametrize("wrong", [["--port", "99999"], ["--rate", "0"], ["--task-limit", "0"]], ids="-".join)
def test_a_wrong_option_is_2(wrong):
    done = doc2x("serve", *wrong)
    assert (done.code, done.out) == (2, "")
    assert wrong[0] in done.err


def test_a_cluster_that_is_not_there_is_2():
    done = doc2x("serve", "--dask", "tcp://127.0.0.1:9")
    assert (done.code, done.out) == (2, "")
    assert "127.0.0.1:9" in done.err
    assert "Traceback" not in done.err
