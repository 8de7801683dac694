"""A program that changes its folder while documents are at work: inputs and results stay where they were meant."""

import os
from pathlib import Path

import pytest

from doc2x_sdk.errors import InputChanged, OutputError
from doc2x_sdk.models import Progress
from tests.batch.conftest import Papers
from tests.support.scripted_service import ScriptedService, failed, make_pdf, told

UID = "0192d745-5776-7261-abbd-000000000001"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to change to; the program begins in `tmp_path`."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_batch_stays_in_the_folder_that_it_was_called_in(
    service: ScriptedService, papers: Papers, out: Path, elsewhere: Path
) -> None:
    """There are more inputs than are read ahead."""
    paths = [path.relative_to(Path.cwd()) for path in papers(80)]
    found = []
    with service.client() as client:
        for done in client.convert_many(iter(paths), to="md", out="out"):
            os.chdir(elsewhere)
            assert done.error is None
            found.append(done)
        rows = {row.source: row.results[0].target for row in client.jobs()}
    assert {done.source for done in found} == {str(path) for path in paths}
    assert all(done.files == {"md": Path("out", f"{Path(done.source).stem}.md")} for done in found)
    assert {path.name for path in out.glob("*.md")} == {f"{path.stem}.md" for path in paths}
    assert not list(elsewhere.iterdir())
    assert rows == {str(out.parent / path): str(out / f"{path.stem}.md") for path in paths}


def test_a_quote_stays_in_the_folder_that_it_was_called_in(
    service: ScriptedService, papers: Papers, out: Path, elsewhere: Path
) -> None:
    paths = [path.relative_to(Path.cwd()) for path in papers(3)]
    with service.client() as client:
        client.convert(paths[1], to="md", out=out)
        verdicts = []
        for quoted in client.quote(paths, to="md", out="out"):
            os.chdir(elsewhere)
            verdicts.append((quoted.source, quoted.verdict))
    assert verdicts == [(str(path), verdict) for path, verdict in zip(paths, ("new", "done", "new"), strict=True)]


@pytest.mark.parametrize("stage", ["check", "upload", "parse", "publish"])
def test_a_document_stays_in_the_folder_that_it_was_called_in(
    stage: str, service: ScriptedService, papers: Papers, out: Path, elsewhere: Path
) -> None:
    """Its receipt is that of the absolute paths, so that it is found again by those."""
    (path,) = papers(1)

    def step(progress: Progress) -> None:
        if progress.stage == stage:
            os.chdir(elsewhere)

    with service.client() as client:
        document = client.convert(path.relative_to(Path.cwd()), to=("md", "txt"), out="out", on_progress=step)
        again = client.convert(path, to=("md", "txt"), out=out)
        (row,) = client.jobs()
    assert document.source == str(path.relative_to(out.parent))
    assert document.files == {"md": Path("out/paper0.md"), "txt": Path("out/paper0.txt")}
    assert again.files == {"md": out / "paper0.md", "txt": out / "paper0.txt"}
    assert again.skipped == ("md", "txt")
    assert (row.source, {result.target for result in row.results}) == (str(path), set(map(str, again.files.values())))
    assert not list(elsewhere.iterdir())
    assert service.paid == 1


def test_what_is_fetched_stays_in_the_folder_that_it_was_called_in(
    service: ScriptedService, papers: Papers, out: Path, elsewhere: Path
) -> None:
    with service.client() as client:
        client.convert(papers(1)[0])
        document = client.fetch(UID, to="md", out="out", on_progress=lambda _: os.chdir(elsewhere))
    assert document.files == {"md": Path("out", f"{UID}.md")}
    assert (out / f"{UID}.md").is_file()
    assert not list(elsewhere.iterdir())


def test_a_rescue_stays_in_the_folder_that_it_was_called_in(
    service: ScriptedService, papers: Papers, out: Path, elsewhere: Path
) -> None:
    service.always("export", failed("parse_error"))
    with service.client() as client:
        assert all(done.error for done in client.convert_many(papers(3), to="md", out=out / "first"))
        service.always("export", None)
        files = []
        for done in client.rescue("out", jobs=1):
            os.chdir(elsewhere)
            files.append(done.files["md"])
    assert sorted(files) == [Path("out", f"paper{number}.md") for number in range(3)]
    assert {path.name for path in out.glob("*.md")} == {path.name for path in files}
    assert not list(elsewhere.iterdir())


def test_errors_name_a_result_as_its_folder_was_given(
    service: ScriptedService, papers: Papers, elsewhere: Path
) -> None:
    (path,) = papers(1)
    with service.client() as client:
        client.convert(path, to="md", out="out")
        path.write_bytes(make_pdf(1, mark="edited"))
        with pytest.raises(OutputError, match=r"The output folder: papers.paper0\.pdf is not"):
            list(client.convert_many([path], to="md", out="papers/paper0.pdf"))
        with pytest.raises(InputChanged) as changed:
            client.convert(path, to="md", out="out")
        told(changed.value, f"{Path('out/paper0.md')} was made of an earlier content")
        Path("out/paper0.md").unlink()
        Path("out/paper0_images").rename("out/kept")
        Path("out/paper0_images").write_bytes(b"no folder")
        with pytest.raises(OutputError) as failure:
            client.convert(path, to="md", out="out")
    assert str(elsewhere.parent) not in failure.value.message
    assert failure.value.path == str(Path("out/paper0.md"))
