"""The server: an ASGI application over tasks, jobs and links, in a thread of this process or blocking it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from doc2x_sdk.clock import Clock
from doc2x_sdk.errors import ConfigError, OutputError
from doc2x_sdk.local.cluster import cluster_executor
from doc2x_sdk.local.extra import require_extra
from doc2x_sdk.local.settings import ServerSettings, Stats, Tools, Translator
from doc2x_sdk.local.work import leave_worker

__all__ = ["LocalServer", "serve"]

log = logging.getLogger("doc2x_sdk.local")

START_SECONDS = 30.0
STOP_SECONDS = 20.0
SAFE_PATH = "PYTHONSAFEPATH"


class LocalServer:
    """Doc2X on this machine: a context manager that serves from a thread of this process.

    Worker processes are started by spawn, so a script that uses it needs the usual `if __name__ == "__main__":`.
    """

    def __init__(
        self,
        settings: ServerSettings | None = None,
        *,
        executor: Executor | None = None,
        translator: Translator | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Prepare a server; entering the context starts it.

        Args:
            settings: what it does; all defaults without.
            executor: where the engine works; it stays open. Without one, the server has worker processes of its own.
            translator: does v1's translations; without one they fail.
            clock: tells when results and tokens are over their time, and paces requests.
        """
        self.settings = settings or ServerSettings()
        self._tools = Tools(clock or Clock(), executor, translator)
        self._cleanup = contextlib.ExitStack()
        self._running: _Running | None = None

    @property
    def url(self) -> str:
        """The origin to call, such as `http://127.0.0.1:40123`, also where it listens on all addresses."""
        return self._current.url

    def stats(self) -> Stats:
        """What was counted since the start."""
        return self._current.stats()

    def __enter__(self) -> Self:
        """Start the server; returns once it answers.

        Raises:
            ConfigError: the extra `local` is missing, the address cannot be listened on, or the script that runs starts
                a server also when its workers import it.
            OutputError: the folder `data` of the settings can't be written.
        """
        leave_worker()
        require_extra()
        with contextlib.ExitStack() as cleanup:
            folder = cleanup.enter_context(_folder(self.settings.data))
            if self.settings.dask is not None:
                executor = cleanup.enter_context(cluster_executor(self.settings.dask))
                self._tools = replace(self._tools, executor=executor)
            listener = cleanup.enter_context(_listen(self.settings))
            self._running = _Running(self.settings, self._tools, folder, listener)
            cleanup.callback(self._running.stop)
            self._running.start()
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server, its workers and its parses, and remove what was not meant to stay."""
        self._cleanup.close()

    @property
    def _current(self) -> _Running:
        if self._running is None:
            raise RuntimeError("the server is not running: use it in a with statement")
        return self._running


class _Running:
    """A started server: the thread with its event loop, and what lives in it."""

    def __init__(self, settings: ServerSettings, tools: Tools, folder: Path, listener: socket.socket) -> None:
        host, port = listener.getsockname()[:2]
        if ipaddress.ip_address(host).is_unspecified:  # all addresses, of which this one is loopback
            host = "::1" if ":" in host else "127.0.0.1"
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._settings = settings
        self._folder = folder
        self._listener = listener
        self._tools = tools
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="doc2x-server")
        self._serving: Future[None] = Future()
        self._ready = threading.Event()
        self._stop: Callable[[], None] = lambda: None
        self._stats: Callable[[], Stats] = Stats

    def start(self) -> None:
        self._serving = self._thread.submit(asyncio.run, self._serve())
        self._serving.add_done_callback(lambda _: self._ready.set())
        if not self._ready.wait(START_SECONDS) or self._serving.done():
            error = self._serving.exception() if self._serving.done() else None
            if isinstance(error, ConfigError):
                raise error
            raise ConfigError(f"The local server did not start: {error or 'no answer'}.") from error

    def stop(self) -> None:
        self._stop()
        done, _ = wait([self._serving], STOP_SECONDS)
        for ended in done:
            if error := ended.exception():
                log.error("the local server ended with %r", error)
        self._thread.shutdown(wait=bool(done))

    def stats(self) -> Stats:
        return self._stats()

    async def _serve(self) -> None:
        import uvicorn
        from uvicorn.protocols.http.h11_impl import H11Protocol

        from doc2x_sdk.local.app import Application

        connections = 0

        class CountingProtocol(H11Protocol):
            def connection_made(self, transport: Any) -> None:
                nonlocal connections
                connections += 1
                # headers and body are two writes: without this, each answer waits 40 ms for the caller's ACK
                transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                super().connection_made(transport)

        application = Application(self._settings, self._tools, self._folder, lambda: connections)
        server = uvicorn.Server(
            uvicorn.Config(
                application.asgi,
                http=CountingProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=2,
            )
        )
        self._stats = application.stats
        self._stop = lambda: setattr(server, "should_exit", True)
        try:
            await application.begin()
            serving = asyncio.create_task(server.serve(sockets=[self._listener]))
            while not server.started and not serving.done():
                await asyncio.sleep(0.005)
            self._ready.set()
            await serving
        finally:
            await application.close()


def serve(
    settings: ServerSettings | None = None,
    *,
    announce: Callable[[str], None] | None = None,
    stop_when_stdin_closes: bool = False,
) -> None:
    """Serve until SIGTERM or Ctrl-C, in the main thread of a program of its own.

    Args:
        settings: what the server does.
        announce: is called with the URL once the server answers; by default it prints it as a line on stdout.
        stop_when_stdin_closes: also stop at the end of standard input, as the child of another program should.

    Raises:
        ConfigError: the extra `local` is missing, or the address cannot be listened on.
        OutputError: the folder `data` of the settings can't be written.
    """
    stopped = threading.Event()
    with _stop_signals(stopped), _safe_path(), LocalServer(settings) as server:
        (announce or _print_line)(server.url)
        if stop_when_stdin_closes:
            threading.Thread(target=_wait_for_end_of_stdin, args=(stopped,), daemon=True).start()
        while not stopped.wait(0.5):  # a bound, since Windows does not interrupt an endless wait
            continue


def _print_line(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _wait_for_end_of_stdin(stopped: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            continue
    stopped.set()


@contextlib.contextmanager
def _stop_signals(stopped: threading.Event) -> Iterator[None]:
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _safe_path() -> Iterator[None]:
    """Start workers as `python -P` does: the current directory is on their path until they are told this process's."""
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before


@contextlib.contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    """The folder of tasks: the given one, or one that goes with the server."""
    if data is not None:
        try:
            data.mkdir(parents=True, exist_ok=True, mode=0o700)
            tempfile.TemporaryFile(dir=data).close()
        except OSError as error:
            told = f"The server's folder {data} can't be written: {error.strerror}"
            raise OutputError(told, path=data, advice="Choose another with --data.") from error
        yield data
        return
    folder = tempfile.mkdtemp(prefix="doc2x-local-")
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _listen(settings: ServerSettings) -> socket.socket:
    """A socket on the address; says on stderr when others than this machine can reach it."""
    try:
        information = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(information[4][:2], family=information[0], backlog=512)
    except OSError as error:
        advice = "Choose another --host or --port."
        raise ConfigError(f"Cannot listen on {settings.host}:{settings.port}: {error}.", advice=advice) from error
    if not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
        sys.stderr.write(f"Warning: {settings.host} is not loopback; others can reach this server, without TLS.\n")
    return listener
