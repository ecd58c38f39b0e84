"""Entries of the stick table: placed keys and their slots, in one set of the table. Pure.

The table is set-associative: a key's hash names its set, and within the set any
of the ``WAYS`` entries may be the key's. All bits come from the one digest that
places the key (`stickyd.routing.rendezvous`), none twice::

    digest, 64 bits   bucket 16 | set 16, of which the low 12 count | tag 32
    entry,  64 bits   tag 32 | slot 16 | last seen 16

An entry of 0 is free, since slots are numbered from 1. Last seen is the time in
units of ``TICK`` seconds, modulo 2**16 (12 days). Two keys of one set with one
tag share an entry, with probability ``WAYS`` / 2**32: the second then stays with the
slot of the first.
"""

from collections.abc import Sequence

WAYS = 16
SETS = 4096
TICK = 16.0
"""Seconds: resolution of last seen, and least time between two writes for a key in use."""

_TICKS = 0xFFFF


def set_of(digest: int) -> int:
    """The set of a key, 0 to ``SETS - 1``."""
    return digest >> 32 & SETS - 1


def tag_of(digest: int) -> int:
    """The 32 bits that distinguish a key from others of its set."""
    return digest & 0xFFFFFFFF


def tick_of(seconds: float) -> int:
    """A time as entries store it."""
    return int(seconds / TICK) & _TICKS


def make_entry(tag: int, slot: int, tick: int) -> int:
    """An entry from its parts. Slots are 1 to 65535."""
    return tag << 32 | slot << 16 | tick


def slot_of(entry: int) -> int:
    """The slot of an entry."""
    return entry >> 16 & 0xFFFF


def age_of(entry: int, now: int) -> int:
    """Ticks since the entry was last seen."""
    return now - entry & _TICKS


def find(entries: Sequence[int], tag: int) -> int | None:
    """Index in the set of the key with this tag; None if it is not there."""
    for way, entry in enumerate(entries):
        if entry >> 32 == tag and entry:
            return way
    return None


def way_for(entries: Sequence[int], tag: int, now: int) -> int:
    """Index in the set for a new key: a free entry, else the least recently seen one.

    Among equally old ones the tag decides; otherwise a burst of new keys would keep
    evicting its own first members.
    """
    for way, entry in enumerate(entries):
        if not entry:
            return way
    ways = len(entries)
    return max(range(ways), key=lambda way: (age_of(entries[way], now), (way - tag) % ways))
