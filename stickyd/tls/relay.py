"""An established TLS connection: bytes between the client and the plain side.

The plain side is a Unix socket pair, whose other end is a connection like any other to the workers.
What waits in either direction is bounded: one record inwards, and 64 KiB outwards, beside the
buffers of the kernel. Ends keep their meaning:

================================================ ===============================================
the client sends close_notify, or a FIN           the plain side sees a half-close
the plain side shuts down sending and reads on    close_notify and a FIN, behind the last byte
the plain side ends both directions at once       a reset, and no close_notify: what was sent must
                                                  not look like a whole answer
it does so when the client has finished sending   close_notify and a FIN
================================================ ===============================================

In the last case the pair does not tell an end in order from another. A worker that closes a
connection in order therefore shuts it down first, and waits (`stickyd.worker.connection.exit`).

Not Twisted's `TLSMemoryBIOProtocol`: it ends a connection whose client sends close_notify behind
its request, before the answer, and copies what passes through two more buffers.
"""

import select
import socket

from OpenSSL import SSL

from stickyd.net.epoll import READ, WRITE
from stickyd.net.lingering_close import LingeringClose
from stickyd.tls.ends import finish_sending, hung_up, reset_on_close
from stickyd.tls.shared import Connection, Shared

RECORD = 16384
"""Bytes of plain text in a record (RFC 8446, 5.1); `SSL.Connection.recv` returns one at most."""

READ_MOST = 65536
"""Bytes that wait for the client at most."""

RECORDS_A_TURN = 8
"""Records in each direction before other connections have their turn."""

_SHUT = select.EPOLLRDHUP
_GONE = select.EPOLLHUP | select.EPOLLERR
_NOTHING = memoryview(b"")


class _PlainSide:
    """For the poller: events of the plain side."""

    __slots__ = ("_relay",)

    def __init__(self, relay: "Relay") -> None:
        self._relay = relay

    def ready(self, events: int) -> None:
        """For the poller."""
        self._relay.plain_ready(events)

    def abortConnection(self) -> None:
        """For the poller: a callback has failed."""
        self._relay.drop()


class Relay(Connection):
    """Passes bytes on in both directions, until one end is gone.

    :param tls: whose handshake is complete.
    :param client: its socket, which the poller watches for reading.
    :param plain: our end of the pair.
    """

    __slots__ = (
        *("_shared", "_tls", "_client", "_plain", "_inwards", "_outwards", "_deaf"),
        *("_client_done", "_plain_done", "_shut_seen", "_cut", "_client_interest"),
        *("_plain_interest", "_wants_write"),
    )

    def __init__(
        self, shared: Shared, tls: SSL.Connection, client: socket.socket, plain: socket.socket
    ) -> None:
        super().__init__()
        self._shared = shared
        self._tls = tls
        self._client = client
        self._plain = plain
        # What waits for room: of the plain side, and of the client.
        self._inwards = b""
        self._outwards = _NOTHING
        self._deaf = False
        self._client_done = False
        self._plain_done = False
        # The end of the plain side has been noticed, before or after its last byte was read.
        self._shut_seen = False
        self._cut = False
        self._client_interest = READ
        self._plain_interest = 0
        self._wants_write = False
        shared.relays.add(self)
        shared.poller.inherit(client.fileno(), self)

    @property
    def _open(self) -> bool:
        return self._client.fileno() >= 0

    def begin(self) -> None:
        """Pass on what has come with the handshake."""
        self._inward()
        self._watch()

    # ---- events

    def ready(self, events: int) -> None:
        """For the poller: events of the client's side."""
        if events & _GONE and not events & READ:
            self.drop()
            return
        if events & READ or self._wants_write:
            self._inward()
        if self._open and (self._outwards or self._shut_seen or self._plain_done):
            self._outward()
        self._watch()

    def plain_ready(self, events: int) -> None:
        """For the poller: events of the plain side."""
        if events & WRITE and self._inwards:
            held, self._inwards = self._inwards, b""
            self._pass_in(held)
        if events & (_SHUT | _GONE):
            self._notice_end(bool(events & select.EPOLLHUP))
        if events & ~WRITE and self._open and not self._outwards:
            self._outward()
        self._watch()

    def abortConnection(self) -> None:
        """For the poller: a callback has failed."""
        self.drop()

    def _watch(self) -> None:
        """Wait for what can be continued with."""
        if not self._open:
            return
        client = plain = 0
        if not self._inwards and not self._client_done:
            client = READ
        if self._outwards or self._shut_seen or self._wants_write:
            client |= WRITE
        if self._inwards:
            plain = WRITE
        if not self._shut_seen:
            plain |= _SHUT if self._outwards else READ | _SHUT
        poller = self._shared.poller
        if client != self._client_interest:
            self._client_interest = client
            poller.watch(self._client.fileno(), self, client)
        if plain != self._plain_interest and self._plain.fileno() >= 0:
            self._plain_interest = plain
            if plain:
                poller.watch(self._plain.fileno(), _PlainSide(self), plain)
            else:
                poller.forget(self._plain.fileno())

    # ---- from the client to the plain side

    def _inward(self) -> None:
        for _ in range(RECORDS_A_TURN):
            if self._inwards or self._client_done:
                return
            try:
                data = self._tls.recv(RECORD)
            except SSL.WantReadError:
                self._wants_write = False
                return
            except SSL.WantWriteError:
                # It has to answer the client's update of keys first.
                self._wants_write = True
                return
            except SSL.ZeroReturnError:
                self._client_done = True
                self._shut_plain()
                return
            except SSL.Error:
                self.drop()
                return
            self._pass_in(data)

    def _pass_in(self, data: bytes) -> None:
        if self._deaf:
            # The plain side does not read any more; its end is on its way to us.
            return
        try:
            sent = self._plain.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._deaf = True
            return
        self._inwards = data[sent:]
        self._shut_plain()

    def _shut_plain(self) -> None:
        if self._client_done and not self._inwards:
            finish_sending(self._plain)

    # ---- from the plain side to the client

    def _outward(self) -> None:
        for _ in range(RECORDS_A_TURN):
            if not self._outwards and not self._read_plain():
                break
            try:
                sent = self._tls.send(self._outwards[:RECORD])
            except (SSL.WantWriteError, SSL.WantReadError):
                return
            except SSL.Error:
                self.drop()
                return
            self._outwards = self._outwards[sent:]
            if self._shut_seen:
                self._extend()
        if self._plain_done and not self._outwards:
            self._finish()

    def _read_plain(self) -> bool:
        """Whether there is something for the client."""
        if self._plain_done:
            return False
        try:
            data = self._plain.recv(READ_MOST)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._plain_done = True
            self._notice_end(hung_up(self._plain))
            return False
        self._outwards = memoryview(data)
        return True

    # ---- the end

    def _notice_end(self, gone: bool) -> None:
        """The plain side sends no more than what is in its buffer.

        :param gone: it does not read either, so that it has not closed in order.
        """
        if not self._shut_seen:
            self._shut_seen = True
            self._cut = gone and not self._client_done
            self._extend()
            self._shared.sweeper.add(self)

    def _extend(self) -> None:
        self.deadline = self._shared.reactor.seconds() + self._shared.bounds.send

    def _finish(self) -> None:
        """Everything is with the client, or in the kernel."""
        if self._cut:
            self.drop()
            return
        try:
            self._tls.shutdown()
        except SSL.WantWriteError:
            return
        except SSL.Error:
            self.drop()
            return
        client, shared = self._client.dup(), self._shared
        self._close()
        # As after the last byte over TCP: a client may be sending still, and a reset would destroy
        # what it has not read.
        LingeringClose(shared.reactor, shared.sweeper, client, b"", lambda: None)

    def expired(self) -> None:
        """For the sweeper: the client has not taken the last bytes in time."""
        self.drop()

    def drop(self) -> None:
        """End both sides at once, the client's by a reset."""
        if self._open:
            reset_on_close(self._client)
            self._close()

    def _close(self) -> None:
        shared = self._shared
        self.deadline = None
        shared.sweeper.discard(self)
        shared.poller.forget(self._client.fileno())
        shared.poller.forget(self._plain.fileno())
        self._client.close()
        self._plain.close()
        self._inwards, self._outwards = b"", _NOTHING
        shared.relays.discard(self)
        shared.on_over()
