"""What the master does with a connection whose worker has ended. Pure.

::

    state in the table       state of the TCP connection                action
    in transit               any                                        LEAVE
    busy                     any                                        RELEASE
    idle                     not TCP: no byte counts exist              RETURN
    idle                     no byte read that was not stored
                               both sides open                          RETURN
                               client finished, unread bytes            RETURN
                               client finished, nothing unread          RELEASE
    idle                     bytes missing: read, but not stored        RELEASE
    idle                     closing, reset, or unknown                 RELEASE

A worker stores *busy* before it reads, so the byte count only confirms the state. A
Unix socket has no byte count; there the state alone decides.
"""

import enum

from stickyd.net.tcp_info import TcpInfo
from stickyd.shm.connection_states import BUSY, FREE, IDLE
from stickyd.shm.connection_table import TAKEN

ESTABLISHED, CLOSE_WAIT = 1, 8
"""States of a TCP connection (tcp_states.h): open, and the client has finished sending."""


class OrphanAction(enum.Enum):
    """What the master does."""

    RETURN = "put it into an inbox: another worker serves the next request"
    RELEASE = "end it: the response that the client waits for will not come"
    LEAVE = "nothing: it is in an inbox, or on its way there"


def orphan_action(state: int, taken: int, kernel: TcpInfo | None) -> OrphanAction:
    """The action for one connection.

    :param state: in the connection table.
    :param taken: bytes read from the socket when that was stored, modulo 2**40.
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
