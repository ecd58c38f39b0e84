"""Ids in the answers of a worker: its own cookie (``insert``), and ids of the app (``learn``).

Every kind of app asks here, once for each request and once for each answer before its first byte.
"""

from collections.abc import Iterator, Sequence
from os import urandom
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from stickyd.http1.cookie_attributes import CookieAttributes
from stickyd.http1.cookie_header import set_cookie, without_cookie
from stickyd.http1.head_parser import Head
from stickyd.http1.response import Fields
from stickyd.ipc.frame import Frame
from stickyd.ipc.handover import Handed
from stickyd.routing.issued_ids import (
    INSERT,
    LEARN_HEADER,
    declared_slot,
    learned_key,
    text_of,
)
from stickyd.routing.policy import Policy
from stickyd.routing.signed_keys import RANDOM_BYTES, make, secret_of
from stickyd.routing.source import Asked, Key, Source
from stickyd.shm.shared_ids import SharedIds
from stickyd.stats import WorkerCounters
from stickyd.worker.connection.addresses import uses_tls
from stickyd.worker.key_owner import KeyHolder, KeyOwner

_ABOUT_CACHES = frozenset({b"cache-control", b"expires", b"pragma"})
_PRIVATE = b"Cache-Control: private\r\n"


class Routing(Protocol):
    """Where requests are served, at the moment."""

    policy: Policy
    keys: KeyOwner


class Timed(Protocol):
    """Of the context of a connection."""

    @property
    def reactor(self) -> IReactorTime:
        """Its clock."""


class Answering(KeyHolder, Protocol):
    """The connection on which a request is answered.

    :ivar handed: what a WebSocket has brought from another worker; None for any other connection.
    """

    frame: Frame
    handed: Handed | None

    @property
    def context(self) -> Timed:
        """Has the clock."""


class AnswerIds:
    """The ids in the answers of one worker.

    :param slot: of the worker.
    :param policy: its chain says what is set and learned.
    :param attributes: of the cookie that is set.
    :param learned: the table of learned ids; None in a worker that will not serve.
    """

    def __init__(
        self,
        slot: int,
        policy: Policy,
        attributes: str,
        counters: WorkerCounters,
        learned: SharedIds | None,
    ) -> None:
        self.slot = slot
        self.counters = counters
        self.attributes = CookieAttributes.parse(attributes)
        self._secret = secret_of(policy.table.seed)
        self._learned = learned
        self.inserts = next((s for s in policy.chain if s.kind == INSERT), None)
        self._learns = policy.learns

    @classmethod
    def of(
        cls,
        slot: int,
        policy: Policy,
        attributes: str,
        counters: WorkerCounters,
        learned: SharedIds | None,
    ) -> "AnswerIds | None":
        """As the constructor; None if the chain neither sets nor learns anything."""
        if policy.inserts is None and not policy.learns:
            return None
        return cls(slot, policy, attributes, counters, learned)

    def new_key(self) -> str:
        """An id that names this slot."""
        return make(self.slot, urandom(RANDOM_BYTES), self._secret)

    def learn(
        self, policy: Policy, fields: Sequence[tuple[bytes, Sequence[bytes]]]
    ) -> Iterator[str]:
        """Remember the ids that an answer hands out; each of them."""
        for source in self._learns:
            value = _handed_out(source, fields)
            if value is None:
                continue
            yield text_of(value)
            if self._learned is None or declared_slot(text_of(value), policy.table):
                # It carries its slot.
                continue
            key = learned_key(source.kind, source.name, value)
            self.counters.learned += self._learned.learn(key, self.slot)


class RequestIds:
    """The ids of one request and its answer.

    :param known: the request has a cookie of the daemon's that is valid; None to look for it.
    :ivar head: of the request as the app sees it: without the daemon's cookie.
    :ivar asked: as it came.
    :ivar issued: the ids that the answer hands out.
    """

    __slots__ = (
        *("_connection", "_ids", "_lines", "_routing", "_secure", "_wanted"),
        *("asked", "head", "issued"),
    )

    def __init__(
        self,
        ids: AnswerIds,
        routing: Routing,
        head: Head,
        connection: Answering,
        known: bool | None = None,
    ) -> None:
        self._ids = ids
        self._routing = routing
        self._connection = connection
        self._wanted = self._secure = False
        self._lines: bytes | None = None
        self.head = self.asked = head
        self.issued: list[str] = []
        source = ids.inserts
        if source is not None:
            if not known:
                policy, peer = routing.policy, connection.frame.peer_host
                asked = Asked(head, peer, policy.trusted, policy.table)
                self._wanted = not isinstance(source.look(asked), Key)
                self._secure = uses_tls(head, connection.frame, policy.trusted)
            self.head = without_cookie(head, source.name.encode("ascii"))

    def resume(self, keys: Sequence[str]) -> None:
        """The answer was sent by another worker (`stickyd.worker.handover`): hand out nothing.

        :param keys: of the request and of that answer.
        """
        self.issued = [*keys]
        self._lines = b""

    def lines(self, status: bytes, fields: Fields) -> bytes:
        """The lines to be added to the head of the answer, which hands out ids when it is sent.

        The first call decides: the engine asks before it knows that it can write the answer.

        :param status: its three digits.
        :param fields: the app's.
        """
        if self._lines is None:
            self._lines = self._lines_of(status, fields)
        return self._lines

    def _lines_of(self, status: bytes, fields: Fields) -> bytes:
        ids, routing = self._ids, self._routing
        if ids.slot not in routing.policy.table.slots:
            # The slot is being removed: whatever names it is of no use.
            return b""
        listed = list(fields)
        for key in ids.learn(routing.policy, listed):
            self._issued(key)
        source = ids.inserts
        if source is None or not self._wanted:
            return b""
        value = ids.new_key()
        self._issued(value)
        ids.counters.inserted += 1
        line = ids.attributes.line(source.name, value, secure=self._secure)
        if status == b"101" or any(name.lower() in _ABOUT_CACHES for name, _ in listed):
            return line
        return line + _PRIVATE

    def _issued(self, key: str) -> None:
        connection = self._connection
        self.issued.append(key)
        self._routing.keys.issued(key, connection, connection.context.reactor.seconds())


def _handed_out(source: Source, fields: Fields) -> bytes | None:
    """The id that an answer hands out under the name of a source, None if it has none."""
    name = source.name.encode("ascii")
    if source.kind == LEARN_HEADER:
        lines = [v for field, values in fields if field.lower() == name.lower() for v in values]
        # As of requests: of several lines none is certain.
        return lines[0].strip(b" \t") or None if len(lines) == 1 else None
    found = None
    for field, values in fields:
        if field.lower() == b"set-cookie":
            for value in values:
                # Of several the last one stays (RFC 6265, 5.3).
                found = set_cookie(value, name) or found
    return found
