"""Processes killed by SIGKILL at every step boundary and anywhere: nothing is paid twice, nothing paid is lost."""

import random
import secrets
from collections import Counter
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path

import pytest

from doc2x_sdk.local.server import LocalServer
from tests.crash.once import WAYS, Once
from tests.crash.world import Killed, World, Zygote, dice

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="needs fork and SIGKILL")

FEW, MANY = 24, 300  # random kills: in each run of the suite, and with the marker slow
FEW_ONCE, MANY_ONCE = 4, 100  # the same for what is sent in one step, of each way and of all
STEP = 6  # each run of the suite kills at every sixth boundary, from one chosen by chance


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


@pytest.mark.long
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


@pytest.mark.long
@pytest.mark.faults("JR-01", "JR-03", "FS-04")
def test_many_kills_anywhere_in_a_batch(server: LocalServer, process: Zygote, tmp_path: Path) -> None:
    anywhere(MANY, server, process, tmp_path)


# documents that are sent in one step: no uid is known before they are paid


def once(way: str, folder: Path, server: LocalServer, process: Zygote, places: list[int | str]) -> tuple[Killed, str]:
    """Send a fresh document this way, killed at these boundaries, and check; return what it was and how it ended."""
    here = folder / f"once{len(list(folder.iterdir()))}"
    here.mkdir()
    world = Once(here, server, process, WAYS[way])
    seen = world.through(places)
    (end,) = seen.ends
    world.check_once(end)
    return seen, end


def all_once(
    kills: Iterable[tuple[str, list[int | str]]], server: LocalServer, process: Zygote, folder: Path
) -> list[str]:
    """Kill at these boundaries of these ways; return the names of those met."""
    ends: Counter[str] = Counter()
    killed_at = []
    for way, places in kills:
        seen, end = once(way, folder, server, process, places)
        ends[f"{way}: {end}"] += 1
        killed_at += seen.killed_at
    print(f"{len(killed_at)} kills: 0 sent twice, 0 partial files; {dict(sorted(ends.items()))}")
    return killed_at


@pytest.mark.faults("JR-01", "JR-04", "FS-04")
@pytest.mark.parametrize("way", WAYS)
def test_kills_of_what_is_sent_in_one_step(way: str, server: LocalServer, process: Zygote, tmp_path: Path) -> None:
    seen, end = once(way, tmp_path, server, process, [])
    assert end == "done"
    dice = random.SystemRandom()
    at_the_answer = seen.names.index("after recv_into", seen.names.index("before sendall"))
    places = {*dice.sample(range(1, 8 * len(seen.names) // 10), FEW_ONCE - 1), at_the_answer + 1}
    killed_at = all_once(((way, [place]) for place in places), server, process, tmp_path)
    print(f"of {len(seen.names)} boundaries, at {sorted(places)}")
    assert len(killed_at) >= FEW_ONCE // 2


@pytest.mark.long
@pytest.mark.faults("JR-01", "JR-04", "FS-04")
@pytest.mark.parametrize("way", WAYS)
def test_a_kill_at_every_boundary_of_what_is_sent_in_one_step(
    way: str, server: LocalServer, process: Zygote, tmp_path: Path
) -> None:
    seen, _ = once(way, tmp_path, server, process, [])
    killed_at = all_once(((way, [place]) for place in range(1, len(seen.names) + 1)), server, process, tmp_path)
    # how often one looks differs from run to run, so that some may have been missed by their number
    missed = sorted(set(seen.names) - set(killed_at))
    killed_at += all_once(((way, [name]) for name in missed), server, process, tmp_path)
    print(f"{len(missed)} of {len(seen.names)} by their name; {len(set(killed_at))} kinds of boundaries")
    assert set(seen.names) <= set(killed_at)


@pytest.mark.long
@pytest.mark.faults("JR-01", "JR-04", "FS-04")
def test_many_kills_anywhere_of_what_is_sent_in_one_step(server: LocalServer, process: Zygote, tmp_path: Path) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    lengths = {way: len(once(way, tmp_path, server, process, [])[0].names) for way in WAYS}
    rolled = zip(cycle(WAYS), dice(MANY_ONCE, 10_000, seed), strict=False)
    kills = ((way, [1 + place * lengths[way] // 10_000 for place in places]) for way, places in rolled)
    assert len(all_once(kills, server, process, tmp_path)) >= 0.8 * MANY_ONCE
