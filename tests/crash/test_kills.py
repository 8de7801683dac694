"""Processes killed by SIGKILL at every step boundary and anywhere: nothing is paid twice, nothing paid is lost."""

import random
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from doc2x_sdk.local.server import LocalServer
from doc2x_sdk.local.settings import ServerSettings
from tests.crash.world import KEY, World, Zygote, dice, zygote

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="needs fork and SIGKILL")

FEW, MANY = 24, 300  # random kills: in each run of the suite, and with the marker slow
STEP = 6  # each run of the suite kills at every sixth boundary, from one chosen by chance


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(ServerSettings(api_key=KEY, workers=1)) as running:
        yield running


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    with zygote(tmp_path_factory.mktemp("home")) as running:
        yield running


def at_boundaries(
    boundaries: Iterable[int | str], server: LocalServer, process: Zygote, folder: Path, to: list[str]
) -> list[str]:
    """Kill at each of these boundaries of one document's way, resume, check; return the names of those met."""
    killed_at = []
    for kill_at in boundaries:
        here = folder / f"kill{len(list(folder.iterdir()))}"
        here.mkdir()
        world = World(here, server, process, documents=1, to=to)
        seen = world.through([kill_at])
        assert seen.ends == ["done"], f"boundary {kill_at}"
        world.check()
        killed_at += seen.killed_at
    return killed_at


def boundaries_of(server: LocalServer, process: Zygote, folder: Path, *, documents: int, to: list[str]) -> list[str]:
    """The boundaries of a run that is not killed."""
    folder.mkdir()
    world = World(folder, server, process, documents=documents, to=to)
    names = world.through([]).names
    world.check()
    return names


@pytest.mark.faults("JR-01", "JR-02", "JR-03", "JR-09", "FS-04")
def test_a_kill_at_some_boundaries_of_one_document(server: LocalServer, process: Zygote, tmp_path: Path) -> None:
    names = boundaries_of(server, process, tmp_path / "whole", documents=1, to=["md"])
    for wanted in ("before COMMIT", "after COMMIT", "before sendall", "after recv_into", "os.link paper0.md"):
        assert wanted in names
    first = random.SystemRandom().randint(1, STEP)
    killed_at = at_boundaries(range(first, len(names) + 1, STEP), server, process, tmp_path, ["md"])
    print(f"{len(killed_at)} kills at every {STEP}th of {len(names)} boundaries, from {first}")
    assert len(killed_at) >= len(names) // STEP // 2


@pytest.mark.slow
@pytest.mark.faults("JR-01", "JR-02", "JR-03", "JR-09", "FS-04")
def test_a_kill_at_every_boundary_of_one_document(server: LocalServer, process: Zygote, tmp_path: Path) -> None:
    names = boundaries_of(server, process, tmp_path / "whole", documents=1, to=["md", "docx"])
    killed_at = at_boundaries(range(1, len(names) + 1), server, process, tmp_path, ["md", "docx"])
    print(f"{len(killed_at)} kills at {len(names)} boundaries: 0 paid twice, 0 paid uids lost, 0 partial files")
    # how often one looks differs from run to run, so that some may have been missed by their number
    missed = sorted(set(names) - set(killed_at))
    killed_at += at_boundaries(missed, server, process, tmp_path, ["md", "docx"])
    print(f"{len(missed)} of them by their name; {len(set(killed_at))} kinds of boundaries")
    assert set(names) <= set(killed_at)


def anywhere(count: int, server: LocalServer, process: Zygote, folder: Path) -> None:
    """Kill batches at random boundaries, resume, check."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    names = boundaries_of(server, process, folder / "whole", documents=3, to=["md"])
    kills = runs = documents = 0
    for number, places in enumerate(dice(count, len(names), seed)):
        here = folder / f"batch{number}"
        here.mkdir()
        world = World(here, server, process, documents=3, to=["md"])
        seen = world.through(places)
        assert seen.ends == ["done"] * 3, f"seed {seed}, batch {number}, killed at {places}"
        world.check()
        kills, runs, documents = kills + seen.kills, runs + seen.runs, documents + 3
        if kills >= count:
            break
    print(f"{kills} kills in {runs} runs of {documents} documents: 0 paid twice, 0 paid uids lost, 0 partial files")
    assert kills >= 0.8 * count


@pytest.mark.faults("JR-01", "JR-03", "FS-04")
def test_kills_anywhere_in_a_batch(server: LocalServer, process: Zygote, tmp_path: Path) -> None:
    anywhere(FEW, server, process, tmp_path)


@pytest.mark.slow
@pytest.mark.faults("JR-01", "JR-03", "FS-04")
def test_many_kills_anywhere_in_a_batch(server: LocalServer, process: Zygote, tmp_path: Path) -> None:
    anywhere(MANY, server, process, tmp_path)
