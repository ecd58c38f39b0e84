"""The time between TERM and the graceful stop (``--shutdown-delay``)."""

from collections.abc import Callable
from typing import Any

from twisted.internet import defer
from twisted.logger import Logger

_log = Logger("stickyd")


class ShutdownDelay:
    """A wait that a second signal ends.

    Load balancers need a moment to notice that the daemon is not ready any more.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._over: defer.Deferred[None] | None = None
        self._call: Any = None

    def wait(self, seconds: float, tell: Callable[[str], None]) -> "defer.Deferred[None]":
        """Fires after ``seconds``, or when `end` is called.

        :param tell: tells the service manager in one line, unless there is nothing to wait for.
        """
        if seconds <= 0:
            return defer.succeed(None)
        _log.info("stop: not ready, but serving for another {seconds:g} s", seconds=seconds)
        tell(f"not ready, stops within {seconds:g} s")
        self._over = defer.Deferred()
        self._call = self._reactor.callLater(seconds, self._fire)
        return self._over

    def end(self) -> None:
        """Wait no longer."""
        if self._over is not None:
            self._call.cancel()
            self._fire()

    def _fire(self) -> None:
        over, self._over = self._over, None
        if over is not None:
            over.callback(None)
