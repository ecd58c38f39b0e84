"""Channels that are kept for connections that may come back."""

import gc
import os
import socket
import weakref
from typing import Any

from stickyd.ipc.fd_queue import take_one
from stickyd.ipc.frame import Kind
from tests.support.cores import python_core
from tests.support.daemon import request
from tests.support.one_worker import KEEP_ALIVE, OneWorker


class Kept(OneWorker):
    client: socket.socket
    theirs: socket.socket

    def setUp(self) -> None:
        # Lanes of the engine are not kept: making one costs less.
        with python_core():
            super().setUp()
        self.client, self.theirs = self.connection()

    def come(self, kind: Kind) -> Any:
        """The connection comes with a request that belongs here; its channel."""
        self.client.sendall(request(self.mine))
        self.give(kind, self.theirs)
        self.assertTrue(self.client.recv(4096).startswith(b"HTTP/1.1 200"))
        (channel,) = self.worker.context.connections
        return channel

    def leave(self) -> None:
        """Its next request belongs to the other slot."""
        self.client.sendall(request(self.foreign))
        self.reactor.settle()
        message, descriptor = take_one(self.other) or (b"", -1)
        self.assertIn(b"GET", message)
        os.close(descriptor)

    def test_a_connection_that_comes_back_has_its_channel(self) -> None:
        channel = self.come(Kind.PLACED)
        for _ in range(3):
            self.leave()
            self.pass_time(KEEP_ALIVE - 1)
            self.assertIs(self.come(Kind.MOVED), channel)
        self.assertEqual(self.worker.context.accounting.counters.arrived, 3)

    def test_one_that_does_not_is_forgotten(self) -> None:
        channel = weakref.ref(self.come(Kind.PLACED))
        self.leave()
        self.pass_time(KEEP_ALIVE - 1)
        self.assertIsNotNone(channel())
        self.pass_time(1)
        gc.collect()
        self.assertIsNone(channel())
        # And if it does after all, it is served like any other.
        self.come(Kind.MOVED)
