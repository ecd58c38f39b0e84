"""A listening socket served by the compiled lane, and one by Python's listener, to compare."""

import gc
import os
import select
import socket
import tempfile
import unittest
import unittest.mock
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stickyd.core.native import Core
from stickyd.ipc.fd_queue import take_one
from stickyd.ipc.frame import Frame, decode
from stickyd.ipc.queue_clock import since
from stickyd.master.frontend.frontend import Frontend
from stickyd.master.frontend.listener import Listener
from stickyd.master.frontend.pending import PendingHead
from stickyd.master.supervisor.context import MasterContext
from stickyd.master.supervisor.slots import Slots
from stickyd.net.address import Address
from stickyd.settings import Limits, RoutingSettings, Settings, Timeouts
from stickyd.shm.connection_table import ConnectionTable
from stickyd.shm.copies import message_of
from tests.support.core_agreement import BUILT
from tests.support.stepping import SteppingReactor

PYTHON = Core(None, "for comparison")
UNTIL = 10.0
"""Seconds that an event of the kernel may take."""


def _link_local() -> str | None:
    """A link-local address of this machine with its zone; None if it has none."""
    try:
        lines = Path("/proc/net/if_inet6").read_text().split("\n")
    except OSError:
        return None
    for packed, _, _, scope, _, interface in map(str.split, filter(None, lines)):
        if scope == "20":
            return f"{socket.inet_ntop(socket.AF_INET6, bytes.fromhex(packed))}%{interface}"
    return None


LINK_LOCAL = _link_local()


def _without_zone(name: tuple[Any, ...]) -> Address:
    return name[0].partition("%")[0], name[1]


def request(client: str) -> bytes:
    return f"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\r\n".encode()


class Side:
    """A front over one listening socket, on one of the cores; what it does is told by `seen`."""

    def __init__(
        self,
        case: unittest.TestCase,
        core: Core,
        settings: Settings,
        where: str,
        entries: int | None,
        passed: bool,
    ) -> None:
        self.reactor = SteppingReactor()
        self.slots = Slots(self.reactor, settings.workers)
        table = ConnectionTable.create(entries) if entries is not None else None
        context = MasterContext.build(self.reactor, settings, self.slots, None, table, core)
        self.guardian, self.places = context.guardian, context.connection_limit
        self.counters = context.counters
        self.front = Frontend(context, lambda _: None)
        self.unix = where.startswith("/")
        if self.unix:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(where)
        else:
            # A zone stands in the third and fourth part of a name.
            family, _, _, _, name = socket.getaddrinfo(where, 0, type=socket.SOCK_STREAM)[0]
            self.socket = socket.create_server(name, family=family, dualstack_ipv6=where == "::")
        self.socket.setblocking(False)
        stop = self.socket.close
        port = SimpleNamespace(socket=self.socket, stopReading=lambda: None, stopListening=stop)
        with unittest.mock.patch(
            "stickyd.master.frontend.frontend.ends_with_us", return_value=not passed
        ):
            self.front.listen([port])
        self.listener: Listener = self.front._listeners[0]
        self.front.start()
        self.clients: list[socket.socket] = []
        self.numbers: dict[Address, int] = {}
        case.addCleanup(self.close)

    def close(self) -> None:
        if self.socket.fileno() < 0 and not self.clients:
            return
        for connection in list(self.listener.waiting):
            connection.end()
        for client in self.clients:
            client.close()
        self.clients.clear()
        self.reactor.settle()
        self.reactor.advance(60)
        self.front.close()
        if self.guardian is not None:
            self.guardian.close()
        self.slots.close()
        self.socket.close()

    def undeferred(self) -> "Side":
        """Accept clients that have sent nothing as well."""
        self.listener.defer_accept(0)
        return self

    def connect(self, data: bytes = b"", host: str = "") -> socket.socket:
        """A client that has sent ``data``."""
        client = socket.socket(self.socket.family)
        name = self.socket.getsockname()
        if not self.unix:
            host = host or {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name[0], name[0])
            name = (host, *name[1:])
        client.connect(name)
        if not self.unix:
            self.numbers[_without_zone(client.getsockname())] = len(self.clients)
        self.clients.append(client)
        client.sendall(data)
        return client

    def arrives(self, client: socket.socket) -> None:
        """Wait until there is something to do, and do it."""
        ready = list(self.reactor.readers.values())
        if not select.select(ready, [], [], UNTIL)[0]:
            raise AssertionError("nothing arrives")
        self.reactor.settle()

    def inboxes(self) -> dict[int, list[Frame]]:
        """What is in the inboxes, by slot; it is taken out."""
        found: dict[int, list[Frame]] = {slot.number: [] for slot in self.slots}
        for slot in self.slots:
            while (one := take_one(slot.receiver)) is not None:
                found[slot.number].append(decode(one[0]))
                os.close(one[1])
        return found

    def seen(self) -> dict[str, Any]:
        """Everything that must be the same on both sides; clients are numbered as they came."""
        guardian = self.guardian
        placed = {
            slot: [self._plain(frame) for frame in frames]
            for slot, frames in self.inboxes().items()
        }
        return {
            "placed": placed,
            "counters": self.counters.as_json(),
            "open": self.places.open(),
            "waiting": sorted(
                c.unread if isinstance(c, PendingHead) else b"" for c in self.listener.waiting
            ),
            "guarded": (
                {n: self._plain(decode(message_of(copy))) for n, copy in guardian._copies.items()}
                if guardian is not None
                else None
            ),
            "words": (
                {n: word for n, word in enumerate(guardian.table.words()) if word}
                if guardian is not None
                else None
            ),
        }

    def _plain(self, frame: Frame) -> Frame:
        peer, local = frame.peer, frame.local
        if peer is not None:
            peer = (peer[0], self.numbers[peer])
        if local is not None:
            assert local[1] == self.socket.getsockname()[1]
            local = (local[0], 0)
        # Each side has put it in at a time of its own.
        recent = 0 < since(frame.put_at) < 300 and frame.put_at > 0
        return frame._replace(peer=peer, local=local, put_at=int(recent))


@unittest.skipIf(BUILT.native is None, "the compiled core is not built")
class Beside(unittest.TestCase):
    """Each test does the same to both sides."""

    def setUp(self) -> None:
        gc.collect()
        before = set(os.listdir("/proc/self/fd"))

        def none_left() -> None:
            gc.collect()
            self.assertEqual(set(os.listdir("/proc/self/fd")), before)

        self.addCleanup(none_left)
        directory = tempfile.TemporaryDirectory(prefix="stickyd-test-")
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def side(
        self,
        core: Core,
        where: str = "127.0.0.1",
        entries: int | None = 200,
        passed: bool = False,
        **settings: Any,
    ) -> Side:
        if where == "unix":
            where = str(self.directory / f"socket{len(list(self.directory.iterdir()))}")
        workers = settings.pop("workers", 2)
        limits = Limits(connections=settings.pop("max_connections", 1000))
        timeouts = Timeouts(head=settings.pop("head_timeout", 10.0))
        chosen = Settings(
            workers, limits=limits, timeouts=timeouts, routing=RoutingSettings(**settings)
        )
        return Side(self, core, chosen, where, entries, passed)

    def sides(self, **options: Any) -> tuple[Side, Side]:
        return (
            self.side(BUILT, **options).undeferred(),
            self.side(PYTHON, **options),
        )

    def same(self, native: Side, python: Side) -> dict[str, Any]:
        expected = python.seen()
        self.assertEqual(native.seen(), expected)
        return expected

    def lane_accepted(self, side: Side) -> int:
        """Connections that Python has not seen."""
        counters = side.counters
        return sum(sum(by.values()) for by in counters.handed_off.values())
