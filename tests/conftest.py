"""Fixtures and options that all tests share."""

import os
import signal
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support.clocks import StillClock
from tests.support.peers import PeersMissing, peer_python
from tests.support.rows import check_rows, table
from tests.support.scripted_service import ScriptedService, make_pdf
from tests.support.wire import Authority

SAMPLES = os.environ.get("DOC2X_SAMPLES", "")  # read here: each test starts from an emptied environment
hypothesis.settings.register_profile("suite", max_examples=80, deadline=None, print_blob=True)  # busy is not wrong
hypothesis.settings.register_profile("long", hypothesis.settings.get_profile("suite"), max_examples=2000)
hypothesis.settings.load_profile("suite")
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)  # under nohup: ignored here as before, but not in what tests start
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # started by a script in the background
FORGOTTEN = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "NETRC")


@pytest.fixture(autouse=True)
def isolated_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of its own for each test: no key, setting, proxy or certificate of the developer reaches it."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("DOC2X_") or name.lower().endswith("_proxy") or name in FORGOTTEN:
                patch.delenv(name)
        for name in ("HOME", "USERPROFILE"):
            patch.setenv(name, str(home))
        for name in ("APPDATA", "LOCALAPPDATA", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
            patch.setenv(name, str(home / name.lower()))
        patch.setenv("DOC2X_CONFIG", str(home / "config" / "config.toml"))
        yield home


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real documents."""
    folder = Path(SAMPLES)
    if not SAMPLES or not folder.is_dir():
        pytest.skip("DOC2X_SAMPLES names no folder of sample documents")
    return folder.resolve()


@pytest.fixture(scope="session")
def peer() -> Path:
    """The interpreter that has the clients of tests/peers.txt."""
    try:
        return peer_python()
    except PeersMissing as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def authority() -> Authority:
    """A certificate authority that no machine trusts by itself."""
    return Authority()


@pytest.fixture
def service() -> Iterator[ScriptedService]:
    """A service whose documents have one page."""
    with ScriptedService() as one:
        yield one


@pytest.fixture
def clock() -> StillClock:
    """A clock that does not sleep."""
    return StillClock()


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    """A PDF of one page."""
    path = tmp_path / "paper.pdf"
    path.write_bytes(make_pdf())
    return path


# The rows of the fault matrix: in the test's id, and in a table of their own.


@pytest.fixture(scope="session")
def fault_rows(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The rows that the test holds; requested for each test that has the marker, so that they stand in its id."""
    rows: tuple[str, ...] = request.param
    return rows


def rows_of(node: pytest.Item | pytest.Function, where: str) -> tuple[str, ...]:
    """The rows of a test, those of its class and module included."""
    found = [row for mark in node.iter_markers("faults") for row in check_rows(mark.args, where)]
    return tuple(dict.fromkeys(found))


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Put the rows into the test's id: `test_x[TR-01]`, `test_x[TR-04-503]`."""
    rows = rows_of(metafunc.definition, metafunc.definition.nodeid)
    if rows:
        metafunc.fixturenames.append("fault_rows")
        metafunc.parametrize("fault_rows", [rows], ids=["+".join(rows)], indirect=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --fault-rows."""
    parser.addoption(
        "--fault-rows", action="store_true", help="print which test holds which row of the fault matrix, and run none"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run nothing when only the table is asked for; fail when a wanted row has no test."""
    if not session.config.getoption("--fault-rows"):
        return None
    held: dict[str, list[str]] = defaultdict(list)
    for item in session.items:
        for row in rows_of(item, item.nodeid):
            held[row].append(item.nodeid.partition("[")[0])
    lines, missing = table(held)
    print("\n" + "\n".join(lines))
    print(f"\n{len(held)} rows are held. Wanted and held by no test: {', '.join(missing) or 'none'}")
    session.testsfailed = len(missing)
    return True
