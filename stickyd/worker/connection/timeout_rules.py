"""How long a connection may take for what it is waiting for. Pure.

::

    waiting for                       timeout              on expiry
    the client to take what was sent  send timeout, paced  abort
    the rest of a head                head timeout, fixed  408
    the next head                     keep-alive           close
    the rest of a body                body timeout, paced  408
    the app to take more of a body    none
    the app, client still there       none
    the app, client half-closed       half-close timeout   abort, the app is notified
    room in an inbox                  the inbox's own      503
    an upgraded connection            none                 (what the app sends: as above)

*Paced*: a minimum rate applies as well, since a client that sends a byte every few seconds is
never silent for the whole timeout; see `MinimumRate`.
"""

import enum

from stickyd.settings import Timeouts
from stickyd.worker.connection.next_step import State


class Overdue(enum.Enum):
    """What is done about a connection whose deadline has passed."""

    CLOSE = "close in order"
    ABORT = "abort"
    HEAD = "request head not complete in time"
    BODY = "request body not complete in time"


def timeout(
    state: State,
    timeouts: Timeouts,
    *,
    flushed: bool,
    begun_head: bool,
    client_done: bool,
    held: bool = False,
) -> float | None:
    """Seconds the connection may wait from now; None for ever.

    :param held: the app takes no more of the body for now.
    """
    if state in (State.ROOM, State.OVER):
        return None
    if not flushed:
        return timeouts.send
    if state is State.PINNED:
        return None
    if state is State.BODY:
        return None if held else timeouts.body
    if state is State.ANSWER:
        return timeouts.half_close if client_done else None
    return timeouts.head if begun_head else timeouts.keep_alive


def overdue(state: State, *, flushed: bool, begun_head: bool) -> Overdue:
    """What to do when the timeout has passed."""
    if not flushed or state is State.ANSWER:
        return Overdue.ABORT
    if state is State.BODY:
        return Overdue.BODY
    return Overdue.HEAD if begun_head else Overdue.CLOSE


class MinimumRate:
    """The deadline of a body or an answer in transfer, extended only by enough bytes.

    A window of the timeout's length begins with the transfer, and again whenever
    ``least_rate`` bytes a second for the whole window have been transferred. So a client that
    stalls, or falls below the rate, expires one timeout later, and a fast one never.

    :param least_rate: bytes a second; with 0 any byte will do.
    """

    __slots__ = ("_least_rate", "_mark", "_until", "_wait")

    def __init__(self, least_rate: int) -> None:
        self._least_rate = least_rate
        self._wait: State | None = None
        self._mark = 0
        self._until = 0.0

    def stop(self) -> None:
        """Nothing is in transfer; the next `deadline` begins a window."""
        self._wait = None

    def deadline(self, wait: State, now: float, moved: int, seconds: float) -> float:
        """The end of the window, in the seconds of ``now``.

        :param wait: BODY or ANSWER, what is in transfer; a change begins a window.
        :param now: in seconds.
        :param moved: bytes transferred since any fixed point in time.
        :param seconds: the timeout.
        """
        enough = max(1.0, self._least_rate * seconds)
        if self._wait is not wait or moved - self._mark >= enough:
            self._wait = wait
            self._mark = moved
            self._until = now + seconds
        return self._until
