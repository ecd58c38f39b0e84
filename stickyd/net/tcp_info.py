"""What the kernel knows of a connection that nobody reads."""

import fcntl
import socket
import struct
import termios

from stickyd.master.supervisor.orphan_policy import UNKNOWN, TcpInfo

_INT = struct.Struct("i")
_RECEIVED = struct.Struct("=Q")
_RECEIVED_AT = 128
"""Where ``tcpi_bytes_received`` stands in struct tcp_info (linux/tcp.h); its layout is fixed."""
_INFO_SIZE = _RECEIVED_AT + _RECEIVED.size
_LOOKS = 5


def read_tcp_info(descriptor: int) -> TcpInfo | None:
    """What the kernel knows of a connection that nobody reads; None if it is no TCP."""
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError:
        return UNKNOWN
    try:
        return _ask(sock)
    finally:
        sock.detach()


def _ask(sock: socket.socket) -> TcpInfo | None:
    if sock.family == socket.AF_UNIX:
        return None
    try:
        state, received = _tcp_info(sock)
        for _ in range(_LOOKS):
            queued = fcntl.ioctl(sock, termios.FIONREAD, bytes(_INT.size))
            # What came between the two looks would seem to have been read.
            before, (state, received) = received, _tcp_info(sock)
            if received == before:
                return TcpInfo(state, received, _INT.unpack(queued)[0])
    except (OSError, struct.error):
        pass
    return UNKNOWN


def _tcp_info(sock: socket.socket) -> tuple[int, int]:
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
    return info[0], _RECEIVED.unpack_from(info, _RECEIVED_AT)[0]
