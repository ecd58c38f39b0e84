"""Heads, peers and signed keys for tests of affinity keys."""

from hypothesis import settings
from hypothesis import strategies as st

from stickyd.http1.head_parser import Head, read_head
from stickyd.http1.limits import Limits
from stickyd.routing.signed_keys import secret_of
from stickyd.routing.trusted_peers import Missing, TrustedPeers

OFTEN = settings(max_examples=80, deadline=None, derandomize=True)

PROXIES = TrustedPeers.parse("10.0.0.0/8, fd00::/8")

PROXY = "10.0.0.9"

CLIENT = "203.0.113.7"

NONE = None

SECRET = secret_of(7)

SLOTS = st.integers(1, 0xFFFF)

RANDOM = st.binary(min_size=12, max_size=12)

# Slot 3, the random bytes 0 to 11, seed 1.
GOLDEN = "AAMAAQIDBAUGBwgJCgs64NZFN4jy"

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def head_of(*lines: str, target: str = "/") -> Head:
    """A head with these header lines, as it comes from the wire."""
    text = "\r\n".join([f"GET {target} HTTP/1.1", "Host: a", *lines, "", ""])
    head = read_head(text.encode("latin-1"), Limits())
    assert isinstance(head, Head), head
    return head


def found(value: str | Missing) -> str | None:
    return None if isinstance(value, Missing) else value
