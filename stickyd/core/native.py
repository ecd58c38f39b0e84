"""Which core runs: the compiled one, or Python, and why."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

import attrs

from stickyd.core import sources

if TYPE_CHECKING:
    from stickyd.core import _native as compiled

SWITCH = "STICKYD_NATIVE"
"""The environment variable that is 0 to run without the compiled core (and to build none)."""

_MODULE = "stickyd.core._native"


class Native(Protocol):
    """What the compiled module offers."""

    @property
    def BUILT_FROM(self) -> str:
        """The digest of its sources."""

    @property
    def HeadReader(self) -> "type[compiled.HeadReader]":
        """Reads heads."""

    @property
    def Placer(self) -> "type[compiled.Placer]":
        """Places requests."""


@attrs.frozen
class Core:
    """The core of this process.

    :ivar native: the compiled module; None if Python runs instead.
    :ivar why_not: why Python runs; empty if it does not.
    """

    native: Native | None
    why_not: str

    @property
    def name(self) -> str:
        """``compiled`` or ``python``."""
        return "python" if self.native is None else "compiled"

    def __str__(self) -> str:
        if self.native is not None:
            return "compiled core"
        return f"Python core, the compiled one is {self.why_not}"


def load(switch: str | None, expected: str) -> Core:
    """The core to run.

    :param switch: the value of ``STICKYD_NATIVE``, None if it is not set.
    :param expected: the digest of the sources on disk.
    """
    if switch == "0":
        return Core(None, f"switched off ({SWITCH}=0)")
    try:
        native = cast(Native, import_module(_MODULE))
    except ModuleNotFoundError:
        return Core(None, "not built")
    except ImportError as error:
        return Core(None, f"not loadable: {error}")
    if expected != native.BUILT_FROM:
        return Core(None, "built from other sources: build it again")
    return Core(native, "")


CORE = load(os.environ.get(SWITCH), sources.digest())
