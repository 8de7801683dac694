"""Many documents: what they would cost, converting them, and fetching what was paid for."""

from doc2x_sdk.batch.batch import Batch
from doc2x_sdk.batch.done import Done
from doc2x_sdk.batch.quote import Quote, Quoted
from doc2x_sdk.batch.rescue import Rescue
from doc2x_sdk.batch.runs import BatchRun, RescueRun

__all__ = ["Batch", "BatchRun", "Done", "Quote", "Quoted", "Rescue", "RescueRun"]
