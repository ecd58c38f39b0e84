"""The state of a TCP connection, as the kernel reports it."""

import fcntl
import socket
import struct
import termios
from typing import NamedTuple

_INT = struct.Struct("i")
_RECEIVED = struct.Struct("=Q")
_RECEIVED_AT = 128
"""Where ``tcpi_bytes_received`` stands in struct tcp_info (linux/tcp.h); its layout is fixed."""
_INFO_SIZE = _RECEIVED_AT + _RECEIVED.size
_ATTEMPTS = 5


class TcpInfo(NamedTuple):
    """State and byte counts of a TCP connection (tcp(7), TCP_INFO).

    :ivar state: as in ``tcpi_state``.
    :ivar received: bytes the client has sent and we have acknowledged
        (``tcpi_bytes_received``); the client's FIN counts as one.
    :ivar unread: bytes of these still in the receive buffer (FIONREAD).
    """

    state: int
    received: int
    unread: int


UNKNOWN = TcpInfo(0, 0, 0)
"""The state of a connection that the kernel does not tell."""


def read_tcp_info(descriptor: int) -> TcpInfo | None:
    """State and counts of a connection that no process reads; None for a Unix socket."""
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError:
        return UNKNOWN
    try:
        return _read(sock)
    finally:
        sock.detach()


def _read(sock: socket.socket) -> TcpInfo | None:
    if sock.family == socket.AF_UNIX:
        return None
    try:
        state, received = _tcp_info(sock)
        for _ in range(_ATTEMPTS):
            queued = fcntl.ioctl(sock, termios.FIONREAD, bytes(_INT.size))
            # Bytes that arrive between the two calls would be counted as read.
            before, (state, received) = received, _tcp_info(sock)
            if received == before:
                return TcpInfo(state, received, _INT.unpack(queued)[0])
    except (OSError, struct.error):
        pass
    return UNKNOWN


def _tcp_info(sock: socket.socket) -> tuple[int, int]:
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
    return info[0], _RECEIVED.unpack_from(info, _RECEIVED_AT)[0]
