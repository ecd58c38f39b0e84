"""TCP_DEFER_ACCEPT (tcp(7)): a connection is accepted once its client has sent something.

That spares a wake-up for each connection. A client that stays silent waits in the kernel,
without a descriptor, until the period is over; then it is accepted all the same.
"""

import socket

_SYN_RECEIVED = b"03"
"""State of connections whose handshake the kernel has not ended (include/net/tcp_states.h)."""

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_COOKIES = "/proc/sys/net/ipv4/tcp_syncookies"


def period_within(head_timeout: float) -> int:
    """Seconds to defer so that at least one is left for the head; 0 if there is no time for that.

    The kernel counts retransmissions, which come after 1, 3, 7, 15 seconds and so on, and
    rounds up.
    """
    period = 0
    while 2 * period + 1 <= head_timeout - 1 and period < 127:
        period = 2 * period + 1
    return period


def defer(sock: socket.socket, seconds: int) -> None:
    """Defer accepting on a listening socket; where the kernel cannot, nothing is changed.

    Without SYN cookies nothing is deferred: silent clients would fill the queue of half-open
    connections, and keep others out.
    """
    try:
        with open(_COOKIES, "rb") as file:
            cookies = file.read().strip() != b"0"
        if cookies or not seconds:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, seconds)
    except OSError:
        pass


def deferred_for(sock: socket.socket) -> int:
    """Seconds after which a silent client is accepted all the same; 0 if accepting is not deferred.

    0 as well for a socket that is none of TCP's.
    """
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT)
    except OSError:
        return 0


def silent_clients(port: int) -> bool:
    """Whether clients of a TCP port of ours have connected and are not accepted yet.

    Reads the kernel's tables (proc(5)), one line a connection of the machine. False where there
    are none.
    """
    end = b":%04X" % port
    for table in _TABLES:
        try:
            with open(table, "rb") as lines:
                for line in lines:
                    words = line.split(None, 4)
                    if len(words) > 3 and words[3] == _SYN_RECEIVED and words[1].endswith(end):
                        return True
        except OSError:
            continue
    return False
