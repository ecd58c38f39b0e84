"""The gate between two requests of one connection: stay, move or close. Pure.

Everything that decides where a connection goes next stands in this table::

    at the seam ...                                         step
    the last answer has been given (Connection: close)      CLOSE, whatever has arrived
    no whole head, the client has finished sending          CLOSE
    no whole head yet, the client may still send            WAIT
    the request came with the connection (placed or moved)  STAY
    the worker leaves the slot to another                   RETURN, whatever has arrived
    it names this slot, or none                             STAY
    it names another slot, the connection stays put         MISROUTE
    it names another slot                                   MOVE
    it belongs here, to this slot's other worker            PASS

A connection stays put in connection scope, as long as the slots are those it
was placed among. Whatever leaves waits until earlier answers are sent: FLUSH.
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
    PASS = "give the connection to the other worker of this slot"
    RETURN = "put the connection back, for the worker that comes after this one"
    CLOSE = "end the connection"


_LEAVES = frozenset({Step.MOVE, Step.PASS, Step.RETURN})


def without_head(*, ending: bool, client_done: bool, leaving: bool, flushed: bool) -> Step:
    """The step while no whole head has arrived."""
    if ending or client_done:
        return Step.CLOSE
    return _sent_first(Step.RETURN, flushed) if leaving else Step.WAIT


def with_head(
    *,
    came_with: bool,
    leaving: bool,
    moves: bool,
    own: int,
    named: int | None,
    others: bool,
    flushed: bool,
) -> Step:
    """The step for a request whose head is whole.

    :param came_with: this request arrived with the connection. It is served
        in this slot whatever the table says by now: otherwise a changing table
        could send it round for ever.
    :param leaving: this worker ends, and another takes connections after it.
    :param moves: the scope is request, or the slots have changed since the
        connection was placed.
    :param own: this slot.
    :param named: the slot of the request's key, None without a key.
    :param others: of this slot's two workers the other one serves the key.
    :param flushed: every byte of earlier answers is in the kernel.
    """
    if came_with:
        step = Step.STAY
    elif leaving:
        step = Step.RETURN
    elif named is None or named == own:
        step = Step.STAY
    else:
        step = Step.MOVE if moves else Step.MISROUTE
    if step is Step.STAY and others:
        step = Step.PASS
    return _sent_first(step, flushed)


def _sent_first(step: Step, flushed: bool) -> Step:
    return step if flushed or step not in _LEAVES else Step.FLUSH
