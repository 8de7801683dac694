"""What child processes of the tests do."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from doc2x_sdk import Doc2X
from doc2x_sdk.errors import OutputError
from doc2x_sdk.flow.disk import claim, place
from doc2x_sdk.flow.publish import publish_file

SIZE = 200_000


def content(who: int, rounds: int) -> bytes:
    """The file of one racer in one round."""
    return f"{who} {rounds} ".encode() * (SIZE // 8)


def race(who: int, folder: Path, rounds: int, way: str, meeting: tuple[Any, Any]) -> None:
    """Publish one file a round, in step with the other racer, and put the rounds that were won into the queue.

    `meeting` is a barrier for two, and the queue.
    """
    barrier, wins = meeting
    won = []
    for number in range(rounds):
        final = folder / f"{number}.md"
        if way == "publish_file":
            try:
                with publish_file(final, overwrite=False) as staged:
                    staged.write_bytes(content(who, number))
                    barrier.wait(60)
            except OutputError:
                continue
            won.append(number)
        else:
            staged = folder / f".racer-{who}"
            staged.write_bytes(content(who, number))
            barrier.wait(60)
            if place(staged, final, overwrite=False) if way == "place" else claim(staged, final):
                won.append(number)
            staged.unlink(missing_ok=True)
    wins.put((who, won))


def killed_at(number: int) -> None:
    """Kill this process just before its rename or link of this number (from 1)."""
    seen = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event in ("os.rename", "os.link"):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def taken_late(folder: str) -> None:
    """Publish a file whose name somebody else takes in the very last moment; print what came of it."""
    staged, final = Path(folder) / "staged", Path(folder) / "x.md"
    staged.write_bytes(b"ours")

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in ("os.rename", "os.link") and not final.exists():
            final.write_bytes(b"theirs")

    sys.addaudithook(hook)
    sys.stdout.write(f"{place(staged, final, overwrite=False)} {final.read_text()}")


def convert(url: str, source: str, out: str, number: str, overwrite: str) -> None:
    """Convert a document, and be killed before the rename or link of this number; 0 is never."""
    killed_at(int(number))
    with Doc2X(base_url=url) as client:
        client.convert(source, to=["md", "tex", "docx"], out=out, overwrite=overwrite == "True")


def convert_with_room(url: str, source: str, out: str, limit: str) -> None:
    """Convert a document where no file may grow over a limit, and print the error's class and text."""
    import resource  # not on Windows

    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    try:
        with Doc2X(base_url=url) as client:
            client.convert(source, to="md", out=out)
    except OutputError as error:
        sys.stdout.write(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    {"convert": convert, "taken_late": taken_late, "convert_with_room": convert_with_room}[sys.argv[1]](*sys.argv[2:])
