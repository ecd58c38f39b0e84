"""How much of the suite runs: ``STICKYD_SLOW=1`` (``make check-slow``) for all of it."""

import functools
import os
import unittest
from collections.abc import Callable
from typing import Any

SLOW = os.environ.get("STICKYD_SLOW") == "1"

slow = unittest.skipUnless(SLOW, "one of several like it: STICKYD_SLOW=1, make check-slow")
"""For a test that takes long beside others of its kind, which always run."""


def examples(count: int) -> int:
    """How many examples of a property are tried: all under ``STICKYD_SLOW=1``, else a third.

    They are the same ones each time, so that more of them every day would show little.
    """
    return count if SLOW else -(-count // 3)


def known_fault(why: str) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """A test that has to fail, by an assertion of its own: a strict expected failure.

    pytest reports it as expected, trial as skipped with the reason; trial's reporter cannot print
    what `unittest.expectedFailure` leaves. What goes wrong otherwise, or in ``setUp``, is an error.
    """

    def mark(test: Callable[[Any], None]) -> Callable[[Any], None]:
        @functools.wraps(test)
        def run(self: Any) -> None:
            try:
                test(self)
            except AssertionError:
                if "PYTEST_CURRENT_TEST" in os.environ:
                    import pytest

                    pytest.xfail(why)
                raise unittest.SkipTest(f"known fault: {why}") from None
            raise AssertionError(f"it passes, remove the mark: {why}")

        return run

    return mark
