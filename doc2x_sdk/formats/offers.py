"""What an exporter says about itself, checked when it is registered."""

from __future__ import annotations

import re
from typing import NamedTuple

from doc2x_sdk.errors import ConfigError
from doc2x_sdk.formats.options import GUIDE, check_declared
from doc2x_sdk.formats.plan import PARSE
from doc2x_sdk.hookspecs import Exporter, Option
from doc2x_sdk.models import NATIVE_FORMATS

__all__ = ["Offer", "check_name", "checked_offer"]

NAME = re.compile(r"[a-z0-9][a-z0-9_+-]{0,39}")
SUFFIX = re.compile(r"(\.[A-Za-z0-9_+-]{1,40}){1,3}")


class Offer(NamedTuple):
    """One derived format and who offers it.

    Attributes:
        exporter: makes it.
        name, needs, suffix, options, help: as the exporter says.
        linked_images: how its text names the bundle's pictures: "url" or "path"; "" when it does not.
        package, version: of the plugin.
        entry: the entry point it came by, "module:object"; empty for what is built in or registered by a program.
    """

    exporter: Exporter
    name: str
    needs: str
    suffix: str
    options: tuple[Option, ...] = ()
    help: str = ""
    linked_images: str = ""
    package: str = ""
    version: str = ""
    entry: str = ""


def checked_offer(exporter: Exporter, *, package: str, version: str = "", entry: str = "") -> Offer:
    """Return an exporter as an offer; raises `ConfigError` for one that breaks the contract."""
    if isinstance(exporter, type):
        raise ConfigError(
            f"{package} registers the class {exporter.__name__}, not an object: {exporter.__name__}()", advice=GUIDE
        )
    name, suffix, needs = (getattr(exporter, part, None) for part in ("name", "suffix", "needs"))
    what = f"The exporter {type(exporter).__name__} of {package}"
    name = check_name(what, name)
    if name in (*NATIVE_FORMATS, PARSE):
        raise ConfigError(f"{what} offers {name!r}, which the service itself makes", advice=GUIDE)
    if not isinstance(suffix, str) or not SUFFIX.fullmatch(suffix):
        raise ConfigError(f"{what} has no suffix such as '.epub'", advice=GUIDE)
    if not isinstance(needs, str) or not (needs in (*NATIVE_FORMATS, PARSE) or NAME.fullmatch(needs)):
        raise ConfigError(f"{what} does not say in `needs` which format it reads", advice=GUIDE)
    linked: object = getattr(exporter, "linked_images", False)
    if linked not in (False, True, "url", "path"):
        raise ConfigError(f"{what} has another `linked_images` than True, 'url' or 'path'", advice=GUIDE)
    if not callable(getattr(exporter, "export", None)):
        raise ConfigError(f"{what} has no method `export`", advice=GUIDE)
    return Offer(
        exporter,
        name,
        needs,
        suffix,
        check_declared(name, getattr(exporter, "options", ())),
        str(getattr(exporter, "help", "") or ""),
        "" if linked is False else "url" if linked is True else str(linked),
        package,
        version,
        entry,
    )


def check_name(what: str, name: object) -> str:
    """Return the name of a format or post-processor; raises `ConfigError` for one that no option could be given by."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ConfigError(
            f"{what} has no name in lower case (letters, digits, `-`, `_`, `+`; at most 40)", advice=GUIDE
        )
    return name
