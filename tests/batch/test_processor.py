"""The threads of a batch stay on one processor; what is not ours runs on all that the process may use."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
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
ASK = "import os; print(len(os.sched_getaffinity(0)))"


def here() -> int:
    """How many processors this thread may use."""
    return len(os.sched_getaffinity(0))


def of_threads(name: str) -> dict[str, int]:
    """How many processors the threads whose name begins so may use."""
    found = {each.name: each.native_id for each in threading.enumerate() if each.name.startswith(name)}
    return {name: len(os.sched_getaffinity(native)) for name, native in found.items() if native is not None}


class Watched:
    """A callback that looks at the threads of the batch, its own among them."""

    def __init__(self) -> None:
        self.own: set[int] = set()
        self.ledger: set[int] = set()
        self.workers: set[int] = set()
        self.child: set[str] = set()

    def __call__(self, progress: Progress) -> None:
        """Look; the documents are paid by then, so that the ledger has written."""
        if progress.stage == "publish":
            self.own.add(here())
            self.ledger |= set(of_threads("doc2x-ledger").values())
            mine = threading.current_thread().name
            self.workers |= {
                count for name, count in of_threads("doc2x-").items() if name not in (mine, "doc2x-ledger")
            }
            self.child.add(subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True).stdout.strip())  # noqa: PLW1510


def convert(service: ScriptedService, paths: list[Path], out: Path, **settings: object) -> Watched:
    watched = Watched()

    def given() -> Iterator[Path]:
        for path in paths:
            assert here() == len(choice(os.getpid())[0])
            yield path

    with service.client(**settings) as client:
        done = list(client.convert_many(given(), to="md", out=out, on_progress=watched))
    assert [each.error for each in done] == [None] * len(paths)
    return watched


def test_the_threads_of_a_batch_share_one_processor_and_what_is_not_ours_does_not(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    before = here()
    watched = convert(service, papers(8), out)
    assert watched.ledger == {1}
    assert 1 in watched.workers  # others may be in a callback too
    assert watched.own == {before}
    assert watched.child == {str(before)}
    assert here() == before


def test_the_threads_of_a_batch_go_where_they_like_when_asked_to(
    service: ScriptedService, papers: Papers, out: Path
) -> None:
    before = here()
    watched = convert(service, papers(4), out, one_processor=False)
    assert watched.ledger | watched.workers | watched.own == {before}


def test_threads_of_a_process_share_the_same_processor_and_a_block_frees_one() -> None:
    seen: list[set[int]] = []

    def work() -> None:
        share_one_processor()
        seen.append(os.sched_getaffinity(0))
        with suppress(KeyError), all_processors():
            seen.append(os.sched_getaffinity(0))
            raise KeyError
        seen.append(os.sched_getaffinity(0))

    for _ in range(2):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    kept, free, again = seen[:3]
    assert (len(kept), again, seen[3:]) == (1, kept, [kept, free, kept])
    assert free == os.sched_getaffinity(0)


def test_processors_that_were_taken_away_are_no_error() -> None:
    thread = threading.Thread(target=move, args=(frozenset({10_000}),))
    thread.start()
    thread.join()
    assert here() > 1
