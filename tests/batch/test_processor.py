"""The threads of a batch stay on one processor; what is not ours runs on all that the process may use."""

import os
import platform
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from doc2x_sdk.models import Progress
from doc2x_sdk.processor import all_processors, choice, move, share_one_processor
from tests.batch.conftest import Papers
from tests.support.scripted_service import ScriptedService

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a thread on a processor"),
    pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="there is one processor only"),
]
ASK = "import os; print(len(os.sched_getaffinity(0)), os.sched_getscheduler(0))"
Way = tuple[int, int]
"""How many processors a thread may use, and its policy."""


def way_of(thread: int = 0) -> Way:
    """How a thread runs, by default this one."""
    return len(os.sched_getaffinity(thread)), os.sched_getscheduler(thread)


REFUSED = {"x86_64": (144, 145, 203, 204), "aarch64": (119, 120, 122, 123)}
"""The calls that set and get a policy, and that set and get the processors, by machine."""
REFUSING = """
import ctypes, os, struct, sys
from doc2x_sdk.processor import all_processors, share_one_processor
refused = [int(number) for number in sys.argv[1:]]
checks = [(0x15, len(refused) - at, 0, number) for at, number in enumerate(refused)]  # equal: jump to the refusal
steps = [(0x20, 0, 0, 0), *checks, (0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x00050000 | 38)]  # ENOSYS
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0, os.strerror(ctypes.get_errno())
try:
    os.sched_getscheduler(0)
except OSError:
    share_one_processor()
    with all_processors():
        print("went on")
"""

KEPT: Way = 1, getattr(os, "SCHED_BATCH", 0)


def of_threads(name: str) -> dict[str, Way]:
    """How the threads run whose name begins so."""
    found = {each.name: each.native_id for each in threading.enumerate() if each.name.startswith(name)}
    return {name: way_of(native) for name, native in found.items() if native is not None}


def in_a_thread(work: Callable[[], None]) -> None:
    """Do something in a thread, whose way to run ends with it."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


class Watched:
    """A callback that looks at the threads of the batch, its own among them."""

    def __init__(self) -> None:
        self.own: set[Way] = set()
        self.ledger: set[Way] = set()
        self.workers: set[Way] = set()
        self.child: set[str] = set()

    def __call__(self, progress: Progress) -> None:
        """Look; the documents are paid by then, so that the ledger has written."""
        if progress.stage == "publish":
            self.own.add(way_of())
            self.ledger |= set(of_threads("doc2x-ledger").values())
            mine = threading.current_thread().name
            self.workers |= {way for name, way in of_threads("doc2x-").items() if name not in (mine, "doc2x-ledger")}
            self.child.add(subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True).stdout.strip())  # noqa: PLW1510


def convert(service: ScriptedService, paths: list[Path], out: Path, **settings: object) -> Watched:
    watched = Watched()

    def given() -> Iterator[Path]:
        for path in paths:
            assert way_of() == (len(choice(os.getpid())[0]), os.SCHED_OTHER)
            yield path

    with service.client(**settings) as client:
        done = list(client.convert_many(given(), to="md", out=out, on_progress=watched))
    assert [each.error for each in done] == [None] * len(paths)
    return watched


def test_the_threads_of_a_batch_share_one_processor_and_what_is_not_ours_does_not(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    before = way_of()
    watched = convert(service, papers(8), out)
    assert watched.ledger == {KEPT}
    assert KEPT in watched.workers  # others may be in a callback too
    assert watched.own == {before}
    assert watched.child == {f"{before[0]} {before[1]}"}
    assert way_of() == before


def test_the_threads_of_a_batch_go_where_they_like_when_asked_to(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    before = way_of()
    watched = convert(service, papers(4), out, one_processor=False)
    assert watched.ledger | watched.workers | watched.own == {before}


def test_threads_of_a_process_share_the_same_processor_and_a_block_frees_one() -> None:
    seen: list[tuple[set[int], int]] = []

    def look() -> None:
        seen.append((os.sched_getaffinity(0), os.sched_getscheduler(0)))

    def work() -> None:
        share_one_processor()
        look()
        with suppress(KeyError), all_processors():
            look()
            raise KeyError
        look()

    for _ in range(2):
        in_a_thread(work)
    kept, free, again = seen[:3]
    assert (len(kept[0]), kept[1], again, seen[3:]) == (*KEPT, kept, [kept, free, kept])
    assert free == (os.sched_getaffinity(0), os.SCHED_OTHER)


def test_a_policy_that_was_chosen_for_a_thread_stays() -> None:
    seen: list[Way] = []

    def work() -> None:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        share_one_processor()
        seen.append(way_of())
        with all_processors():
            seen.append(way_of())

    in_a_thread(work)
    assert seen == [(1, os.SCHED_IDLE), (way_of()[0], os.SCHED_IDLE)]


def test_processors_that_were_taken_away_are_no_error() -> None:
    in_a_thread(lambda: move(frozenset({10_000})))
    assert way_of()[0] > 1


@pytest.mark.parametrize("calls", [3, 4], ids=["to-choose", "to-know"])
def test_a_system_that_lets_no_thread_choose_is_no_error(calls: int) -> None:
    """As musl, which answers so to all that ask for a policy, and sandboxes do."""
    if platform.machine() not in REFUSED:
        pytest.skip("the numbers of its calls are not known here")
    refused = [str(number) for number in REFUSED[platform.machine()][:calls]]
    told = subprocess.run([sys.executable, "-c", REFUSING, *refused], capture_output=True, text=True, check=False)
    assert (told.stdout, told.stderr) == ("went on\n", "")
