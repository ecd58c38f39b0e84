"""What a source of the affinity chain is asked, and what it answers."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import attrs

from stickyd.http1.head_parser import Head
from stickyd.routing.rendezvous import Table
from stickyd.routing.trusted_peers import Missing, TrustedPeers


class LearnedIds(Protocol):
    """The ids that apps have handed out, with the slots that did."""

    def slot_of(self, key: bytes) -> int | None:
        """The slot that handed out an id last, None if it is not known.

        :param key: of `stickyd.routing.issued_ids.learned_key`.
        """


@attrs.define
class Asked:
    """The input of a source: the head, and the peer's canonical address (None on a Unix socket).

    Not frozen: that would triple its cost per request. Without a ``table`` no key
    names its slot; without ``learned`` no id has been learned.
    """

    head: Head
    peer: str | None
    trusted: TrustedPeers
    table: Table | None = None
    learned: LearnedIds | None = None
    subject: str | None = None


class Key(NamedTuple):
    """An affinity key: the source that gave it, and its text.

    ``slot`` is the slot that the key itself names: in its text
    (`stickyd.routing.signed_keys`), or in the table of learned ids. None if the text is
    to be hashed.
    """

    source: str
    text: str
    slot: int | None = None


@attrs.frozen
class ByLoad:
    """In place of a key: the slot with the least load."""


BY_LOAD = ByLoad()

Look = Callable[[Asked], Key | ByLoad | Missing]


@attrs.frozen
class Source:
    """One member of the chain.

    :ivar text: as on the command line.
    :ivar look: extracts the key.
    :ivar kind: ``cookie`` of ``cookie(NAME)``, ``learn_cookie`` of ``learn(cookie(NAME))``.
    :ivar name: its ``NAME``, empty if it takes none.
    """

    text: str
    look: Look
    kind: str
    name: str = ""


class Missed(NamedTuple):
    """A source that gave no key, and why."""

    source: str
    why: str


class Found(NamedTuple):
    """The answer of a chain.

    :ivar key: None if no source gave one.
    :ivar by_load: the last source is ``least``, and it decides.
    :ivar missed: the sources before the one that decided; all of them if none did.
    """

    key: Key | None
    by_load: bool
    missed: tuple[Missed, ...]


class AffinityError(ValueError):
    """An affinity chain that cannot be read; the text says what to change."""
