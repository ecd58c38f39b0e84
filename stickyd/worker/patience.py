"""How long a connection may take for what it is waiting for. Pure.

::

    waiting for                       patience             when it is over
    the client to take what we wrote  send timeout         abort
    the rest of a head                head timeout, fixed  408
    the next head                     keep-alive           close
    the rest of a body                body timeout         408
    the app to take more of a body    none
    the app, client still there       none
    the app, client half-closed       half-close timeout   abort: the app hears of it
    room in an inbox                  the inbox's own      503
    an app that took it over          none
"""

import enum

from stickyd.settings import Settings
from stickyd.worker.gate import State


class Overdue(enum.Enum):
    """What is done about a connection whose deadline has passed."""

    CLOSE = "close in order"
    ABORT = "end at once"
    HEAD = "request head not complete in time"
    BODY = "request body not complete in time"


def patience(
    state: State,
    settings: Settings,
    *,
    flushed: bool,
    begun_head: bool,
    client_done: bool,
    held: bool = False,
) -> float | None:
    """Seconds the connection may wait from now; None without bound.

    :param held: the app takes no more of the body for now.
    """
    if state in (State.ROOM, State.PINNED, State.OVER):
        return None
    if not flushed:
        return settings.send_timeout
    if state is State.BODY:
        return None if held else settings.body_timeout
    if state is State.ANSWER:
        return settings.half_close_timeout if client_done else None
    return settings.head_timeout if begun_head else settings.keep_alive


def overdue(state: State, *, flushed: bool, begun_head: bool) -> Overdue:
    """What to do when that time is over."""
    if not flushed or state is State.ANSWER:
        return Overdue.ABORT
    if state is State.BODY:
        return Overdue.BODY
    return Overdue.HEAD if begun_head else Overdue.CLOSE
