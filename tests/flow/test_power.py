"""A power cut after a conversion: each result's bytes were on the disk before its name, and the name before the end."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from doc2x_sdk import Doc2X
from doc2x_sdk.local.server import LocalServer
from doc2x_sdk.local.settings import ServerSettings
from tests.cli.command import LIKE_A_USER
from tests.support.wire import KEY

fcntl = pytest.importorskip("fcntl", reason="elsewhere folders are not synced")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="elsewhere folders are not synced")

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "paper.pdf"


class Watched:
    """What was synced, and what came from a folder and got a name after that; the calls go on to the system."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.synced: dict[tuple[int, int], tuple[int, int]] = {}
        self.unsafe: list[str] = []
        self.not_on_windows: list[str] = []
        self.named: list[str] = []
        self.unsynced_folders: dict[tuple[int, int], str] = {}
        self._fsync, self._link, self._replace = os.fsync, os.link, os.replace
        patch.setattr(os, "fsync", self.fsync)
        patch.setattr(os, "link", self.link)
        patch.setattr(os, "replace", self.replace)

    def fsync(self, descriptor: int) -> None:
        self._fsync(descriptor)
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            self.not_on_windows.append(str(Path(f"/proc/self/fd/{descriptor}").resolve()))
        self.synced[found.st_dev, found.st_ino] = found.st_size, found.st_mtime_ns
        self.unsynced_folders.pop((found.st_dev, found.st_ino), None)

    def link(self, source: Path, name: Path | str, *, dst_dir_fd: int | None = None, follow_symlinks: bool) -> None:
        self.look(source, name, dst_dir_fd)
        self._link(source, name, dst_dir_fd=dst_dir_fd, follow_symlinks=follow_symlinks)

    def replace(self, source: Path, name: Path | str, *, dst_dir_fd: int | None = None) -> None:
        self.look(source, name, dst_dir_fd)
        self._replace(source, name, dst_dir_fd=dst_dir_fd)

    def look(self, source: Path, name: Path | str, folder: int | None) -> None:
        if self.root not in Path(source).parents:
            return  # the embedded server's own
        found = Path(source).stat()
        self.named.append(Path(name).name)
        if self.synced.get((found.st_dev, found.st_ino)) != (found.st_size, found.st_mtime_ns):
            self.unsafe.append(str(name))
        above = os.fstat(folder) if folder is not None else Path(name).parent.stat()
        self.unsynced_folders[above.st_dev, above.st_ino] = str(name)


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(ServerSettings(workers=1)) as one:
        yield one


@pytest.mark.faults("FS-04")
@pytest.mark.parametrize("to", [["md"], ["docx"], ["tex", "txt", "json"]], ids="-".join)
@pytest.mark.parametrize("overwrite", [False, True], ids=["new", "replaced"])
def test_what_has_its_name_is_on_the_disk(
    server: LocalServer, out: Path, to: list[str], overwrite: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Doc2X(KEY, base_url=server.url) as client:
        if overwrite:
            client.convert(EXAMPLE, to=to, out=out)
        watched = Watched(out, monkeypatch)
        document = client.convert(EXAMPLE, to=to, out=out, overwrite=overwrite)
    results = {path.name for path in document.files.values()}
    pictures = {path.name for path in (out / "paper_images").rglob("*") if path.is_file()}
    assert results <= set(watched.named)
    assert pictures <= set(watched.named)
    assert (watched.unsafe, watched.unsynced_folders) == ([], {})
    assert watched.not_on_windows == [], "it syncs no file through a handle that only reads"


@pytest.mark.skipif(LIKE_A_USER is None, reason="root that can't be held to the modes of files")
def test_a_file_that_its_exporter_made_read_only_is_published(tmp_path: Path) -> None:
    staged, final = tmp_path / "staged", tmp_path / "final"
    staged.write_text("text", encoding="utf-8")
    staged.chmod(0o400)
    script = "import sys; from pathlib import Path; from doc2x_sdk.flow.disk import place; "
    script += "print(place(Path(sys.argv[1]), Path(sys.argv[2]), overwrite=False))"
    done = subprocess.run(
        [*(LIKE_A_USER or ()), sys.executable, "-c", script, str(staged), str(final)], capture_output=True, check=False
    )
    assert (done.stdout, final.read_text(encoding="utf-8")) == (b"True\n", "text")
