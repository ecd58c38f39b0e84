"""The two ends of a client's connection, as apps ask for them."""

import socket
from typing import Any

from twisted.internet import address

from stickyd.ipc.frame import Frame
from stickyd.net.address import Address


def as_twisted(end: Address | None) -> Any:
    """An `IAddress` for one end of a connection."""
    if end is None:
        return address.UNIXAddress(None)
    kind = address.IPv6Address if ":" in end[0] else address.IPv4Address
    return kind("TCP", end[0], end[1])


class TransportAddresses:
    """The part of a transport that apps ask, seldom: nothing of it is made before."""

    _fd: int

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self._handle: socket.socket | None = None
        self._peer: Any = None
        self._local: Any = None

    def getPeer(self) -> Any:
        """The peer's address."""
        if self._peer is None:
            self._peer = as_twisted(self.frame.peer)
        return self._peer

    def getHost(self) -> Any:
        """Our address."""
        if self._local is None:
            self._local = as_twisted(self.frame.local)
        return self._local

    def getHandle(self) -> socket.socket:
        """The connection as a socket object, which goes on to belong to the transport."""
        if self._handle is None:
            # The kernel knows the family; the frame's addresses may be a PROXY header's.
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
