"""The affinity key of a request: the first source of a chain that yields one."""

from collections.abc import Callable

import attrs

from stickyd.routing.address import Missing, TrustedPeers, client_of_xff
from stickyd.wire.head import Head


@attrs.frozen
class Asked:
    """What a source may look at: the head, the peer's canonical address (None on a Unix socket)."""

    head: Head
    peer: str | None
    trusted: TrustedPeers


Look = Callable[[Asked], str | Missing]


@attrs.frozen
class Source:
    """One member of the chain: its text on the command line, and how it looks for a key."""

    text: str
    look: Look


@attrs.frozen
class Key:
    """An affinity key: the source that gave it, and its text."""

    source: str
    text: str


class AffinityError(ValueError):
    """An affinity chain that cannot be read; the text says what to change."""


def _xff(asked: Asked) -> str | Missing:
    values = asked.head.values(b"x-forwarded-for")
    if not values:
        return Missing("no X-Forwarded-For")
    if asked.peer not in asked.trusted:
        return Missing(f"peer {asked.peer} is not trusted")
    return client_of_xff(values, asked.trusted)


def _src(asked: Asked) -> str | Missing:
    return asked.peer if asked.peer is not None else Missing("a Unix socket has no address")


_PLAIN: dict[str, Look] = {"xff": _xff, "src": _src}


def parse_chain(spec: str) -> tuple[Source, ...]:
    """Read ``xff,src``.

    :raise AffinityError: for a source that is not known.
    """
    chain = []
    for text in (member.strip() for member in spec.split(",")):
        look = _PLAIN.get(text)
        if look is None:
            raise AffinityError(f"unknown source {text!r} (known: {', '.join(_PLAIN)})")
        chain.append(Source(text, look))
    return tuple(chain)


def find_key(chain: tuple[Source, ...], asked: Asked) -> Key | None:
    """The key of a request, or None if no source yields one."""
    for source in chain:
        found = source.look(asked)
        if not isinstance(found, Missing):
            return Key(source.text, found)
    return None
