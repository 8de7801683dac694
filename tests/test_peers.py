"""The environment of the peers is made once and whole, or not at all."""

import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.peers import PeersMissing, peer_python


def package(folder: Path) -> Path:
    """A distribution that needs no network to be installed, and the file that requires it."""
    wheel = folder / "lone-1.0-py3-none-any.whl"
    facts = "lone-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr("lone.py", "")
        packed.writestr(f"{facts}/METADATA", "Metadata-Version: 2.1\nName: lone\nVersion: 1.0\n")
        packed.writestr(f"{facts}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{facts}/RECORD", "")
    requirements = folder / "requirements.txt"
    requirements.write_text(wheel.as_uri())
    return requirements


def test_workers_that_ask_at_once_get_one_environment_without_our_package(tmp_path: Path) -> None:
    requirements, folder = package(tmp_path), tmp_path / "peers"
    with ThreadPoolExecutor(3) as pool:
        first, *others = pool.map(lambda _: peer_python(requirements, folder), range(3))
    assert others == [first, first]
    assert sorted(path.name for path in folder.iterdir()) == sorted(["lock.sqlite", first.parents[1].name])
    made = first.parents[1].stat()
    code = "import importlib.util as u, sys; sys.exit(repr([bool(u.find_spec(n)) for n in ('lone', 'doc2x_sdk')]))"
    done = subprocess.run([first, "-I", "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == "[True, False]\n"
    assert peer_python(requirements, folder) == first
    assert first.parents[1].stat().st_ino == made.st_ino

    requirements.write_text(f"{requirements.read_text()}\n# another text, another environment\n")
    assert peer_python(requirements, folder) != first


def test_what_pip_says_is_told_and_nothing_half_made_stays(tmp_path: Path) -> None:
    requirements, folder = tmp_path / "requirements.txt", tmp_path / "peers"
    requirements.write_text((tmp_path / "absent-1.0-py3-none-any.whl").as_uri())
    with pytest.raises(PeersMissing, match=r"(?s)requirements.txt .*absent-1\.0"):
        peer_python(requirements, folder)
    assert [path.name for path in folder.iterdir()] == ["lock.sqlite"]
    assert peer_python(package(tmp_path), folder).exists()
