"""The documentation site: `python -m sphinx -W docs docs/_build`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from doc2x_sdk.version import __version__

project = "doc2x-sdk"
author = "The doc2x-sdk authors"
copyright = "2026, the doc2x-sdk authors"  # noqa: A001 - Sphinx's name
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click", "facts"]
exclude_patterns = ["_build", "examples/README.md"]
html_theme = "furo"
html_title = f"doc2x-sdk {release}"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": False}
napoleon_google_docstring = True
napoleon_use_ivar = True
suppress_warnings = ["ref.python"]
