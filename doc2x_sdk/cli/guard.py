"""The one place where what was raised becomes a message on stderr and an exit code."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

import click

from doc2x_sdk.cli import terminal

__all__ = ["blame", "complain", "guard", "interrupted_code", "listen", "report_bug"]

SIGINT = 2
KEY_OPTIONS = frozenset({"--api-key", "--apikey", "--api_key", "--key", "--token"})
KEY_HINT = "The key is never an option, since others on the machine can read a command line. "


class Ended(KeyboardInterrupt):
    """A signal asked the process to end; it unwinds as Ctrl-C does."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def listen() -> None:
    """Let SIGTERM and SIGHUP unwind as Ctrl-C does, so that folders and children are cleaned up.

    A signal that the parent ignores (`nohup`) stays ignored.
    """
    import signal

    def end(number: int, _: FrameType | None) -> None:
        raise Ended(number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end)


def interrupted_code(stop: BaseException) -> int:
    """Return 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
    return 128 + (stop.number if isinstance(stop, Ended) else SIGINT)


@contextmanager
def guard() -> Iterator[None]:
    """Turn what the block raises into a message and `click.exceptions.Exit`; a bug passes through.

    A reader that closed standard output ends the block quietly, with 141.
    """
    try:
        try:
            yield
        finally:
            terminal.flush()
    except click.exceptions.Exit:
        raise
    except click.UsageError as error:
        explain(error)
        raise click.exceptions.Exit(error.exit_code) from None
    except click.ClickException as error:  # of a plugin's own command
        complain(error.format_message())
        raise click.exceptions.Exit(error.exit_code) from None
    except BrokenPipeError:
        terminal.hush()
        raise click.exceptions.Exit(141) from None
    except (KeyboardInterrupt, click.Abort) as stop:
        terminal.say("Interrupted.")
        raise click.exceptions.Exit(interrupted_code(stop)) from None
    except RuntimeError as error:
        raise click.exceptions.Exit(code_of(error)) from None


def code_of(error: RuntimeError) -> int:
    """Complain about one of the library's errors and return its exit code; another error is raised again."""
    from doc2x_sdk.cli.exits import exit_of
    from doc2x_sdk.errors import Doc2XError

    if not isinstance(error, Doc2XError):
        raise error
    complain(str(error.about()), error.advice)
    return exit_of(error)


def complain(text: str, advice: str = "") -> None:
    """Write an error to stderr: what happened on the first line, what to do on the next."""
    told = text.removesuffix(advice).rstrip() if advice else text
    terminal.say(f"{told}\n  {advice}" if advice else told, label="Error:", colour="red")


def explain(error: click.UsageError) -> None:
    """Write how a command is used, what was wrong, and where to read on."""
    advice = ""
    if error.ctx is not None:
        terminal.say(error.ctx.get_usage())
        advice = f"`{error.ctx.command_path} --help` explains."
    told = terminal.printable(error.format_message())
    if isinstance(error, click.NoSuchOption) and error.option_name in KEY_OPTIONS:
        from doc2x_sdk.cli.opening import KEY_ADVICE

        told, advice = f"No such option: {error.option_name}.", KEY_HINT + KEY_ADVICE
    complain(told, advice)


plugins: list[str] = []
"""The package and version of the plugin whose command is run; empty for the commands of this package."""


def blame(package: str, version: str) -> None:
    """Note that a plugin's own command runs from here on: what it raises is its authors' to mend."""
    plugins.append(f"{package} {version}")


def report_bug(*, verbose: Callable[[], bool]) -> Callable[..., None]:
    """Return an excepthook: a bug is told in one line without any value, with `verbose` also by its traceback.

    What a plugin's own command raises is told by its text too. Python then exits with 1.
    """

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        from doc2x_sdk.version import __version__

        if issubclass(kind, KeyboardInterrupt):
            terminal.say("Interrupted.")
            return
        last = trace
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        where = f"{os.path.basename(last.tb_frame.f_code.co_filename)} line {last.tb_lineno}" if last else "?"  # noqa: PTH119 - without pathlib
        advice = "Please report it with this line and the output of the same command with --verbose."
        if verbose():
            from traceback import format_tb

            terminal.say("".join(["Traceback (most recent call last):\n", *format_tb(trace)]).rstrip())
            terminal.say(f"{kind.__name__}: {error}")
            advice = "Please report it with the lines above; look through them first, file names may be private."
        if plugins:
            from doc2x_sdk.formats.guard import told

            complain(
                f"The command of {plugins[-1]} failed: {told(error)} ({where}).", "Please tell the plugin's authors."
            )
        else:
            complain(f"This is a bug in doc2x {__version__} ({kind.__name__}, {where}).", advice)

    return hook
