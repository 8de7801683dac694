"""Tells a user's progress callback of each step.

What it raises leaves the call as itself: no step takes it for a failure of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Literal, ParamSpec, TypeVar

from doc2x_sdk import arguments
from doc2x_sdk.models import Progress, ProgressCallback

__all__ = ["CallbackRaised", "Reporter", "call_back", "own_errors"]

P = ParamSpec("P")
T = TypeVar("T")
Stage = Literal["check", "upload", "parse", "export", "download", "publish"]


class CallbackRaised(Exception):
    """Carries what a callback raised past those that forgive failures or send again; it never reaches a user."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def call_back(callback: ProgressCallback, progress: Progress) -> None:
    """Tell a callback. Raises `CallbackRaised` for whatever it raises, but for what ends the process."""
    try:
        callback(progress)
    except Exception as error:
        raise CallbackRaised(error) from error


def own_errors(call: Callable[P, T]) -> Callable[P, T]:
    """Let what a callback raised leave a function as itself."""

    @functools.wraps(call)
    def called(*args: P.args, **options: P.kwargs) -> T:
        try:
            return call(*args, **options)
        except CallbackRaised as raised:
            raise raised.error from raised.error.__cause__

    return called


class Reporter:
    """Turns steps into `Progress` for the caller's callback. Raises `ConfigError` for one that can't be called."""

    def __init__(self, source: str, callback: ProgressCallback | None) -> None:
        arguments.callback(callback)
        self._source = source
        self._callback = callback
        self.uid: str | None = None

    def __call__(self, stage: Stage, done: int, total: int | None, format: str | None = None) -> None:  # noqa: A002 - the field's word
        """Report a step."""
        if self._callback is not None:
            call_back(self._callback, Progress(stage, done, total, self._source, self.uid, format))
