"""A connection whose PROXY header is being read.

Source: HAProxy's proxy-protocol.txt. Whether a header is sent is configured and
never guessed, and only the configured peers may send it (section 2); a connection
that violates this is closed without a response.
"""

import socket

import attrs
from twisted.logger import Logger

from stickyd.http1.proxy_protocol import HEADER_MOST, VERSIONS, ProxyRefused, read_proxy
from stickyd.ipc.exec_state import Packed, as_bytes, as_text
from stickyd.master.frontend.pending import (
    PEEK,
    ListenerOfPending,
    PendingConnection,
    PendingHead,
    unpack_common,
)
from stickyd.net.address import Address
from stickyd.routing.trusted_peers import TrustedPeers

REFUSED = "proxy"
"""The counter of refused connections that these are counted under."""

_log = Logger("stickyd")


@attrs.frozen
class ProxyRule:
    """Versions of the header that are accepted, and the peers that may send it."""

    versions: frozenset[int]
    allowed: TrustedPeers

    @classmethod
    def build(cls, protocol: str, allowed: str) -> "ProxyRule | None":
        """A rule from the option values; None for ``off``."""
        if protocol == "off":
            return None
        return cls(VERSIONS[protocol], TrustedPeers.parse(allowed))


class PendingProxyHeader(PendingConnection):
    """A connection whose PROXY header is being read; it becomes a `PendingHead`.

    Peeks, and consumes the header only, so that the head that follows is peeked as
    without a header. An incomplete header is consumed and kept in ``held``, for the
    reason that `PendingHead` gives.
    """

    def __init__(
        self,
        listener: ListenerOfPending,
        sock: socket.socket,
        peer: Address | None,
        rule: ProxyRule,
        deadline: float | None = None,
    ) -> None:
        super().__init__(listener, sock, peer, deadline)
        self._rule = rule
        self.held = b""

    def on_readable(self) -> None:
        """Read the available data; continue with the head, close or wait."""
        if (self.peer[0] if self.peer else None) not in self._rule.allowed:
            self._reject("peer is not allowed to send a PROXY header")
            return
        held = len(self.held)
        data = self._receive(HEADER_MOST - held, PEEK)
        if not data:
            return
        header = read_proxy(self.held + data, self._rule.versions)
        if isinstance(header, ProxyRefused):
            self._reject(header.why)
            return
        size = len(data) if header is None else header.size - held
        taken = self.socket.recv(size, socket.MSG_DONTWAIT)
        if header is None:
            self.held += taken
            self._wait()
            return
        self._unregister()
        peer = header.peer or self.peer
        listener, sock = self._listener, self.socket
        PendingHead(listener, sock, peer, self.deadline, header.local, header.size).on_readable()

    def _reject(self, why: str) -> None:
        """Close without a response: the peer may not be a client of this protocol."""
        self._reception.counters.refused[REFUSED] += 1
        _log.debug("closed {peer}: {why}", peer=self.peer, why=why)
        self.end()

    def expired(self) -> None:
        """For the sweeper: the header was not complete in time."""
        self._reject("PROXY header not complete in time")

    def dismiss(self) -> None:
        """Close, because the listener stops."""
        self.end()

    def pack(self, now: float) -> Packed:
        """The connection for the program that replaces this one."""
        packed = super().pack(now)
        return {
            **packed,
            "announced": None,
            "number": None,
            "taken": 0,
            "unread": as_text(self.held),
        }

    @classmethod
    def unpack(
        cls, packed: Packed, listener: ListenerOfPending, rule: ProxyRule, now: float
    ) -> "PendingProxyHeader":
        """A connection that the previous program packed."""
        sock, peer, deadline = unpack_common(packed, now)
        connection = cls(listener, sock, peer, rule, deadline)
        connection.held = as_bytes(packed["unread"])
        return connection
