"""Running the engine's functions in worker processes.

A document that crashes a worker breaks the whole pool, so every piece of work that was under way is tried once more,
alone in a process of its own: only the one that crashes again has failed.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Literal, TypeVar

from doc2x_sdk.errors import ConfigError
from doc2x_sdk.local.failure import DocumentFailure

__all__ = ["Workers", "leave_worker"]

Result = TypeVar("Result")
Kind = Literal["parse", "ocr"]

STOP_SECONDS = 3.0
GUARD = (
    'Each worker imports the script that runs: start `LocalServer` below `if __name__ == "__main__":` only, or use '
    "`Doc2X.local()`, which needs no such line."
)


class Workers:
    """The pools of a server, made when they are first needed; or the executor that was handed in, which stays open.

    OCR has a pool of its own, since each of its processes holds about 1 GB of models.
    """

    def __init__(
        self, parse: int, ocr: int, executor: Executor | None = None, *, temporary: Path | None = None
    ) -> None:
        """Prepare pools of these sizes; workers that lose their server remove its `temporary` folder."""
        self._sizes: dict[Kind, int] = {"parse": parse, "ocr": ocr}
        self._given = executor
        self._temporary = temporary
        self._pools: dict[Kind, ProcessPoolExecutor] = {}
        self._alone = asyncio.Lock()

    async def begin(self) -> None:
        """Start the first worker, and let it import the engine in the background before the first document comes.

        Raises:
            ConfigError: it ended as it began, as each does in a script that starts a server wherever it is imported.
        """
        if self._given is not None:
            return
        if not _is_main_ours():
            try:
                await asyncio.wrap_future(self._pool("parse").submit(os.getpid))
            except BrokenExecutor as error:
                raise ConfigError("The local server's first worker process ended as it began", advice=GUARD) from error
        self._pool("parse").submit(_import_engine)

    async def run(self, kind: Kind, function: Callable[..., Result], *arguments: Any) -> Result:
        """Run a function of plain values in a worker.

        Raises:
            DocumentFailure: what the function raises, or `parse_error` when the worker crashed twice.
        """
        pool = self._given or self._pool(kind)
        try:
            return await asyncio.wrap_future(pool.submit(function, *arguments))
        except BrokenExecutor:
            if self._pools.get(kind) is pool:
                self._pools.pop(kind).shutdown(wait=False)
        try:
            return await self._run_alone(function, *arguments)
        except BrokenExecutor as error:
            raise DocumentFailure("parse_error", "the engine crashed on this document, twice") from error

    def close(self) -> None:
        """End the worker processes; those that are still at work after a while are killed."""
        pools, self._pools = list(self._pools.values()), {}
        processes = [process for pool in pools for process in _processes(pool)]
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.join(STOP_SECONDS)
            if process.is_alive():
                process.kill()
        for pool in pools:
            pool.shutdown(wait=True)

    def _pool(self, kind: Kind) -> ProcessPoolExecutor:
        if kind not in self._pools:
            self._pools[kind] = self._new_pool(self._sizes[kind])
        return self._pools[kind]

    def _new_pool(self, size: int) -> ProcessPoolExecutor:
        # spawn, on every system: the server has threads, which do not survive a fork
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(size, mp_context=context, initializer=_begin, initargs=(self._temporary,))

    async def _run_alone(self, function: Callable[..., Result], *arguments: Any) -> Result:
        async with self._alone:
            if self._given is not None:
                return await asyncio.wrap_future(self._given.submit(function, *arguments))
            pool = self._new_pool(1)
            try:
                return await asyncio.wrap_future(pool.submit(function, *arguments))
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def leave_worker() -> None:
    """End this process if it is a worker that imports its program's main script, which must not start a server then.

    Raises `SystemExit`; the program that the worker belongs to says why.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # no public way; Python's own check is this
        raise SystemExit(1)


def _is_main_ours() -> bool:
    """Tell whether the main script is known to start nothing when it is imported, so that nobody has to wait."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec is not None and spec.name.partition(".")[0] == "doc2x_sdk"


def _begin(temporary: Path | None) -> None:
    """Start of a worker: Ctrl-C is the server's matter, and a worker does not outlive its server."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(temporary,), daemon=True, name="doc2x-parent").start()


def _end_with_parent(temporary: Path | None) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        os._exit(1)


def _import_engine() -> None:
    import liteparse.parser  # noqa: F401 - the import is the work
    import pypdfium2  # noqa: F401


def _processes(pool: ProcessPoolExecutor) -> list[Any]:
    # no public way before Python 3.14's kill_workers
    return list((getattr(pool, "_processes", None) or {}).values())
