"""The keys that a worker has served, and which of a slot's two workers serves a key.

With ``--session-drain`` an old worker continues to serve its known keys after a reload. It reads
the slot's inbox: a request with an unknown key goes into the private inbox of the new worker, which
serves it and knows the key from then on. The new worker sends requests with unknown keys (on
connections that it already has) into the slot's inbox. So each key has one owner, which decides by
its own memory alone.
"""

from collections import OrderedDict, deque

from stickyd.ipc.fd_sender import InboxSender

MOST = 65536
"""Keys remembered; the least recent are forgotten first."""


class KnownKeys:
    """The keys of one worker.

    :ivar made: keys that the app has made (`stickyd.keys`), in any thread.
    :ivar successor: the private inbox of the next worker, while this one drains.
    :ivar predecessor: the slot's inbox, while the previous worker reads it.
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
        """The keys, the most recent one last."""
        self._take_made()
        return list(self._keys)

    def _take_made(self) -> None:
        while self.made:
            self.note(self.made.popleft())

    def others(self, key: str | None, *, came_with: bool) -> bool:
        """Whether the other worker of this slot serves the key.

        Requests without a key belong to the new worker.
        """
        self._take_made()
        if self.successor is not None:
            return key is None or key not in self._keys
        if self.predecessor is not None:
            # The other worker has decided about what came with the connection.
            return not came_with and key is not None and key not in self._keys
        return False

    def other(self) -> InboxSender | None:
        """The inbox of the other worker."""
        return self.successor or self.predecessor
