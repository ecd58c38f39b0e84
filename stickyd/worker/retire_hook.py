"""Let an app hand its state over when its worker ends (``--on-retire``)."""

import asyncio
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet import defer
from twisted.logger import Logger

from stickyd.ipc.control_channel import CannotLoad
from stickyd.worker.importer import load_named

_log = Logger("stickyd")


@attrs.frozen
class Retiring:
    """What an app is told when its worker ends.

    :ivar slot: the number of the slot, from 1.
    :ivar reason: ``reload``, ``max-requests``, ``one slot fewer``, ``stop``,
        ``told to end by hand`` or ``master gone``.
    :ivar keys: the affinity keys served here lately and the keys the app made
        (`stickyd.keys.new_key`), at most 65536, the one seen last at the end.
    """

    slot: int
    reason: str
    keys: list[str] = attrs.field(repr=False)


@attrs.frozen
class RetireHook:
    """The app's callable, if it has one."""

    slot: int
    hook: Callable[[Retiring], Any] | None

    @classmethod
    def load(cls, name: str, slot: int) -> "RetireHook":
        """The retirement of a worker, from the name of the callable or "".

        :raise CannotLoad: with one line that says why.
        """
        if not name:
            return cls(slot, None)
        hook = load_named("on-retire", name)
        if not callable(hook):
            raise CannotLoad(f"--on-retire {name} is not callable")
        return cls(slot, hook)

    def tell(
        self, reactor: Any, reason: str, keys: list[str], seconds: float
    ) -> "defer.Deferred[None]":
        """Call it; fires when it has returned, its Deferred or coroutine included.

        On asyncio the coroutine is one of asyncio's.

        What goes wrong is logged: the worker ends all the same, after at most ``seconds``.
        """
        if self.hook is None:
            return defer.succeed(None)
        hook = self.hook

        async def call() -> None:
            result = hook(Retiring(self.slot, reason, keys))
            if hasattr(result, "__await__"):
                await _awaitable(result)

        told = defer.ensureDeferred(call()).addTimeout(max(seconds, 0.1), reactor)
        told.addErrback(lambda failure: _log.failure("--on-retire failed", failure))
        return told


def _awaitable(result: Any) -> Any:
    """What an app's coroutine may wait for is its event loop's to say: Deferreds, or futures."""
    if isinstance(result, defer.Deferred):
        return result
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return result
    return defer.Deferred.fromFuture(asyncio.ensure_future(result))
