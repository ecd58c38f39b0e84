"""The end of a connection whose last answer is written: no byte of a client's may cost it that.

Closing a socket that has unread bytes, or gets some later, makes the kernel send RST, which can
destroy the answer before the client has read it. So (RFC 9112, 9.6): write what is left, reading
what comes meanwhile, since a client may read only when it has sent all; close our direction; read
on until the client closes, too.

In contrast to `stickyd.net.lingering_close`, which sends short messages, this is for answers of
any size: they have the time that every answer has, and the connection stays with the worker's
poller, which makes it cheap enough for the end of every connection.
"""

import os
import socket
from typing import Any

from stickyd.net.epoll import READ, WRITE
from stickyd.net.lingering_close import LINGER_MOST, LINGER_SILENCE
from stickyd.net.writev import Parts, queued_in, send_parts
from stickyd.shm.connection_table import Entry
from stickyd.worker.connection.next_step import State
from stickyd.worker.connection.timeout_rules import MinimumRate
from stickyd.worker.connection.transport import READ_MOST, RESET_ON_CLOSE

_READS_A_TURN = 16
_FAMILY, _STREAM = int(socket.AF_INET), int(socket.SOCK_STREAM)


class Parting:
    """Owns a connection's descriptor, and what is still to be written to it, until it is closed.

    :param worker: whose poller watches the descriptor for reading, for whomever.
    :param parts: what is still to be written.
    :param entry: the connection's own; None if the master does not guard it.
    """

    # Of most connections these never change.
    deadline: float | None = None
    _left = 0
    _sent = 0
    _pace: MinimumRate | None = None
    _open = True
    _said = False
    _heard_all = False
    _interest = READ
    _until = 0.0

    def __init__(self, worker: Any, descriptor: int, parts: Parts, entry: Entry | None) -> None:
        self._worker = worker
        # The family is of no account here, and need not be asked for.
        self._socket = socket.socket(_FAMILY, _STREAM, 0, descriptor)
        self._entry = entry
        self._parts = parts
        if parts:
            self._left = sum(map(len, parts))
        worker.poller.inherit(descriptor, self)
        worker.sweeper.add(self)
        if entry is not None:
            entry.occupy()
        self._say()

    def ready(self, events: int) -> None:
        """For the poller."""
        if events & ~WRITE:
            self._read()
        if events & WRITE and self._open and not self._said:
            self._say()

    def abortConnection(self) -> None:
        """For the poller: something has failed."""
        self._close()

    def expired(self) -> None:
        """For the sweeper: the client has had its time, unless it is still taking the answer."""
        queued = queued_in(self._socket.fileno())
        if self._left or queued:
            now = self._worker.reactor.seconds()
            until = self._paced(now, queued)
            if until > now:
                self.deadline = until if self._left else min(until, now + LINGER_SILENCE)
                return
        if self._left:
            # An end in order would make half an answer look like a whole one.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._close()

    def _paced(self, now: float, queued: int) -> float:
        """Until when the client must have taken more of what is written."""
        timeouts = self._worker.settings.timeouts
        if self._pace is None:
            self._pace = MinimumRate(timeouts.min_rate)
        taken = self._sent - queued
        return self._pace.deadline(State.ANSWER, now, taken, timeouts.send)

    def _say(self) -> None:
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
        now = self._worker.reactor.seconds()
        if self._left:
            self.deadline = self._paced(now, queued_in(self._socket.fileno()))
        elif self._heard_all:
            self._close()
            return
        else:
            self._said = True
            self._until = now + LINGER_MOST
            self.deadline = now + LINGER_SILENCE
        self._watch()

    def _watch(self) -> None:
        interest = (0 if self._heard_all else READ) | (0 if self._said else WRITE)
        if interest != self._interest:
            self._interest = interest
            self._worker.poller.watch(self._socket.fileno(), self, interest)

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
                self._heard_all = True
                if self._said:
                    self._close()
                else:
                    self._watch()
                return
        if self._said:
            self.deadline = min(self._until, self._worker.reactor.seconds() + LINGER_SILENCE)

    def _close(self) -> None:
        if not self._open:
            return
        self._open = False
        self.deadline = None
        worker, sock = self._worker, self._socket
        worker.sweeper.discard(self)
        worker.poller.forget(sock.fileno())
        self._parts, self._left = [], 0
        sock.close()
        worker.ended(self._entry)
