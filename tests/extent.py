"""How much of the suite runs: ``STICKYD_SLOW=1`` (``make check-slow``) for all of it."""

import os
import unittest

SLOW = os.environ.get("STICKYD_SLOW") == "1"

slow = unittest.skipUnless(SLOW, "one of several like it: STICKYD_SLOW=1, make check-slow")
"""For a test that takes long beside others of its kind, which always run."""


def examples(count: int) -> int:
    """How many examples of a property are tried: all under ``STICKYD_SLOW=1``, else a third.

    They are the same ones each time, so that more of them every day would show little.
    """
    return count if SLOW else -(-count // 3)
