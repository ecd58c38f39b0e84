"""A TLS connection until its handshake is complete, and its way to the master."""

import contextlib
import select
import socket

from OpenSSL import SSL
from twisted.logger import Logger

from stickyd.http1.error_response import Refusal
from stickyd.ipc.frame import Frame, Kind
from stickyd.ipc.over_tls import TlsClient
from stickyd.net.address import Address
from stickyd.net.epoll import READ, WRITE
from stickyd.net.lingering_close import LingeringClose
from stickyd.tls.contexts import NoCommonProtocol, reason_of
from stickyd.tls.relay import Relay
from stickyd.tls.shared import Connection, Shared

GATE_PATIENCE = 10.0
"""Seconds that the master has to take a connection."""

PLAIN = Refusal(400, "this port speaks TLS: use https")
"""The answer to a client that speaks HTTP without TLS."""

_HTTP = frozenset({"http request", "https proxy request"})
"""OpenSSL's reasons for a failure because of a client's HTTP."""

_log = Logger("stickyd")


class Handshake(Connection):
    """Shakes hands, and hands the plain side to the master.

    :param client: a connection that has just been accepted, non-blocking.
    :param local: our end of it.
    :param listener: id of the listener in frames.
    """

    __slots__ = ("_client", "_interest", "_listener", "_local", "_peer", "_shared", "_tls")

    def __init__(
        self,
        shared: Shared,
        client: socket.socket,
        peer: Address | None,
        local: Address | None,
        listener: int,
    ) -> None:
        super().__init__()
        self._shared = shared
        self._client = client
        self._peer = peer
        self._local = local
        self._listener = listener
        self._interest = 0
        self._tls = SSL.Connection(shared.context, client)
        self._tls.set_accept_state()
        self.deadline = shared.reactor.seconds() + shared.bounds.handshake
        shared.handshakes.add(self)
        shared.sweeper.add(self)

    def begin(self) -> None:
        """Continue with what has arrived."""
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            self._watch(READ)
        except SSL.WantWriteError:
            self._watch(WRITE)
        except SSL.SysCallError:
            self.drop()
        except (NoCommonProtocol, SSL.Error) as error:
            self._failed(error)
        else:
            self._complete()

    def ready(self, events: int) -> None:
        """For the poller."""
        if events & select.EPOLLERR:
            self.drop()
        else:
            self.begin()

    def abortConnection(self) -> None:
        """For the poller: a callback has failed."""
        self.drop()

    def _watch(self, interest: int) -> None:
        if interest != self._interest:
            self._interest = interest
            self._shared.poller.watch(self._client.fileno(), self, interest)

    def _failed(self, error: Exception) -> None:
        """OpenSSL has sent an alert, where one is due."""
        shared, client = self._shared, self._client
        why = _reason(error)
        if shared.debug:
            _log.debug("TLS handshake with {peer}: {why}", peer=self._peer, why=why)
        self._leave()
        # Not a plain close: bytes that were not read would destroy the alert.
        last = PLAIN.response() if why in _HTTP else b""
        LingeringClose(shared.reactor, shared.sweeper, client, last, shared.on_over)

    def _complete(self) -> None:
        shared = self._shared
        record = b""
        if shared.asks_clients:
            try:
                record = self._record()
            except ValueError as error:
                _log.warn("a client certificate is refused: {error}", error=error)
                self.drop()
                return
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            # Few descriptors are left; the acceptor says so, too.
            _log.debug("no plain side for {peer}: {error}", peer=self._peer, error=error)
            self.drop()
            return
        self._watch(READ)
        ours.setblocking(False)
        theirs.setblocking(False)
        relay = Relay(shared, self._tls, self._client, ours)
        self._over()
        relay.begin()

        def done(sent: bool) -> None:
            theirs.close()
            if not sent:
                _log.error("the master does not take connections: one is closed")
                relay.drop()

        message = Frame(
            *(Kind.PLACED, 0, self._peer, self._local, self._listener), tls=record
        ).encode()
        shared.gate.put(message, theirs.fileno(), GATE_PATIENCE, done)

    def _record(self) -> bytes:
        """What is known of a client with a certificate."""
        certificate = self._tls.get_peer_certificate(as_cryptography=True)
        if certificate is None:
            return b""
        subject = certificate.subject.rfc4514_string()
        cipher = self._tls.get_cipher_name() or ""
        return TlsClient(subject, self._tls.get_protocol_version(), cipher).encode()

    def expired(self) -> None:
        """For the sweeper: the handshake was not complete in time."""
        self.drop()

    def drop(self) -> None:
        """Close the connection."""
        self._leave()
        with contextlib.suppress(OSError):
            self._client.close()
        self._shared.on_over()

    def _leave(self) -> None:
        if self._interest:
            self._shared.poller.forget(self._client.fileno())
        self._over()

    def _over(self) -> None:
        shared = self._shared
        self.deadline = None
        shared.handshakes.discard(self)
        shared.sweeper.discard(self)


def _reason(error: Exception) -> str:
    """Why a handshake failed, in OpenSSL's words."""
    return reason_of(error) if isinstance(error, SSL.Error) else "no common protocol"
