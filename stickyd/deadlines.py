"""Deadlines of many connections for the price of one timer.

A connection carries its deadline as a number, so setting one costs nothing;
one sweep over the open connections finds those that are over.
"""

from typing import Any, Protocol

SWEEP_EVERY = 0.25
"""Seconds between sweeps: how late a deadline may be noticed."""


class Expiring(Protocol):
    """Something with a deadline in the reactor's seconds, or None."""

    deadline: float | None

    def expired(self) -> None:
        """The deadline has passed."""


class Sweeper:
    """Watches the deadlines of its members."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._timer: Any = None
        self.members: set[Any] = set()

    def add(self, member: Expiring) -> None:
        """Watch one more; nothing runs while nobody is watched."""
        self.members.add(member)
        if self._timer is None:
            self._timer = self._reactor.callLater(SWEEP_EVERY, self._sweep)

    def discard(self, member: Expiring) -> None:
        """Watch it no longer."""
        self.members.discard(member)

    def _sweep(self) -> None:
        self._timer = None
        now = self._reactor.seconds()
        for member in [m for m in self.members if m.deadline is not None and m.deadline <= now]:
            if member in self.members:
                member.expired()
        if self.members:
            self._timer = self._reactor.callLater(SWEEP_EVERY, self._sweep)

    def stop(self) -> None:
        """Let go of the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
