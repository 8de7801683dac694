"""`python -m doc2x_sdk`: the command `doc2x`."""

from __future__ import annotations

import sys

from doc2x_sdk.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
