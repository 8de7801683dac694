"""A power cut after each acknowledged write: with what was synced alone, the ledger holds every row of it."""

import sqlite3
from pathlib import Path

import pytest

from doc2x_sdk.ledger.store import Store
from tests.support.synced import SyncedDisk

ROWS = 30


def cut_after_each_row(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, *, synchronous: str) -> list[int]:
    """Write rows one by one, cut the power after each, and return how many rows each cut lost."""
    disk = SyncedDisk(f"synced-{synchronous}")
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", disk.connect)
        store = Store(path)
    store._writer.execute(f"PRAGMA synchronous={synchronous}")
    for number in range(ROWS):
        store.write(
            lambda connection, number=number: connection.execute(  # type: ignore[misc]
                "INSERT INTO parse (account, sha256, options, source, size, pages, state, uid, created_at, changed_at) "
                "VALUES ('a', ?, '{}', 'x', 1, 1, 'uploading', ?, 0, 0)",
                (str(number), f"uid-{number}"),
            )
        )
        disk.after_a_power_cut(folder / str(number))
    store.close()
    lost = []
    for number in range(ROWS):
        left = Store(folder / str(number) / path.name)
        found = left.read(
            lambda connection: [row[0] for row in connection.execute("SELECT uid FROM parse ORDER BY id")]
        )
        left.close()
        assert found == [f"uid-{each}" for each in range(len(found))]
        lost.append(number + 1 - len(found))
    return lost


@pytest.mark.faults("JR-05")
def test_no_acknowledged_row_is_lost_by_a_power_cut(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cut_after_each_row(path, tmp_path, monkeypatch, synchronous="FULL") == [0] * ROWS


@pytest.mark.faults("JR-05")
def test_the_model_of_the_power_cut_sees_what_a_weaker_setting_loses(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = cut_after_each_row(path, tmp_path, monkeypatch, synchronous="NORMAL")
    print(f"with synchronous=NORMAL {sum(each > 0 for each in lost)} of {ROWS} cuts lost up to {max(lost)} rows")
    assert all(each > 0 for each in lost)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"
