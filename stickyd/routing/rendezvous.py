"""Which slot serves a key: rendezvous hashing over 65536 buckets.

Highest random weight (Thaler and Ravishankar, 1998) on keyed BLAKE2b (RFC
7693). A key falls into a bucket, a bucket belongs to the slot that weighs most
in it. With one slot more or fewer only the buckets that change owner move.
The constants are pinned by golden vectors in the tests and in docs/hash.md.
"""

from collections.abc import Sequence
from hashlib import blake2b

PERSON = b"stickyd-1"
BUCKETS = 65536


def hash_key(seed: int) -> bytes:
    """The key of the hash: 16 bytes."""
    return seed.to_bytes(16, "big")


class SlotTable:
    """The active slots, and the owner of each bucket.

    :param seed: 0 to 2**128 - 1; the same seed gives the same placement on any machine.
    :param slots: slot numbers, each once.
    :param version: counts the changes of the set of slots.
    """

    def __init__(self, seed: int, slots: Sequence[int], version: int = 1) -> None:
        if not slots:
            raise ValueError("a slot table needs a slot")
        self.seed = seed
        self.slots = tuple(slots)
        self.version = version
        self._keyed = blake2b(digest_size=8, key=hash_key(seed), person=PERSON)
        # In rising order: of two that weigh the same the lower number is first.
        self._suffixes = [(slot, slot.to_bytes(4, "big")) for slot in sorted(self.slots)]
        # Made and filled on demand: neither start nor request cost grows with the number of slots,
        # and where the compiled core places requests it takes no memory.
        self._owners: list[int | None] = []

    def _hash(self, data: bytes) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(data)
        return keyed.digest()

    def bucket_of(self, key: bytes) -> int:
        """The bucket of a key, 0 to 65535."""
        keyed = self._keyed.copy()
        keyed.update(key)
        digest = keyed.digest()
        return digest[0] << 8 | digest[1]

    def digest_of(self, key: bytes) -> int:
        """The whole hash of a key, 64 bits; its first 16 are the bucket."""
        return int.from_bytes(self._hash(key), "big")

    def weight(self, bucket: int, slot: int) -> int:
        """How much ``slot`` weighs in ``bucket``, 0 to 2**64 - 1."""
        digest = self._hash(bucket.to_bytes(2, "big") + slot.to_bytes(4, "big"))
        return int.from_bytes(digest, "big")

    def order(self, bucket: int) -> list[int]:
        """All slots, the owner of the bucket first, then who would own it without those before."""
        return sorted(self.slots, key=lambda slot: (-self.weight(bucket, slot), slot))

    def slot_of(self, key: bytes) -> int:
        """The slot that serves a key."""
        bucket = self.bucket_of(key)
        owners = self._owners
        if not owners:
            owners = self._owners = [None] * BUCKETS
        owner = owners[bucket]
        if owner is None:
            owner = owners[bucket] = self._owner_of(bucket)
        return owner

    def _owner_of(self, bucket: int) -> int:
        """The first of `order`, found with less: digests compare as the numbers they stand for."""
        copy, prefix = self._keyed.copy, bucket.to_bytes(2, "big")
        heaviest, owner = b"", 0
        for slot, suffix in self._suffixes:
            keyed = copy()
            keyed.update(prefix + suffix)
            digest = keyed.digest()
            if digest > heaviest:
                heaviest, owner = digest, slot
        return owner


class StickySessionTable:
    """The placement of the npm library sticky-session, to move over from it.

    Jenkins' one-at-a-time hash over the numbers of the address, in
    JavaScript's arithmetic: doubles that are reduced modulo 2**31, bitwise
    operations on signed 32 bits. Slot = hash modulo the number of slots.
    IPv4 addresses give the library's numbers, other keys are hashed byte by byte.
    """

    def __init__(self, seed: int, slots: Sequence[int], version: int = 1) -> None:
        if not slots:
            raise ValueError("a slot table needs a slot")
        self.seed = seed
        self.slots = tuple(slots)
        self.version = version

    def hash_of(self, key: bytes) -> int:
        """The 32-bit hash of a key."""
        numbers = key.split(b".")
        if len(numbers) == 4 and all(number.isdigit() for number in numbers):
            parts: Sequence[int] = [int(number) for number in numbers]
        else:
            parts = key
        total = self.seed
        for part in parts:
            total = _remainder(total + part)
            total = _remainder(total + _signed(total << 10))
            total = _signed(total ^ _signed(total) >> 6)
        total = _remainder(total + _signed(total << 3))
        total = _signed(total ^ _signed(total) >> 11)
        total = _remainder(total + _signed(total << 15))
        return total & 0xFFFFFFFF

    def slot_of(self, key: bytes) -> int:
        """The slot that serves a key."""
        return self.slots[self.hash_of(key) % len(self.slots)]


def _signed(number: int) -> int:
    """A number as JavaScript's bitwise operators see it: signed, 32 bits."""
    number &= 0xFFFFFFFF
    return number - 0x100000000 if number & 0x80000000 else number


def _remainder(number: int) -> int:
    """JavaScript's ``number % 2**31``: the sign of the dividend stays."""
    return number % 0x80000000 if number >= 0 else -(-number % 0x80000000)


Table = SlotTable | StickySessionTable
