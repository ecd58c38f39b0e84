"""`stickyd.net.acceptor`: accepting from a socket that is kept across execve(2)."""

import resource
import socket
import unittest
from typing import Any

from twisted.internet.task import Clock

from stickyd.net.acceptor import RETRY_AFTER, Acceptor


class Reactor(Clock):
    """Also knows what it is to read."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        if reader in self.readers:
            self.readers.remove(reader)


class Accepting(unittest.TestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listening.close)
        self.listening.setblocking(False)
        self.served: list[tuple[Any, bool]] = []
        self.acceptor = Acceptor(self.reactor, self.listening, self.serve, "test")

    def serve(self, sock: socket.socket) -> None:
        self.served.append((sock.getpeername(), sock.getblocking()))

    def connect(self) -> socket.socket:
        client = socket.create_connection(self.listening.getsockname())
        self.addCleanup(client.close)
        client.settimeout(10)
        return client

    def read_short_of_descriptors(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            self.acceptor.doRead()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def test_each_client_is_served_and_closed_here(self) -> None:
        self.assertEqual(self.reactor.readers, [self.acceptor])
        self.assertEqual(self.acceptor.fileno(), self.listening.fileno())
        client = self.connect()
        self.acceptor.doRead()
        self.assertEqual(self.served, [(client.getsockname(), False)])
        self.assertEqual(client.recv(1), b"")
        # Another process of the same socket was faster.
        self.acceptor.doRead()
        self.assertEqual(len(self.served), 1)
        self.assertEqual(self.reactor.readers, [self.acceptor])

    def test_out_of_descriptors_the_client_waits(self) -> None:
        client = self.connect()
        self.read_short_of_descriptors()
        self.assertEqual((self.reactor.readers, self.served), ([], []))
        self.reactor.advance(RETRY_AFTER)
        self.assertEqual(self.reactor.readers, [self.acceptor])
        self.acceptor.doRead()
        self.assertEqual([peer for peer, _ in self.served], [client.getsockname()])

    def test_a_stop_is_one_also_while_it_waits(self) -> None:
        self.connect()
        self.read_short_of_descriptors()
        self.acceptor.stop()
        self.acceptor.stop()
        self.assertEqual((self.reactor.readers, self.reactor.getDelayedCalls()), ([], []))
