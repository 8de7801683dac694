"""A post-processor that uploads the pictures of Markdown and has its links point there."""

from __future__ import annotations

import logging
import re

from doc2x_rehost.storage import Storage, storage_of
from doc2x_sdk import hookimpl
from doc2x_sdk.hookspecs import Context, Option, Register
from doc2x_sdk.markdown import image_links
from doc2x_sdk.models import Bundle

__all__ = ["Storage", "doc2x_process_bundle", "doc2x_register_exporters", "storage_of"]

NAME = "rehost"
FORMATS = ("md", "md_dollar")
OPTIONS = (
    Option("url", default="", help="where the pictures go: s3://bucket/folder, file:///folder or any URL of fsspec"),
    Option("public", default="", help="what the links begin with; by default the URLs of `url`"),
    Option("endpoint", default="", help="of a service that speaks S3; by default AWS, or AWS_ENDPOINT_URL"),
)
log = logging.getLogger("doc2x_sdk.rehost")


@hookimpl
def doc2x_register_exporters(register: Register) -> None:
    """Declare the options."""
    register.processor(NAME, OPTIONS, help="upload the pictures of Markdown and link to them")


@hookimpl(trylast=True)
def doc2x_process_bundle(bundle: Bundle, context: Context) -> None:
    """Upload the pictures that the Markdown names; all of them get new links, or none and a warning says why."""
    options = context.options.get(NAME, {})
    url = options.get("url", "")
    if not url or bundle.format not in FORMATS:
        return
    text = bundle.main.read_bytes().decode("utf-8", errors="replace")
    pictures = {link.url: bundle.image(link.url) for link in image_links(text)}
    new: dict[str, str] = {}
    try:
        storage = storage_of(url, endpoint=options.get("endpoint", ""), public=options.get("public", ""))
        for picture in dict.fromkeys(path for path in pictures.values() if path is not None):
            inside = picture.resolve().relative_to(bundle.folder.resolve()).as_posix()
            new[inside] = storage.put(picture)
    except Exception as error:
        bundle.warn(
            f"the pictures stay local, {told(url)} did not take them: {told(f'{type(error).__name__}: {error}')}"
        )
        log.debug("rehosting failed", exc_info=error)
        return
    bundle.links.update(new)


def told(text: str) -> str:
    """Return a text fit for a message: one line, not long, without the passwords and signatures that URLs can hold."""
    text = re.sub(r"://[^/\s@]*@", "://", text)
    text = re.sub(r"\?[^\s'\"]*", "?...", text)
    return " ".join(text.split())[:200]
