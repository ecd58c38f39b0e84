"""A relay over real sockets, event by event: bounded in both directions, and ends in order."""

import contextlib
import fcntl
import socket
import struct
import tempfile
import termios
import unittest
from pathlib import Path

from OpenSSL import SSL

from stickyd.ipc.fd_queue import make_inbox, take_one
from stickyd.ipc.fd_sender import InboxSender
from stickyd.ipc.frame import decode
from stickyd.net.epoll import Poller
from stickyd.net.own_descriptors import OwnDescriptors
from stickyd.net.timeouts import Sweeper
from stickyd.tls.contexts import make_context
from stickyd.tls.handshake import Handshake
from stickyd.tls.relay import READ_MOST
from stickyd.tls.shared import Shared
from tests.support.authority import Authority
from tests.support.stepping import SteppingReactor
from tests.support.tls import client_context

PEER, LOCAL, LISTENER = ("192.0.2.1", 5), ("192.0.2.2", 443), 0x82
HEAD_TIMEOUT, SEND_TIMEOUT = 10.0, 60.0


class Ended(Exception):
    """The server has ended the connection; whether in order is its argument."""


class Side(unittest.TestCase):
    """A TLS process of which the test is the master, the worker and the client."""

    version = SSL.TLS1_3_VERSION

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="stickyd-test-")
        self.addCleanup(directory.cleanup)
        authority = Authority(directory.name)
        self.cafile = authority.cafile
        pair = tuple(Path(path).read_bytes() for path in authority.files("a", "localhost"))
        self.reactor = SteppingReactor()
        sender, self.gate = make_inbox()
        self.addCleanup(self.gate.close)
        self.addCleanup(sender.close)
        poller = Poller(self.reactor, OwnDescriptors())
        self.addCleanup(poller.close)
        self.sweeper = Sweeper(self.reactor)
        self.shared = Shared(
            self.reactor,
            poller,
            self.sweeper,
            InboxSender(self.reactor, sender),
            make_context([(pair[0], pair[1])]),
            HEAD_TIMEOUT,
            SEND_TIMEOUT,
            100,
            False,
        )

    def accept(self) -> SSL.Connection:
        """A connection that has just been accepted; the client's end."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            raw = socket.create_connection(listening.getsockname())
            accepted, _ = listening.accept()
        self.addCleanup(raw.close)
        accepted.setblocking(False)
        raw.setblocking(False)
        client = SSL.Connection(client_context(self.cafile, self.version), raw)
        client.set_tlsext_host_name(b"localhost")
        client.set_connect_state()
        Handshake(self.shared, accepted, PEER, LOCAL, LISTENER).begin()
        return client

    def settle(self) -> None:
        self.reactor.settle()

    def connect(self) -> tuple[SSL.Connection, socket.socket]:
        """The client's end of an established connection, and the worker's."""
        client = self.accept()
        for _ in range(9):
            try:
                client.do_handshake()
                break
            except SSL.WantReadError:
                self.settle()
        self.settle()
        taken = take_one(self.gate)
        assert taken is not None
        message, descriptor = taken
        frame = decode(message)
        self.assertEqual((frame.peer, frame.local, frame.listener), (PEER, LOCAL, LISTENER))
        worker = socket.socket(fileno=descriptor)
        self.addCleanup(worker.close)
        worker.setblocking(False)
        # The tickets of TLS 1.3.
        with contextlib.suppress(SSL.WantReadError):
            client.recv(1)
        return client, worker

    def received(self, client: SSL.Connection, most: int = 1 << 30) -> bytes:
        """What the client gets now; `Ended` if the connection ends, after all bytes."""
        parts: list[bytes] = []
        while sum(map(len, parts)) < most:
            self.settle()
            try:
                parts.append(client.recv(65536))
            except SSL.WantReadError:
                break
            except SSL.ZeroReturnError:
                raise Ended(b"".join(parts), True) from None
            except SSL.SysCallError:
                raise Ended(b"".join(parts), False) from None
        return b"".join(parts)

    def ended(self, client: SSL.Connection) -> tuple[bytes, bool]:
        with self.assertRaises(Ended) as raised:
            self.received(client)
        data, in_order = raised.exception.args
        return data, in_order

    def check_nothing_left(self) -> None:
        self.settle()
        self.assertEqual((self.shared.handshakes, self.shared.relays), (set(), set()))
        self.assertEqual(self.sweeper.members, set())


class Handshakes(Side):
    def test_silence_ends_at_the_deadline(self) -> None:
        client = self.accept()
        self.settle()
        self.reactor.advance(HEAD_TIMEOUT - 0.5)
        self.assertEqual(len(self.shared.handshakes), 1)
        # What arrives meanwhile does not extend it.
        with socket.socket(fileno=socket.dup(client.fileno())) as raw:
            raw.send(b"\x16\x03\x01")
        self.settle()
        self.reactor.advance(1)
        self.check_nothing_left()

    def test_a_client_that_is_gone(self) -> None:
        client = self.accept()
        with contextlib.suppress(SSL.WantReadError):
            client.do_handshake()
        client.sock_shutdown(socket.SHUT_RDWR)
        client.close()
        self.settle()
        self.check_nothing_left()

    def test_nothing_comes_through_before_the_end_of_the_handshake(self) -> None:
        self.accept()
        self.settle()
        self.assertIsNone(take_one(self.gate))


class Bytes(Side):
    def test_both_directions(self) -> None:
        client, worker = self.connect()
        client.send(b"ping")
        self.settle()
        self.assertEqual(worker.recv(99), b"ping")
        worker.send(b"pong")
        self.assertEqual(self.received(client), b"pong")

    def test_outwards_is_bounded(self) -> None:
        """Behind a client that does not read, the worker cannot write without end."""
        client, worker = self.connect()
        sent = 0
        data = bytes(range(256)) * 1024
        for _ in range(10_000):
            try:
                sent += worker.send(data[sent % 256 :])
            except BlockingIOError:
                before = self.taken(worker)
                self.settle()
                if self.taken(worker) == before:
                    break
        (relay,) = self.shared.relays
        held = len(relay._outwards)
        self.assertLessEqual(held, READ_MOST)
        got = b""
        while len(got) < sent:
            got += self.received(client)
        self.assertEqual(got, (data * (sent // len(data) + 2))[:sent])

    def taken(self, worker: socket.socket) -> int:
        """Bytes that the relay has not taken from the worker."""
        return struct.unpack("i", fcntl.ioctl(worker, termios.TIOCOUTQ, bytes(4)))[0]

    def test_inwards_is_bounded(self) -> None:
        client, worker = self.connect()
        sent, data = 0, b"x" * 16384
        for _ in range(10_000):
            try:
                sent += client.send(data)
            except SSL.WantWriteError:
                self.settle()
                try:
                    sent += client.send(data)
                except SSL.WantWriteError:
                    break
        (relay,) = self.shared.relays
        self.assertLessEqual(len(relay._inwards), 16384)
        got = 0
        while True:
            try:
                got += len(worker.recv(1 << 20))
            except BlockingIOError:
                self.settle()
                with contextlib.suppress(SSL.WantWriteError):
                    sent += client.send(data)
                if got >= sent - 16384:
                    break
        self.settle()
        with contextlib.suppress(BlockingIOError):
            while got < sent:
                got += len(worker.recv(1 << 20))
        self.assertEqual(got, sent)


class Ends(Side):
    def test_client_finishes_first(self) -> None:
        client, worker = self.connect()
        client.send(b"ask")
        client.shutdown()
        self.settle()
        self.assertEqual((worker.recv(99), worker.recv(99)), (b"ask", b""))
        worker.send(b"answer")
        worker.close()
        self.assertEqual(self.ended(client), (b"answer", True))
        client.close()
        self.check_nothing_left()

    def test_client_finishes_without_close_notify(self) -> None:
        client, worker = self.connect()
        client.send(b"ask")
        client.sock_shutdown(socket.SHUT_WR)
        self.settle()
        self.assertEqual((worker.recv(99), worker.recv(99)), (b"ask", b""))
        worker.send(b"answer")
        worker.close()
        self.assertEqual(self.ended(client), (b"answer", True))

    def test_worker_finishes_first(self) -> None:
        client, worker = self.connect()
        worker.send(b"answer")
        worker.shutdown(socket.SHUT_WR)
        self.assertEqual(self.ended(client), (b"answer", True))
        # So the worker need not wait for the client.
        self.assertEqual(worker.recv(1), b"")
        client.close()
        self.check_nothing_left()

    def test_worker_is_gone(self) -> None:
        client, worker = self.connect()
        worker.send(b"half an")
        worker.close()
        data, in_order = self.ended(client)
        self.assertIn(data, (b"half an", b""))
        self.assertFalse(in_order)
        self.check_nothing_left()

    def test_worker_finishes_and_leaves_before_a_slow_client_has_all(self) -> None:
        """That it is gone later does not make it a cut."""
        client, worker = self.connect()
        sent = self.fill(worker)
        worker.shutdown(socket.SHUT_WR)
        self.settle()
        worker.close()
        self.settle()
        data, in_order = self.ended(client)
        self.assertEqual((len(data), in_order), (sent, True))
        client.close()
        self.check_nothing_left()

    def fill(self, worker: socket.socket) -> int:
        """Write until no more is taken."""
        sent = 0
        while True:
            before = sent
            with contextlib.suppress(BlockingIOError):
                while True:
                    sent += worker.send(b"z" * 65536)
            self.settle()
            if sent == before:
                return sent

    def test_client_does_not_take_the_last_bytes(self) -> None:
        _, worker = self.connect()
        self.fill(worker)
        worker.shutdown(socket.SHUT_WR)
        self.settle()
        # A worker that is gone must not keep the relay busy meanwhile.
        worker.close()
        self.settle()
        self.reactor.advance(SEND_TIMEOUT - 1)
        self.assertEqual(len(self.shared.relays), 1)
        self.reactor.advance(2)
        self.check_nothing_left()

    def test_client_resets(self) -> None:
        client, worker = self.connect()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        self.check_nothing_left()
        self.assertEqual(worker.recv(9), b"")

    def test_garbage(self) -> None:
        """A record that nobody can read ends both sides."""
        client, worker = self.connect()
        raw = socket.socket(fileno=socket.dup(client.fileno()))
        with raw:
            raw.send(b"\x17\x03\x03\x00\x20" + bytes(32))
            self.settle()
        self.assertEqual(worker.recv(9), b"")
        self.check_nothing_left()


class EndsInTls12(Ends):
    version = SSL.TLS1_2_VERSION


class BytesInTls12(Bytes):
    version = SSL.TLS1_2_VERSION
