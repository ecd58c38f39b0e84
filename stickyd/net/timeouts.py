"""Deadlines of many connections for the price of one timer.

A connection carries its deadline as a number, so setting one costs nothing;
one sweep over the open connections finds those that are over.
"""

from typing import Any, Protocol

SWEEP_EVERY = 0.25
"""Seconds between sweeps: how late a deadline may be noticed."""

AT_ONCE = 8
"""Expiries in one turn of the reactor: a crowd that came together is over together, and
ending it at once would stall the others."""


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
        self._cutting = False
        self.members: set[Any] = set()

    def add(self, member: Expiring) -> None:
        """Watch one more; nothing runs while nobody is watched."""
        self.members.add(member)
        # While some are cut the next sweep is not set, and one is enough: whoever is cut may add
        # what comes after it.
        if self._timer is None and not self._cutting:
            self._timer = self._reactor.callLater(SWEEP_EVERY, self._sweep)

    def discard(self, member: Expiring) -> None:
        """Watch it no longer."""
        self.members.discard(member)

    def _sweep(self) -> None:
        now = self._reactor.seconds()
        self._cut([m for m in self.members if _is_over(m, now)], now)

    def _cut(self, late: list[Any], now: float) -> None:
        """Those that are late, some of them in each turn of the reactor."""
        self._timer = None
        self._cutting = True
        try:
            for member in late[:AT_ONCE]:
                # An earlier one's end, or what has come since, may have changed it.
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
        """Let go of the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _is_over(member: Expiring, now: float) -> bool:
    return member.deadline is not None and member.deadline <= now
