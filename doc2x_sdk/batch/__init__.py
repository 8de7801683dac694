"""Many documents: what they would cost, converting them, and fetching what was paid for."""

from doc2x_sdk.batch.done import Done
from doc2x_sdk.batch.run import Batch, BatchRun

__all__ = ["Batch", "BatchRun", "Done"]
