"""A connection that the compiled engine gives to a Python channel, at whatever point it is."""

from typing import Any, NamedTuple

from stickyd.ipc.frame import Frame
from stickyd.shm.connection_table import Entry
from stickyd.worker.connection.next_step import State
from stickyd.worker.interfaces import Exchange


class Given(NamedTuple):
    """What is to be known of it.

    :ivar interest: the events that the worker's poller watches it for; 0 for none.
    :ivar unread: bytes read and not served.
    :ivar scanned: how many of them have been looked at for the end of a head.
    :ivar logged: the line of the access log that the exchange will have.
    :ivar parts: written and not sent, ``size`` bytes.
    :ivar sent: bytes sent since the connection came.
    :ivar ending: no request may follow.
    :ivar source: of the key of the request (`stickyd.routing.source_numbers`).
    :ivar began: when it was given to the app; 0 if that is not measured.
    :ivar awaited: the first byte of the answer is not written yet.
    :ivar advancing: the engine is in the middle of a step, and will say `Channel.go_on_here`.
    """

    frame: Frame
    descriptor: int
    interest: int
    unread: bytes
    scanned: int
    exchange: Exchange | None
    logged: Any
    parts: list[Any]
    size: int
    sent: int
    entry: Entry | None
    state: State
    came_with: bool
    ending: bool
    advancing: bool
    deadline: float | None
    head_until: float | None
    source: int
    began: float
    awaited: bool
