"""A connection that must begin with a PROXY header, until it has.

Source: HAProxy's proxy-protocol.txt. Whether there is a header is configured
and never guessed, and it counts only from peers that are allowed to send it
(section 2); a connection that does not keep to that is cut, unanswered.
"""

import socket

import attrs
from twisted.logger import Logger

from stickyd.http1.proxy_protocol import HEADER_MOST, VERSIONS, ProxyRefused, read_proxy
from stickyd.master.frontend.pending import PEEK, PendingConnection, PendingHead, Reception
from stickyd.net.address import Address
from stickyd.routing.trusted_peers import TrustedPeers

REFUSED = "proxy"
"""The name of cut connections among the counts of refused ones."""

_log = Logger("stickyd")


@attrs.frozen
class ProxyRule:
    """Which versions of the header are accepted, and from whom."""

    versions: frozenset[int]
    allowed: TrustedPeers

    @classmethod
    def build(cls, protocol: str, allowed: str) -> "ProxyRule | None":
        """A rule from the texts of the command line; None for ``off``."""
        if protocol == "off":
            return None
        return cls(VERSIONS[protocol], TrustedPeers.parse(allowed))


class PendingProxyHeader(PendingConnection):
    """A connection whose PROXY header we read; then it is an `PendingHead` like any other.

    Peeks, and takes no byte more than the header has, so that what follows is
    peeked as if it had come alone. A part of a header is consumed and kept in
    ``held``, for the reason that `PendingHead` has.
    """

    def __init__(
        self, listener: Reception, sock: socket.socket, peer: Address | None, rule: ProxyRule
    ) -> None:
        super().__init__(listener, sock, peer)
        self._rule = rule
        self.held = b""

    def look(self) -> None:
        """Read what there is; go on with the head, cut or wait."""
        if (self.peer[0] if self.peer else None) not in self._rule.allowed:
            self._cut("peer is not allowed to send a PROXY header")
            return
        held = len(self.held)
        data = self._receive(HEADER_MOST - held, PEEK)
        if not data:
            return
        header = read_proxy(self.held + data, self._rule.versions)
        if isinstance(header, ProxyRefused):
            self._cut(header.why)
            return
        size = len(data) if header is None else header.size - held
        taken = self.socket.recv(size, socket.MSG_DONTWAIT)
        if header is None:
            self.held += taken
            self._wait()
            return
        self._leave()
        peer = header.peer or self.peer
        listener, sock = self._listener, self.socket
        PendingHead(listener, sock, peer, self.deadline, header.local, header.size).look()

    def _cut(self, why: str) -> None:
        """Close without an answer: whoever this is has not shown that it may speak to us."""
        self._listener.counters.refused[REFUSED] += 1
        _log.debug("cut {peer}: {why}", peer=self.peer, why=why)
        self.end()

    def expired(self) -> None:
        """For the sweeper: the header took too long."""
        self._cut("PROXY header not complete in time")

    def dismiss(self) -> None:
        """The listener stops, and has waited long enough."""
        self.end()
