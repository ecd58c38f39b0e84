"""Sources of ids that the daemon or the app has handed out: ``insert`` and ``learn``. Pure.

``insert(NAME)`` reads the cookie that the daemon itself sets, an id that carries its slot
(`stickyd.routing.signed_keys`). ``learn(hdr(NAME))`` and ``learn(cookie(NAME))`` look an id up
that an app has handed out. Either gives a key only if it names a slot of the table: an id of a
slot that is gone, like one that nobody knows, leaves the decision to the next source.
"""

from collections.abc import Callable

from stickyd.http1.cookie_header import cookies
from stickyd.http1.head_parser import Head
from stickyd.routing.extractors import header
from stickyd.routing.rendezvous import Table
from stickyd.routing.signed_keys import secret_of, slot_in
from stickyd.routing.source import Asked, Key, Source
from stickyd.routing.trusted_peers import Missing

COPIES_MOST = 4
"""Cookies of one name that are looked at: a client may send hundreds."""

LEARN_HEADER, LEARN_COOKIE = "learn_hdr", "learn_cookie"
LEARNS = frozenset({LEARN_HEADER, LEARN_COOKIE})
INSERT = "insert"


def declared_slot(text: str, table: Table | None) -> int | None:
    """The slot that ``text`` names, if it is one of the table."""
    slot = _any_slot(text, table)
    return slot if table is not None and slot in table.slots else None


def _any_slot(text: str, table: Table | None) -> int | None:
    return slot_in(text, secret_of(table.seed)) if table is not None else None


def text_of(value: bytes) -> str:
    """A value as text; bytes that are not UTF-8 become surrogates."""
    return value.decode("utf-8", "surrogateescape")


def insert(text: str, name: str) -> Source:
    """The cookie ``name`` that the daemon sets."""
    wanted = name.encode("ascii")

    def look(asked: Asked) -> Key | Missing:
        gone: int | None = None
        table = asked.table
        copies = cookies(asked.head, wanted)
        for value in copies[:COPIES_MOST]:
            slot = _any_slot(text_of(value), table)
            if table is not None and slot is not None:
                if slot in table.slots:
                    return Key(text, text_of(value), slot)
                gone = slot
        if gone is not None:
            return Missing(f"cookie {name} names slot {gone}, which is gone")
        return Missing(f"cookie {name} has no valid id" if copies else f"no cookie {name}")

    return Source(text, look, INSERT, name)


def learned_key(kind: str, name: str, value: bytes) -> bytes:
    """An id as the table of learned ids knows it: those of different names never meet.

    :param kind: of the source, ``learn_hdr`` or ``learn_cookie``.
    """
    return b"%b %b\0%b" % (kind.encode("ascii"), _folded(kind, name), value)


def _folded(kind: str, name: str) -> bytes:
    return (name.lower() if kind == LEARN_HEADER else name).encode("ascii")


def learn(text: str, kind: str, name: str) -> Source:
    """The header or cookie ``name`` that the app has handed out."""
    ids = _header_ids(name) if kind == LEARN_HEADER else _cookie_ids(name)

    def look(asked: Asked) -> Key | Missing:
        values = ids(asked.head)
        if isinstance(values, Missing):
            return values
        gone: int | None = None
        for value in values:
            shown = text_of(value)
            slot = declared_slot(shown, asked.table)
            if slot is None and asked.learned is not None:
                slot = asked.learned.slot_of(learned_key(kind, name, value))
            if asked.table is not None and slot is not None:
                if slot in asked.table.slots:
                    return Key(text, shown, slot)
                gone = slot
        if gone is not None:
            return Missing(f"the id in {name} was learned with slot {gone}, which is gone")
        return Missing(f"the id in {name} has not been learned")

    return Source(text, look, kind, name)


def _header_ids(name: str) -> Callable[[Head], list[bytes] | Missing]:
    def ids(head: Head) -> list[bytes] | Missing:
        value = header(head, name)
        if isinstance(value, Missing):
            return value
        return [value.encode("utf-8", "surrogateescape")]

    return ids


def _cookie_ids(name: str) -> Callable[[Head], list[bytes] | Missing]:
    wanted = name.encode("ascii")

    def ids(head: Head) -> list[bytes] | Missing:
        values = [value for value in cookies(head, wanted) if value]
        return values[:COPIES_MOST] if values else Missing(f"no cookie {name}")

    return ids
