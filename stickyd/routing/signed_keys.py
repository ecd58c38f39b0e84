"""Keys that name their slot, created by the worker that serves the client.

A session id that an app creates in its first response does not hash to the slot
of that worker. So the key names the slot, and a tag prevents clients from
choosing a slot. No process stores the keys.

A key is 21 bytes as 28 characters of base64url (RFC 4648, 5), which both URLs
and cookies carry unchanged::

    slot, 2 bytes big-endian | 12 random bytes | tag, 7 bytes

    secret = BLAKE2b("", digest 32 bytes, key = seed as 16 bytes big-endian,
                     person = "stickyd-secret-1")
    tag    = BLAKE2b(slot | random, digest 7 bytes, key = secret, person = "stickyd-tag-1")

28 characters are a whole number of bytes: no two texts stand for the same key.
The slot comes first, so that a key of a slot below 1024 begins with ``A`` and
never with a dash, which command lines take for an option.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from hashlib import blake2b
from hmac import compare_digest

LENGTH = 28
RANDOM_BYTES = 12
TAG_PERSON = b"stickyd-tag-1"

_SLOT_BYTES = 2
_TAG_BYTES = 7
_TAG_AT = _SLOT_BYTES + RANDOM_BYTES
_TEXT = re.compile(r"[A-Za-z0-9_\-]{28}")


@lru_cache(maxsize=16)
def secret_of(seed: int) -> bytes:
    """The secret of the tags, derived from the seed; the seed cannot be derived from it."""
    key = seed.to_bytes(16, "big")
    return blake2b(digest_size=32, key=key, person=b"stickyd-secret-1").digest()


def _tag(payload: bytes, secret: bytes) -> bytes:
    return blake2b(payload, digest_size=_TAG_BYTES, key=secret, person=TAG_PERSON).digest()


def make(slot: int, random_bytes: bytes, secret: bytes) -> str:
    """A key of ``slot``: 28 letters, digits, ``-`` and ``_``.

    :param random_bytes: 12 unpredictable bytes; they make the key unique.
    :raise ValueError: for a slot outside 1 to 65535, or another number of bytes.
    """
    if not 1 <= slot <= 0xFFFF:
        raise ValueError(f"slot {slot} is not within 1 to 65535")
    if len(random_bytes) != RANDOM_BYTES:
        raise ValueError(f"{len(random_bytes)} random bytes where {RANDOM_BYTES} are needed")
    payload = slot.to_bytes(_SLOT_BYTES, "big") + random_bytes
    return urlsafe_b64encode(payload + _tag(payload, secret)).decode("ascii")


def slot_in(text: str, secret: bytes) -> int | None:
    """The slot a key carries, or None for any text that `make` did not make with ``secret``."""
    if len(text) != LENGTH or not _TEXT.fullmatch(text):
        return None
    data = urlsafe_b64decode(text)
    payload = data[:_TAG_AT]
    if not compare_digest(_tag(payload, secret), data[_TAG_AT:]):
        return None
    return int.from_bytes(payload[:_SLOT_BYTES], "big")
