"""Admits connections up to the limit, and refuses the others with 503."""

import os
import socket
from collections.abc import Callable
from typing import Any

from stickyd.http1.error_response import FULL
from stickyd.master.supervisor.connection_limit import ConnectionLimit
from stickyd.net.lingering_close import LingeringClose, send_and_close
from stickyd.net.timeouts import Sweeper
from stickyd.stats import MasterCounters

_RESPONSE = FULL.response()

CLOSE_IDLE_EVERY = 0.25
"""Seconds between two requests to the workers to close idle connections."""


class Admission:
    """Counts accepted connections against the limit, and refuses those beyond it.

    Refused connections do not count. A bounded number of them lingers, so that the
    client reads the response; the others are closed at once.

    :param lingering: number of refused connections that may linger.
    :param close_idle: asks the workers to close so many idle connections.
    """

    def __init__(
        self,
        reactor: Any,
        sweeper: Sweeper,
        counters: MasterCounters,
        limit: ConnectionLimit,
        lingering: int,
        close_idle: Callable[[int], None],
    ) -> None:
        self._reactor = reactor
        self._sweeper = sweeper
        self._counters = counters
        self._limit = limit
        self._may_linger = lingering
        self._close_idle = close_idle
        self._asked_until = 0.0
        self._wanted = 0
        self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def admit(self, sock: socket.socket) -> bool:
        """Whether a new connection is within the limit; otherwise it has been refused."""
        if self._limit.take():
            return True
        self._counters.shed += 1
        self._ask_for_room()
        if self._may_linger:
            self._may_linger -= 1
            sock.setblocking(False)
            LingeringClose(self._reactor, self._sweeper, sock, _RESPONSE, self._lingered)
        else:
            send_and_close(sock, _RESPONSE)
        return False

    def _ask_for_room(self) -> None:
        self._wanted += 1
        now = self._reactor.seconds()
        if now >= self._asked_until:
            self._asked_until = now + CLOSE_IDLE_EVERY
            wanted, self._wanted = self._wanted, 0
            self._close_idle(wanted)

    def _lingered(self) -> None:
        self._may_linger += 1

    def leave(self) -> None:
        """An admitted connection has ended in this process."""
        self._limit.give_back()

    def refuse_by_reserve(self, listening: socket.socket) -> bool:
        """No descriptor is free: accept and refuse one connection with the reserve descriptor.

        :return: whether a connection was refused and the reserve is available again.
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
            send_and_close(sock, _RESPONSE)
        try:
            self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            # Another thread took the descriptor; the listener pauses.
            return False
        return refused

    def close(self) -> None:
        """Close the reserve descriptor."""
        if self._reserve >= 0:
            os.close(self._reserve)
            self._reserve = -1
