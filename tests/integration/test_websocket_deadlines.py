"""The send timeout of an upgraded connection."""

from stickyd.net.timeouts import SWEEP_EVERY
from stickyd.worker.connection.next_step import State
from tests.slow.websocket_cases.frames import BINARY, frame
from tests.support.daemon import request
from tests.support.upgraded import TIMEOUT, Upgraded


class SendDeadline(Upgraded):
    def check(self) -> None:
        """The connection ends in time; the client sees a reset."""
        self.assertGreater(self.unsent(), 0)
        took = self.pass_time(10 * TIMEOUT)
        self.assertGreaterEqual(took, TIMEOUT - SWEEP_EVERY)
        # What the client's kernel has taken may have begun another window.
        self.assertLessEqual(took, 2 * TIMEOUT + 2 * SWEEP_EVERY)
        with self.assertRaises(ConnectionResetError):
            while self.client.recv(65536):
                pass

    def test_websocket(self) -> None:
        self.speaker.answer = self.speaker.echo
        self.upgrade()
        self.push(frame(BINARY, bytes(60_000)) * 400)
        self.check()
        self.assertEqual(len(self.speaker.reasons), 1)

    def test_an_app_that_only_sends(self) -> None:
        self.upgrade()
        for _ in range(4000):
            self.speaker.transport.sendBytesMessage(bytes(1000))
            self.reactor.settle()
        self.check()

    def test_another_protocol(self) -> None:
        self.upgrade("/raw")
        self.push(bytes(20_000_000))
        self.check()

    def test_a_transport_that_was_taken(self) -> None:
        self.upgrade("/taken")
        self.push(bytes(5_000_000))
        self.check()

    def test_an_answer_in_small_parts(self) -> None:
        """Not upgraded, but of the kind: the kernel was full before the first part had to wait."""
        self.begin(request("10.0.0.1", "/stream"))
        for _ in range(4000):
            self.stream.request.write(bytes(1000))
            self.reactor.settle()
        self.check()

    def test_a_client_that_takes_all_is_never_late(self) -> None:
        self.speaker.answer = self.speaker.echo
        self.upgrade()
        for _ in range(3):
            self.push(frame(BINARY, bytes(60_000)))
            # Beside the pings.
            echoes = [came for came in self.frames() if came.opcode == BINARY]
            self.assertEqual(len(echoes), 1)
            self.pass_time(2 * TIMEOUT)
            self.assertTrue(self.open())
        self.assertIs(self.channel.state, State.PINNED)

    def test_a_worker_that_ends_while_the_app_says_goodbye(self) -> None:
        """There are no words for it any more: the connection is cut."""
        self.upgrade()
        self.speaker.transport.sendBytesMessage(bytes(10**7))
        self.speaker.transport.loseConnection()
        self.reactor.settle()
        self.channel.close_gracefully()
        self.assertFalse(self.open())
        self.assertEqual(len(self.speaker.reasons), 1)

    def test_an_app_that_says_goodbye_to_a_client_that_takes_nothing(self) -> None:
        self.upgrade()
        self.speaker.transport.sendBytesMessage(bytes(10**7))
        self.speaker.transport.loseConnection()
        self.reactor.settle()
        self.check()
