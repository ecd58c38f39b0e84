"""Adds up where the requests of a log go. Pure; the memory it takes is bounded."""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping

from stickyd.cli.replay.distinct import DistinctCount
from stickyd.cli.replay.heavy_hitters import HeavyHitters
from stickyd.cli.replay.log_formats import Client, Entry
from stickyd.cli.replay.placing import Place, Placing

KEYS_REMEMBERED = 1 << 18
CONNECTIONS_REMEMBERED = 1 << 18


class Misroutes:
    """Requests that connection scope would serve on another slot than their key names.

    :ivar requests: those that have a connection.
    :ivar forgotten: connections dropped, the longest unused first, to bound memory: a request
        on one counts as its first.
    """

    def __init__(self, room: int = CONNECTIONS_REMEMBERED) -> None:
        self._slots: OrderedDict[str, int] = OrderedDict()
        self._room = room
        self.requests = self.misrouted = self.connections = self.forgotten = 0

    def add(self, connection: str, slot: int) -> None:
        """The next request on a connection belongs to ``slot``."""
        self.requests += 1
        home = self._slots.get(connection)
        if home is None:
            self.connections += 1
            self._slots[connection] = slot
            if len(self._slots) > self._room:
                self._slots.popitem(last=False)
                self.forgotten += 1
            return
        self._slots.move_to_end(connection)
        self.misrouted += home != slot


class Tally:
    """The sums.

    :ivar requests: by slot.
    :ivar clients: distinct keys by slot, while ``exact``.
    :ivar fewer, more: requests that one slot less, or one more, would move.
    :ivar fewer_clients, more_clients: the same of distinct keys, while ``exact``.
    :ivar exact: whether there were few enough keys to remember them all.
    :ivar elsewhere: requests that the log says another slot has served.
    :ivar logged: requests of which the log names the slot.
    """

    def __init__(self, placing: Placing, room: int = KEYS_REMEMBERED) -> None:
        self._placing = placing
        self._room = room
        self._looked: dict[Client, tuple[str, Place]] = {}
        self._known: set[str] = set()
        self._distinct = DistinctCount()
        self.hot = HeavyHitters()
        self.misroutes = Misroutes()
        self.requests: Counter[int] = Counter()
        self.clients: Counter[int] = Counter()
        self.total = self.fewer = self.more = 0
        self.fewer_clients = self.more_clients = 0
        self.exact = True
        self.logged = self.elsewhere = 0

    def add(self, counts: Mapping[Client, int]) -> int:
        """Add the requests of clients; how many there were."""
        keys: dict[str, int] = {}
        places: dict[Place, int] = {}
        for client, count in counts.items():
            key, place = self._looked.get(client) or self._look(client)
            keys[key] = keys.get(key, 0) + count
            places[place] = places.get(place, 0) + count
        for place, count in places.items():
            self.requests[place.slot] += count
            self.fewer += count if place.fewer != place.slot else 0
            self.more += count if place.more != place.slot else 0
        self.hot.add(keys)
        number = sum(counts.values())
        self.total += number
        return number

    def add_entries(self, entries: Iterable[Entry]) -> int:
        """As `add`, and look at connections and slots."""
        counts: dict[Client, int] = {}
        for client, connection, slot in entries:
            counts[client] = counts.get(client, 0) + 1
            place = (self._looked.get(client) or self._look(client))[1]
            if connection:
                self.misroutes.add(connection, place.slot)
            if slot:
                self.logged += 1
                self.elsewhere += slot != place.slot
        return self.add(counts)

    def _look(self, client: Client) -> tuple[str, Place]:
        key, place, digest = self._placing.look(client)
        if len(self._looked) >= self._room:
            self._looked.clear()
            self._known.clear()
            self.exact = False
        self._looked[client] = key, place
        self._distinct.add(digest)
        if self.exact and key not in self._known:
            self._known.add(key)
            self.clients[place.slot] += 1
            self.fewer_clients += place.fewer != place.slot
            self.more_clients += place.more != place.slot
        return key, place

    def distinct(self) -> int:
        """Distinct keys; an estimate unless ``exact``."""
        return self.clients.total() if self.exact else self._distinct.estimate()

    def slot_of(self, key: str) -> int:
        """The slot of a key."""
        return self._placing.look((key, ""))[1].slot
