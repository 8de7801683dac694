"""What stands under a result's name is told from what is wanted: another format, or other post-processing."""

from pathlib import Path

import pytest

from doc2x_sdk import Option, hookimpl
from doc2x_sdk.errors import InputChanged
from doc2x_sdk.formats.registry import Formats, new_manager
from tests.flow.folders import tree
from tests.support.scripted_service import ScriptedService, make_pdf, make_zip

CLEAN = {"clean": {"comments": False}}
OTHER = "was made with other options and stays as it is; --overwrite replaces it"


@pytest.mark.parametrize(("there", "wanted"), [("md", "md_dollar"), ("md_dollar", "md")])
def test_md_and_md_dollar_do_not_pass_for_each_other(
    there: str, wanted: str, service: ScriptedService, paper: Path, out: Path
) -> None:
    with service.client() as client:
        client.convert(paper, to=there, out=out)
        before = tree(out)
        document = client.convert(paper, to=wanted, out=out)
        told = f"paper.md is there as {there}, not {wanted}, and stays as it is; --overwrite replaces it"
        assert (document.skipped, document.warnings) == ((wanted,), (told,))
        assert client.convert(paper, to=there, out=out).warnings == ()
        assert tree(out) == before
        client.convert(paper, to=wanted, out=out, overwrite=True)
        assert client.convert(paper, to=wanted, out=out).warnings == ()
        (warning,) = client.convert(paper, to=there, out=out).warnings
        assert warning.startswith(f"paper.md is there as {wanted}, not {there}")
    assert service.paid == 1


def test_both_after_one_of_them(service: ScriptedService, paper: Path, out: Path) -> None:
    with service.client() as client:
        client.convert(paper, to="md_dollar", out=out)
        document = client.convert(paper, to=["md", "md_dollar"], out=out)
    assert document.warnings == ("paper.md is there as md_dollar, not md, and stays as it is; --overwrite replaces it",)
    assert (out / "paper.dollar.md").read_bytes() == (out / "paper.md").read_bytes()


def test_another_documents_result_of_another_format_keeps_its_name(
    service: ScriptedService, tmp_path: Path, out: Path
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "paper.pdf").write_bytes(make_pdf(mark=folder))
    with service.client() as client:
        first = client.convert(tmp_path / "a" / "paper.pdf", to="md_dollar", out=out)
        second = client.convert(tmp_path / "b" / "paper.pdf", to="md", out=out)
        (third,) = client.convert_many([tmp_path / "b" / "paper.pdf"], to="md", out=out)
    assert first.files["md_dollar"].name == "paper.md"
    assert (second.files["md"].name, second.skipped) == (third.files["md"].name, ())
    assert second.files["md"].name.startswith("paper-")
    assert service.paid == 2


def test_other_pages_are_refused_of_the_other_format_too(service: ScriptedService, tmp_path: Path, out: Path) -> None:
    (tmp_path / "book.pdf").write_bytes(make_pdf(pages=2))
    with service.client() as client:
        client.convert(tmp_path / "book.pdf", to="md", pages="2", out=out)
        with pytest.raises(InputChanged, match="made of pages 2 only"):
            client.convert(tmp_path / "book.pdf", to="md_dollar", out=out)


def test_a_result_of_other_cleaning_is_told(service: ScriptedService, paper: Path, out: Path) -> None:
    with service.client() as client:
        client.convert(paper, to=["md", "json", "tex"], out=out)
        document = client.convert(paper, to=["md", "json", "tex"], out=out, options=CLEAN)
        assert document.skipped == ("md", "json", "tex")
        assert document.warnings == (f"paper.md {OTHER}",)  # json is made of the parse, tex is not cleaned
        assert client.convert(paper, to="md", out=out, options={"clean": {"comments": True}}).warnings == ()
        client.convert(paper, to="md", out=out, options=CLEAN, overwrite=True)
        assert client.convert(paper, to="md", out=out, options=CLEAN).warnings == ()
        assert client.convert(paper, to="md", out=out).warnings == (f"paper.md {OTHER}",)
    assert service.paid == 1


def test_a_result_of_other_options_of_a_plugins_post_processor_is_told(
    service: ScriptedService, paper: Path, out: Path
) -> None:
    class Processor:
        @hookimpl
        def doc2x_register_exporters(self, register: object) -> None:
            register.processor("rehost", [Option("to"), Option("limit", int, 5)])  # type: ignore[attr-defined]

        @hookimpl
        def doc2x_process_bundle(self) -> None:
            pass

    manager = new_manager()
    manager.register(Processor())
    with service.client(formats=Formats(manager)) as client:
        client.convert(paper, to=["tex", "txt"], out=out, options={"rehost": {"to": "one"}})
        again = client.convert(paper, to=["tex", "txt"], out=out, options={"rehost": {"to": "one", "limit": "5"}})
        assert (again.skipped, again.warnings) == (("tex", "txt"), ())
        again = client.convert(paper, to=["tex", "txt"], out=out, options={"rehost": {"to": "two"}})
        assert (again.skipped, again.warnings) == (("tex", "txt"), (f"paper.tex {OTHER}",))


def test_what_is_rescued_is_made_with_its_post_processors(service: ScriptedService, paper: Path, out: Path) -> None:
    text = "<!-- Meanless: a header -->\n\nwords\n"
    service.exports["md"] = make_zip({"md.md": text})
    with service.client() as client:
        client.convert(paper, to=["md", "json"], out=out, options=CLEAN)
        wanted = (out / "paper.md").read_bytes()
        assert b"Meanless" not in wanted
        (out / "paper.md").unlink()
        (row,) = client.jobs()
        lost = next(each for each in row.results if each.format == "md")
        assert client._kit.ledger is not None
        client._kit.ledger.record(row.id, lost._replace(state="exporting"), wait=True)
        (done,) = client.rescue()
        assert (done.error, (out / "paper.md").read_bytes()) == (None, wanted)
        assert client.convert(paper, to="md", out=out, options=CLEAN).warnings == ()
    assert service.paid == 1
