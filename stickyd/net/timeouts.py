"""Deadlines of many connections with one timer.

A connection carries its deadline as a number, so setting one costs nothing;
one periodic sweep finds the connections whose deadline has passed.
"""

from typing import Any, Protocol

SWEEP_EVERY = 0.25
"""Seconds between sweeps: how late a deadline may be noticed."""

AT_ONCE = 8
"""Expiries in one iteration of the reactor: connections that arrive together expire together,
and to close all of them at once would delay the others."""


class Expiring(Protocol):
    """Something with a deadline in the reactor's seconds, or None."""

    deadline: float | None

    def expired(self) -> None:
        """The deadline has passed."""


class Sweeper:
    """Calls each member whose deadline has passed."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._timer: Any = None
        self._cutting = False
        self.members: set[Any] = set()

    def add(self, member: Expiring) -> None:
        """Add a member; without members no timer runs."""
        self.members.add(member)
        # While members expire, the next sweep is not scheduled yet: `_go_on` schedules one. An
        # expired member may add its successor.
        if self._timer is None and not self._cutting:
            self._timer = self._reactor.callLater(SWEEP_EVERY, self._sweep)

    def discard(self, member: Expiring) -> None:
        """Remove a member."""
        self.members.discard(member)

    def _sweep(self) -> None:
        now = self._reactor.seconds()
        self._cut([m for m in self.members if _is_over(m, now)], now)

    def _cut(self, late: list[Any], now: float) -> None:
        """Expire the members in ``late``, a few in each iteration of the reactor."""
        self._timer = None
        self._cutting = True
        try:
            for member in late[:AT_ONCE]:
                # An earlier expiry, or new data, may have changed it.
                if member in self.members and _is_over(member, now):
                    member.expired()
        finally:
            self._cutting = False
            self._go_on(late[AT_ONCE:], now)

    def _go_on(self, late: list[Any], now: float) -> None:
        if late:
            self._timer = self._reactor.callLater(0, self._cut, late, now)
        elif self.members:
            self._timer = self._reactor.callLater(SWEEP_EVERY, self._sweep)

    def stop(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _is_over(member: Expiring, now: float) -> bool:
    return member.deadline is not None and member.deadline <= now
