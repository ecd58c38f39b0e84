"""Calls that are spread evenly over some seconds."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.interfaces import IReactorTime

_EVERY = 0.01
"""Least seconds between two turns: many calls are made several at a time."""


class Spread:
    """Makes calls one after the other, the first at once.

    Clients that are closed together would connect again together.
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._calls: deque[Callable[[], None]] = deque()
        self._interval = 0.0
        self._began = 0.0
        self._made = 0
        self._next: Any = None

    def start(self, calls: Iterable[Callable[[], None]], seconds: float) -> None:
        """Make these calls within ``seconds``, in place of those that have not been made."""
        self.stop()
        self._calls = deque(calls)
        self._interval = seconds / max(len(self._calls), 1)
        self._began = self._reactor.seconds()
        self._made = 0
        self._go_on()

    def stop(self) -> None:
        """Make no more calls."""
        self._calls.clear()
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _go_on(self) -> None:
        self._next = None
        elapsed = self._reactor.seconds() - self._began
        while self._calls and self._made * self._interval <= elapsed:
            self._made += 1
            # It may call `start` or `stop`.
            self._calls.popleft()()
        if self._calls and self._next is None:
            wait = self._began + self._made * self._interval - self._reactor.seconds()
            self._next = self._reactor.callLater(max(wait, _EVERY), self._go_on)
