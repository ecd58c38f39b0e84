"""Who is let in: a place for every connection, or a polite word at the door."""

import os
import socket
from collections.abc import Callable
from typing import Any

from stickyd.http1.error_response import FULL
from stickyd.master.supervisor.connection_limit import ConnectionLimit
from stickyd.net.lingering_close import LingeringClose, send_and_close
from stickyd.net.timeouts import Sweeper
from stickyd.stats import MasterCounters

_ANSWER = FULL.response()

EASE_EVERY = 0.25
"""Seconds between two times that workers are asked for room."""


class Admission:
    """Gives connections their places, and refuses those for whom there is none.

    Those that are refused have no place; a bounded number of them lingers, so
    that the client reads the answer, and the others are closed at once.

    :param lingering: how many may linger.
    :param ease: asks for room for so many connections, which have just been refused.
    """

    def __init__(
        self,
        reactor: Any,
        sweeper: Sweeper,
        counters: MasterCounters,
        places: ConnectionLimit,
        lingering: int,
        ease: Callable[[int], None],
    ) -> None:
        self._reactor = reactor
        self._sweeper = sweeper
        self._counters = counters
        self._places = places
        self._may_linger = lingering
        self._close_idle = ease
        self._eased_until = 0.0
        self._wanted = 0
        self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def admit(self, sock: socket.socket) -> bool:
        """Whether a new connection has a place; otherwise it has been refused."""
        if self._places.take():
            return True
        self._counters.shed += 1
        self._ask_for_room()
        if self._may_linger:
            self._may_linger -= 1
            sock.setblocking(False)
            LingeringClose(self._reactor, self._sweeper, sock, _ANSWER, self._lingered)
        else:
            send_and_close(sock, _ANSWER)
        return False

    def _ask_for_room(self) -> None:
        self._wanted += 1
        now = self._reactor.seconds()
        if now >= self._eased_until:
            self._eased_until = now + EASE_EVERY
            wanted, self._wanted = self._wanted, 0
            self._close_idle(wanted)

    def _lingered(self) -> None:
        self._may_linger += 1

    def leave(self) -> None:
        """A connection that was let in has ended in this process."""
        self._places.give_back()

    def refuse_by_reserve(self, listening: socket.socket) -> bool:
        """No descriptor is free: refuse the next connection by the one kept for this.

        :return: whether there was a connection, and another may be tried.
        """
        if self._reserve < 0:
            return False
        os.close(self._reserve)
        self._reserve = -1
        try:
            sock, _ = listening.accept()
        except OSError:
            refused = False
        else:
            refused = True
            self._counters.accepted += 1
            self._counters.shed += 1
            send_and_close(sock, _ANSWER)
        try:
            self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            # Somebody else was faster; the listener's pause has to do.
            return False
        return refused

    def close(self) -> None:
        """Nobody comes any more."""
        if self._reserve >= 0:
            os.close(self._reserve)
            self._reserve = -1
