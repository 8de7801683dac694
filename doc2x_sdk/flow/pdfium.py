"""PDFium, as far as the check of every PDF needs it.

Its Python package declares the whole library, which takes 25 ms and 4 MB of each process; what only counts pages
declares the functions that it calls.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from doc2x_sdk.errors import FileError
from doc2x_sdk.flow.disk import reading

__all__ = ["count_pages", "pdfium_lock"]

PACKAGE = "pypdfium2_raw"
LIBRARY = {"win32": "pdfium.dll", "darwin": "libpdfium.dylib"}.get(sys.platform, "libpdfium.so")
NO_FILE = 2  # FPDF_ERR_FILE
PASSWORD = 4  # FPDF_ERR_PASSWORD

pdfium_lock = threading.Lock()
"""PDFium is one per process and not safe to enter from two threads."""


def count_pages(given: Path | bytes, name: str) -> int:
    """Count a PDF's pages without loading the file into memory.

    Raises `FileError` when it can't be read, is encrypted, broken, or without pages, and `TooManyOpenFiles`.
    """
    with pdfium_lock:
        pdfium = loaded()
        document = opened(pdfium, given, name)
        if not document:
            encrypted = pdfium.FPDF_GetLastError() == PASSWORD
        else:
            pages: int = pdfium.FPDF_GetPageCount(document)
            pdfium.FPDF_CloseDocument(document)
    if not document:
        reason = "The PDF is encrypted" if encrypted else "The PDF is broken and can't be opened"
        advice = "Save it without a password." if encrypted else "Open it in a reader and print it to PDF anew."
        fault = "encrypted" if encrypted else "broken"
        raise FileError(reason, source=name, advice=f"{advice} Nothing was sent.", fault=fault)
    if pages < 1:
        raise FileError("The PDF has no pages", source=name, fault="broken")
    return pages


def opened(pdfium: Any, given: Path | bytes, name: str) -> Any:
    """Return PDFium's handle of a document, null where it takes it for none. Raises for a file that can't be opened."""
    if not isinstance(given, Path):
        return pdfium.FPDF_LoadMemDocument64(given, len(given), None)
    document = pdfium.FPDF_LoadDocument(os.fsencode(given), None)
    if not document and pdfium.FPDF_GetLastError() == NO_FILE:  # it does not say why
        with reading(name):
            given.open("rb").close()
        document = pdfium.FPDF_LoadDocument(os.fsencode(given), None)
    return document


class Config(ctypes.Structure):
    """What `FPDF_InitLibraryWithConfig` takes, in its version 2."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("font_paths", ctypes.c_void_p),
        ("isolate", ctypes.c_void_p),
        ("slot", ctypes.c_uint),
    )


@cache
def loaded() -> Any:
    """Return the library, ready for use; where its file has another place than in the wheels, the package finds it."""
    spec = find_spec(PACKAGE)
    places = (spec.submodule_search_locations if spec is not None else None) or ()
    path = next((path for place in places if (path := Path(place) / LIBRARY).exists()), None)
    if path is None:
        from pypdfium2 import raw  # noqa: PLC0415 - what this module is there to avoid

        return raw
    return declared(ctypes.CDLL(str(path)))


def declared(pdfium: ctypes.CDLL) -> ctypes.CDLL:
    """Declare what is called and start the library; a second start, by the package, finds it started."""
    pointer, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
    declarations = {
        "FPDF_InitLibraryWithConfig": (None, ctypes.POINTER(Config)),
        "FPDF_LoadDocument": (pointer, text, text),
        "FPDF_LoadMemDocument64": (pointer, text, size, text),
        "FPDF_GetLastError": (ctypes.c_ulong,),
        "FPDF_GetPageCount": (ctypes.c_int, pointer),
        "FPDF_CloseDocument": (None, pointer),
    }
    for name, (result, *arguments) in declarations.items():
        function = getattr(pdfium, name)
        function.restype, function.argtypes = result, arguments
    pdfium.FPDF_InitLibraryWithConfig(Config(2, None, None, 0))
    return pdfium
