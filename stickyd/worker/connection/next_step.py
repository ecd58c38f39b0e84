"""The decision between two requests of one connection: stay, move or close. Pure.

This table is all that decides where a connection goes next::

    between two requests ...                                step
    the last answer has been given (Connection: close)      CLOSE, whatever has arrived
    no whole head, the client has finished sending          CLOSE
    no whole head yet, the client may still send            WAIT
    the request came with the connection (placed or moved)  STAY
    the worker retires, and another one has the slot        RETURN, whatever has arrived
    it names this slot, or none                             STAY
    it names another slot, the connection stays             MISROUTE
    it names another slot                                   MOVE
    it belongs here, to this slot's other worker            PASS

A connection stays in its slot in connection scope, as long as the slots are those it was placed
among. A connection moves only when earlier answers are sent: FLUSH.
"""

import enum


class State(enum.Enum):
    """What a connection is waiting for."""

    HEAD = "a request head"
    BODY = "the rest of a request body"
    ANSWER = "the app's answer"
    ROOM = "room in another slot's inbox"
    PINNED = "nothing: the app has taken the connection over"
    OVER = "nothing: it has moved or ended"


IN_USE = frozenset({State.BODY, State.ANSWER, State.PINNED})
"""A request is under way, or the connection is upgraded."""


class Step(enum.Enum):
    """What happens to the connection next."""

    WAIT = "read on"
    STAY = "serve the request here"
    MISROUTE = "serve the request here, though it belongs elsewhere"
    FLUSH = "send what is written, then ask again"
    MOVE = "move the connection to the slot that the request names"
    PASS = "move the connection to the other worker of this slot"
    RETURN = "put the connection into an inbox, for a worker that does not retire"
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
        in this slot whatever the slot table is by now: otherwise a changing table
        could move it for ever.
    :param leaving: this worker retires, and another takes its connections.
    :param moves: the scope is request, or the slots have changed since the
        connection was placed.
    :param own: this slot.
    :param named: the slot of the request's key, None without a key.
    :param others: this slot has two workers, and the other one serves the key.
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
