"""Puts connections into an inbox; those that find it full wait in order, for a bounded time."""

import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import attrs

from stickyd.ipc.fd_queue import try_put

RETRY_AFTER = 0.005
"""Seconds between attempts at a full inbox: the kernel reports EPOLLOUT only after three quarters
of it have been taken out."""


class Departing(Protocol):
    """Stores the state of a connection, as `stickyd.shm.connection_table.Entry` does."""

    def departs(self) -> None:
        """It is about to be put into an inbox."""

    def stays(self) -> None:
        """It has not been put in."""


class InboxCounter(Protocol):
    """Counts what one process puts into one inbox (`stickyd.shm.scoreboard_row`)."""

    def placed(self) -> None:
        """A connection is being put in, or waits for room."""

    def withdrawn(self) -> None:
        """It has not been put in."""


@attrs.define(eq=False)
class _Waiting:
    message: bytes = attrs.field(repr=False)
    descriptor: int
    until: float
    done: Callable[[bool], None]
    who: Departing | None = None


class InboxSender:
    """Puts connections into one inbox; those that find it full wait in order.

    Every process puts connections in with this class, which therefore counts them.

    :param counter: counts them as load of the slot; None if no decision depends on loads.
    :ivar counter: as given.
    :ivar on_error: called with the error when sendmsg fails and would fail again.
    """

    def __init__(
        self, reactor: Any, sender: socket.socket, counter: InboxCounter | None = None
    ) -> None:
        self._reactor = reactor
        self._sender = sender
        self.counter = counter
        self.on_error: Callable[[OSError], None] = lambda error: None
        self._waiting: deque[_Waiting] = deque()
        self._retry: Any = None
        self._on_empty: list[Callable[[], None]] = []

    def put(
        self,
        message: bytes,
        descriptor: int,
        patience: float,
        done: Callable[[bool], None],
        who: Departing | None = None,
    ) -> None:
        """Put a connection in, now or within ``patience`` seconds.

        :param done: called once, before this returns if possible: with True when the inbox
            has the connection (the caller closes its copy), with False when time is over or
            the inbox is closed (the caller still owns the connection).
        :param who: stores the state of the connection around the attempts.
        """
        if self.counter is not None:
            # Before sendmsg: the receiver counts it as taken at once.
            self.counter.placed()
        if not self._waiting:
            sent = self._attempt(message, descriptor, who)
            if sent is not None:
                self._finish(sent, done)
                return
        until = self._reactor.seconds() + patience
        self._waiting.append(_Waiting(message, descriptor, until, done, who))
        if self._retry is None:
            self._retry = self._reactor.callLater(RETRY_AFTER, self._drain)

    def free(self) -> int:
        """The descriptor of the sending end; -1 while connections wait, whose turn is first."""
        return -1 if self._waiting else self._sender.fileno()

    def waiting(self) -> int:
        """Number of connections that wait for room."""
        return len(self._waiting)

    def retry_now(self) -> None:
        """Try to put in the waiting connections now: there may be room."""
        if self._retry is not None:
            self._retry.cancel()
            self._drain()

    def when_empty(self, call: Callable[[], None]) -> None:
        """Call ``call`` once as soon as no connection waits for room."""
        self._on_empty.append(call)
        if not self._waiting:
            self._call_on_empty()

    def _call_on_empty(self) -> None:
        calls, self._on_empty = self._on_empty, []
        for call in calls:
            call()

    def take_waiting(self) -> list[tuple[bytes, int, float]]:
        """Stop waiting; message, descriptor and seconds left of each waiting connection.

        ``done`` is not called: the caller owns the connections.
        """
        now = self._reactor.seconds()
        if self.counter is not None:
            # They are counted again when they are put in.
            for _ in self._waiting:
                self.counter.withdrawn()
        taken = [(each.message, each.descriptor, each.until - now) for each in self._waiting]
        self._waiting.clear()
        return taken

    def cancel_waiting(self) -> None:
        """Stop waiting, and call ``done(False)`` for each waiting connection."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        while self._waiting:
            self._finish(False, self._waiting.popleft().done)
        self._call_on_empty()

    def close(self) -> None:
        """Close this sending end as soon as no connection waits for room."""
        self.when_empty(self._sender.close)

    def _finish(self, sent: bool, done: Callable[[bool], None]) -> None:
        if not sent and self.counter is not None:
            self.counter.withdrawn()
        done(sent)

    def _attempt(self, message: bytes, descriptor: int, who: Departing | None) -> bool | None:
        """True: sent. False: failed, and would fail again. None: no room."""
        sent: bool | None
        if who is not None:
            who.departs()
        try:
            sent = try_put(self._sender, message, descriptor) or None
        except OSError as error:
            self.on_error(error)
            sent = False
        if not sent and who is not None:
            who.stays()
        return sent

    def _drain(self) -> None:
        self._retry = None
        while self._waiting:
            first = self._waiting[0]
            sent = self._attempt(first.message, first.descriptor, first.who)
            if sent is None:
                break
            self._finish(sent, self._waiting.popleft().done)
        now = self._reactor.seconds()
        for late in [waiting for waiting in self._waiting if waiting.until <= now]:
            # The callback of an earlier one may have emptied the queue.
            if late in self._waiting:
                self._waiting.remove(late)
                self._finish(False, late.done)
        if not self._waiting:
            self._call_on_empty()
        elif self._retry is None:
            self._retry = self._reactor.callLater(RETRY_AFTER, self._drain)
