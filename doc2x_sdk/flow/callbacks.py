"""What a user's progress callback raises leaves the call as itself: no step takes it for a failure of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from doc2x_sdk.models import Progress, ProgressCallback

__all__ = ["CallbackRaised", "call_back", "own_errors"]

P = ParamSpec("P")
T = TypeVar("T")


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
