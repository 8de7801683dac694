"""The engine on many machines: a Dask cluster in the place of this machine's worker processes.

Work is functions of plain values, so the cluster gets bytes and options and gives pages back; no key and no path
travels. A page whose worker is lost is done again by another. The workers need doc2x-sdk with the same extras.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from doc2x_sdk.errors import ConfigError

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["cluster_executor"]

P = ParamSpec("P")
T = TypeVar("T")

CONNECT_SECONDS = 5
WORKERS_LOST = 3  # how many workers a piece of work may lose before it fails


@contextmanager
def cluster_executor(address: str) -> Iterator[Executor]:
    """Connect to a Dask scheduler, such as `tcp://scheduler:8786`, and yield its executor.

    Raises:
        ConfigError: dask.distributed is not installed, or nothing answers at the address.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError(
            "An engine on a cluster needs dask.distributed", advice="Run: pip install 'doc2x-sdk[dask]'"
        ) from None
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False, name="doc2x")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"No Dask scheduler answers at {address}: {error}",
            advice="Start one with `dask scheduler`, and workers with `dask worker ADDRESS`.",
        ) from error
    with client:
        yield ClusterExecutor(client)


class ClusterExecutor(Executor):
    """The cluster's executor, whose work fails as this machine's would when the workers that took it are lost."""

    def __init__(self, client: Client) -> None:
        # pure=False: equal bytes are parsed again for each document, as they are paid for
        self._executor: Executor = client.get_executor(pure=False, retries=WORKERS_LOST)

    def submit(self, function: Callable[P, T], /, *arguments: P.args, **options: P.kwargs) -> Future[T]:
        """Send a function of plain values to a worker."""
        outcome: Future[T] = Future()

        def settle(done: Future[T]) -> None:
            from distributed import KilledWorker

            if done.cancelled():
                outcome.cancel()
            elif (error := done.exception()) is None:
                outcome.set_result(done.result())
            else:
                lost = isinstance(error, KilledWorker)
                outcome.set_exception(BrokenExecutor(str(error)) if lost else error)

        self._executor.submit(function, *arguments, **options).add_done_callback(settle)
        return outcome
