"""From a complete head to the inbox of the slot that serves it."""

import attrs

from stickyd.http1.error_response import BUSY
from stickyd.http1.head_parser import Head
from stickyd.ipc import queue_clock
from stickyd.ipc.frame import Frame, Kind
from stickyd.ipc.over_tls import subject_of
from stickyd.master.frontend.hand_off import HandOff
from stickyd.master.frontend.pending import PendingHead
from stickyd.master.supervisor.slots import Slots
from stickyd.routing.policy import Policy
from stickyd.routing.source_numbers import OTHER, numbers_of
from stickyd.shm.load_balancer import LoadBalancer


@attrs.define(eq=False)
class Dispatcher:
    """Puts each connection into an inbox within ``patience`` seconds, or refuses it.

    :ivar policy: replaced when the slot table changes.
    :ivar balance: None if no decision depends on loads.
    :ivar sources: the number of each source, for frames.
    """

    policy: Policy
    slots: Slots
    hand_off: HandOff
    patience: float
    balance: LoadBalancer | None = None
    sources: dict[str, int] = attrs.field(init=False)

    @sources.default
    def _(self) -> dict[str, int]:
        return numbers_of(source.text for source in self.policy.chain)

    def update_slots(self) -> None:
        """Use the slot table that is valid now."""
        self.policy = self.policy.with_slots(self.slots.taking_part(), self.slots.version)
        if self.balance is not None:
            self.balance.take_table(self.policy.table)

    def dispatch(self, pending: PendingHead, head: Head) -> None:
        """Place a connection whose head is complete."""
        host = pending.peer[0] if pending.peer else None
        placement = self.policy.place(head, host, subject_of(pending.tls))
        if self.balance is not None:
            placement = self.balance.place(placement, pending.connection)
        # Without a key any slot will do; the connection id spreads them evenly.
        numbers = self.policy.table.slots
        slot = placement.slot or numbers[pending.connection % len(numbers)]
        try:
            local = pending.local()
        except OSError:
            pending.vanish()
            return
        entry = 0
        guardian = self.hand_off.guardian
        if guardian is not None:
            taken = pending.taken + len(pending.unread)
            entry = guardian.allot(pending.connection, pending.fileno(), taken)
        message = Frame(
            Kind.PLACED,
            pending.connection,
            pending.peer,
            local,
            listener=pending.index,
            head_left=pending.head_left(),
            table=self.policy.table.version,
            unread=pending.unread,
            entry=entry,
            source=self.sources.get(placement.reason, OTHER),
            tls=pending.tls,
            put_at=queue_clock.now(),
        ).encode()
        self.hand_off.put(
            self.slots[slot],
            message,
            pending.socket,
            entry,
            self.patience,
            placement.reason,
            pending.release,
            lambda: pending.refuse(BUSY),
        )
