"""The compiled lane beside Python's listener: the same traffic, the same inboxes and counters."""

import gc
import os
import random
import resource
import select
import socket
import tempfile
import unittest
import unittest.mock
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet import defer

from stickyd.core.native import Core
from stickyd.ipc.fd_queue import take_one
from stickyd.ipc.frame import Frame, decode
from stickyd.master.frontend.frontend import Frontend
from stickyd.master.frontend.listener import Listener
from stickyd.master.frontend.pending import PendingHead
from stickyd.master.supervisor.context import MasterContext
from stickyd.master.supervisor.slots import Slots
from stickyd.net.address import Address
from stickyd.net.deferred_accept import deferred_for, period_within, silent_clients
from stickyd.settings import Limits, ProxySettings, RoutingSettings, Settings, Timeouts
from stickyd.shm.connection_states import IN_TRANSIT
from stickyd.shm.connection_table import ConnectionTable, state_of
from stickyd.shm.copies import descriptor_of, message_of
from tests.slow.fuzz_heads import mutate
from tests.support.core_agreement import BROWSER, BUILT, PLAIN
from tests.support.extent import examples
from tests.support.stepping import SteppingReactor

PYTHON = Core(None, "for comparison")
UNTIL = 10.0
"""Seconds that an event of the kernel may take."""

UNUSUAL = [
    b"",
    b"G",
    b"GET / HTTP/1.1\r\nHost: a\r\n",
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: unknown\r\n\r\n",
    b"GET /?sid=%41 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=1.2.3.4\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70000 + b"\r\n\r\n",
    b"no request at all\r\n\r\n",
]


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
        return frame._replace(peer=peer, local=local)


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


class Traffic(Beside):
    def test_everything_on_every_kind_of_socket(self) -> None:
        sent = [*PLAIN, *UNUSUAL, *(request(f"10.0.0.{n}") for n in range(20))]
        for where in ("127.0.0.1", "0.0.0.0", "::1", "::", "unix"):
            for entries in (None, 200):
                with self.subTest(where=where, entries=entries):
                    sides = self.sides(where=where, entries=entries)
                    for data in sent:
                        for side in sides:
                            side.arrives(side.connect(data))
                    told = self.same(*sides)
                    self.assertGreater(sum(map(len, told["placed"].values())), 25)
                    for side in sides:
                        side.close()

    def test_a_frame_names_the_listener(self) -> None:
        sides = self.sides()
        for side in sides:
            side.listener.index = 3
            if side.listener.lane is not None:
                side.front._lanes.equip(side.listener)
                side.undeferred()
            side.arrives(side.connect(request("10.0.0.1")))
        told = self.same(*sides)
        self.assertEqual([f.listener for frames in told["placed"].values() for f in frames], [3])

    def test_v4_clients_of_a_v6_socket(self) -> None:
        for native in (BUILT, PYTHON):
            side = self.side(native, where="::")
            with socket.create_connection(("127.0.0.1", side.socket.getsockname()[1])) as client:
                client.sendall(request("10.0.0.1"))
                side.arrives(client)
                (frame,) = (f for frames in side.inboxes().values() for f in frames)
                self.assertEqual(
                    (frame.peer, frame.local), (client.getsockname(), client.getpeername())
                )

    @unittest.skipIf(LINK_LOCAL is None, "no interface has a link-local address")
    def test_a_link_local_address(self) -> None:
        """Its zone is of this machine only: frames, keys and logs have the address without it."""
        assert LINK_LOCAL is not None
        address = LINK_LOCAL.partition("%")[0]
        sides = self.sides(where=LINK_LOCAL, trusted=address)
        sent = [*PLAIN, *UNUSUAL, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"]
        for data in sent:
            for side in sides:
                side.arrives(side.connect(data))
        told = self.same(*sides)
        frames = [frame for frames in told["placed"].values() for frame in frames]
        self.assertGreater(len(frames), len(PLAIN))
        ends = {(frame.peer[0], frame.local[0]) for frame in frames}
        self.assertEqual(ends, {(address, address)})
        self.assertEqual(
            [side.listener.own[0] for side in sides if side.listener.own], [address] * 2
        )

    def test_every_chain(self) -> None:
        keys = [
            b"GET /?sid=abc HTTP/1.1\r\nHost: a\r\nCookie: sid=xyz\r\nK: v\r\n\r\n",
            b"GET /chat/123/session/xhr HTTP/1.1\r\nHost: a\r\n\r\n",
        ]
        chains = ["xff,src", "xff", "hdr(k)", "cookie(sid),xff", "url_param(sid),src", "socketio"]
        chains += ["sockjs", "forwarded,xff,src"]
        for hash_name in ("rendezvous", "sticky-session"):
            for chain in chains:
                with self.subTest(chain=chain, hash=hash_name):
                    sides = self.sides(affinity=chain, hash=hash_name, workers=3)
                    for data in (*keys, *PLAIN, *UNUSUAL, BROWSER):
                        for side in sides:
                            side.arrives(side.connect(data))
                    self.same(*sides)
                    for side in sides:
                        side.close()

    def test_mutated_heads_in_batches(self) -> None:
        chance = random.Random(7)
        sides = self.sides(workers=5, max_connections=10_000, entries=10_000)
        for _ in range(examples(20)):
            batch = [mutate([*PLAIN, *UNUSUAL], chance) for _ in range(8)]
            for side in sides:
                for data in batch:
                    side.connect(data)
                side.arrives(side.clients[-1])
            self.same(*sides)

    def test_a_batch_of_one_key(self) -> None:
        """Those of one slot and one reason are counted together."""
        sides = self.sides(workers=3)
        for side in sides:
            for number in (1, 2, 1, 1, 3, 2):
                side.connect(request(f"10.0.0.{number}"))
            side.connect(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            side.arrives(side.clients[-1])
        self.same(*sides)
        self.assertEqual([self.lane_accepted(side) for side in sides], [7, 7])

    def test_what_is_placed_stays_in_the_socket(self) -> None:
        side = self.side(BUILT)
        client = side.connect(BROWSER + b"more")
        side.arrives(client)
        (taken,) = (one for slot in side.slots if (one := take_one(slot.receiver)) is not None)
        with socket.socket(fileno=taken[1]) as ours:
            self.assertEqual(ours.recv(9999), BROWSER + b"more")
            self.assertFalse(os.get_inheritable(ours.fileno()))
            ours.sendall(b"answer")
        self.assertEqual(client.recv(99), b"answer")

    def test_the_copy_goes_to_no_other_program_and_blocks_nobody(self) -> None:
        side = self.side(BUILT)
        side.arrives(side.connect(BROWSER))
        guardian = side.guardian
        assert guardian is not None
        (copy,) = map(descriptor_of, guardian._copies.values())
        self.assertEqual((os.get_inheritable(copy), os.get_blocking(copy)), (False, False))

    def test_a_client_that_is_gone(self) -> None:
        sides = self.sides()
        for side in sides:
            client = side.connect()
            client.shutdown(socket.SHUT_WR)
            side.arrives(client)
        self.assertEqual(self.same(*sides)["counters"]["vanished"], 1)

    def test_a_head_in_pieces(self) -> None:
        sides = self.sides()
        for side in sides:
            client = side.connect(BROWSER[:100])
            side.arrives(client)
            client.sendall(BROWSER[100:])
            side.arrives(client)
        told = self.same(*sides)
        self.assertEqual([f.unread for fs in told["placed"].values() for f in fs], [BROWSER])


class Bounds(Beside):
    def test_places(self) -> None:
        sides = self.sides(max_connections=5)
        for _ in range(9):
            for side in sides:
                side.arrives(side.connect(request("10.0.0.1")))
        told = self.same(*sides)
        self.assertEqual((told["counters"]["shed"], told["open"]), (4, 5))

    def test_places_that_become_free(self) -> None:
        sides = self.sides(max_connections=3)
        for round_ in range(4):
            for side in sides:
                guardian = side.guardian
                assert guardian is not None
                for _ in range(3):
                    side.arrives(side.connect(request(f"10.0.0.{round_}")))
                self.assertEqual(len(guardian), 3)
                worker = ConnectionTable(os.dup(guardian.table.descriptor), 1)
                for frames in side.inboxes().values():
                    for frame in frames:
                        worker.take(frame.entry, frame.connection, False).end()
                worker.close()
        told = self.same(*sides)
        self.assertEqual((told["counters"]["shed"], told["counters"]["accepted"]), (0, 12))

    def test_entries(self) -> None:
        sides = self.sides(entries=2)
        for _ in range(4):
            for side in sides:
                side.arrives(side.connect(request("10.0.0.1")))
        told = self.same(*sides)
        self.assertEqual(len(told["guarded"]), 2)
        frames = [frame for frames in told["placed"].values() for frame in frames]
        self.assertEqual([frame.entry for frame in frames], [1, 2, 0, 0])

    def test_entries_are_used_again_in_the_same_order(self) -> None:
        sides = self.sides(entries=100)
        chance = random.Random(3)
        for _ in range(12):
            ends = [chance.random() < 0.6 for _ in range(6)]
            for side in sides:
                guardian = side.guardian
                assert guardian is not None
                for _ in range(6):
                    side.arrives(side.connect(request("10.0.0.1")))
                worker = ConnectionTable(os.dup(guardian.table.descriptor), 1)
                for frames in side.inboxes().values():
                    for frame, end in zip(frames, ends, strict=False):
                        entry = worker.take(frame.entry, frame.connection, False)
                        if end:
                            entry.end()
                worker.close()
                guardian.sweep()
            self.same(*sides)

    def test_an_entry_that_the_table_does_not_have(self) -> None:
        """Nothing is written beside the table, whatever the list of unused entries says."""
        side = self.side(BUILT)
        lane: Any = side.listener.lane
        lanes = BUILT.lanes
        assert lanes is not None
        for entries in (0, 1, 5):
            words, ids = (memoryview(bytearray(8 * 6)).cast("Q") for _ in range(2))
            table = (words[:entries], ids[:5], [5])
            limits = side.listener.reception.limits
            master = lanes.MasterLane(0, None, limits, table, 1 << 20)
            side.connect(request("10.0.0.1"))
            select.select([side.socket], [], [], UNTIL)
            route = lane._routes.current()
            verdict = master.accept(side.socket.fileno(), route, 1, count(1))
            self.assertEqual(verdict, lanes.UNUSUAL)
            os.close(master.descriptor)
            self.assertEqual((words.tolist(), ids.tolist()), ([0] * 6, [0] * 6))

    def test_one_call_accepts_no_more_than_a_batch(self) -> None:
        side = self.side(BUILT, workers=5)
        lane: Any = side.listener.lane
        guardian, lanes = side.guardian, BUILT.lanes
        assert guardian is not None
        assert lanes is not None
        guardian.table.stock(100)
        for number in range(66):
            side.connect(request(f"10.0.0.{number}"))
        select.select([side.socket], [], [], UNTIL)
        route, descriptor = lane._routes.current(), side.socket.fileno()
        for accepted, end in ((64, lanes.MORE_MAY_WAIT), (2, lanes.NOTHING_WAITS)):
            self.assertEqual(lane._lane.accept(descriptor, route, 1000, count(1)), end)
            self.assertEqual(lane._lane.accepted, accepted)
            self.assertEqual(sum(each[2] for each in lane._lane.placed), accepted)
            guardian.guard_all(lane._lane.copies)
        self.assertEqual(sum(map(len, side.inboxes().values())), 66)

    def test_words_say_in_transit(self) -> None:
        side = self.side(BUILT)
        side.arrives(side.connect(request("10.0.0.1")))
        guardian = side.guardian
        assert guardian is not None
        self.assertEqual(state_of(guardian.table.word(1)), IN_TRANSIT)

    def test_descriptors_that_are_not_guarded(self) -> None:
        for more, guarded in ((0, 0), (1, 1)):
            sides = self.sides()
            for side in sides:
                guardian = side.guardian
                assert guardian is not None
                client = side.connect(request("10.0.0.1"))
                # The number that accept4(2) gives next.
                lowest = os.dup(client.fileno())
                os.close(lowest)
                guardian.highest = lowest + more
                if side.listener.lane is not None:
                    # It has taken the brim when it was made.
                    side.front._lanes.equip(side.listener)
                side.arrives(client)
            self.assertEqual(len(self.same(*sides)["guarded"]), guarded)
            for side in sides:
                side.close()

    def test_full_inboxes(self) -> None:
        sides = self.sides()
        for side in sides:
            for slot in side.slots:
                slot.sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
            for _ in range(40):
                side.arrives(side.connect(request("10.0.0.1")))
            self.assertEqual([slot.outbox.waiting() > 0 for slot in side.slots].count(True), 1)
            guardian = side.guardian
            assert guardian is not None
            frames = [frame for frames in side.inboxes().values() for frame in frames]
            # There is room now, but others were before this one.
            side.arrives(side.connect(request("10.0.0.1")))
            self.assertEqual([f for frames in side.inboxes().values() for f in frames], [])
            while True:
                side.reactor.advance(0.01)
                more = [frame for frames in side.inboxes().values() for frame in frames]
                if not more:
                    break
                frames += more
            # In the order in which they came, no number twice.
            ports = [frame.peer[1] for frame in frames if frame.peer]
            self.assertEqual(ports, [client.getsockname()[1] for client in side.clients])
            self.assertEqual(len({frame.connection for frame in frames}), 41)
            self.assertEqual(len({frame.entry for frame in frames}), 41)
            self.assertEqual(len(guardian), 41)
        self.assertEqual(sides[0].counters.as_json(), sides[1].counters.as_json())

    def test_an_inbox_that_is_gone(self) -> None:
        sides = self.sides(workers=1)
        for side in sides:
            side.slots[1].receiver.shutdown(socket.SHUT_RDWR)
            client = side.connect(request("10.0.0.1"))
            side.arrives(client)
            client.settimeout(UNTIL)
            self.assertTrue(client.recv(99).startswith(b"HTTP/1.1 503 "))
        for side in sides:
            self.assertEqual(side.counters.refused, {503: 1})
            guardian = side.guardian
            assert guardian is not None
            self.assertEqual((len(guardian), side.places.open()), (0, 1))

    def test_no_descriptor_left(self) -> None:
        sides = self.sides(entries=None)
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        for side in sides:
            clients = [side.connect(request("10.0.0.1")) for _ in range(3)]
            most = max(map(int, os.listdir("/proc/self/fd")))
            fill = []
            while not fill or fill[-1] < most:
                fill.append(os.open(os.devnull, os.O_RDONLY))
            resource.setrlimit(resource.RLIMIT_NOFILE, (fill[-1] + 1, before[1]))
            try:
                side.reactor.readers[side.listener] = side.listener.fileno()
                side.listener.doRead()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, before)
                for descriptor in fill:
                    os.close(descriptor)
            for client in clients:
                client.settimeout(UNTIL)
                self.assertTrue(client.recv(99).startswith(b"HTTP/1.1 503 "))
            self.assertNotIn(side.listener, side.reactor.readers)
            side.reactor.advance(0.1)
            side.arrives(side.connect(request("10.0.0.1")))
        told = self.same(*sides)
        self.assertEqual((told["counters"]["shed"], told["counters"]["accepted"]), (3, 4))


class Tables(Beside):
    def test_another_table(self) -> None:
        sides = self.sides(workers=4)
        for out in ({2}, {1, 4}, set()):
            for side in sides:
                side.slots.out = set(out)
                side.slots.version += 1
                side.front.update_slots()
                for n in range(30):
                    side.arrives(side.connect(request(f"10.0.1.{n}")))
            told = self.same(*sides)
            self.assertEqual({n for n, frames in told["placed"].items() if not frames}, out)

    def test_a_slot_more(self) -> None:
        sides = self.sides(workers=1)
        for side in sides:
            side.slots.add()
            side.slots.version += 1
            side.front.update_slots()
            for n in range(30):
                side.arrives(side.connect(request(f"10.0.1.{n}")))
        self.assertTrue(all(self.same(*sides)["placed"].values()))

    def test_without_a_key_they_are_spread_in_the_order_of_the_table(self) -> None:
        sides = self.sides(workers=3, affinity="hdr(k)")
        for side in sides:
            for _ in range(9):
                side.arrives(side.connect(request("10.0.0.1")))
        told = self.same(*sides)
        self.assertEqual([len(frames) for frames in told["placed"].values()], [3, 3, 3])


class Which(Beside):
    """Who has a lane."""

    def test_those_whom_python_need_not_see(self) -> None:
        for options, expected in (
            ({}, True),
            ({"affinity": "forwarded,xff"}, True),
            ({"where": "unix"}, True),
            ({"proxy": ProxySettings("v1")}, False),
        ):
            side = self.side(BUILT, **options)
            self.assertEqual(side.listener.lane is not None, expected, options)
        self.assertIsNone(self.side(PYTHON).listener.lane)

    def test_python_sees_nothing_of_what_is_usual(self) -> None:
        side = self.side(BUILT)
        side.listener.take_in = self.fail  # type: ignore[assignment,method-assign]
        for data in PLAIN:
            side.arrives(side.connect(data))
        self.assertEqual(self.lane_accepted(side), len(PLAIN))
        lane: Any = side.listener.lane
        self.assertEqual((lane._lane.descriptor, lane._lane.peer, lane._lane.error), (-1, None, 0))


class Deferred(Beside):
    """TCP_DEFER_ACCEPT."""

    def test_period(self) -> None:
        periods = [period_within(t) for t in (0.1, 1.9, 2, 3.9, 4, 7.9, 8, 10, 16, 1e9)]
        self.assertEqual(periods, [0, 0, 1, 1, 3, 3, 7, 7, 15, 127])

    def test_which_sockets(self) -> None:
        for options, expected in (
            ({}, 7),
            ({"head_timeout": 2.0}, 1),
            ({"where": "::"}, 7),
            ({"where": "unix"}, 0),
            ({"passed": True}, 0),
            ({"proxy": ProxySettings("v1")}, 0),
        ):
            side = self.side(BUILT, **options)
            self.assertEqual(deferred_for(side.socket), expected, options)
        self.assertEqual(deferred_for(self.side(PYTHON).socket), 0)

    def test_a_silent_client_costs_nothing(self) -> None:
        side = self.side(BUILT)
        client = side.connect()
        self.assertEqual(side.reactor.ready(), [])
        self.assertTrue(silent_clients(side.socket.getsockname()[1]))
        self.assertEqual((side.places.open(), side.counters.accepted), (0, 0))
        client.sendall(BROWSER)
        side.arrives(client)
        self.assertFalse(silent_clients(side.socket.getsockname()[1]))
        self.assertEqual((side.places.open(), self.lane_accepted(side)), (1, 1))

    def test_it_is_accepted_after_the_period_with_the_rest_of_its_time(self) -> None:
        # The program before us may have run on the compiled core.
        for core in (BUILT, PYTHON):
            side = self.side(core, head_timeout=2.5)
            side.listener.defer_accept(1)
            side.arrives(side.connect())
            (waiting,) = side.listener.waiting
            self.assertEqual(waiting.deadline, 1.5)
            side.reactor.advance(1.5)
            side.reactor.advance(0.25)
            self.assertEqual(side.counters.silent, 1)

    def test_it_has_the_whole_time_once_it_has_begun(self) -> None:
        side = self.side(BUILT)
        side.arrives(side.connect(b"G"))
        (waiting,) = side.listener.waiting
        self.assertEqual(waiting.deadline, 10.0)

    def stop(self, side: Side) -> "defer.Deferred[None]":
        patcher = unittest.mock.patch("twisted.internet.task.deferLater", _later)
        patcher.start()
        self.addCleanup(patcher.stop)
        stopping = defer.ensureDeferred(side.front.stop(1.0))
        self.addCleanup(lambda: self.assertTrue(stopping.called))
        return stopping

    def test_a_stop_accepts_those_who_send_then(self) -> None:
        for core in (BUILT, PYTHON):
            side = self.side(core)
            side.listener.defer_accept(7)
            client = side.connect()
            stopping = self.stop(side)
            self.assertFalse(stopping.called)
            client.sendall(BROWSER)
            side.arrives(client)
            side.reactor.advance(0.1)
            self.assertTrue(stopping.called)
            self.assertEqual(self.lane_accepted(side), 1)

    def test_a_stop_does_not_wait_for_the_others(self) -> None:
        side = self.side(BUILT)
        side.connect()
        stopping = self.stop(side)
        for _ in range(11):
            self.assertFalse(stopping.called)
            side.reactor.advance(0.1)
        self.assertTrue(stopping.called)
        self.assertLess(side.socket.fileno(), 0)

    def test_a_stop_without_silent_clients_is_at_once(self) -> None:
        side = self.side(BUILT)
        side.arrives(side.connect(BROWSER))
        self.assertTrue(self.stop(side).called)


def _later(clock: Any, seconds: float) -> "defer.Deferred[None]":
    done: defer.Deferred[None] = defer.Deferred()
    clock.callLater(seconds, done.callback, None)
    return done
