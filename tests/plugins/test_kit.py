"""The kit for plugin authors and for users' tests."""

import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from doc2x_sdk import Doc2X, Option
from doc2x_sdk.errors import ConfigError, ExporterError
from doc2x_sdk.models import NATIVE_FORMATS, Bundle
from doc2x_sdk.testing import SAMPLES, check_exporter, run_exporter, sample_bundle
from doc2x_sdk.testing.fixtures import ServerOfTest
from tests.plugins.conftest import Exporter, write_text
from tests.plugins.venvs import ROOT

PAPER = ROOT / "docs" / "examples" / "paper.pdf"
SCRIPT = (
    "import sys; from doc2x_sdk import Doc2X\nwith Doc2X() as c: print(c.convert(sys.argv[1], to='md', out='o').files)"
)


@pytest.mark.parametrize("test", ["first", "second"])
def test_a_users_script_meets_the_embedded_server_and_nothing_else(
    test: str, doc2x_server: ServerOfTest, tmp_path: Path
) -> None:
    with Doc2X(doc2x_server.key, base_url=doc2x_server.url) as client:
        client.convert(PAPER, to="md", out=tmp_path / test)
    with Doc2X() as client:
        document = client.convert(PAPER, to=["md", "txt"], out=tmp_path / "out")
    assert "#" in document.files["md"].read_text(encoding="utf-8")
    counted = doc2x_server.stats()
    assert (counted.parses, counted.pages_parsed, counted.exports) == (1, 2, 2)
    assert counted.requests["POST /api/v2/parse/preupload"] == 1
    command = [sys.executable, "-c", SCRIPT, str(PAPER)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "o" / "paper.md").is_file()


@pytest.mark.parametrize("needs", ["parse", *NATIVE_FORMATS])
@pytest.mark.parametrize("sample", SAMPLES)
def test_samples_are_bundles_of_every_native_format(sample: str, needs: str, tmp_path: Path) -> None:
    bundle = sample_bundle(sample, tmp_path / "bundle", needs=needs)
    assert bundle.format == needs
    assert bundle.main.is_file()
    assert bundle.pages
    run = run_exporter(Exporter(write_text, needs=needs), sample)
    assert run.text == f"{needs}: {bundle.main.stat().st_size}"


def test_a_sample_is_in_the_services_manner(tmp_path: Path) -> None:
    bundle = sample_bundle("paper", tmp_path / "bundle")
    text = bundle.main.read_text(encoding="utf-8")
    for mark in (
        "<!-- Meanless:",
        "<!-- Media -->",
        "<!-- figureText:",
        "rowspan",
        "colspan",
        r"\( ",
        r"\[",
        r"\tag{1}",
    ):
        assert mark in text
    assert [image.name for image in bundle.images if bundle.image(f"images/{image.name}")] == [
        "0_140_620_520_300_0.jpg",
        "1_90_200_400_260_0.jpg",
    ]
    assert "images/" not in bundle.pages[0].md
    assert "https://cdn.example.org/" in bundle.pages[0].md


@pytest.mark.parametrize(
    "link",
    ["../outside.txt", "/etc/passwd", "file:///etc/passwd", "https://h/x.jpg", "", "images", "images/none.jpg", "a\0"],
)
def test_a_bundle_gives_no_file_that_is_not_its_own(link: str, tmp_path: Path) -> None:
    bundle = sample_bundle("hostile", tmp_path / "bundle")
    (bundle.folder / "link.jpg").symlink_to("/etc/hostname")
    assert bundle.image(link) is None
    assert bundle.image("link.jpg") is None


def test_the_kit_holds_an_exporter_to_the_contract() -> None:
    with pytest.raises(ExporterError, match="did not return a list"):
        run_exporter(Exporter(lambda *_: None))
    with pytest.raises(ConfigError, match="no sample 'novel'"):
        run_exporter(Exporter(write_text), "novel")
    with pytest.raises(ConfigError, match="can't be had as 'other'"):
        run_exporter(Exporter(write_text, needs="other"))


def fails(bundle: Bundle, out: Path, options: object) -> list[Path]:
    return [out / f"{1 / 0}"]


def fails_without_text(bundle: Bundle, out: Path, options: object) -> list[Path]:
    bundle.main.read_text(encoding="utf-8").splitlines()[0]
    return write_text(bundle, out, options)


def prints(bundle: Bundle, out: Path, options: object) -> list[Path]:
    print("here")
    return write_text(bundle, out, options)


def takes_what_is_outside(bundle: Bundle, out: Path, options: object) -> list[Path]:
    path = out / "x.txt"
    found = [bundle.folder / "../outside.txt"] if "outside.txt" in bundle.main.read_text(encoding="utf-8") else []
    path.write_text("".join(file.read_text() for file in found) or "nothing")
    return [path]


def names_after_the_folder(bundle: Bundle, out: Path, options: object) -> list[Path]:
    path = out / f"{out.parent.name}.txt"
    path.write_text("x")
    return [path]


@pytest.mark.parametrize(
    ("export", "line"),
    [
        (fails, "- sample paper, sample chinese, sample empty, sample hostile: The exporter of x failed: ZeroDivision"),
        (fails_without_text, "- sample empty: The exporter of x failed: IndexError"),
        (prints, "hostile: it prints to stdout, where results belong: 'here"),
        (takes_what_is_outside, "- sample hostile: x.txt holds a file from outside the bundle"),
        (names_after_the_folder, "sample hostile, from threads: other file names than alone"),
    ],
)
def test_the_conformance_check_tells_each_fault_once(export: Callable[..., list[Path]], line: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_exporter(Exporter(export))
    assert line in str(caught.value)
    assert len(str(caught.value).splitlines()) == 2
    if "failed" in line:
        assert isinstance(caught.value.__cause__, ExporterError)
        lines = traceback.format_exception(caught.value)
        assert any(f", in {export.__name__}" in each for each in lines), "the line of the exporter"


def test_the_conformance_check_takes_an_exporter_that_is_right() -> None:
    check_exporter(Exporter(write_text))


@pytest.mark.parametrize("name", ["sample", "bundle", "out", "exporter", "options"])
def test_an_option_of_any_name_reaches_an_exporter_in_its_tests(name: str) -> None:
    def export(bundle: Bundle, out: Path, options: Mapping[str, Any]) -> list[Path]:
        (out / "x.txt").write_text(str(options[name]), encoding="utf-8")
        return [out / "x.txt"]

    exporter = Exporter(export, options=(Option(name, int, 3),))
    assert run_exporter(exporter, options={name: 5}).text == "5"
    check_exporter(exporter, {name: 7})
