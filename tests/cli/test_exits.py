"""The table of exit codes."""

import pytest

from doc2x_sdk import errors
from doc2x_sdk.cli.exits import BUG, ERRORS, MEANINGS, exit_of, exit_of_many

ALL = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_has_a_code_that_is_explained(kind):
    code = exit_of(kind("what happened"))
    assert code in MEANINGS
    assert code not in {0, BUG}


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.InputChanged, 5),
        (errors.DeadlineExceeded, 10),
        (errors.IncompleteResult, 6),
        (errors.UnsafeArchive, 7),
        (errors.DiskFull, 11),
        (errors.Locked, 11),
        (errors.Doc2XError, 6),
        (ValueError, BUG),
    ],
)
def test_a_class_without_an_entry_counts_as_its_base(kind, code):
    assert exit_of(kind("what happened")) == code


def test_no_entry_is_for_another_tree():
    assert all(issubclass(kind, errors.Doc2XError) for kind in ERRORS)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([], 0),
        ([0], 0),
        ([5], 5),
        ([9], 9),
        ([0, 0], 0),
        ([0, 5], 8),
        ([5, 6, 7], 8),
        ([0, 5, 9], 9),
        ([9, 5, 3, 3], 3),
        ([9, 4], 4),
        ([5, 10, 9], 10),
        ([0, 11, 11], 11),
    ],
)
@pytest.mark.faults("CL-05")
def test_of_many_a_stop_wins_then_the_unknown_then_the_failed(codes, expected):
    assert exit_of_many(codes) == expected
