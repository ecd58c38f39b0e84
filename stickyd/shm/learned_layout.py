"""Layout of the memory of learned ids, and which place of it an id may have. Pure.

Numbers are in the order of the machine; a word has 64 bits and is aligned. ::

    0       16  magic and layout version: "stickyd learned" and one byte, the version
    16       8  sets, 1 to 2**32 - 1
    24       8  ways: places of a set
    32       8  idle time, microseconds
    40      24  zero
    64      32  secret
    96    4000  zero
    4096        tag[set][way]     a word each
                mark[set][way]    a word each
                used[set][way]    a word each
                learned[set]      a word each: ids stored in the set so far
                evicted[set]      a word each: ids in use that were overwritten

Of an id only a keyed digest is stored; its numbers are little-endian. ::

    digest = BLAKE2b(id, digest 24 bytes, key = secret, person = "stickyd-learn-1")
    tag    = bytes 0-7, or 1 if they are 0
    check  = bytes 10-15
    first  = (bytes 16-19) * sets >> 32
    second = (first + 1 + ((bytes 20-23) * (sets - 1) >> 32)) mod sets

    mark   = check << 16 | slot
    used   = time of the last use, microseconds of CLOCK_MONOTONIC (clock_gettime(2))

A place whose tag is 0 is free. An id has a place if both its tag and its check stand
there: 112 bits, so that no two ids are taken for one. The secret is random, so clients
cannot choose ids that fall into one set.

An id may be in the first or the second of its sets, and goes into the one that has more room (Azar,
Broder, Karlin and Upfal, Balanced Allocations, 1994). With one choice, a table of 16 ways
overwrites one id of ten before it is full; with two the first one falls at nine tenths.
"""

from collections.abc import Sequence
from hashlib import blake2b
from struct import Struct
from typing import NamedTuple

VERSION = 1
SECRET_BYTES = 32
PERSON = b"stickyd-learn-1"
WAYS = 16
"""Places of a set; fewer if the whole table has fewer, up to 31 if it has fewer than 32."""

MOST_ENTRIES = 1 << 26
"""Most places of a table (1.5 GiB of address space)."""

SLOT_BITS = 16
SLOT_MASK = (1 << SLOT_BITS) - 1

ARRAYS_AT = 4096
"""Bytes before the first array."""

_MAGIC = b"stickyd learned"
_HEAD = Struct("=16sQQQ24x32s")
_DIGEST = Struct("<QQLL")


class Head(NamedTuple):
    """The beginning of the memory.

    :ivar sets: number of sets.
    :ivar ways: places of a set.
    :ivar idle: microseconds without use after which an id is not found.
    :ivar secret: key of the digests.
    """

    sets: int
    ways: int
    idle: int
    secret: bytes

    @property
    def places(self) -> int:
        """Number of ids that the table can hold."""
        return self.sets * self.ways

    @property
    def size(self) -> int:
        """Bytes of the whole memory."""
        return ARRAYS_AT + 8 * (3 * self.places + 2 * self.sets)

    def pack(self) -> bytes:
        """The bytes of the head."""
        magic = _MAGIC + bytes([VERSION])
        return _HEAD.pack(magic, self.sets, self.ways, self.idle, self.secret)


HEAD_BYTES = _HEAD.size


def head_for(entries: int, idle: float, secret: bytes) -> Head:
    """The head of a table of at most ``entries`` ids.

    :param idle: seconds.
    :raise ValueError: for numbers that no table can have.
    """
    if not 1 <= entries <= MOST_ENTRIES:
        raise ValueError(f"{entries} entries are not within 1 to {MOST_ENTRIES}")
    if not 0 < idle < 1e9:
        raise ValueError(f"an idle time of {idle} seconds is not within 0 to 10**9")
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"{len(secret)} bytes of secret where {SECRET_BYTES} are needed")
    sets = max(1, entries // WAYS)
    return Head(sets, entries // sets, max(1, round(idle * 1e6)), secret)


def read_head(data: bytes) -> Head:
    """The head at the beginning of a memory.

    :raise ValueError: if another version has written it, or no table is there.
    """
    if len(data) < HEAD_BYTES:
        raise ValueError("no table of learned ids: too short")
    magic, sets, ways, idle, secret = _HEAD.unpack_from(data)
    if magic[:-1] != _MAGIC:
        raise ValueError("no table of learned ids")
    if magic[-1] != VERSION:
        raise ValueError(f"table of learned ids: layout {magic[-1]}, this program has {VERSION}")
    return Head(sets, ways, idle, secret)


class Located(NamedTuple):
    """What a table stores of an id, and where.

    :ivar tag: not 0.
    :ivar mark: check, with slot 0.
    :ivar starts: index of the first place of each of its sets; one if the table has one set.
    """

    tag: int
    mark: int
    starts: tuple[int, ...]


class Digests:
    """Locates ids in one table."""

    def __init__(self, head: Head) -> None:
        self._sets = head.sets
        self._ways = head.ways
        self._keyed = blake2b(digest_size=_DIGEST.size, key=head.secret, person=PERSON)

    def locate(self, key: bytes) -> Located:
        """Tag, check and sets of an id."""
        keyed = self._keyed.copy()
        keyed.update(key)
        tag, mark, one, two = _DIGEST.unpack(keyed.digest())
        sets, ways = self._sets, self._ways
        first = one * sets >> 32
        starts: tuple[int, ...] = (first * ways,)
        if sets > 1:
            second = (first + 1 + (two * (sets - 1) >> 32)) % sets
            starts = first * ways, second * ways
        return Located(tag or 1, mark & ~SLOT_MASK, starts)


def vacant(tags: Sequence[int], used: Sequence[int], since: int) -> list[int]:
    """Indices of the places of a set that may be overwritten without loss.

    :param since: time before which an id is idle.
    """
    return [way for way, tag in enumerate(tags) if not tag or used[way] < since]
