"""Moves the connections that wait in, or for, an unserved slot's inbox to other slots."""

import os
from itertools import cycle

from twisted.logger import Logger

from stickyd.ipc.fd_queue import take_one
from stickyd.ipc.frame import FrameError, Kind, decode, entry_of
from stickyd.master.supervisor.connection_limit import ConnectionLimit
from stickyd.master.supervisor.guardian import Guardian
from stickyd.master.supervisor.slots import Slot
from stickyd.shm.scoreboard import Scoreboard

_log = Logger("stickyd")


def requeue(
    slot: Slot,
    others: list[Slot],
    patience: float,
    limit: ConnectionLimit,
    guardian: Guardian | None,
    board: Scoreboard | None,
) -> None:
    """Empty an inbox into those of ``others``, in turn.

    A connection travels as `Kind.RETURNED`: the receiver places its next request by
    the current slot table. A WebSocket (`Kind.HANDED`) has no next request, and is the receiver's.

    :param patience: seconds that a connection may wait for room in another inbox.
    :param board: counts what is taken out; None if no decision depends on loads.
    """

    def ended(entry: int) -> None:
        if entry and guardian is not None:
            guardian.give_up(entry)
        else:
            limit.give_back()

    targets = cycle(others)
    while True:
        taken = take_one(slot.receiver)
        if taken is None:
            # Connections that wait for room would end up in an inbox that is not read.
            waiting = slot.outbox.waiting()
            slot.outbox.retry_now()
            if slot.outbox.waiting() == waiting:
                return
            continue
        if board is not None:
            board.requeued(slot.number)
        message, descriptor = taken
        if descriptor < 0:
            _log.error("a connection was lost on its way: this process is out of descriptors")
            ended(entry_of(message))
            continue
        try:
            frame = decode(message)
            if frame.kind is not Kind.HANDED:
                frame = frame._replace(kind=Kind.RETURNED)
        except FrameError as error:
            _log.error("a message that is no frame: {error}", error=error)
            os.close(descriptor)
            ended(entry_of(message))
            continue
        # The receiver of a returned connection expects it non-blocking.
        os.set_blocking(descriptor, False)

        if guardian is not None:
            guardian.stays_in_transit(frame.entry)

        def close(sent: bool, descriptor: int = descriptor, entry: int = frame.entry) -> None:
            os.close(descriptor)
            if not sent:
                ended(entry)

        next(targets).outbox.put(frame.encode(), descriptor, patience, close)
