"""Addresses, scheme and socket options of a client's connection, as apps read them."""

import socket
from functools import lru_cache
from typing import cast

from twisted.internet import address

from stickyd.http1.head_parser import Head
from stickyd.ipc.frame import Frame
from stickyd.ipc.over_tls import over_tls
from stickyd.net.address import Address
from stickyd.routing.client_address import forwarded_proto
from stickyd.routing.trusted_peers import TrustedPeers

TwistedAddress = address.IPv4Address | address.IPv6Address
"""As Twisted annotates it; of a Unix socket it is a `UNIXAddress`."""


def as_twisted(end: Address | None) -> TwistedAddress:
    """The `IAddress` of one end of a connection."""
    if end is None:
        return cast(TwistedAddress, address.UNIXAddress(None))
    return _made(*end)


def _made(host: str, port: int) -> TwistedAddress:
    return (address.IPv6Address if ":" in host else address.IPv4Address)("TCP", host, port)


@lru_cache(maxsize=4096)
def address_of(host: str, port: int) -> TwistedAddress:
    """The `IAddress` of a client that a trusted peer names; clients come again."""
    return _made(host, port)


def uses_tls(head: Head, frame: Frame, trusted: TrustedPeers) -> bool:
    """Whether the client uses TLS: as a trusted peer reports, or with this daemon.

    A trusted peer may itself speak TLS with the daemon, for a client that does not.

    :param frame: of the connection.
    """
    named = forwarded_proto(head, frame.peer_host, trusted)
    return over_tls(frame.listener) if named is None else named == "https"


class TransportAddresses:
    """The part of a transport that few apps use: its objects are made on first use."""

    _fd: int
    _handle: socket.socket | None = None
    _peer: TwistedAddress | None = None
    _local: TwistedAddress | None = None

    def __init__(self, frame: Frame) -> None:
        self.frame = frame

    def getPeer(self) -> TwistedAddress:
        """The peer's address."""
        if self._peer is None:
            self._peer = as_twisted(self.frame.peer)
        return self._peer

    def getHost(self) -> TwistedAddress:
        """The daemon's address."""
        if self._local is None:
            self._local = as_twisted(self.frame.local)
        return self._local

    def getHandle(self) -> socket.socket:
        """The connection as a socket object, which the transport owns."""
        if self._handle is None:
            # The family is the kernel's: the frame's addresses may be those of a PROXY header.
            self._handle = socket.socket(fileno=self._fd)
        return self._handle

    def getTcpNoDelay(self) -> bool:
        """The state of TCP_NODELAY."""
        return bool(self.getHandle().getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Set TCP_NODELAY; nothing on a Unix socket."""
        handle = self.getHandle()
        if handle.family != socket.AF_UNIX:
            handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, enabled)

    def getTcpKeepAlive(self) -> bool:
        """The state of SO_KEEPALIVE."""
        return bool(self.getHandle().getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Set SO_KEEPALIVE."""
        self.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, enabled)
