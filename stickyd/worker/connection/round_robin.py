"""Work of many connections in small steps, between which the reactor handles other events."""

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

TURN = 0.001
"""Seconds of one turn of the reactor that this work may take; a step that has begun is finished."""


class RoundRobin:
    """Runs steps in the order of their arrival, for a limited time in each turn of the reactor.

    However many connections have steps to run, the others wait only for that time.
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._steps: deque[Callable[[], None]] = deque()
        self._scheduled = False

    def add(self, step: Callable[[], None]) -> None:
        """Call ``step`` once, in a later turn; it must not raise."""
        self._steps.append(step)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._reactor.callLater(0, self._run)

    def _run(self) -> None:
        seconds = self._reactor.seconds
        until = seconds() + TURN
        # Steps added meanwhile run in a later turn.
        for _ in range(len(self._steps)):
            self._steps.popleft()()
            if seconds() >= until:
                break
        self._scheduled = False
        if self._steps:
            self._schedule()
