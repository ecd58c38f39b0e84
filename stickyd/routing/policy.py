"""The placement decision that master and workers share: from head and peer to a slot."""

from collections.abc import Sequence
from typing import NamedTuple

import attrs

from stickyd.http1.head_parser import Head
from stickyd.http1.memo import Memo
from stickyd.routing.affinity import LEAST, find_key, parse_chain
from stickyd.routing.client_address import LINE_REMEMBERED
from stickyd.routing.issued_ids import INSERT, LEARNS
from stickyd.routing.rendezvous import SlotTable, StickySessionTable, Table
from stickyd.routing.source import Asked, Key, LearnedIds, Missed, Source
from stickyd.routing.trusted_peers import Missing, TrustedPeers, client_of_xff

_LINES_REMEMBERED = 16384

HASHES: dict[str, type[SlotTable] | type[StickySessionTable]] = {
    "rendezvous": SlotTable,
    "sticky-session": StickySessionTable,
}


class Placement(NamedTuple):
    """Where a request belongs, and why.

    :ivar slot: None if no source gave a key: any slot will do.
    :ivar by_load: the slot is that with the least load; the caller fills it in from the loads.
    :ivar missed: the sources that were asked before the one that decided.
    """

    slot: int | None
    key: Key | None
    by_load: bool = False
    missed: tuple[Missed, ...] = ()

    @property
    def reason(self) -> str:
        """The source that decided, as the counters name it."""
        if self.key is not None:
            return self.key.source
        return LEAST if self.by_load else "none"

    @property
    def why(self) -> str:
        """Why the sources before that one did not decide, in one line; "" if it is the first."""
        return "; ".join(f"{source}: {why}" for source, why in self.missed)


ANYWHERE = Placement(None, None)


@attrs.frozen
class Policy:
    """Affinity chain, trust and slot table; equal in every process of one daemon.

    :ivar learned: the ids that apps have handed out; None if the chain learns none.
    """

    chain: tuple[Source, ...]
    trusted: TrustedPeers
    table: Table
    learned: LearnedIds | None = attrs.field(default=None, eq=False, repr=False)
    forwarded_first: bool = attrs.field(init=False)
    """Whether the chain says that Forwarded is what the proxies write (`client.true_client`)."""

    _remembered: Memo[bytes, Placement] = attrs.field(
        init=False, factory=lambda: Memo(_LINES_REMEMBERED), eq=False, repr=False
    )
    """Placements by the line of X-Forwarded-For, where that alone decides."""

    @property
    def _by_xff(self) -> bool:
        return self.chain[0].text == "xff"

    @forwarded_first.default
    def _(self) -> bool:
        header = next((s.text for s in self.chain if s.text in ("forwarded", "xff")), "xff")
        return header == "forwarded"

    @classmethod
    def build(
        cls,
        affinity: str,
        trusted: str,
        hash_name: str,
        seed: int,
        slots: Sequence[int],
        version: int = 1,
        learned: LearnedIds | None = None,
    ) -> "Policy":
        """A policy from the texts of the command line."""
        table = HASHES[hash_name](seed, slots, version)
        return cls(parse_chain(affinity), TrustedPeers.parse(trusted), table, learned)

    @property
    def inserts(self) -> str | None:
        """The name of the cookie that the daemon sets, None if it sets none."""
        return next((source.name for source in self.chain if source.kind == INSERT), None)

    @property
    def learns(self) -> tuple[Source, ...]:
        """The sources whose ids are learned from answers."""
        return tuple(source for source in self.chain if source.kind in LEARNS)

    @property
    def by_load(self) -> bool:
        """Whether requests that no other source decides are placed by the load of the slots."""
        return self.chain[-1].kind == LEAST

    def with_slots(self, slots: Sequence[int], version: int) -> "Policy":
        """The same policy when other slots take part."""
        return attrs.evolve(self, table=type(self.table)(self.table.seed, slots, version))

    def place(self, head: Head, peer: str | None, subject: str | None = None) -> Placement:
        """The slot of a request that came from ``peer`` (canonical text, None for Unix).

        :param subject: of the client's certificate, None without one.
        """
        if not self._by_xff:
            return self._place(head, peer, subject)
        lines = head.values(b"x-forwarded-for")
        if len(lines) != 1 or len(lines[0]) > LINE_REMEMBERED or peer not in self.trusted:
            return self._place(head, peer, subject)
        found = self._remembered.get(lines[0])
        if found is None:
            client = client_of_xff(lines, self.trusted)
            if isinstance(client, Missing):
                return self._place(head, peer, subject)
            found = self._remembered.remember(lines[0], self._hashed(Key("xff", client)))
        return found

    def _place(self, head: Head, peer: str | None, subject: str | None) -> Placement:
        asked = Asked(head, peer, self.trusted, self.table, self.learned, subject)
        key, by_load, missed = find_key(self.chain, asked)
        if key is None:
            return Placement(None, None, by_load, missed)
        if key.slot is not None:
            return Placement(key.slot, key, False, missed)
        return self._hashed(key, missed)

    def _hashed(self, key: Key, missed: tuple[Missed, ...] = ()) -> Placement:
        slot = self.table.slot_of(key.text.encode("utf-8", "surrogateescape"))
        return Placement(slot, key, False, missed)
