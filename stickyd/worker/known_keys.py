"""The keys a worker knows, and with whom it shares its slot while one generation drains.

With ``--session-drain`` an old worker goes on serving the keys it knows after
a reload. It reads the slot's inbox: a request whose key it does not know goes
into the private inbox of the new worker, which serves it and knows it from
then on. The new worker sends what it does not know (on connections it already
has) into the slot's inbox. So each key has one owner, who alone decides by its
own memory, and nothing is copied.
"""

from collections import OrderedDict, deque

from stickyd.ipc.fd_sender import InboxSender

MOST = 65536
"""Keys remembered; those seen longest ago are forgotten first."""


class KnownKeys:
    """What one worker knows.

    :ivar made: keys that the app has made (`stickyd.keys`), from whatever thread.
    :ivar successor: leads to the worker that comes after this one, while we drain.
    :ivar predecessor: leads to the slot's inbox, while the worker before us reads it.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._keys: OrderedDict[str, None] = OrderedDict()
        self.made: deque[str] = deque(maxlen=most)
        self.successor: InboxSender | None = None
        self.predecessor: InboxSender | None = None

    def note(self, key: str) -> None:
        """A request with this key is served here."""
        self._keys[key] = None
        self._keys.move_to_end(key)
        while len(self._keys) > self._most:
            self._keys.popitem(last=False)

    def keys(self) -> list[str]:
        """The keys, the one seen last at the end."""
        self._take_made()
        return list(self._keys)

    def _take_made(self) -> None:
        while self.made:
            self.note(self.made.popleft())

    def others(self, key: str | None, *, came_with: bool) -> bool:
        """Whether the other worker of this slot serves the key.

        Requests without a key belong to the new worker, who keeps those it has.
        """
        self._take_made()
        if self.successor is not None:
            return key is None or key not in self._keys
        if self.predecessor is not None:
            # What came with the connection has been decided by the other one.
            return not came_with and key is not None and key not in self._keys
        return False

    def other(self) -> InboxSender | None:
        """The way to the other worker."""
        return self.successor or self.predecessor
