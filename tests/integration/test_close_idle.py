"""Room that a worker makes in a full daemon: which of its connections it closes."""

import socket

from stickyd.ipc.frame import Kind
from stickyd.worker.worker import IDLE_LEAST
from tests.support.daemon import request
from tests.support.one_worker import OneWorker


class Easing(OneWorker):
    def come(self) -> socket.socket:
        """The client's end of a connection that has been served once."""
        client, theirs = self.connection()
        client.sendall(request(self.mine))
        self.give(Kind.PLACED, theirs)
        theirs.close()
        self.assertTrue(client.recv(4096).startswith(b"HTTP/1.1 200"))
        client.setblocking(False)
        return client

    def close_idle(self, count: int) -> int:
        """How many are closed."""
        before = self.worker.context.accounting.counters.eased
        self.worker.close_idle(count)
        self.reactor.settle()
        return self.worker.context.accounting.counters.eased - before

    def is_closed(self, client: socket.socket) -> bool:
        try:
            return client.recv(4096) == b""
        except BlockingIOError:
            return False

    def test_one_that_has_idled_for_less_than_a_while_stays(self) -> None:
        client = self.come()
        self.pass_time(IDLE_LEAST - 0.01)
        self.assertEqual(self.close_idle(5), 0)
        self.assertFalse(self.is_closed(client))
        self.pass_time(0.01)
        self.assertEqual(self.close_idle(5), 1)
        self.assertTrue(self.is_closed(client))

    def test_the_longest_idle_goes_first_and_no_more_than_asked_for(self) -> None:
        clients = []
        for _ in range(3):
            clients.append(self.come())
            self.pass_time(IDLE_LEAST)
        # The first one is now the one that was asked last.
        self.ask(clients[0])
        self.pass_time(IDLE_LEAST)
        for count, closed in ((1, [False, True, False]), (2, [True, True, True])):
            self.assertEqual(self.close_idle(count), count)
            self.assertEqual([self.is_closed(client) for client in clients], closed)

    def test_what_is_being_asked_or_answered_stays(self) -> None:
        asking, waiting = self.come(), self.come()
        asking.sendall(request(self.mine)[:-1])
        waiting.sendall(request(self.mine, "/never"))
        self.reactor.settle()
        self.pass_time(5 * IDLE_LEAST)
        self.assertEqual(self.close_idle(5), 0)
        self.assertEqual([self.is_closed(client) for client in (asking, waiting)], [False, False])
