"""The affinity key of a request: the first source of a chain that yields one."""

import re
from collections.abc import Callable
from typing import NamedTuple

import attrs

from stickyd.http1.head_parser import Head
from stickyd.http1.token import is_token
from stickyd.routing.client_address import client_by_forwarded, client_by_xff
from stickyd.routing.extractors import cookie, header, sockjs_session, url_param
from stickyd.routing.rendezvous import Table
from stickyd.routing.signed_keys import secret_of, slot_in
from stickyd.routing.trusted_peers import Missing, TrustedPeers


@attrs.define
class Asked:
    """The input of a source: the head, and the peer's canonical address (None on a Unix socket).

    Not frozen: that would triple its cost per request. Without a ``table`` no key
    names its slot.
    """

    head: Head
    peer: str | None
    trusted: TrustedPeers
    table: Table | None = None


class Key(NamedTuple):
    """An affinity key: the source that gave it, and its text.

    ``slot`` is the slot that the text itself names (`stickyd.routing.signed_keys`);
    None if the text is to be hashed.
    """

    source: str
    text: str
    slot: int | None = None


Look = Callable[[Asked], Key | Missing]


@attrs.frozen
class Source:
    """One member of the chain.

    :ivar text: as on the command line.
    :ivar look: extracts the key.
    :ivar kind: ``cookie`` of ``cookie(NAME)``.
    :ivar name: its ``NAME``, empty if it takes none.
    """

    text: str
    look: Look
    kind: str
    name: str = ""


class AffinityError(ValueError):
    """An affinity chain that cannot be read; the text says what to change."""


def _xff(asked: Asked) -> Key | Missing:
    found = client_by_xff(asked.head, asked.peer, asked.trusted)
    return found if isinstance(found, Missing) else Key("xff", found)


def _forwarded(asked: Asked) -> Key | Missing:
    found = client_by_forwarded(asked.head, asked.peer, asked.trusted)
    return found if isinstance(found, Missing) else Key("forwarded", found)


def _src(asked: Asked) -> Key | Missing:
    peer = asked.peer
    return Key("src", peer) if peer is not None else Missing("a Unix socket has no address")


def _declared_slot(text: str, table: Table | None) -> int | None:
    """The slot that ``text`` names, if it is one of the table."""
    if table is None:
        return None
    slot = slot_in(text, secret_of(table.seed))
    return slot if slot in table.slots else None


def _by_value(
    text: str, read: Callable[[Head], str | Missing], kind: str, name: str = ""
) -> Source:
    def look(asked: Asked) -> Key | Missing:
        value = read(asked.head)
        if isinstance(value, Missing):
            return value
        return Key(text, value, _declared_slot(value, asked.table))

    return Source(text, look, kind, name)


def _socketio(asked: Asked) -> Key | Missing:
    sid = url_param(asked.head, "sid")
    if isinstance(sid, Missing):
        return sid
    slot = _declared_slot(sid, asked.table)
    if slot is None:
        return Missing("url parameter sid names no slot")
    return Key("socketio", sid, slot)


_MEMBER = re.compile(r"([^()]*)\(([^()]*)\)")
_PLAIN: dict[str, Source] = {
    "xff": Source("xff", _xff, "xff"),
    "forwarded": Source("forwarded", _forwarded, "forwarded"),
    "src": Source("src", _src, "src"),
    "socketio": Source("socketio", _socketio, "socketio"),
    "sockjs": _by_value("sockjs", sockjs_session, "sockjs"),
}
_NAMED: dict[str, Callable[[Head, str], str | Missing]] = {
    "hdr": header,
    "cookie": cookie,
    "url_param": url_param,
}
PRESETS = frozenset({"socketio", "sockjs"})
"""Sources that only some requests have: a chain that ends in one goes on with xff,src."""

_KNOWN = ", ".join([*_PLAIN, *(f"{kind}(NAME)" for kind in _NAMED)])


def _named(text: str, kind: str, name: str) -> Source:
    """``hdr(NAME)``, ``cookie(NAME)`` or ``url_param(NAME)``."""
    if kind in _PLAIN:
        raise AffinityError(f"{kind} takes no name, but is given one: {text!r}")
    if kind not in _NAMED:
        raise AffinityError(f"unknown source {text!r} (known: {_KNOWN})")
    if not name:
        raise AffinityError(f"empty name in {text!r}")
    if kind != "url_param" and not is_token(name):
        raise AffinityError(f"{name!r} in {text!r} is no name of a header or cookie")
    if kind == "url_param" and not name.isprintable():
        raise AffinityError(f"{name!r} in {text!r} is no name of a URL parameter")
    if kind == "hdr" and "_" in name:
        raise AffinityError(f"{text!r}: headers with an underscore in the name are dropped")
    read = _NAMED[kind]
    return _by_value(text, lambda head: read(head, name), kind, name)


def _source(text: str) -> Source:
    if not text:
        raise AffinityError(f"empty source (known: {_KNOWN})")
    if text in _PLAIN:
        return _PLAIN[text]
    match = _MEMBER.fullmatch(text)
    if match is not None:
        return _named(text, match[1].strip(), match[2].strip())
    kind = re.split(r"[()]", text, maxsplit=1)[0].strip()
    if "(" in text or ")" in text:
        raise AffinityError(f"missing or extra parenthesis in {text!r} (write cookie(NAME))")
    if kind in _NAMED:
        raise AffinityError(f"{kind} needs a name: {kind}(NAME)")
    raise AffinityError(f"unknown source {text!r} (known: {_KNOWN})")


def parse_chain(spec: str) -> tuple[Source, ...]:
    """Read ``cookie(sid),xff,src``; ``socketio`` alone is ``socketio,xff,src``.

    :raise AffinityError: for what is no source, with one line.
    """
    chain = [_source(text.strip()) for text in spec.split(",")]
    if chain[-1].text in PRESETS:
        texts = {source.text for source in chain}
        chain += [_PLAIN[text] for text in ("xff", "src") if text not in texts]
    return tuple(chain)


def find_key(chain: tuple[Source, ...], asked: Asked) -> Key | None:
    """The key of a request, or None if no source yields one."""
    for source in chain:
        found = source.look(asked)
        if not isinstance(found, Missing):
            return found
    return None
