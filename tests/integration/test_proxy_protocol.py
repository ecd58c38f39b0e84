"""What the master makes of PROXY headers: the listener step by step, and the daemon."""

import os
import random
import socket
import tempfile
import time
import unittest
from collections.abc import Iterable
from itertools import count
from types import SimpleNamespace

from twisted.internet import defer

from stickyd.http1.limits import Limits
from stickyd.http1.proxy_protocol import (
    V2_REST_MOST,
)
from stickyd.master.frontend.admission import Admission
from stickyd.master.frontend.listener import Listener
from stickyd.master.frontend.pending import PendingHead
from stickyd.master.frontend.proxy_pending import ProxyRule
from stickyd.master.frontend.reception import Reception
from stickyd.master.supervisor.connection_limit import ConnectionLimit
from stickyd.net.timeouts import Sweeper
from stickyd.settings import RoutingSettings, Settings
from stickyd.stats import MasterCounters
from tests.integration.test_slow_clients import cpu_seconds
from tests.support.daemon import Daemon, Reader, read_all, request, splits, wait_for
from tests.support.stepping import SteppingReactor
from tests.unit.http1.test_proxy_protocol import (
    A4,
    A6,
    B4,
    B6,
    BAD,
    EXAMPLES,
    IN4,
    UNIX,
    End,
    binary,
    tlv,
    v1,
    v2,
)

# ---- the listener, step by step


class StepByStep(unittest.TestCase):
    """A listener whose time and events the test decides."""

    def setUp(self) -> None:
        self.reactor = SteppingReactor()
        sock = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(sock.close)
        sock.setblocking(False)
        self.where = sock.getsockname()
        self.placed: list[PendingHead] = []
        self.counters = MasterCounters()
        sweeper = Sweeper(self.reactor)
        self.places = ConnectionLimit(100)
        admission = Admission(self.reactor, sweeper, self.counters, self.places, 10, lambda _: None)
        self.addCleanup(admission.close)
        port = SimpleNamespace(socket=sock, stopReading=lambda: None, stopListening=sock.close)
        reception = Reception(
            self.reactor,
            count(1),
            lambda pending, head: self.placed.append(pending),
            Limits(),
            10.0,
            sweeper,
            self.counters,
            admission,
        )
        self.listener = Listener(reception, port, 0, ProxyRule.build("auto", "127.0.0.1"))
        self.listener.start()

    def connect(self) -> socket.socket:
        sock = socket.create_connection(self.where, 10)
        self.addCleanup(sock.close)
        return sock

    def send(self, sock: socket.socket, *pieces: bytes) -> None:
        for piece in pieces:
            sock.sendall(piece)
            self.reactor.settle()

    def test_no_byte_more_than_the_header_is_taken(self) -> None:
        for data in (v1(A4, B4), v2(A6, B6)):
            for pieces in ([data + PLAIN], [data, PLAIN], [data[:9], data[9:] + PLAIN]):
                self.send(self.connect(), *pieces)
                arrival = self.placed.pop()
                expected = (A4, B4) if data.startswith(b"PROXY") else (A6, B6)
                self.assertEqual((arrival.peer, arrival.local()), expected)
                self.assertEqual(arrival.unread, b"")
                self.assertEqual(arrival.socket.recv(9999), PLAIN)
                arrival.release()
        self.assertEqual(self.counters.accepted, 6)
        self.assertEqual(self.listener.waiting, set())

    def test_header_and_head_share_one_deadline(self) -> None:
        sock = self.connect()
        self.reactor.settle()
        self.reactor.advance(7)
        self.send(sock, v1(A4, B4)[:20], v1(A4, B4)[20:], PLAIN[:10])
        (arrival,) = self.listener.waiting
        self.assertEqual(arrival.deadline, 10.0)
        self.reactor.advance(3.25)
        self.assertEqual(self.counters.refused, {408: 1})
        self.assertTrue(sock.recv(9999).startswith(b"HTTP/1.1 408 "))
        sock.close()
        self.reactor.settle()

    def test_silence_behind_a_header_is_closed_without_an_answer(self) -> None:
        # The header is the proxy's; its client has sent nothing.
        sock = self.connect()
        self.send(sock, v1(A4, B4))
        self.reactor.advance(9.75)
        self.assertEqual(len(self.listener.waiting), 1)
        self.reactor.advance(0.5)
        self.assertEqual(self.listener.waiting, set())
        self.assertEqual(outcome(sock), b"")
        self.assertEqual(self.counters.refused, {})
        self.assertEqual(self.counters.silent, 1)
        self.assertEqual(self.places.open(), 0)

    def test_silence_is_cut_at_the_deadline(self) -> None:
        sock = self.connect()
        self.send(sock, b"PROXY TCP4")
        self.reactor.advance(9.75)
        self.assertEqual(len(self.listener.waiting), 1)
        self.reactor.advance(0.5)
        self.assertEqual(self.listener.waiting, set())
        self.assertEqual(outcome(sock), b"")
        self.assertEqual(self.counters.as_json()["refused"], {"proxy": 1})
        self.assertEqual(self.places.open(), 0)

    def test_a_stop_leaves_nothing(self) -> None:
        owing, begun = self.connect(), self.connect()
        self.send(owing, b"PROXY")
        self.send(begun, v1(A4, B4) + PLAIN[:10])
        stopped = defer.ensureDeferred(self.listener.stop(0))
        self.assertTrue(stopped.called)
        self.assertEqual(outcome(owing), b"")
        self.assertTrue(begun.recv(9999).startswith(b"HTTP/1.1 503 "))
        begun.close()
        self.reactor.settle()
        self.assertEqual((self.listener.waiting, self.reactor.readers), (set(), {}))
        self.assertEqual(self.places.open(), 0)

    def test_a_stop_that_waits(self) -> None:
        owing, begun, half, silent = (self.connect() for _ in range(4))
        self.send(owing, b"PROXY")
        self.send(begun, v1(A4, B4) + PLAIN[:10])
        self.send(half, v1(A4, B4) + PLAIN[:10])
        self.send(silent, v1(A4, B4))
        stopped = defer.ensureDeferred(self.listener.stop(1.0))
        self.send(owing, v1(A4, B4)[5:] + PLAIN)
        self.send(begun, PLAIN[10:])
        self.assertEqual(len(self.placed), 2)
        self.assertFalse(stopped.called)
        self.reactor.advance(1.0)
        self.assertTrue(stopped.called)
        self.assertTrue(half.recv(9999).startswith(b"HTTP/1.1 503 "))
        self.assertEqual(silent.recv(9999), b"")
        half.close()
        silent.close()
        self.reactor.settle()
        for arrival in self.placed:
            arrival.release()

    def test_a_stop_waits_no_longer_than_it_must(self) -> None:
        sock = self.connect()
        self.send(sock, v1(A4, B4) + PLAIN[:10])
        stopped = defer.ensureDeferred(self.listener.stop(1.0))
        self.send(sock, PLAIN[10:])
        self.assertTrue(stopped.called)
        self.placed.pop().release()


# ---- the daemon

WORKERS = 2
HEAD_TIMEOUT = 2.0
PROXY = "10.9.0.1"
"""A peer that PROXY headers name and whose forwarding headers count."""

OPTIONS = (
    *("--class", "stickyd_test_apps:Page", "--worker-header", "X-Stickyd-Worker"),
    *("--seed", "77", "--affinity", "xff,src", "--affinity-scope", "request"),
    *("--forwarded-allow-ips", "10.9.0.0/16", "--proxy-allow-from", "127.0.0.1"),
    # Longer than a client here waits: what is cut is cut for another reason.
    *("--head-timeout", "300"),
)
TABLE = Settings(workers=WORKERS, routing=RoutingSettings(seed=77)).policy().table
PLAIN = b"GET /secure HTTP/1.1\r\nHost: test\r\n\r\n"
LISTENER: End = ("203.0.113.1", 80)


def slot_of(host: str) -> int:
    return TABLE.slot_of(host.encode())


HOME = slot_of("127.0.0.1")
NO_ADDRESS = [
    b"PROXY UNKNOWN\r\n",
    b"PROXY UNKNOWN 192.0.2.1 192.0.2.2 1 2\r\n",
    binary(0x20, 0),
    binary(0x20, 0x11, IN4),
    binary(0x21, 0, b"rest"),
    binary(0x21, 0x31, UNIX),
]
"""Headers that leave the real ends of the connection as they are."""


def clients(count: int) -> list[End]:
    """Clients of both families, among them some of every slot."""
    chance = random.Random(3)
    found = []
    for at in range(count):
        host = f"192.0.2.{chance.randrange(256)}"
        if at % 2:
            host = f"2001:db8::{chance.randrange(1, 65536):x}"
        found.append((host, chance.randrange(1, 65536)))
    return found


def header(peer: End, version: int) -> bytes:
    local = ("2001:db8::1", 80) if ":" in peer[0] else LISTENER
    return (v1, v2)[version - 1](peer, local)


def outcome(sock: socket.socket) -> bytes:
    """What came until the end, which a reset is too."""
    data = b""
    try:
        while more := sock.recv(65536):
            data += more
    except ConnectionResetError:
        pass
    return data


class WithDaemon(unittest.TestCase):
    def answered(self, reader: Reader, slot: int, client: End) -> None:
        response = reader.response()
        self.assertEqual(int(response.headers["x-stickyd-worker"]), slot)
        self.assertEqual(response.body, f"False {client[0]} {client[1]}".encode())

    def served(self, daemon: Daemon, peer: End, pieces: Iterable[bytes]) -> None:
        """The pieces make a header and `PLAIN`; the answer names the header's peer."""
        with daemon.connect() as sock:
            for piece in pieces:
                sock.sendall(piece)
            self.answered(Reader(sock), slot_of(peer[0]), peer)

    def cut(self, sock: socket.socket) -> None:
        """The connection ends without a byte."""
        self.assertEqual(outcome(sock), b"")


class AllowedPeers(WithDaemon):
    def test_auto(self) -> None:
        with Daemon("--proxy-protocol", "auto", *OPTIONS, workers=WORKERS) as daemon:
            self.served(daemon, clients(1)[0], [header(clients(1)[0], 1), PLAIN])
            wait_for(lambda: daemon.report()["workers"]["open"] == 0)
            before = daemon.settled_descriptors()
            self.the_peer_decides_src(daemon)
            self.however_it_arrives(daemon)
            self.pipelined_and_moved(daemon)
            self.the_peer_of_the_header_is_the_one_that_is_trusted(daemon)
            self.real_peer(daemon)
            report = daemon.report()["master"]
            self.assertEqual(report["refused"], {})
            self.liars(daemon)
            self.a_part_costs_nothing(daemon)
            wait_for(lambda: daemon.report()["workers"]["open"] == 0, what="no open connection")
            wait_for(lambda: daemon.report()["master"]["open"] == 0, what="nothing waits")
            self.assertEqual(daemon.report()["workers"]["misrouted"], 0)
            wait_for(lambda: daemon.settled_descriptors() == before, what="as before")

    def the_peer_decides_src(self, daemon: Daemon) -> None:
        seen = set()
        for peer in clients(60):
            for version in (1, 2):
                self.served(daemon, peer, [header(peer, version) + PLAIN])
            seen.add(slot_of(peer[0]))
        self.assertEqual(seen, {1, 2})
        tlvs = tlv(2, b"a.example") + tlv(3, bytes(4)) + tlv(4, bytes(V2_REST_MOST - 35))
        self.served(daemon, clients(1)[0], [v2(clients(1)[0], LISTENER, tlvs) + PLAIN])

    def however_it_arrives(self, daemon: Daemon) -> None:
        chance = random.Random(5)
        for peer in clients(2):
            for version in (1, 2):
                data = header(peer, version)
                self.served(daemon, peer, [data, PLAIN])
                self.served(daemon, peer, [bytes([byte]) for byte in data + PLAIN])
                with daemon.connect() as sock:
                    for piece in (data[:9], data[9:], PLAIN[:9], PLAIN[9:]):
                        # So that the daemon has seen what there was; it says nothing of it.
                        time.sleep(0.03)
                        sock.sendall(piece)
                    self.answered(Reader(sock), slot_of(peer[0]), peer)
                for pieces in splits(data + PLAIN, 12, chance):
                    self.served(daemon, peer, pieces)

    def pipelined_and_moved(self, daemon: Daemon) -> None:
        """In request scope the peer of the header goes along from worker to worker."""
        keys = ["10.10.10.10", "10.10.12.11", "192.0.2.9", "192.0.2.77", "2001:db8::2"]
        slots = [slot_of(key) for key in keys]
        self.assertEqual(set(slots), {1, 2})
        for version in (1, 2):
            with daemon.connect() as sock:
                requests = b"".join(request(key) for key in keys)
                sock.sendall(header((PROXY, 4711), version) + requests)
                reader = Reader(sock)
                self.assertEqual([reader.response().worker for _ in keys], slots)
                sock.sendall(PLAIN + request(keys[0]) + PLAIN)
                self.answered(reader, slot_of(PROXY), (PROXY, 4711))
                self.assertEqual(reader.response().worker, slots[0])
                self.answered(reader, slot_of(PROXY), (PROXY, 4711))
        self.assertGreater(sum(daemon.report()["workers"]["moved"].values()), 0)

    def the_peer_of_the_header_is_the_one_that_is_trusted(self, daemon: Daemon) -> None:
        key = next(h for h in (f"10.1.0.{n}" for n in range(99)) if slot_of(h) != slot_of(PROXY))
        asked = request(key, "/secure")
        with daemon.connect() as sock:
            sock.sendall(header((PROXY, 1), 2) + asked)
            self.answered(Reader(sock), slot_of(key), (key, 0))
        # 127.0.0.1 may send the header, but what forwarding headers say behind it is not its word.
        other = next(p for p in clients(20) if slot_of(p[0]) != slot_of(key))
        with daemon.connect() as sock:
            sock.sendall(header(other, 2) + asked)
            self.answered(Reader(sock), slot_of(other[0]), other)

    def real_peer(self, daemon: Daemon) -> None:
        for data in NO_ADDRESS:
            with daemon.connect() as sock:
                sock.sendall(data + PLAIN)
                self.answered(Reader(sock), slot_of("127.0.0.1"), sock.getsockname())

    def liars(self, daemon: Daemon) -> None:
        bad = [data for data, expected in EXAMPLES.values() if expected == BAD]
        for data in bad:
            with daemon.connect() as sock:
                sock.sendall(data + PLAIN)
                self.cut(sock)
        # A valid header does not announce another one: that is a malformed request.
        with daemon.connect() as sock:
            sock.sendall(header(A4, 1) + header(A4, 2) + PLAIN)
            self.assertTrue(outcome(sock).startswith(b"HTTP/1.1 400 "))
        vanished = daemon.report()["master"]["vanished"]
        with daemon.connect() as sock:
            sock.sendall(header(A4, 2)[:20])
            sock.shutdown(socket.SHUT_WR)
            self.cut(sock)
        daemon.connect().close()
        wait_for(lambda: daemon.report()["master"]["vanished"] == vanished + 2, what="both gone")
        self.assertEqual(daemon.report()["master"]["refused"], {"400": 1, "proxy": len(bad)})

    def test_silence(self) -> None:
        options = ("--proxy-protocol", "auto", *OPTIONS, "--head-timeout", str(HEAD_TIMEOUT))
        with Daemon(*options, workers=WORKERS) as daemon:
            started = time.monotonic()
            parts = (b"", b"PROXY T", header(A4, 2)[:-1])
            waiting = [daemon.connect() for _ in parts]
            for sock, part in zip(waiting, parts, strict=True):
                sock.sendall(part)
            for sock in waiting:
                with sock:
                    self.cut(sock)
                    self.assertGreater(time.monotonic() - started, HEAD_TIMEOUT * 0.9)
            self.assertEqual(daemon.report()["master"]["refused"], {"proxy": len(parts)})
            # Behind a header the answer is the usual one.
            with daemon.connect() as sock:
                sock.sendall(header(A4, 1) + PLAIN[:10])
                self.assertTrue(outcome(sock).startswith(b"HTTP/1.1 408 "))

    def a_part_costs_nothing(self, daemon: Daemon) -> None:
        crowd = [daemon.connect() for _ in range(20)]
        for at, sock in enumerate(crowd):
            sock.sendall(header(A4, 1 + at % 2)[: at + 1])
        wait_for(lambda: daemon.report()["master"]["open"] == len(crowd))
        cpu = cpu_seconds(daemon.process.pid)
        time.sleep(1)  # what is measured is that nothing happens
        self.assertLess(cpu_seconds(daemon.process.pid) - cpu, 0.1)
        for sock in crowd:
            sock.close()


class OtherPeers(WithDaemon):
    def test_cut_at_once(self) -> None:
        with Daemon("--proxy-protocol", "v2", *OPTIONS, workers=WORKERS) as daemon:
            self.served(daemon, A4, [header(A4, 2), PLAIN])
            wait_for(lambda: daemon.report()["workers"]["open"] == 0)
            before = daemon.settled_descriptors()
            sent = [b"", PLAIN, header(A4, 1) + PLAIN, header(A4, 2) + PLAIN, header(A4, 2)[:5]]
            for data in sent:
                with daemon.connect("127.0.0.9") as sock:
                    try:
                        sock.sendall(data)
                    except (BrokenPipeError, ConnectionResetError):
                        continue
                    self.cut(sock)
            # The peer is allowed, but not this version of the header.
            with daemon.connect() as sock:
                sock.sendall(header(A4, 1) + PLAIN)
                self.cut(sock)
            self.served(daemon, A4, [header(A4, 2), PLAIN])
            report = daemon.report()["master"]
            self.assertEqual(report["refused"], {"proxy": len(sent) + 1})
            self.assertEqual(sum(n for by in report["handed_off"].values() for n in by.values()), 2)
            wait_for(lambda: daemon.report()["workers"]["open"] == 0)
            wait_for(lambda: daemon.settled_descriptors() == before, what="as before")

    def test_without_an_address_the_headers_are_the_proxy_s_word(self) -> None:
        """The real peer stays, and is asked whether its forwarding headers count."""
        key = next(h for h in (f"10.1.0.{n}" for n in range(99)) if slot_of(h) != HOME)
        for trusted in ("127.0.0.1", "10.9.0.0/16"):
            options = ("--proxy-protocol", "auto", *OPTIONS, "--forwarded-allow-ips", trusted)
            with Daemon(*options, workers=WORKERS) as daemon:
                for data in NO_ADDRESS:
                    with daemon.connect() as sock:
                        sock.sendall(data + request(key, "/secure") + PLAIN)
                        reader = Reader(sock)
                        if trusted == "127.0.0.1":
                            self.answered(reader, slot_of(key), (key, 0))
                        else:
                            self.answered(reader, HOME, sock.getsockname())
                        self.answered(reader, HOME, sock.getsockname())

    def test_off_is_off(self) -> None:
        with Daemon(*OPTIONS, workers=WORKERS) as daemon:
            for data in (header(A4, 1), header(A4, 2)):
                with daemon.connect() as sock:
                    sock.sendall(data + PLAIN)
                    self.assertTrue(outcome(sock).startswith(b"HTTP/1.1 400 "))
            with daemon.connect() as sock:
                sock.sendall(PLAIN)
                self.answered(Reader(sock), slot_of("127.0.0.1"), sock.getsockname())


class UnixListener(WithDaemon):
    def test_header_gives_it_addresses(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "listen")
            options = ("--proxy-protocol", "v1", *OPTIONS, "--proxy-allow-from", "unix")
            options += ("--forwarded-allow-ips", "10.9.0.0/16,unix")
            with Daemon(*options, workers=WORKERS, listen=f"unix:{path}") as daemon:
                for peer in clients(6):
                    with socket.socket(socket.AF_UNIX) as sock:
                        sock.settimeout(10)
                        sock.connect(path)
                        sock.sendall(header(peer, 1) + PLAIN)
                        self.answered(Reader(sock), slot_of(peer[0]), peer)
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.settimeout(10)
                    sock.connect(path)
                    # No address at all: the peer is the one that the lists call unix.
                    sock.sendall(b"PROXY UNKNOWN\r\n" + request(PROXY, "/hello"))
                    self.assertEqual(Reader(sock).response().worker, slot_of(PROXY))
                # A stop leaves nothing of a connection that still owes its header.
                waiting = socket.socket(socket.AF_UNIX)
                waiting.settimeout(10)
                waiting.connect(path)
                wait_for(lambda: daemon.report()["master"]["open"] == 1)
                daemon.stop()
                with waiting:
                    self.assertEqual(read_all(waiting), b"")
