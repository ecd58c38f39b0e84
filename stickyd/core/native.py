"""Which core runs: the compiled one, or Python, and why."""

import os
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

import attrs

from stickyd.core import sources

if TYPE_CHECKING:
    from stickyd.core import _engine as compiled_engine
    from stickyd.core import _lane as compiled_lane
    from stickyd.core import _native as compiled

SWITCH = "STICKYD_NATIVE"
"""The environment variable that is 0 to run without the compiled core (and to build none)."""

_MODULE, _LANE = "stickyd.core._native", "stickyd.core._lane"
_ENGINE = "stickyd.core._engine"


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

    @property
    def without_cookie(self) -> Callable[[bytes, bytes], bytes | None]:
        """A Cookie without the cookies of a name; None if it has none."""

    @property
    def stored_cookie(self) -> Callable[[bytes, bytes], bytes | None]:
        """What a Set-Cookie stores under a name."""


class Lanes(Protocol):
    """What the compiled module of the master's lane offers."""

    @property
    def BUILT_FROM(self) -> str:
        """The digest of its sources."""

    @property
    def Route(self) -> "type[compiled_lane.Route]":
        """Where connections are placed under one slot table."""

    @property
    def MasterLane(self) -> "type[compiled_lane.MasterLane]":
        """Takes connections off a listening socket and places them."""

    @property
    def drop_ended(
        self,
    ) -> Callable[[memoryview, memoryview, list[int], memoryview, dict[int, bytes]], int]:
        """Closes the copies of connections that have ended, and frees their entries."""

    @property
    def NOTHING_WAITS(self) -> int:
        """The backlog is empty."""

    @property
    def MORE_MAY_WAIT(self) -> int:
        """As many as asked for have been accepted."""

    @property
    def UNUSUAL(self) -> int:
        """A connection is the caller's to go on with."""

    @property
    def FAILED(self) -> int:
        """accept4(2) failed."""


class Engines(Protocol):
    """What the compiled module of the worker's engine offers."""

    @property
    def BUILT_FROM(self) -> str:
        """The digest of its sources."""

    @property
    def Engine(self) -> "type[compiled_engine.Engine]":
        """Serves the plain connections of a worker."""

    @property
    def Lane(self) -> "type[compiled_engine.Lane]":
        """One of these."""

    @property
    def WebExchange(self) -> "type[compiled_engine.WebExchange]":
        """One request of these, to a twisted.web site."""

    @property
    def WebSite(self) -> "type[compiled_engine.WebSite]":
        """What makes them."""

    @property
    def AsgiExchange(self) -> "type[compiled_engine.AsgiExchange]":
        """One request of these, to an ASGI app."""

    @property
    def AsgiSite(self) -> "type[compiled_engine.AsgiSite]":
        """What makes them."""


@attrs.frozen
class Core:
    """The core of this process.

    :ivar native: the compiled module; None if Python runs instead.
    :ivar why_not: why Python runs; empty if it does not.
    :ivar lanes: the compiled module of the master's lane; None if Python runs instead.
    :ivar engines: that of the worker's engine.
    """

    native: Native | None
    why_not: str
    lanes: Lanes | None = None
    engines: Engines | None = None

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
        lanes = cast(Lanes, import_module(_LANE))
        engines = cast(Engines, import_module(_ENGINE))
    except ModuleNotFoundError:
        return Core(None, "not built")
    except ImportError as error:
        return Core(None, f"not loadable: {error}")
    if {expected} != {native.BUILT_FROM, lanes.BUILT_FROM, engines.BUILT_FROM}:
        return Core(None, "built from other sources: build it again")
    return Core(native, "", lanes, engines)


CORE = load(os.environ.get(SWITCH), sources.digest())
