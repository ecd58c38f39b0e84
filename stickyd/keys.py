"""For apps: session ids that route their client to the worker that created them.

Works the same under twisted.web, WSGI and ASGI, from any thread, and outside
stickyd too, where an id is plainly random. See docs/keys.md.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from os import urandom

from stickyd.routing.signed_keys import LENGTH, RANDOM_BYTES, make, secret_of

# Bound once, before the app is loaded; replaced as a whole, so threads see all or none.
_bound: tuple[int, bytes, Callable[[str], object]] | None = None


def bind(slot: int, seed: int, made: Callable[[str], object] = lambda key: None) -> None:
    """Set the slot of this process; called by the worker.

    :param made: called with each new key, in the thread that creates it.
    """
    global _bound
    _bound = slot, secret_of(seed), made


def slot() -> int:
    """The number of the slot this process serves, from 1; 0 outside a worker."""
    return _bound[0] if _bound is not None else 0


def new_key() -> str:
    """A new session id: 28 letters, digits, ``-`` and ``_``; 96 random bits.

    In a worker it names the slot; a replacement of the worker has the same slot.
    """
    if _bound is None:
        return urlsafe_b64encode(urandom(LENGTH * 3 // 4)).decode("ascii")
    number, secret, made = _bound
    key = make(number, urandom(RANDOM_BYTES), secret)
    made(key)
    return key
