"""How the two sockets of a relay end."""

import contextlib
import select
import socket
import struct

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def hung_up(sock: socket.socket) -> bool:
    """Whether neither direction of a connection is open (poll(2), POLLHUP)."""
    look = select.poll()
    look.register(sock, 0)
    return any(events & select.POLLHUP for _, events in look.poll(0))


def reset_on_close(sock: socket.socket) -> None:
    """Let a TCP connection end by a reset (socket(7), SO_LINGER)."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


def finish_sending(sock: socket.socket) -> None:
    """End the direction to the other side, which may be gone."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
