"""`doc2x serve`: Doc2X on this machine, for other programs."""

from __future__ import annotations

import click

from doc2x_sdk.cli.help import Command, option
from doc2x_sdk.cli.options import not_empty, verbose_option

__all__ = ["command"]

ADDRESS = "Address and storage"
LIMITS = "Limits, to try how a client takes them (off by default)"


@click.command(
    "serve",
    cls=Command,
    short_help="Run Doc2X on this machine, for other programs.",
    examples=(
        ("Serve on a free port; the first line is the URL", "doc2x serve"),
        ("Results that survive a restart, on a port of your choice", "doc2x serve --port 8786 --data ~/doc2x-data"),
        ("The work on a Dask cluster", "doc2x serve --dask tcp://scheduler:8786"),
        ("Use it from another terminal", "DOC2X_BASE_URL=http://127.0.0.1:8786 DOC2X_APIKEY=any doc2x convert a.pdf"),
    ),
)
@option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    section=ADDRESS,
    help="Address to listen on. Another than loopback lets others in, without encryption; of the clients there, "
    "doc2x itself takes plain http on loopback only.",
)
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    metavar="N",
    section=ADDRESS,
    help="Port to listen on; 0 takes a free one.",
)
@option(
    "--data",
    type=click.Path(file_okay=False),
    metavar="DIR",
    callback=not_empty,
    section=ADDRESS,
    help="Keep documents and results here. Without it they go with the server.",
)
@option(
    "--api-key",
    metavar="K",
    section=ADDRESS,
    help="What callers must send as their key: a word of your own making, never the key of an account. Without it "
    "any key is taken.",
)
@option(
    "--dask",
    metavar="ADDRESS",
    section="Who converts",
    help="Let the workers of a Dask scheduler, such as tcp://scheduler:8786, do the work instead of this machine. They "
    "need doc2x-sdk too, of the same version.",
)
@option("--task-limit", type=click.IntRange(1), metavar="N", section=LIMITS, help="Documents in work at once.")
@option("--page-limit", type=click.IntRange(1), metavar="N", section=LIMITS, help="Pages in work at once.")
@option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    metavar="N",
    section=LIMITS,
    help="Requests a second; those above it are answered with HTTP 429.",
)
@verbose_option
def command(
    *,
    host: str,
    port: int,
    data: str | None,
    api_key: str | None,
    dask: str | None,
    task_limit: int | None,
    page_limit: int | None,
    rate: float | None,
    verbose: bool,  # noqa: ARG001 - by its callback
) -> None:
    """Run Doc2X on this machine: a server that speaks the service's protocol and needs no account.

    The first line on standard output is its URL. It serves until Ctrl-C or SIGTERM. Any Doc2X client can be pointed
    at it; this one by DOC2X_BASE_URL, and for v1 (quota, --api v1, the six functions) by DOC2X_V1_BASE_URL.
    """
    from pathlib import Path

    from doc2x_sdk.cli import terminal
    from doc2x_sdk.local.server import serve
    from doc2x_sdk.local.settings import ServerSettings

    def announce(url: str) -> None:
        terminal.answer(url)
        terminal.say(f"Doc2X answers there until Ctrl-C. {for_clients(url, host, has_key=api_key is not None)}")

    settings = ServerSettings(
        host=host,
        port=port,
        api_key=api_key,
        dask=dask,
        task_limit=task_limit,
        page_limit=page_limit,
        rate_limit=rate,
        data=Path(data) if data else None,
    )
    serve(settings, announce=announce)


def for_clients(url: str, host: str, *, has_key: bool) -> str:
    """Say how clients are pointed at a server; this one takes plain http on loopback only."""
    from urllib.parse import urlsplit

    from doc2x_sdk.config import is_loopback

    key = "<your --api-key>" if has_key else "any"
    here = f"DOC2X_BASE_URL={url} DOC2X_V1_BASE_URL={url} DOC2X_APIKEY={key}"
    parts = urlsplit(url)
    if not is_loopback(parts.hostname):
        return (
            "The clients of this package refuse plain http to another host than loopback: for them, serve on 127.0.0.1 "
            "and forward a port of their machine to it, as `ssh -L` does."
        )
    if is_loopback(host):
        return f"For a client: {here}"
    return (
        f"For a client on this machine: {here}\nOne on another machine takes plain http on loopback only: let it run "
        f"`ssh -N -L {parts.port}:{parts.netloc} <this machine>` and use the same settings."
    )
