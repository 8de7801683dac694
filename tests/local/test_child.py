"""The server as a child of somebody's program: what it imports, and when it ends."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.local.caller import Caller, make_pdf

PACKAGE = Path(__file__).parents[2] / "doc2x_sdk"
CONVERTS = """
import sys
from doc2x_sdk import Doc2X
with Doc2X.local(server={"workers": 1}) as client:
    print(client.convert(sys.argv[1]).pages[0].md)
"""
SERVES = """
from doc2x_sdk.local.server import serve
if __name__ == "__main__":
    serve()
"""
BREAKS = """
from pathlib import Path
Path(__file__).with_suffix(".imported").touch()
raise RuntimeError("this is no module of the server")
"""


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    """A folder with a paper."""
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "paper.pdf").write_bytes(make_pdf("A paper"))
    return folder


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("beside", [False, True], ids=["in the current folder", "beside the script"])
def test_files_named_like_modules_are_not_taken_for_them(papers: Path, tmp_path: Path, beside: bool) -> None:
    names = ["starlette", "liteparse"] if beside else ["json", "pickle", "starlette", "liteparse"]
    for name in names:  # the first two break the server and a worker at their start, the others are imported later
        (papers / f"{name}.py").write_text(BREAKS)
    script = (papers if beside else tmp_path) / "script.py"
    script.write_text(CONVERTS)
    done = run(tmp_path if beside else papers, str(script), str(papers / "paper.pdf"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "A paper\n", "")
    assert not list(papers.glob("*.imported"))


def test_workers_of_a_server_do_not_start_with_what_lies_in_the_current_folder(papers: Path, tmp_path: Path) -> None:
    (papers / "pickle.py").write_text(BREAKS)
    script = tmp_path / "script.py"
    script.write_text(SERVES)
    process = subprocess.Popen([sys.executable, str(script)], cwd=papers, stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        caller = Caller(process.stdout.readline().decode().strip())
        try:
            assert caller.parse((papers / "paper.pdf").read_bytes())[1][0]["md"] == "A paper"
        finally:
            caller.close()
            process.terminate()
    assert not list(papers.glob("*.imported"))


@pytest.mark.parametrize("by", ["the current folder", "a line of the program"])
def test_the_child_runs_the_package_that_its_program_found(papers: Path, tmp_path: Path, by: str) -> None:
    checkout = tmp_path / "checkout"
    shutil.copytree(PACKAGE, checkout / "doc2x_sdk", ignore=shutil.ignore_patterns("__pycache__"))
    main = checkout / "doc2x_sdk" / "local" / "__main__.py"
    main.write_text(main.read_text().replace("def main()", f"open({str(tmp_path / 'ran')!r}, 'w').close()\ndef main()"))
    here = by == "the current folder"
    program = CONVERTS if here else f"import sys; sys.path.insert(0, {str(checkout)!r}){CONVERTS}"
    done = run(checkout if here else papers, "-c", program, str(papers / "paper.pdf"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "A paper\n", "")
    assert (tmp_path / "ran").exists()
