"""The keys that a worker has served recently."""

from collections import OrderedDict, deque
from collections.abc import Collection

MOST = 65536
"""Keys remembered; the least recent are forgotten first."""


class KnownKeys:
    """The keys of one worker, each with the time of its last request.

    :ivar made: keys that the app has made (`stickyd.keys`), in any thread.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._keys: OrderedDict[str, float] = OrderedDict()
        self.made: deque[str] = deque(maxlen=most)

    def __len__(self) -> int:
        return len(self._keys)

    def note(self, key: str, now: float) -> None:
        """A request with this key is served here.

        :param now: in the reactor's seconds.
        """
        self._keys[key] = now
        self._keys.move_to_end(key)
        while len(self._keys) > self._most:
            self._keys.popitem(last=False)

    def take_made(self, now: float) -> None:
        """Remember the keys that the app has made since the last call."""
        while self.made:
            self.note(self.made.popleft(), now)

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def keys(self) -> list[str]:
        """The keys, the most recent one last."""
        return list(self._keys)

    def forget_idle(self, until: float, in_use: Collection[str]) -> None:
        """Forget the keys without a request since ``until``, in the reactor's seconds.

        :param in_use: keys of open connections, which count as used now.
        """
        old = []
        for key, used in self._keys.items():
            if used >= until:
                break
            old.append(key)
        for key in old:
            if key not in in_use:
                del self._keys[key]
