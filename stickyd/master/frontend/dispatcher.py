"""From a head to the inbox of the slot it names."""

import attrs

from stickyd.http1.error_response import BUSY
from stickyd.http1.head_parser import Head
from stickyd.ipc.frame import Frame, Kind
from stickyd.master.frontend.pending import PendingHead
from stickyd.master.supervisor.guardian import Guardian
from stickyd.master.supervisor.slots import Slots
from stickyd.routing.policy import Policy
from stickyd.shm.load_balancer import LoadBalancer
from stickyd.stats import MasterCounters


@attrs.define
class Dispatcher:
    """Puts each arrival into an inbox within ``patience`` seconds, or refuses it.

    :ivar policy: replaced when other slots take part.
    :ivar balance: None if slots have no bound.
    :ivar guardian: keeps a copy of what is placed.
    """

    policy: Policy
    slots: Slots
    counters: MasterCounters
    patience: float
    balance: LoadBalancer | None = None
    guardian: Guardian | None = None

    def take_table(self) -> None:
        """Place among the slots that take part now."""
        self.policy = self.policy.with_slots(self.slots.taking_part(), self.slots.version)
        if self.balance is not None:
            self.balance.take_table(self.policy.table)

    def dispatch(self, arrival: PendingHead, head: Head) -> None:
        """Place an arrival whose head is complete."""
        placement = self.policy.place(head, arrival.peer[0] if arrival.peer else None)
        if self.balance is not None:
            placement = self.balance.place(placement, arrival.connection)
        # Without a key any slot will do; the connection's number spreads them evenly.
        numbers = self.policy.table.slots
        slot = placement.slot or numbers[arrival.connection % len(numbers)]
        try:
            local = arrival.local()
        except OSError:
            arrival.vanish()
            return
        entry = self._entry(arrival)
        message = Frame(
            Kind.PLACED,
            arrival.connection,
            arrival.peer,
            local,
            listener=arrival.index,
            head_left=arrival.head_left(),
            table=self.policy.table.version,
            unread=arrival.unread,
            entry=entry,
        ).encode()

        def done(sent: bool) -> None:
            if sent:
                self.counters.hand_off(slot, placement.reason)
                if entry and self.guardian is not None:
                    self.guardian.guard(entry, arrival.socket.detach(), message)
                else:
                    arrival.release()
            else:
                if self.guardian is not None:
                    self.guardian.give_up(entry)
                arrival.refuse(BUSY)

        self.slots[slot].outbox.put(message, arrival.fileno(), self.patience, done)

    def _entry(self, arrival: PendingHead) -> int:
        """Where the connection's state will be noted; 0 if it is not guarded."""
        if self.guardian is None:
            return 0
        taken = arrival.taken + len(arrival.unread)
        return self.guardian.allot(arrival.connection, arrival.fileno(), taken)
