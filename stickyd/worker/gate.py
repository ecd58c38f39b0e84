"""The gate between two requests of one connection: stay, move or close. Pure.

Everything that decides where a connection goes next stands in this table::

    at the seam ...                                         step
    the last answer has been given (Connection: close)      CLOSE, whatever has arrived
    no whole head yet, the client may still send            WAIT
    no whole head, the client has finished sending          CLOSE
    the request came with the connection (placed or moved)  STAY
    it names this slot, or none                             STAY
    it names another slot, scope is connection              MISROUTE
    it names another slot, the last answer is on its way    FLUSH
    it names another slot, everything is sent               MOVE
"""

import enum


class State(enum.Enum):
    """What a connection is waiting for."""

    HEAD = "a request head"
    BODY = "the rest of a request body"
    ANSWER = "the app's answer"
    ROOM = "room in another slot's inbox"
    PINNED = "nothing of ours: the app has taken the connection over"
    OVER = "nothing: it has moved or ended"


class Step(enum.Enum):
    """What happens to the connection next."""

    WAIT = "read on"
    STAY = "serve the request here"
    MISROUTE = "serve the request here, though it belongs elsewhere"
    FLUSH = "send what is written, then ask again"
    MOVE = "give the connection to the slot the request names"
    CLOSE = "end the connection"


def without_head(*, ending: bool, client_done: bool) -> Step:
    """The step while no whole head has arrived."""
    return Step.CLOSE if ending or client_done else Step.WAIT


def with_head(*, came_with: bool, moves: bool, own: int, named: int | None, flushed: bool) -> Step:
    """The step for a request whose head is whole.

    :param came_with: this request arrived with the connection. It is served
        here whatever the table says by now: otherwise a changing table could
        send it round for ever.
    :param moves: the scope is request.
    :param own: this slot.
    :param named: the slot of the request's key, None without a key.
    :param flushed: every byte of earlier answers is in the kernel.
    """
    if came_with or named is None or named == own:
        return Step.STAY
    if not moves:
        return Step.MISROUTE
    return Step.MOVE if flushed else Step.FLUSH
