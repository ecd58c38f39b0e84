"""Hands connections of the master off to slots, and accounts for the result."""

import socket
from collections.abc import Callable

import attrs

from stickyd.master.supervisor.guardian import Guardian
from stickyd.master.supervisor.slots import Slot
from stickyd.stats import MasterCounters


@attrs.frozen(eq=False)
class HandOff:
    """Puts connections that the master owns into inboxes.

    :ivar guardian: keeps a copy of each connection that has an entry; None for no copies.
    """

    counters: MasterCounters
    guardian: Guardian | None

    def put(
        self,
        slot: Slot,
        message: bytes,
        sock: socket.socket,
        entry: int,
        patience: float,
        reason: str,
        release: Callable[[], None],
        refuse: Callable[[], None],
    ) -> None:
        """Put a connection into a slot's inbox, within ``patience`` seconds.

        :param message: the connection's frame.
        :param entry: in the connection table; 0 if the connection is not guarded.
        :param reason: counted with the hand-off.
        :param release: closes ``sock`` when the inbox has the connection and no copy is kept.
        :param refuse: called when the inbox had no room in time.
        """
        counters, guardian = self.counters, self.guardian

        def done(sent: bool) -> None:
            if not sent:
                if guardian is not None:
                    guardian.give_up(entry)
                refuse()
                return
            counters.hand_off(slot.number, reason)
            if entry and guardian is not None:
                guardian.guard(entry, sock.detach(), message)
            else:
                release()

        slot.outbox.put(message, sock.fileno(), patience, done)
