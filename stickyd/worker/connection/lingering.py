"""The end of a connection whose last answer is written, and must reach the client.

Closing a socket that has unread bytes, or receives some later, makes the kernel send RST, which
can destroy the answer before the client has read it. So (RFC 9112, 9.6): write what is left,
reading what arrives meanwhile, since a client may read only when it has sent everything; shut down
the sending direction; read on until the client closes, too.

Unlike `stickyd.net.lingering_close`, which sends short messages, this is for answers of any size:
they have the timeout of every answer, and the connection stays with the worker's poller, which
makes it cheap enough for the end of every connection.
"""

import os
import socket

from stickyd.net.epoll import READ, WRITE
from stickyd.net.lingering_close import LINGER_MOST, LINGER_SILENCE
from stickyd.net.writev import Parts, queued_in, send_parts
from stickyd.shm.connection_table import Entry
from stickyd.worker.connection.context import WorkerContext
from stickyd.worker.connection.next_step import State
from stickyd.worker.connection.timeout_rules import MinimumRate
from stickyd.worker.connection.transport import READ_MOST, RESET_ON_CLOSE

_READS_A_TURN = 16
_FAMILY, _STREAM = int(socket.AF_INET), int(socket.SOCK_STREAM)


class LingeringConnection:
    """Owns the descriptor of a connection, and what is still to be written to it, until it closes.

    :param descriptor: already watched by the worker's poller for reading.
    :param parts: what is still to be written.
    :param entry: of the connection table; None if the master does not guard the connection.
    """

    # Of most connections these never change.
    deadline: float | None = None
    _left = 0
    _sent = 0
    _pace: MinimumRate | None = None
    _open = True
    _shut = False
    _client_done = False
    _interest = READ
    _until = 0.0

    def __init__(
        self, context: WorkerContext, descriptor: int, parts: Parts, entry: Entry | None
    ) -> None:
        self._context = context
        # The family does not matter here, so it is not looked up.
        self._socket = socket.socket(_FAMILY, _STREAM, 0, descriptor)
        self._entry = entry
        self._parts = parts
        if parts:
            self._left = sum(map(len, parts))
        context.poller.inherit(descriptor, self)
        context.connections.sweeper.add(self)
        if entry is not None:
            entry.occupy()
        self._write()

    def ready(self, events: int) -> None:
        """For the poller."""
        if events & ~WRITE:
            self._read()
        if events & WRITE and self._open and not self._shut:
            self._write()

    def abortConnection(self) -> None:
        """For the poller: a callback has failed."""
        self._close()

    def expired(self) -> None:
        """For the sweeper: close, unless the client is still taking the answer fast enough."""
        queued = queued_in(self._socket.fileno())
        if self._left or queued:
            now = self._context.reactor.seconds()
            until = self._paced(now, queued)
            if until > now:
                self.deadline = until if self._left else min(until, now + LINGER_SILENCE)
                return
        if self._left:
            # A FIN would make half an answer look like a whole one.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._close()

    def _paced(self, now: float, queued: int) -> float:
        """The time by which the client must have taken more of what is written."""
        timeouts = self._context.config.timeouts
        if self._pace is None:
            self._pace = MinimumRate(timeouts.min_rate)
        taken = self._sent - queued
        return self._pace.deadline(State.ANSWER, now, taken, timeouts.send)

    def _write(self) -> None:
        try:
            if self._left:
                sent = send_parts(self._socket.fileno(), self._parts, self._left)
                self._sent += sent
                self._left -= sent
            if not self._left:
                self._socket.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            pass
        except OSError:
            self._close()
            return
        now = self._context.reactor.seconds()
        if self._left:
            self.deadline = self._paced(now, queued_in(self._socket.fileno()))
        elif self._client_done:
            self._close()
            return
        else:
            self._shut = True
            self._until = now + LINGER_MOST
            self.deadline = now + LINGER_SILENCE
        self._watch()

    def _watch(self) -> None:
        interest = (0 if self._client_done else READ) | (0 if self._shut else WRITE)
        if interest != self._interest:
            self._interest = interest
            self._context.poller.watch(self._socket.fileno(), self, interest)

    def _read(self) -> None:
        for _ in range(_READS_A_TURN):
            try:
                data = os.read(self._socket.fileno(), READ_MOST)
            except BlockingIOError:
                break
            except OSError:
                self._close()
                return
            if not data:
                self._client_done = True
                if self._shut:
                    self._close()
                else:
                    self._watch()
                return
        if self._shut:
            self.deadline = min(self._until, self._context.reactor.seconds() + LINGER_SILENCE)

    def _close(self) -> None:
        if not self._open:
            return
        self._open = False
        self.deadline = None
        context, sock = self._context, self._socket
        context.connections.sweeper.discard(self)
        context.poller.forget(sock.fileno())
        self._parts, self._left = [], 0
        sock.close()
        context.accounting.ended(self._entry)
