"""How many files may be open: a limit of the process, or of the system, so that a lack of them is no file's fault.

A batch has one to four open for each document at work. macOS allows 256 by default, Linux 1,024.
"""

from __future__ import annotations

import errno
import sys

from doc2x_sdk.errors import TooManyOpenFiles

__all__ = ["check_open_files", "is_lack", "most_open_files"]

WHO = {errno.EMFILE: "this process", errno.ENFILE: "the system"}


def is_lack(error: BaseException) -> bool:
    """Tell whether the system says that no further file, or connection, can be opened."""
    return isinstance(error, OSError) and error.errno in WHO


def check_open_files(error: OSError, what: str, *, source: str | None = None) -> None:
    """Raise `TooManyOpenFiles`, beginning with `what`, where that is what an error of the system says."""
    who = WHO.get(error.errno or 0)
    if who is not None:
        raise TooManyOpenFiles(f"{what}: {who} has too many files open", source=source) from error


def most_open_files() -> int | None:
    """Return how many files this process may have open at once; None where no such limit matters."""
    if sys.platform == "win32":
        return None  # thousands
    import resource  # noqa: PLC0415 - Windows has none

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if limit == resource.RLIM_INFINITY else limit
