"""Processes killed while they fill the archive: it holds whole parts or none, and nothing is paid twice for that."""

import random
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from doc2x_sdk import Doc2X
from doc2x_sdk.ledger.archive import Archive, archive_of
from doc2x_sdk.local.server import LocalServer
from tests.crash.world import KEY, Killed, World, Zygote

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="needs fork and SIGKILL")

NEAR = 7  # boundaries before and after the naming of a part that each run of the suite kills at some of
SOME = 8
CENTURIES = 100_000  # days: the clocks of killed runs go fast


def kill(kills: list[int | str], server: LocalServer, process: Zygote, folder: Path) -> Killed:
    """Kill one document's way at these boundaries, go on to the end, and check."""
    folder.mkdir(parents=True)
    world = World(folder, server, process, documents=1, to=["md", "docx"])
    world.more["settings"] = {"archive": True, "archive_days": CENTURIES}
    seen = world.through(kills)
    assert seen.ends == ["done"], kills
    world.check()
    check_archive(world, server)
    return seen


def check_archive(world: World, server: LocalServer) -> None:
    """Another account has all of it without a request, and nothing half is left."""
    root = archive_of(world.ledger)
    archive = Archive(root, days=CENTURIES, size=10**9)
    found = [path for path in root.rglob("*") if path.is_file()]
    assert sorted(path.name.partition("-")[0] for path in found) == ["docx", "md", "parse"]
    for path in found:
        with archive.opened(path.parent.name, path.name) as part:
            assert part is not None
            assert sum(map(len, part.blocks())) > 0
    before = server.stats().requests
    settings: dict[str, Any] = {"ledger": str(world.ledger), "archive": True, "archive_days": CENTURIES}
    with Doc2X(KEY, base_url=server.url, account="another", **settings) as client:
        document = client.convert(world.files[0], to=["md", "docx"])
    assert document.archived
    assert server.stats().requests == before
    for path in world.out.iterdir():
        assert document.contents[path.name] == path.read_bytes()


def all_killed(places: Iterable[int | str], server: LocalServer, process: Zygote, folder: Path) -> list[str]:
    """Kill a fresh document's way at each of these boundaries; return those that were met."""
    met = []
    for number, place in enumerate(places):
        met += kill([place], server, process, folder / f"kill{number}").killed_at
    print(f"{len(met)} kills at {len(set(met))} kinds of boundaries: 0 half parts, 0 paid twice")
    return met


@pytest.mark.faults("JR-01", "FS-04")
def test_a_kill_near_the_naming_of_a_part(server: LocalServer, process: Zygote, tmp_path: Path) -> None:
    names = kill([], server, process, tmp_path / "whole").names
    renamed = [name for name in names if name.startswith(("os.rename parse", "os.rename md-", "os.rename docx-"))]
    assert len(renamed) == 3, "a boundary each"
    near = {at + off for at, name in enumerate(names, 1) if name in renamed for off in range(-NEAR, NEAR + 1)}
    met = all_killed([*renamed, *random.SystemRandom().sample(sorted(near), SOME)], server, process, tmp_path)
    assert set(renamed) <= set(met)
    assert len(met) > len(renamed)


def kinds(names: Iterable[str]) -> set[str]:
    """The names, but for those of folders that are called by a document's digest, which is another in each run."""
    return {name for name in names if not re.search(r" ([0-9a-f]{2}|[0-9a-f]{64})$", name)}


@pytest.mark.long
@pytest.mark.faults("JR-01", "FS-04")
def test_a_kill_at_every_boundary_with_an_archive(server: LocalServer, process: Zygote, tmp_path: Path) -> None:
    names = kill([], server, process, tmp_path / "whole").names
    met = all_killed(range(1, len(names) + 1), server, process, tmp_path / "numbered")
    # how often one looks differs from run to run, so that some may have been missed by their number
    met += all_killed(sorted(kinds(names) - kinds(met)), server, process, tmp_path / "named")
    assert kinds(names) <= kinds(met)
