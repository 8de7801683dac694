r"""The one way that anything here calls pandoc.

Everything is a function of plain values. Service Markdown goes through two passes, because one pass loses the HTML
tables or the `\( \)` formulas: `markdown_to_html` once a document, then `html_to` once a format. pandoc always runs
with `--sandbox`, so a document can make it read neither a local file nor the network.

Between the passes a literal backslash (in code, or escaped in the text) is held by a private-use character, since
the HTML reader would take `\(x\)` in a code span for a formula. A filter puts it back in the second pass, so the
HTML of `markdown_to_html` is meant for `html_to`, not for a browser.
"""

from __future__ import annotations

import base64
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from doc2x_sdk.errors import ConfigError, Doc2XError

__all__ = ["PandocError", "formulas_to_text", "html_to", "markdown_to_html", "pandoc_path"]

TIMEOUT_SECONDS = 120.0

BACKSLASH = "\ue0f0"  # stands for a literal backslash between the two passes

# A fence, a code span, or an escaped backslash before a formula delimiter, in this order of precedence.
_CODE = re.compile(
    r"(?P<fence>^ {0,3}(?P<mark>`{3,}|~{3,}).*?(?:^ {0,3}(?P=mark)[`~]*[ \t]*$|\Z))"
    r"|(?P<span>(?<!`)(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))"
    r"|(?P<escaped>\\\\)(?=[()\[\]])",
    re.DOTALL | re.MULTILINE,
)
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")
_IMAGE_SOURCE = re.compile(r"""(<img\b[^>]*?\bsrc=)(["'])(.*?)\2""", re.DOTALL)
_MEDIA_TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".gif": "image/gif"}
_MARKDOWN = "markdown-tex_math_dollars-markdown_in_html_blocks-yaml_metadata_block+tex_math_single_backslash"
_FILTER = f"""
local function restore(text) return (text:gsub('{BACKSLASH}', '\\\\')) end
local function literal(element) element.text = restore(element.text) return element end
local function span(element)
  if element.classes:includes('math') then return element.content end
end
return {{{{ Str = literal, Code = literal, CodeBlock = literal, Span = span }}}}
"""
_FLAGS: dict[str, tuple[str, ...]] = {
    "epub": ("--mathml",),
    "epub3": ("--mathml",),
    "html": ("--standalone", "--mathjax"),
    "latex": ("--standalone",),
}


class PandocError(Doc2XError):
    """pandoc refused the document, crashed or ran out of time; the message ends with what pandoc said."""

    advice_by_default = "Ask for the Markdown of this document and convert it by hand."


@cache
def pandoc_path() -> str:
    """Where the pandoc program is, as `pypandoc_binary` brings it.

    Raises:
        ConfigError: `pypandoc_binary` is not installed.
    """
    try:
        import pypandoc  # noqa: PLC0415 - an extra

        return str(pypandoc.get_pandoc_path())
    except (ImportError, OSError) as error:
        raise ConfigError(
            "Converting documents needs pandoc, which is not installed.",
            advice="Run: pip install 'doc2x-sdk[local]'",
        ) from error


def markdown_to_html(markdown: str, *, timeout: float = TIMEOUT_SECONDS) -> str:
    r"""HTML of Markdown in the service's manner: `\( \)` and `\[ \]` formulas, HTML tables, comments, pictures.

    A dollar sign is a dollar sign; HTML blocks are taken as they are, without Markdown inside.

    Args:
        markdown: the text of the whole document.
        timeout: seconds that pandoc may take.

    Raises:
        ConfigError: pandoc is not installed.
        PandocError: pandoc failed.
    """
    # Code is coloured in the second pass; doing it twice would give two elements one id.
    arguments = ["--from", _MARKDOWN, "--to", "html", "--mathjax", "--wrap=none", "--no-highlight"]
    return _run(arguments, _CODE.sub(_hold_backslashes, markdown), timeout)


def html_to(
    format: str,  # noqa: A002 - the word for it
    html: str,
    output: Path,
    *,
    images: Mapping[str, Path] | None = None,
    options: Sequence[str] = (),
    timeout: float = TIMEOUT_SECONDS,
) -> None:
    """Write the HTML of `markdown_to_html` as another format.

    LaTeX keeps the paths of its pictures and gets a CJK preamble (`ctex`) when the text needs one. Every other format
    gets the pictures embedded.

    Args:
        format: a name that pandoc knows as a writer: `docx`, `latex`, `epub3`, `odt`, `html`...
        html: the document.
        output: the file to write; its folder exists.
        images: where the picture of each `src` in the HTML lies.
        options: more options for pandoc, such as `--toc`.
        timeout: seconds that pandoc may take.

    Raises:
        ConfigError: pandoc is not installed.
        PandocError: pandoc failed; `output` may be incomplete.
    """
    arguments = ["--from", "html+tex_math_single_backslash", "--to", format, *_FLAGS.get(format, ())]
    if format == "latex" and _CJK.search(html):
        arguments += ["--variable", "header-includes=\\usepackage[UTF8]{ctex}"]
    if format != "latex" and images:
        html = _embed_images(html, images)
    with tempfile.TemporaryDirectory(prefix="doc2x-pandoc-") as folder:
        script = Path(folder) / "backslashes.lua"
        script.write_text(_FILTER, encoding="utf-8")
        _run([*arguments, "--lua-filter", str(script), *options, "--output", str(output)], html, timeout)


def formulas_to_text(formulas: Sequence[str], *, timeout: float = TIMEOUT_SECONDS) -> list[str]:
    r"""Each TeX formula (without delimiters) as plain text with Unicode signs: `x^2 \le y` becomes `x² ≤ y`.

    One run of pandoc for all of them. What plain text cannot show stays TeX.

    Raises:
        ConfigError: pandoc is not installed.
        PandocError: pandoc failed.
    """
    if not formulas:
        return []
    mark = "\ue0f1"  # a paragraph of its own after each formula, so that answers are told apart
    paragraphs = [rf"<p>\({' '.join(_escape(formula).split())}\)</p><p>{mark}</p>" for formula in formulas]
    text = _run(
        ["--from", "html+tex_math_single_backslash", "--to", "plain", "--wrap=none", "--quiet"],
        "\n".join(paragraphs),
        timeout,
    )
    return [_without_dollars(part.strip()) for part in text.split(mark)[: len(formulas)]]


def _run(arguments: Sequence[str], text: str, timeout: float) -> str:
    command = [pandoc_path(), "--sandbox", *arguments]
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise PandocError(f"pandoc did not finish within {timeout:g} s.") from error
    except OSError as error:
        raise PandocError(f"pandoc could not be started: {error}.") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-500:]
        raise PandocError(f"pandoc ended with code {done.returncode}: {said or 'it said nothing'}")
    return done.stdout.decode()


def _hold_backslashes(match: re.Match[str]) -> str:
    if match["escaped"]:
        return BACKSLASH
    return match[0].replace("\\", BACKSLASH)


def _embed_images(html: str, images: Mapping[str, Path]) -> str:
    def embed(match: re.Match[str]) -> str:
        before, quote, source = match.groups()
        path = images.get(source)
        if path is None:
            return match[0]
        media_type = _MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")
        return f"{before}{quote}data:{media_type};base64,{base64.b64encode(path.read_bytes()).decode()}{quote}"

    return _IMAGE_SOURCE.sub(embed, html)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _without_dollars(text: str) -> str:
    if len(text) > 2 and text.startswith("$") and text.endswith("$"):
        return text[1:-1]
    return text
