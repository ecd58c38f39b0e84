"""What becomes of a connection whose worker is gone. Pure.

::

    the worker's last word   what the kernel knows                      verdict
    flying                   anything                                   LEAVE
    busy                     anything                                   RELEASE
    idle                     no TCP: it keeps no count of bytes         RETURN
    idle                     nothing read that was not noted
                               both sides open                          RETURN
                               client finished, unread bytes            RETURN
                               client finished, nothing unread          RELEASE
    idle                     bytes missing: read, and not noted         RELEASE
    idle                     closing, reset, or cannot be asked         RELEASE

*Busy* is noted before anything is read, so that the count of bytes only
confirms what the note says; a Unix socket has none, and the note must do.
"""

import enum

from stickyd.net.tcp_info import TcpInfo
from stickyd.shm.connection_table import BUSY, FREE, IDLE, TAKEN

ESTABLISHED, CLOSE_WAIT = 1, 8
"""States of a TCP connection (tcp_states.h): open, and the client has finished sending."""


class OrphanAction(enum.Enum):
    """What the master does about it."""

    RETURN = "put it into an inbox: the next request is another worker's"
    RELEASE = "end it: what the client is waiting for will not come"
    LEAVE = "it is in an inbox, or on its way there"


def verdict(state: int, taken: int, kernel: TcpInfo | None) -> OrphanAction:
    """What becomes of it.

    :param state: as the ledger has it.
    :param taken: bytes taken out of the socket when it was written, modulo 2**40.
    :param kernel: None for a socket that is not TCP.
    """
    if state in (FREE, BUSY):
        return OrphanAction.RELEASE
    if state != IDLE:
        return OrphanAction.LEAVE
    if kernel is None:
        return OrphanAction.RETURN
    finished = kernel.state == CLOSE_WAIT
    if not finished and kernel.state != ESTABLISHED:
        return OrphanAction.RELEASE
    if kernel.received - finished - kernel.unread & TAKEN != taken:
        return OrphanAction.RELEASE
    return OrphanAction.RELEASE if finished and not kernel.unread else OrphanAction.RETURN
