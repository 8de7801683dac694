"""What the package hands to its users: frozen dataclasses with short reprs.

Nothing here talks to anything. Fields that the service sends and that no attribute names are kept in `extra`.
"""

from doc2x_sdk.models.answers import ExportLink, ExportStatus, ImageResult, ParseStatus, SignedURL, UploadSlot
from doc2x_sdk.models.bundle import Bundle
from doc2x_sdk.models.document import Document
from doc2x_sdk.models.options import NATIVE_FORMATS, ExportOptions, Model, ParseOptions
from doc2x_sdk.models.pages import Page, TranslatedBlock, Translation
from doc2x_sdk.models.progress import Progress, ProgressCallback

__all__ = [
    "NATIVE_FORMATS",
    "Bundle",
    "Document",
    "ExportLink",
    "ExportOptions",
    "ExportStatus",
    "ImageResult",
    "Model",
    "Page",
    "ParseOptions",
    "ParseStatus",
    "Progress",
    "ProgressCallback",
    "SignedURL",
    "TranslatedBlock",
    "Translation",
    "UploadSlot",
]
