"""Workers with the compiled engine, or without, whatever core runs."""

from typing import Any
from unittest import mock

from stickyd.core.native import CORE, Core
from stickyd.worker import lanes

NATIVE = CORE.native


def python_core() -> Any:
    """A context in which workers are made without an engine."""
    return mock.patch.object(lanes, "CORE", Core(None, "not for this test"))
