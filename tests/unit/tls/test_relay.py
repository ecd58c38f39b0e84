"""A relay over real sockets, event by event: bounded in both directions, and ends in order."""

import contextlib
import errno
import socket
import struct
import tempfile
import unittest
from collections.abc import Callable
from unittest import mock

from OpenSSL import SSL
from twisted.logger import capturedLogs

from stickyd.ipc.fd_queue import make_inbox, take_one
from stickyd.ipc.fd_sender import InboxSender
from stickyd.ipc.frame import decode
from stickyd.net.epoll import Poller
from stickyd.net.own_descriptors import OwnDescriptors
from stickyd.net.timeouts import Sweeper
from stickyd.tls.certificates import read_pair
from stickyd.tls.contexts import make_context
from stickyd.tls.handshake import Handshake
from stickyd.tls.relay import READ_MOST, RECORD
from stickyd.tls.shared import Bounds, Shared
from tests.support.authority import Authority
from tests.support.daemon import at_rest, wait_for
from tests.support.stepping import SteppingReactor
from tests.support.tls import client_context

PEER, LOCAL, LISTENER = ("192.0.2.1", 5), ("192.0.2.2", 443), 0x82
HEAD_TIMEOUT, SEND_TIMEOUT = 10.0, 60.0


class Side(unittest.TestCase):
    """A TLS process of which the test is the master, the worker and the client."""

    version = SSL.TLS1_3_VERSION

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="stickyd-test-")
        self.addCleanup(directory.cleanup)
        authority = Authority(directory.name)
        self.cafile = authority.cafile
        pair = read_pair(*authority.files("a", "localhost"))
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
            make_context([pair]),
            Bounds(HEAD_TIMEOUT, SEND_TIMEOUT, 100),
        )

        self.addCleanup(self._drop)

    def _drop(self) -> None:
        for each in [*self.shared.handshakes, *self.shared.relays]:
            each.drop()
        for each in list(self.sweeper.members):
            each.expired()

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

    def until(self, condition: Callable[[], bool]) -> None:
        """Let the relay work until something has come true: the network takes its time."""

        def look() -> bool:
            self.settle()
            return condition()

        wait_for(look)

    def at_rest(self, look: Callable[[], int]) -> int:
        """The value when the relay and the network have nothing to do."""

        def settled() -> int:
            self.settle()
            return look()

        return int(at_rest(settled))

    def connect(self) -> tuple[SSL.Connection, socket.socket]:
        """The client's end of an established connection, and the worker's."""
        client = self.accept()

        def shaken() -> bool:
            try:
                client.do_handshake()
            except SSL.WantReadError:
                return False
            return True

        self.until(shaken)
        self.until(lambda: bool(self.shared.relays))
        taken = take_one(self.gate)
        assert taken is not None
        message, descriptor = taken
        frame = decode(message)
        self.assertEqual((frame.peer, frame.local, frame.listener), (PEER, LOCAL, LISTENER))
        worker = socket.socket(fileno=descriptor)
        self.addCleanup(worker.close)
        worker.setblocking(False)
        return client, worker

    def received(self, client: SSL.Connection, size: int) -> bytes:
        """So many bytes that the client gets."""
        parts: list[bytes] = []

        def enough() -> bool:
            with contextlib.suppress(SSL.WantReadError):
                while sum(map(len, parts)) < size:
                    parts.append(client.recv(65536))
                    self.settle()
                return True
            return False

        self.until(enough)
        return b"".join(parts)

    def arrived(self, worker: socket.socket, size: int) -> bytes:
        """So many bytes that the worker gets, or fewer at the end."""
        parts: list[bytes] = []

        def enough() -> bool:
            with contextlib.suppress(BlockingIOError):
                while sum(map(len, parts)) < size:
                    parts.append(worker.recv(65536))
                    if not parts[-1]:
                        return True
                    self.settle()
                return True
            return False

        self.until(enough)
        return b"".join(parts)

    def ended(self, client: SSL.Connection) -> tuple[bytes, bool]:
        """What the client gets until the end, and whether that is in order."""
        parts: list[bytes] = []
        in_order: list[bool] = []

        def over() -> bool:
            try:
                while True:
                    parts.append(client.recv(65536))
                    self.settle()
            except SSL.WantReadError:
                return False
            except SSL.ZeroReturnError:
                in_order.append(True)
            except SSL.SysCallError:
                in_order.append(False)
            return True

        self.until(over)
        return b"".join(parts), in_order[0]

    def fill(self, worker: socket.socket) -> int:
        """Write until no more is taken; how much."""
        sent = 0

        def more() -> int:
            nonlocal sent
            with contextlib.suppress(BlockingIOError):
                while True:
                    sent += worker.send(_pattern(sent, 65536))
            return sent

        return self.at_rest(more)

    def check_nothing_left(self) -> None:
        shared = self.shared
        self.until(lambda: not (shared.handshakes or shared.relays or self.sweeper.members))


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

    def test_no_descriptor_is_left_for_the_plain_side(self) -> None:
        """One connection ends; nothing of it stays behind."""
        client = self.accept()
        short = OSError(errno.EMFILE, "too many open files")
        pair = mock.patch("stickyd.tls.handshake.socket.socketpair", side_effect=short)
        with capturedLogs() as events, pair:

            def over() -> bool:
                with contextlib.suppress(SSL.Error):
                    client.do_handshake()
                return not self.shared.handshakes

            self.until(over)
        self.check_nothing_left()
        self.assertEqual([event for event in events if "log_failure" in event], [])
        self.assertIsNone(take_one(self.gate))
        self.connect()

    def test_nothing_comes_through_before_the_end_of_the_handshake(self) -> None:
        self.accept()
        self.settle()
        self.assertIsNone(take_one(self.gate))


class Bytes(Side):
    def test_both_directions(self) -> None:
        client, worker = self.connect()
        client.send(b"ping")
        self.assertEqual(self.arrived(worker, 4), b"ping")
        worker.send(b"pong")
        self.assertEqual(self.received(client, 4), b"pong")

    def test_outwards_is_bounded(self) -> None:
        """Behind a client that does not read, the worker cannot write without end."""
        client, worker = self.connect()
        sent = self.fill(worker)
        (relay,) = self.shared.relays
        self.assertLessEqual(len(relay._outwards), READ_MOST)  # type: ignore[attr-defined]
        self.assertEqual(self.received(client, sent), _pattern(0, sent))

    def test_inwards_is_bounded(self) -> None:
        client, worker = self.connect()
        sent = 0

        def more() -> int:
            nonlocal sent
            with contextlib.suppress(SSL.WantWriteError):
                while True:
                    sent += client.send(_pattern(sent, 16384))
            return sent

        self.at_rest(more)
        (relay,) = self.shared.relays
        self.assertLessEqual(len(relay._inwards), RECORD)  # type: ignore[attr-defined]
        # A record that the client has begun to write is to be completed first.
        got = self.arrived(worker, 1)
        self.at_rest(more)
        while len(got) < sent:
            got += self.arrived(worker, sent - len(got))
        self.assertEqual(got, _pattern(0, sent))


def _pattern(at: int, size: int) -> bytes:
    """Bytes of an endless pattern."""
    whole = bytes(range(251)) * (size // 251 + 2)
    return whole[at % 251 :][:size]


class Ends(Side):
    def test_client_finishes_first(self) -> None:
        client, worker = self.connect()
        client.send(b"ask")
        client.shutdown()
        self.assertEqual(self.arrived(worker, 99), b"ask")
        worker.send(b"answer")
        worker.close()
        self.assertEqual(self.ended(client), (b"answer", True))
        client.close()
        self.check_nothing_left()

    def test_client_finishes_without_close_notify(self) -> None:
        client, worker = self.connect()
        client.send(b"ask")
        client.sock_shutdown(socket.SHUT_WR)
        self.assertEqual(self.arrived(worker, 99), b"ask")
        worker.send(b"answer")
        worker.close()
        self.assertEqual(self.ended(client), (b"answer", True))

    def test_worker_finishes_first(self) -> None:
        client, worker = self.connect()
        worker.send(b"answer")
        worker.shutdown(socket.SHUT_WR)
        self.assertEqual(self.ended(client), (b"answer", True))
        # So the worker need not wait for the client.
        self.assertEqual(self.arrived(worker, 1), b"")
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
        self.assertEqual(self.arrived(worker, 9), b"")

    def test_garbage(self) -> None:
        """A record that nobody can read ends both sides."""
        client, worker = self.connect()
        raw = socket.socket(fileno=socket.dup(client.fileno()))
        with raw:
            raw.send(b"\x17\x03\x03\x00\x20" + bytes(32))
        self.assertEqual(self.arrived(worker, 9), b"")
        self.check_nothing_left()


class EndsInTls12(Ends):
    version = SSL.TLS1_2_VERSION


class BytesInTls12(Bytes):
    version = SSL.TLS1_2_VERSION
