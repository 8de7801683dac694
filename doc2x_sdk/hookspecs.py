"""The plugin contract: what third parties may implement, marked with `doc2x_sdk.hookimpl`.

A plugin is a module (or an object) with some of the four hooks below, named by an entry point of the group `doc2x`.
A hook may leave out arguments that it does not use. No hook is given the account's key, a session or the client.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pluggy

from doc2x_sdk.models import Bundle, Document

__all__ = ["Context", "Exporter", "Option", "Register", "hookimpl", "hookspec"]

hookspec = pluggy.HookspecMarker("doc2x")
hookimpl = pluggy.HookimplMarker("doc2x")


@dataclass(frozen=True, slots=True)
class Option:
    """An option of an exporter or post-processor, as `--option FORMAT.NAME=VALUE` and `options=` give it.

    Attributes:
        name: lower-case letters, digits, `-` and `_`.
        type: `str`, `int`, `float`, `bool`, or `Path` for a file or folder that exists. Text is turned into it, and
            what can't be is refused before anything is sent.
        default: the value when the user gives none; it is handed on as it is.
        help: one line for `doc2x formats NAME`.
        choices: the values that are allowed; all, when empty.
        multiple: whether it may be given more than once; the value is then a tuple, and the default should be one.
    """

    name: str
    type: type[str] | type[int] | type[float] | type[bool] | type[Path] = str
    default: Any = None
    help: str = ""
    choices: tuple[Any, ...] = ()
    multiple: bool = False


class Exporter(Protocol):
    """Makes a derived format out of a native one, or out of another derived one.

    Beside what stands here an exporter may have these attributes: `options`, a sequence of `Option`; `help`, one line
    for `doc2x formats`; `linked_images`, "url" or "path" when its main file is text that names the bundle's pictures by
    their paths (`images/...`): they are then published too, and the paths in the text follow them, percent-encoded as
    HTML wants it ("url") or as they are ("path").
    """

    @property
    def name(self) -> str:
        """The format's name, as given to `--to`: lower-case letters, digits, `-`, `_` and `+`."""

    @property
    def suffix(self) -> str:
        """The main file's extension, with its dot."""

    @property
    def needs(self) -> str:
        """The format that it reads: "parse", "md", "md_dollar", "tex", "docx", or another exporter's name."""

    def export(self, bundle: Bundle, out: Path, options: Mapping[str, Any]) -> list[Path]:
        """Read the bundle, write files into the folder `out`, and return their paths, the main one first.

        The files must be regular ones inside `out`; the bundle's own must stay as they are. `options` holds a typed
        value for each option that the exporter declares. What is raised fails this format alone.
        """


class Register(Protocol):
    """What `doc2x_register_exporters` is given."""

    def __call__(self, exporter: Exporter) -> None:
        """Offer a format. Raises `ConfigError` for an exporter that breaks the contract."""

    def processor(self, name: str, options: Sequence[Option], help: str = "") -> None:  # noqa: A002 - as elsewhere
        """Declare the options of a post-processor: `--option NAME.KEY=VALUE` reaches it as `context.options[NAME]`.

        Raises `ConfigError` for a name that is not in lower case, or is one of doc2x-sdk's own. Plugins that share a
        name with another's post-processor are not used.
        """


@dataclass(frozen=True, slots=True)
class Context:
    """What a post-processor is told beside the bundle.

    Attributes:
        wanted: the formats that the user asked for, derived ones included.
        options: name -> the typed options of a post-processor, see `Register.processor`.
    """

    wanted: tuple[str, ...] = ()
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@hookspec
def doc2x_register_exporters(register: Register) -> None:
    """Offer derived formats: call `register(exporter)` once for each.

    It is called once for a client, before anything is sent. An exporter is called from the thread that converts a
    document, for many documents at a time, or in a process of its own when there is a time limit: it keeps no state
    between calls. Import what is large inside `export`, since every command that knows formats pays for it here.

    Args:
        register: takes the exporters; `register.processor` declares the options of a post-processor.
    """


@hookspec
def doc2x_process_bundle(bundle: Bundle, context: Context) -> None:
    """Post-process a downloaded native format in its staging folder, before exporters read it and it is published.

    Change the files in `bundle.folder` in place; the main file must stay under its name. Picture links stay local
    here, since exporters read the pictures after you. To have a link replaced in what is published, put it into
    `bundle.links`: the picture's path as the main file names it -> the new URL. That is done last, and a picture whose
    link was replaced is not published beside the result. `bundle.warn(text)` tells the user something.

    Plugins are called one after another: last installed first, and `@hookimpl(tryfirst=True)` or `trylast=True` to
    change that. What is raised fails this native format and what is derived from it; older files stay, other formats
    go on. A picture or link found in the text is untrusted: fetch through `doc2x_sdk.fetching` only.

    Args:
        bundle: the unpacked format: "md", "md_dollar", "tex" or "docx".
        context: what was asked for.
    """


@hookspec
def doc2x_document_done(document: Document) -> None:
    """Take note of a document that is done, after everything was published.

    It is called in the thread that converted the document, also when some derived formats failed; not when the
    conversion itself did. What is raised is told as a warning of the document.

    Args:
        document: as the caller gets it.
    """


@hookspec
def doc2x_register_commands(cli: Any) -> None:
    """Add commands to the `doc2x` command.

    It is called when the user names a command that `doc2x` itself does not have. A name that it does have can't be
    taken over.

    Args:
        cli: a `click.Group`; use `@cli.command()` or `cli.add_command`.
    """
