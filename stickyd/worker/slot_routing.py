"""Where requests are served: the decision, and the routes to the other slots."""

import socket
from collections.abc import Callable

from stickyd.http1.head_parser import Head
from stickyd.routing.policy import Placement, Policy
from stickyd.routing.source_numbers import OTHER, numbers_of
from stickyd.worker.answer_ids import AnswerIds, Answering, RequestIds
from stickyd.worker.key_owner import KeyOwner
from stickyd.worker.slot_load import SlotLoad
from stickyd.worker.slot_senders import SlotSenders


class SlotRouting:
    """Places the requests of one worker.

    :ivar policy: decides over the slots that take part now.
    :ivar load: the load of the slots.
    :ivar senders: the sending ends of the slots' inboxes.
    :ivar keys: the keys that this worker serves while the slot has another one.
    :ivar ids: the ids in answers; None if the chain neither sets nor learns any.
    """

    def __init__(
        self,
        policy: Policy,
        load: SlotLoad,
        senders: SlotSenders,
        keys: KeyOwner,
        ids: AnswerIds | None = None,
    ) -> None:
        self.policy = policy
        self.load = load
        self.senders = senders
        self.keys = keys
        self.ids = ids
        self._sources = numbers_of(source.text for source in policy.chain)

    def place(self, head: Head, peer: str | None, subject: str | None = None) -> Placement:
        """The slot of a request on a connection that is here already.

        A request that ``least`` decides is placed by load only if it came from a trusted peer: a
        proxy's connection carries many clients, and which of them uses it says nothing. Any other
        connection has one client, who was placed with it and stays: slot None.
        """
        placement = self.policy.place(head, peer, subject)
        if placement.by_load and peer not in self.policy.trusted:
            return placement
        return self.load.place(placement)

    def request_ids(self, head: Head, connection: Answering) -> RequestIds | None:
        """The ids of a request that is served here, and of its answer; None as ``ids``."""
        if self.ids is None:
            return None
        made = RequestIds(self.ids, self, head, connection)
        if connection.handed is not None:
            made.resume(connection.handed.keys)
        return made

    def source_of(self, placement: Placement) -> int:
        """The number of the source of the key (`stickyd.routing.source_numbers`)."""
        return self._sources.get(placement.reason, OTHER)

    def update_slots(
        self,
        version: int,
        slots: list[int],
        added: dict[int, socket.socket],
        done: Callable[[], None],
    ) -> None:
        """The set of slots has changed; see `SlotSenders.update_slots`."""
        self.policy = self.policy.with_slots(slots, version)
        self.load.update_slots(self.policy.table)
        self.senders.update_slots(slots, added, done)

    # ---- two workers of one slot

    def follow(self) -> None:
        """The predecessor keeps the keys in use there, until `KeyOwner.take_over`."""
        self.keys.follow(self.senders.own())

    def lead(self, successor: socket.socket) -> None:
        """A successor takes the keys that are not served here.

        :param successor: the sending end of its private inbox.
        """
        self.keys.lead(self.senders.successor(successor))
