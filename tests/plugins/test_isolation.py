"""Exporters in a process of their own: a limit, a crash, and an environment without the key."""

import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from doc2x_sdk import Document
from doc2x_sdk.flow.isolate import environment
from doc2x_sdk.formats.registry import Formats
from doc2x_sdk.testing import sample_bundle
from tests.plugins.conftest import GOOD, Exporter, Install, Plugin, formats_of, write_text
from tests.support.scripted_service import told
from tests.support.wire import KEY

Convert = Callable[..., Document]

ODD = """
    import os, signal, subprocess, sys, time
    from pathlib import Path
    from doc2x_sdk import Option, hookimpl

    class Odd:
        name, suffix, needs = "odd", ".odd", "md"
        options = (Option("do"), Option("file", Path), Option("tags", str, (), multiple=True), Option("n", int, 3))

        def export(self, bundle, out, options):
            target = out / "odd.txt"
            print("said by the plugin")
            do = options["do"]
            if do == "hang":
                child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
                Path(os.environ["PIDS"]).write_text(f"{os.getpid()} {child.pid}")
                time.sleep(600)
            if do == "exit":
                os._exit(0)
            if do == "segfault":
                sys.stderr.write("about to fall")
                sys.stderr.flush()
                os.kill(os.getpid(), signal.SIGSEGV)
            if do == "system exit":
                raise SystemExit(5)
            if do == "none":
                return None
            if do == "outside":
                return [Path("/etc/hostname")]
            if do == "change":
                bundle.main.write_text("mine")
            if do == "thread":
                import threading
                threading.Thread(target=time.sleep, args=(600,)).start()
            bundle.warn("careful")
            told = [bundle.format, bundle.source, bundle.uid, len(bundle.pages), bundle.pages[0].md,
                    bundle.main.read_text(), [i.name for i in bundle.images], options,
                    sorted(os.environ), list(os.environ.values()), os.getpid(), sys.argv]
            target.write_text(repr(told))
            return [target]

    @hookimpl
    def doc2x_register_exporters(register):
        register(Odd())
"""


@pytest.fixture
def formats(install: Install) -> Formats:
    install("doc2x-odd", ODD)
    install("doc2x-good", GOOD)
    return Formats.installed({})


def is_running(pid: int) -> bool:
    """Whether a process is there and not only waits to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def settings(limit: float = 60.0) -> dict[str, float]:
    return {"exporter_timeout": limit}


@pytest.mark.faults("PL-10")
def test_a_child_gets_bundle_and_options_and_no_key(
    formats: Formats, convert: Convert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DOC2X_APIKEY", "DOC2X_API_KEY", "DOC2X_LOCAL_KEY", "COPY_OF_THE_KEY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("KEPT", "kept")
    options = {"odd": {"file": str(tmp_path / "paper.pdf"), "tags": ["a", "b"], "do": "x"}}
    document = convert(formats, ["odd", "md"], settings=settings(), options=options)
    assert document.failures == {}
    text = document.files["odd"].read_text()
    assert text.startswith("['md', ")
    told = [
        "'Page 1. \\\\( x_0 \\\\)'",
        "'0_1.jpg'",
        "'tags': ('a', 'b')",
        f"'file': {tmp_path / 'paper.pdf'!r}",
        "'n': 3",
    ]
    assert [part for part in told if part not in text] == []
    assert "'KEPT'" in text
    assert KEY not in text
    assert "DOC2X_APIKEY" not in text
    assert str(os.getpid()) not in text.split("], ")[-2]
    assert document.warnings == ("odd: careful",)


@pytest.mark.faults("PL-02")
def test_a_hanging_exporter_is_killed_at_its_limit_with_what_it_started(
    formats: Formats, convert: Convert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = tmp_path / "pids"
    monkeypatch.setenv("PIDS", str(pids))
    document = convert(formats, ["odd", "md"], settings=settings(2.5), options={"odd": {"do": "hang"}})
    told(document.failures["odd"], "did not finish within 2.5 s and was ended", "doc2x-odd 1.2")
    assert list(document.files) == ["md"]
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) == 2
    assert [pid for pid in started if is_running(pid)] == []


@pytest.mark.parametrize(
    ("do", "text"),
    [
        pytest.param("exit", "ended without a result (exit code 0)", marks=pytest.mark.faults("PL-03")),
        pytest.param("segfault", "was ended by SIGSEGV; it wrote: ", marks=pytest.mark.faults("PL-03")),
        pytest.param("system exit", "SystemExit: 5", marks=pytest.mark.faults("PL-01")),
        pytest.param("none", "did not return a list", marks=pytest.mark.faults("PL-04")),
        pytest.param("outside", "no regular file in its folder", marks=pytest.mark.faults("PL-05")),
        pytest.param("change", "changed the bundle", marks=pytest.mark.faults("PL-06")),
    ],
)
def test_a_crash_in_a_child_fails_only_its_own_row(do: str, text: str, formats: Formats, convert: Convert) -> None:
    document = convert(formats, ["odd", "good", "md"], settings=settings(), options={"odd": {"do": do}})
    told(document.failures["odd"], text, "doc2x-odd 1.2")
    assert list(document.files) == ["good", "md"]


@pytest.mark.faults("PL-02")
def test_the_log_says_where_an_exporter_failed_in_its_child(
    formats: Formats, convert: Convert, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "doc2x_sdk"):
        convert(formats, ["odd"], options={"odd": {"do": "system exit"}}, settings=settings())
    [line] = [record.getMessage() for record in caplog.records if "a plugin raised" in record.message]
    assert line.startswith("a plugin raised SystemExit at\n")
    assert "raise SystemExit(5)" in line


def test_threads_that_an_exporter_leaves_behind_hold_nothing_up(formats: Formats, convert: Convert) -> None:
    document = convert(formats, ["odd"], settings=settings(), options={"odd": {"do": "thread"}})
    assert document.failures == {}


def test_without_a_limit_and_without_an_entry_point_it_runs_in_this_process(
    formats: Formats, convert: Convert, tmp_path: Path
) -> None:
    here = convert(formats, ["odd"])
    assert str(os.getpid()) in here.files["odd"].read_text()
    pids: list[int] = []

    def export(bundle: object, out: Path, options: object) -> list[Path]:
        pids.append(os.getpid())
        return write_text(bundle, out, {})

    convert(formats_of(Plugin(Exporter(export))), ["x"], settings=settings())
    assert pids == [os.getpid()]


@pytest.mark.faults("PL-03")
def test_a_child_ends_when_the_program_that_started_it_is_gone(
    formats: Formats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json
    import subprocess

    pids = tmp_path / "pids"
    bundle = sample_bundle("empty", tmp_path / "bundle")
    (tmp_path / "job.out").mkdir()
    described = {name: getattr(bundle, name) for name in ("format", "source", "uid", "sha256", "links")}
    job = {
        "entry": "doc2x_odd",
        "format": "odd",
        "bundle": described | {"folder": str(bundle.folder), "main": str(bundle.main), "pages": []},
        "out": str(tmp_path / "job.out"),
        "options": {"do": "hang"},
        "result": str(tmp_path / "result"),
    }
    (tmp_path / "job").write_text(json.dumps(job))
    child = subprocess.Popen(
        [sys.executable, "-m", "doc2x_sdk.formats.child", str(tmp_path / "job")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(os.environ) | {"PIDS": str(pids)},
        start_new_session=True,
    )
    with child:
        assert child.stdout is not None
        assert child.stdin is not None
        while not pids.exists() and child.poll() is None:
            os.sched_yield()
        child.stdin.close()
        assert child.wait(20) == -signal.SIGKILL


def test_the_environment_loses_every_copy_of_the_key() -> None:
    given = {
        "DOC2X_APIKEY": "sk-123456789",
        "CI_LINE": "key=sk-123456789;",
        "DOC2X_BASE_URL": "u",
        "doc2x_api_key": "x",
    }
    kept = environment(given)
    assert set(kept) == {"DOC2X_BASE_URL", "PYTHONPATH"}
