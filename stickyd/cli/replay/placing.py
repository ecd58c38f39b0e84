"""From the client of a log to its slot, as the daemon decides. Pure."""

from hashlib import blake2b
from typing import NamedTuple

from stickyd.cli.replay.log_formats import Client
from stickyd.net.address import canonical, without_port
from stickyd.routing.policy import Policy
from stickyd.routing.rendezvous import SlotTable
from stickyd.routing.signed_keys import secret_of, slot_in
from stickyd.routing.trusted_peers import Missing, client_of_xff

_REST = 48
"""Bits of a digest behind the bucket (`SlotTable.digest_of`)."""


class Place(NamedTuple):
    """Where the requests of a key are served.

    :ivar fewer, more: the same with one slot less and one more; 0 if there is none.
    """

    slot: int
    fewer: int
    more: int


class Placing:
    """Places keys with N slots, N-1 and N+1."""

    def __init__(self, policy: Policy) -> None:
        slots = policy.table.slots
        self._policy = policy
        self._secret = secret_of(policy.table.seed)
        self._fewer = policy.with_slots(slots[:-1], 1).table if len(slots) > 1 else None
        self._more = policy.with_slots([*slots, len(slots) + 1], 1).table
        self._of_bucket: dict[int, Place] = {}

    def look(self, client: Client) -> tuple[str, Place, int]:
        """The key of a client, where its requests are served, and a digest of the key."""
        text, forwarded = client
        host = canonical(without_port(text))
        if host is None:
            return self._of_text(text)
        if forwarded:
            line = f"{forwarded}, {host}".encode("utf-8", "surrogateescape")
            found = client_of_xff([line], self._policy.trusted)
            host = host if isinstance(found, Missing) else found
        return host, *self._hashed(host.encode())

    def _of_text(self, key: str) -> tuple[str, Place, int]:
        place, digest = self._hashed(key.encode("utf-8", "surrogateescape"))
        declared = slot_in(key, self._secret)
        if declared is not None and declared in self._policy.table.slots:
            # The key names its slot; if that is removed, it is hashed.
            stays = self._fewer is not None and declared in self._fewer.slots
            place = Place(declared, declared if stays else place.fewer, declared)
        return key, place, digest

    def _hashed(self, data: bytes) -> tuple[Place, int]:
        table = self._policy.table
        if not isinstance(table, SlotTable):
            digest = int.from_bytes(blake2b(data, digest_size=8).digest(), "big")
            return self._by_tables(data), digest
        digest = table.digest_of(data)
        # All keys of a bucket go the same way.
        place = self._of_bucket.get(digest >> _REST)
        if place is None:
            place = self._of_bucket[digest >> _REST] = self._by_tables(data)
        return place, digest

    def _by_tables(self, data: bytes) -> Place:
        fewer = self._fewer.slot_of(data) if self._fewer is not None else 0
        return Place(self._policy.table.slot_of(data), fewer, self._more.slot_of(data))
