"""`python -m doc2x_sdk.local`: the server as a child of another program; it ends when its standard input closes."""

from __future__ import annotations

import os
import sys

from doc2x_sdk.errors import ConfigError
from doc2x_sdk.local import child, server

EXIT_CONFIGURATION = 2


def main() -> int:
    """Serve until standard input closes; the settings and the key come by the environment."""
    settings = child.settings_from_environment(os.environ)
    os.environ.pop(child.KEY_VARIABLE, None)  # the workers need not have it
    try:
        server.serve(settings, stop_when_stdin_closes=True)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CONFIGURATION
    return 0


if __name__ == "__main__":
    sys.exit(main())
