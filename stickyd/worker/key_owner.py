"""Which of a slot's workers serves a key while an older one drains.

After a reload the old worker continues to read the slot's inbox. It serves the keys in use: those
of a request under way, of a stream or of an upgraded connection. With ``--session-drain`` it serves
the keys that it has served recently, too. It puts all other connections into the private inbox of
its successor, which serves their keys from then on. The successor puts requests with keys that it
does not serve (on connections that it already has) into the slot's inbox. So each key has one
owner, and each worker decides by its own memory alone.
"""

from collections.abc import Callable
from typing import Protocol

from stickyd.ipc.fd_sender import InboxSender
from stickyd.worker.known_keys import KnownKeys


class KeyHolder(Protocol):
    """A connection, as far as it keeps keys at its worker.

    :ivar keys: of its last request, and those that its answer has handed out.
    """

    keys: tuple[str, ...]

    def in_use(self) -> bool:
        """Whether a request is under way, or the connection is upgraded."""

    def movable(self) -> bool:
        """Whether it is a WebSocket that its app hands over to another worker."""


class KeyOwner:
    """The keys that this worker serves while the slot has another worker.

    :param memory: the keys served recently, if an option needs them.
    :param keeps: while this worker drains it serves the keys in ``memory`` (``--session-drain``).
    :ivar tracks: the connections' keys are noted with every request.
    :ivar memory: as given.
    :ivar active: whether every request has to be placed: the slot has another worker, or
        ``tracks``.
    :ivar released: called when a request or an upgraded connection has ended, while it drains.
    :ivar draining: a successor serves the other keys.
    """

    def __init__(self, memory: KnownKeys | None = None, *, keeps: bool = False) -> None:
        self.memory = memory
        self.tracks = memory is not None
        self._keeps = keeps and memory is not None
        self._in_use: dict[str, set[KeyHolder]] = {}
        self._closed = False
        self.released: Callable[[], None] = lambda: None
        self._taken: KnownKeys | None = None
        self._successor: InboxSender | None = None
        self._predecessor: InboxSender | None = None
        self.active = self.tracks

    @property
    def alone(self) -> bool:
        """Whether no other worker serves this slot."""
        return self._successor is None and self._predecessor is None

    @property
    def draining(self) -> bool:
        """Whether a successor serves the keys that are not served here."""
        return self._successor is not None

    @property
    def successor(self) -> InboxSender | None:
        """The private inbox of the successor, while this worker drains."""
        return self._successor

    def bound(self) -> set[str]:
        """The keys in use by something that cannot be handed over."""
        return {
            key
            for key, holders in self._in_use.items()
            if any(key in each.keys and each.in_use() and not each.movable() for each in holders)
        }

    def remembers(self, key: str) -> bool:
        """Whether the key is served here because it was served recently, while this one drains."""
        return self._keeps and self.memory is not None and key in self.memory

    # ---- the other worker

    def follow(self, predecessor: InboxSender) -> None:
        """The predecessor keeps the keys in use there, until `take_over`.

        :param predecessor: the slot's inbox, which the predecessor reads.
        """
        self._predecessor = predecessor
        self._taken = KnownKeys()
        self.active = True

    def take_over(self) -> None:
        """The predecessor serves no key any more."""
        self._predecessor = self._taken = None
        self.active = self.tracks or self._successor is not None

    def lead(self, successor: InboxSender) -> None:
        """This worker drains: the successor takes the keys that are not served here.

        :param successor: its private inbox.
        """
        self._successor = successor
        self.active = True

    def release(self) -> None:
        """This worker retires: the other worker of the slot gets every key."""
        self._predecessor = self._successor = self._taken = None

    # ---- decision

    def other(self, key: str | None, now: float, *, came_with: bool) -> InboxSender | None:
        """The inbox of the other worker that serves the key; None if it is served here.

        Requests without a key belong to the newest worker.

        :param now: in the reactor's seconds.
        :param came_with: the request came with its connection: the sender has decided.
        """
        if self._successor is not None:
            if key is not None and (self._is_in_use(key) or self._keeps_known(key, now)):
                return None
            if self._predecessor is not None and key is not None and not came_with:
                return self._predecessor
            return self._successor
        taken = self._taken
        if taken is None or came_with or key is None or key in taken:
            return None
        return self._predecessor

    def _keeps_known(self, key: str, now: float) -> bool:
        if not self._keeps or self.memory is None:
            return False
        self.memory.take_made(now)
        return key in self.memory

    def serve(self, key: str | None, holder: KeyHolder, now: float) -> None:
        """A request with this key, or none, is served here, on the connection ``holder``."""
        holder.keys = ()
        if key is not None:
            self.issued(key, holder, now)

    def issued(self, key: str, holder: KeyHolder, now: float) -> None:
        """The answer to the request on ``holder`` hands out an id that is a key."""
        if not self.active:
            # Should this worker drain, `hold` gets them from the exchange.
            return
        holder.keys += (key,)
        for known in (self.memory, self._taken):
            if known is not None:
                known.note(key, now)
        if self._successor is not None:
            self.hold(holder)

    # ---- keys in use, while this worker drains

    def hold(self, holder: KeyHolder) -> None:
        """A connection has its keys in use: they stay here until that ends."""
        if not self._closed:
            for key in holder.keys:
                self._in_use.setdefault(key, set()).add(holder)

    def _is_in_use(self, key: str) -> bool:
        holders = self._in_use.get(key)
        if holders is None:
            return False
        for holder in list(holders):
            if key in holder.keys and holder.in_use():
                return True
            holders.discard(holder)
        del self._in_use[key]
        return False

    def close_keys(self) -> None:
        """From now on no key is in use: their connections are being closed."""
        self._closed = True
        self._in_use.clear()
        self._keeps = False

    def forget_memory(self) -> None:
        """The time for keys that are only remembered is over (``--session-drain``)."""
        self._keeps = False

    def serves_none(self) -> bool:
        """Whether no key is served here any more, while this worker drains."""
        if self._keeps and self.memory is not None and (len(self.memory) or self.memory.made):
            return False
        return not any(self._is_in_use(key) for key in list(self._in_use))
