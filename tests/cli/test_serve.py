"""`doc2x serve`."""

import signal
import socket

import pytest
import requests

from tests.cli.command import EXAMPLE, UID, account, doc2x, ended, start


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


def test_a_key_of_its_own_a_limit_and_a_folder(tmp_path):
    process = start("serve", "--api-key", "word-of-my-own", "--rate", "0.001", "--data", tmp_path / "data")
    url = process.stdout.readline().decode().strip()
    ask = f"{url}/api/v2/parse/status?uid={UID}"
    try:
        with requests.Session() as caller:
            codes = [
                caller.get(ask, headers={"Authorization": f"Bearer {key}"}, timeout=30).json()["code"]
                for key in ("another", "word-of-my-own")
            ]
            answer = caller.get(ask, headers={"Authorization": "Bearer word-of-my-own"}, timeout=30)
    finally:
        process.terminate()
        end = ended(process)
    assert codes == ["unauthorized", "parse_status_not_found"]
    assert answer.status_code == 429
    assert end.code == 0
    assert "word-of-my-own" not in end.err
    assert (tmp_path / "data").is_dir()


def test_a_port_that_is_taken_is_2():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = doc2x("serve", "--port", str(taken.getsockname()[1]))
    assert (done.code, done.out) == (2, "")
    assert "--port" in done.err


@pytest.mark.parametrize("wrong", [["--port", "99999"], ["--rate", "0"], ["--task-limit", "0"]], ids="-".join)
def test_a_wrong_option_is_2(wrong):
    done = doc2x("serve", *wrong)
    assert (done.code, done.out) == (2, "")
    assert wrong[0] in done.err
