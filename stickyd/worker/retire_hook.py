"""Let an app hand its state over when its worker ends (``--on-retire``)."""

import asyncio
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet import defer
from twisted.logger import Logger

from stickyd.errors import CannotLoad
from stickyd.worker.importer import load_named

_log = Logger("stickyd")


@attrs.frozen
class Retiring:
    """The argument of the app's callable when its worker ends.

    :ivar slot: the number of the slot, from 1.
    :ivar reason: ``reload``, ``max-requests``, ``one slot fewer``, ``stop``,
        ``told to end by hand`` or ``master gone``.
    :ivar keys: the affinity keys served here and the keys the app made
        (`stickyd.keys.new_key`), at most 65536, the most recent one last.
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
        """The hook of a worker, from the name of the callable or "".

        :raise CannotLoad: with one line that says why.
        """
        if not name:
            return cls(slot, None)
        hook = load_named("on-retire", name)
        if not callable(hook):
            raise CannotLoad(f"--on-retire {name} is not callable")
        return cls(slot, hook)

    def call(
        self, reactor: Any, reason: str, keys: list[str], seconds: float
    ) -> "defer.Deferred[None]":
        """Call it; fires when it has returned, and its Deferred or coroutine has fired.

        With asyncio the coroutine is one of asyncio's. Errors are logged: the worker ends in any
        case, after at most ``seconds``.
        """
        if self.hook is None:
            return defer.succeed(None)
        hook = self.hook

        async def run() -> None:
            result = hook(Retiring(self.slot, reason, keys))
            if hasattr(result, "__await__"):
                await _awaitable(result)

        called = defer.ensureDeferred(run()).addTimeout(max(seconds, 0.1), reactor)
        called.addErrback(lambda failure: _log.failure("--on-retire failed", failure))
        return called


def _awaitable(result: Any) -> Any:
    """With asyncio a coroutine awaits futures, otherwise Deferreds."""
    if isinstance(result, defer.Deferred):
        return result
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return result
    return defer.Deferred.fromFuture(asyncio.ensure_future(result))
