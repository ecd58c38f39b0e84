"""Pings of the server's own: who answers stays, who does not is closed with 1011."""

import unittest

from stickyd.settings import Limits, Settings, Timeouts, WebSocketSettings
from tests.integration.test_handover import ASGI, OFFER, ONE, WEB
from tests.integration.test_lifecycle import reload
from tests.slow.websocket_cases.frames import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    Frame,
    FrameReader,
    frame,
    text,
)
from tests.support.daemon import Daemon, request, wait_for
from tests.support.lasting import over
from tests.support.upgraded import Upgraded

TIMED_OUT = (1011).to_bytes(2, "big") + b"keepalive ping timeout"


class Web(Upgraded):
    """twisted.web, in a time of our own."""

    settings = Settings(workers=1, timeouts=Timeouts(send=1000))

    def later(self, seconds: float) -> list[Frame]:
        """What comes until then."""
        self.reactor.advance(seconds)
        self.reactor.settle()
        return self.frames()

    def test_who_answers_stays(self) -> None:
        self.upgrade()
        self.assertEqual(self.later(19.9), [])
        for _ in range(3):
            (ping,) = self.later(0.2)
            self.assertEqual((ping.opcode, len(ping.payload)), (PING, 4))
            self.reactor.advance(19.5)
            self.push(frame(PONG, ping.payload))
            self.assertEqual(self.later(19.9), [])
        # They are none of the app's, which may send its own.
        self.assertEqual(self.speaker.pongs, [])
        self.push(frame(PONG, b"own"))
        self.assertEqual(self.speaker.pongs, [b"own"])

    def test_what_else_comes_is_an_answer(self) -> None:
        self.upgrade()
        self.assertEqual(len(self.later(20)), 1)
        self.push(text("x"))
        self.assertEqual(self.later(19.9), [])
        self.assertEqual([each.opcode for each in self.later(0.2)], [PING])
        self.assertEqual(self.speaker.heard, ["x"])

    def test_who_does_not_is_closed(self) -> None:
        self.upgrade()
        self.assertEqual([each.opcode for each in self.later(20)], [PING])
        self.assertEqual(self.later(19.9), [])
        (close,) = self.later(0.2)
        self.assertEqual((close.opcode, close.payload), (CLOSE, TIMED_OUT))
        self.assertEqual(len(self.speaker.reasons), 1)
        self.assertFalse(self.open())

    def test_an_answer_that_is_not_read_yet(self) -> None:
        """The client takes no answers, so that nothing more of it is read; its pong would be."""
        self.speaker.answer = lambda message: self.speaker.transport.sendBytesMessage(bytes(10**6))
        self.upgrade()
        self.push(text("x") * 20)
        for _ in range(4):
            self.reactor.advance(20)
            self.reactor.settle()
        self.assertTrue(self.open())

    def test_no_timer_is_left(self) -> None:
        self.upgrade()
        self.client.close()
        self.reactor.settle()
        self.assertEqual([c for c in self.reactor.getDelayedCalls() if c.getTime() > 19], [])

    def test_another_protocol_gets_none(self) -> None:
        self.upgrade("/raw")
        self.reactor.advance(20)
        self.take(100)
        self.assertEqual(self.got, b"")


class NoLimit(Upgraded):
    settings = Settings(
        workers=1, limits=Limits(websocket=WebSocketSettings(ping_interval=5, ping_timeout=0))
    )

    def test_pings_go_on(self) -> None:
        self.upgrade()
        for _ in range(9):
            self.reactor.advance(5)
            self.reactor.settle()
            self.assertEqual([each.opcode for each in self.frames()], [PING])


class Never(Upgraded):
    settings = Settings(workers=1, limits=Limits(websocket=WebSocketSettings(ping_interval=0)))

    def test_no_pings(self) -> None:
        self.upgrade()
        self.reactor.advance(100)
        self.reactor.settle()
        self.assertEqual(self.frames(), [])


class Daemons(unittest.TestCase):
    options: tuple[str, ...] = WEB

    def test_they_go_on_in_another_worker(self) -> None:
        pings = ("--ws-ping-interval", "0.2", "--ws-ping-timeout", "20")
        with Daemon(*self.options, *pings) as daemon, daemon.connect() as sock:
            sock.sendall(request(ONE, "/ws")[:-2] + OFFER)
            while b"\r\n\r\n" not in (head := sock.recv(4096)):
                pass
            reader = FrameReader()
            reader.add(head.partition(b"\r\n\r\n")[2])

            def answered(opcode: int) -> Frame:
                """Answer pings until another frame comes, or the next ping has."""
                while True:
                    for came in reader.frames():
                        if came.opcode == PING:
                            sock.sendall(frame(PONG, came.payload))
                        if came.opcode == opcode:
                            return came
                    data = sock.recv(4096)
                    self.assertTrue(data, "the connection has ended")
                    reader.add(data)

            for handed in range(2):
                for number in (2 * handed, 2 * handed + 1):
                    answered(PING)
                    sock.sendall(text(str(number)))
                    pid, told, _ = answered(TEXT).payload.split()
                    self.assertEqual((int(pid), int(told)), (daemon.pids()[1], number))
                reload(daemon)
                wait_for(
                    lambda count=handed + 1: daemon.report()["workers"]["handed"] == count,
                    what="a handover",
                )

    def test_a_silent_client(self) -> None:
        pings = ("--ws-ping-interval", "0.1", "--ws-ping-timeout", "0.3")
        with Daemon(*self.options, *pings, workers=1) as daemon, daemon.connect() as sock:
            sock.sendall(request(ONE, "/ws")[:-2] + OFFER)
            received = b""
            while data := sock.recv(4096):
                received += data
            reader = FrameReader()
            reader.add(received.partition(b"\r\n\r\n")[2])
            ping, close = reader.frames()
            self.assertEqual(ping.opcode, PING)
            self.assertEqual((close.opcode, close.payload), (CLOSE, TIMED_OUT))
            wait_for(lambda: daemon.report()["workers"]["open"] == 0, what="its end")


class DaemonsOfAsgi(Daemons):
    options = ASGI

    def test_without_compression(self) -> None:
        # As uvicorn's users write it.
        with Daemon(*ASGI, "--ws-per-message-deflate", "false", workers=1) as daemon:
            with over(daemon, ONE) as websocket:
                response = websocket.response
                assert response is not None
                self.assertNotIn("Sec-WebSocket-Extensions", response.headers)
