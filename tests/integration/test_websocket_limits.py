"""What a client of an upgraded connection can make a worker hold, and for how long."""

import socket
import unittest
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.websocket import WebSocketResource
from zope.interface import implementer

from stickyd.net.timeouts import SWEEP_EVERY
from stickyd.settings import Limits, Settings, Timeouts
from stickyd.worker.connection import upgraded
from stickyd.worker.connection.next_step import State
from stickyd.worker.connection.round_robin import RoundRobin
from tests.slow.websocket_cases.frames import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Frame,
    FrameReader,
    close,
    fragments,
    frame,
    text,
)
from tests.support.daemon import request
from tests.support.one_connection import OneConnection

TIMEOUT = 10.0
MOST = 100_000
AHEAD = 65536
"""Bytes that may wait for the client before nothing more is read."""

OFFER = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class Speaker:
    """An app's end of a WebSocket; what it does with a message is the test's to say."""

    def __init__(self) -> None:
        self.heard: list[str | bytes | bytearray] = []
        self.pongs: list[bytes] = []
        self.reasons: list[Any] = []
        self.answer: Callable[[Any], None] = lambda message: None

    def echo(self, message: Any) -> None:
        if isinstance(message, str):
            self.transport.sendTextMessage(message)
        else:
            self.transport.sendBytesMessage(message)

    def buildProtocol(self, asked: Any) -> "Speaker":
        return self

    def negotiationStarted(self, transport: Any) -> None:
        self.transport = transport

    def negotiationFinished(self) -> None:
        pass

    def textMessageReceived(self, message: str) -> None:
        self.heard.append(message)
        self.answer(message)

    def bytesMessageReceived(self, message: bytes | bytearray) -> None:
        self.heard.append(message)
        self.answer(message)

    def pongReceived(self, payload: bytes) -> None:
        self.pongs.append(payload)

    def connectionLost(self, reason: Any) -> None:
        self.reasons.append(reason)


class RawEcho(Protocol):
    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class Raw(Resource):
    """Another protocol than WebSocket."""

    def render_GET(self, asked: Any) -> Any:
        transport = asked.channel.transport
        asked.channel._protocolUpgradeForWebsockets(RawEcho())
        transport.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n")
        return NOT_DONE_YET


class Taken(Resource):
    """The app takes the transport without a word, as Autobahn's resource does."""

    def render_GET(self, asked: Any) -> Any:
        transport, asked.channel.transport = asked.channel.transport, None
        transport.protocol = protocol = RawEcho()
        protocol.makeConnection(transport)
        transport.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n")
        return NOT_DONE_YET


class Stream(Resource):
    """An answer that the test goes on writing."""

    def render_GET(self, asked: Any) -> Any:
        self.request = asked
        asked.write(b"begun")
        return NOT_DONE_YET


class Upgraded(OneConnection):
    settings = Settings(workers=1, timeouts=Timeouts(send=TIMEOUT))

    def resource(self) -> Resource:
        root = Resource()
        self.speaker = Speaker()
        self.stream = Stream()
        root.putChild(b"ws", WebSocketResource(self.speaker))
        root.putChild(b"raw", Raw())
        root.putChild(b"taken", Taken())
        root.putChild(b"stream", self.stream)
        return root

    def setUp(self) -> None:
        super().setUp()
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        self.reader = FrameReader()

    def upgrade(self, path: str = "/ws", behind: bytes = b"") -> None:
        self.begin(request("10.0.0.1", path)[:-2] + OFFER + behind)
        while b"\r\n\r\n" not in self.got:
            self.take(1)
        self.assertTrue(self.got.startswith(b"HTTP/1.1 101 "), self.got)
        self.got = b""

    def push(self, data: bytes) -> int:
        """Send until the worker takes no more; the bytes sent."""
        at, view = 0, memoryview(data)
        while at < len(data):
            self.reactor.settle()
            try:
                at += self.client.send(view[at:], socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
        self.reactor.settle()
        return at

    def unsent(self) -> int:
        return self.channel.transport.waiting()

    def frames(self) -> list[Frame]:
        """What has come since the last time."""
        self.take(100_000)
        self.reader.add(self.got)
        self.got = b""
        return list(self.reader.frames())


class Backpressure(Upgraded):
    def test_nothing_is_read_while_the_client_does_not_take_the_answers(self) -> None:
        self.speaker.answer = self.speaker.echo
        self.upgrade()
        message = frame(BINARY, bytes(60_000))
        sent = self.push(message * 400)
        self.assertLess(sent, len(message) * 400)
        self.assertLessEqual(self.unsent(), AHEAD + 60_010)
        # Once it takes them, all goes on: none is lost, none comes twice.
        rest = (message * 400)[sent:]
        answers = []
        while len(answers) < 400:
            answers += self.frames()
            rest = rest[self.push(rest) :]
        self.assertEqual({len(answer.payload) for answer in answers}, {60_000})
        self.assertEqual(len(self.speaker.heard), 400)
        self.assertEqual(self.unsent(), 0)

    def test_answers_bigger_than_messages(self) -> None:
        self.speaker.answer = lambda message: self.speaker.transport.sendBytesMessage(bytes(10**6))
        self.upgrade()
        self.push(text("x") * 20)
        self.assertLessEqual(self.unsent(), AHEAD + 10**6 + 10)
        self.assertLess(len(self.speaker.heard), 5)
        answers = []
        while len(answers) < 20:
            answers += self.frames()
        self.assertEqual(len(self.speaker.heard), 20)

    def test_pings(self) -> None:
        self.upgrade()
        ping = frame(PING, bytes(120))
        sent = self.push(ping * 100_000)
        self.assertLess(sent, len(ping) * 100_000)
        self.assertLessEqual(self.unsent(), AHEAD + 122)

    def test_another_protocol(self) -> None:
        self.upgrade("/raw")
        sent = self.push(bytes(20_000_000))
        self.assertLess(sent, 20_000_000)
        self.assertLessEqual(self.unsent(), 2 * AHEAD)
        got = 0
        while got < sent:
            self.take(65536)
            got += len(self.got)
            self.got = b""

    def test_a_client_that_goes_meanwhile(self) -> None:
        self.speaker.answer = self.speaker.echo
        self.upgrade()
        self.push(frame(BINARY, bytes(60_000)) * 100)
        self.client.close()
        self.reactor.settle()
        self.assertFalse(self.open())
        self.assertEqual(len(self.speaker.reasons), 1)


@implementer(IPushProducer)
class Producer:
    """What an app attaches to a WebSocket that it sends much to."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


class Producers(Upgraded):
    """An app's own producer, as `WebSocketTransport.attachProducer` takes it."""

    def test_it_is_paused_and_resumed(self) -> None:
        self.upgrade()
        producer = Producer()
        self.speaker.transport.attachProducer(producer)
        self.speaker.transport.sendBytesMessage(bytes(10**6))
        self.assertEqual(producer.told, ["pause"])
        self.reactor.settle()
        while not self.frames():
            pass
        self.assertEqual(producer.told, ["pause", "resume"])
        self.speaker.transport.loseConnection()
        self.reactor.settle()
        self.assertEqual(producer.told, ["pause", "resume", "stop"])
        self.assertEqual(len(self.speaker.reasons), 1)

    def test_it_is_stopped_with_the_connection(self) -> None:
        self.upgrade()
        producer = Producer()
        self.speaker.transport.attachProducer(producer)
        self.client.close()
        self.reactor.settle()
        self.assertEqual(producer.told, ["stop"])


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
            self.assertEqual(len(self.frames()), 1)
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


class Size(Upgraded):
    settings = Settings(workers=1, limits=Limits(websocket_message=MOST))

    def closed(self) -> int | None:
        """The code of the Close frame that has come, if one has."""
        for came in self.frames():
            if came.opcode == CLOSE:
                return int.from_bytes(came.payload[:2], "big")
        return None

    def check_too_big(self) -> None:
        self.assertEqual(self.closed(), 1009)
        self.assertEqual(self.speaker.heard, [])
        self.assertEqual(len(self.speaker.reasons), 1)
        self.assertFalse(self.open())

    def test_what_is_allowed(self) -> None:
        self.upgrade()
        whole = bytes(range(250)) * (MOST // 250)
        self.push(frame(BINARY, whole))
        self.push(b"".join(fragments(BINARY, [whole[:-1], b"", whole[-1:]])))
        halves = [b"a" * (MOST // 2)] * 2
        first, second = fragments(TEXT, halves)
        # What stands between fragments is no part of the message.
        self.push(first + frame(PING, bytes(125)) + frame(PONG, b"pong") + second)
        self.assertEqual(self.speaker.heard, [whole, whole, "a" * MOST])
        self.assertEqual(self.speaker.pongs, [b"pong"])
        self.assertIsNone(self.closed())
        self.push(close())
        self.assertEqual(self.closed(), 1000)

    def test_a_frame_is_refused_by_its_head(self) -> None:
        self.upgrade()
        self.push(frame(BINARY, bytes(MOST + 1))[:14])
        self.check_too_big()

    def test_its_head_may_come_in_pieces(self) -> None:
        self.upgrade()
        for byte in frame(TEXT, bytes(MOST + 1))[:14]:
            self.push(bytes([byte]))
        self.check_too_big()

    def test_fragments_are_added_up(self) -> None:
        self.upgrade()
        self.push(b"".join(fragments(TEXT, [b"a" * (MOST // 4)] * 4 + [b"b"])))
        self.check_too_big()

    def test_right_behind_the_handshake(self) -> None:
        self.upgrade(behind=text("hello") + frame(BINARY, bytes(MOST + 1))[:14])
        self.assertEqual(self.closed(), 1009)
        self.assertEqual(self.speaker.heard, ["hello"])

    def test_a_client_that_sends_on_is_told_too(self) -> None:
        """Closed with bytes unread, the connection would be reset and the Close frame lost."""
        self.upgrade()
        self.client.sendall(frame(BINARY, bytes(MOST + 1)))
        for _ in range(30):
            self.reactor.settle()
            self.client.sendall(bytes(65536))
        self.check_too_big()

    def test_an_app_that_closes_while_the_client_sends_on(self) -> None:
        self.speaker.answer = lambda message: self.speaker.transport.loseConnection(4001)
        self.upgrade()
        self.client.sendall(text("bye"))
        for _ in range(30):
            self.client.sendall(text("x" * 65000))
            self.reactor.settle()
        self.assertEqual(self.closed(), 4001)
        self.assertEqual(self.speaker.heard, ["bye"])
        self.assertEqual(len(self.speaker.reasons), 1)

    def test_what_breaks_the_protocol_is_1002(self) -> None:
        for data in (
            b"\x82\x7f" + bytes(6) + b"\xff\xff" + bytes(4),  # not masked
            b"\x82\xff\xff" + bytes(11),  # a length of 64 bits
            frame(3, bytes(MOST + 1))[:14],  # an opcode that is none
            frame(CONT, b"x"),  # a continuation of nothing
        ):
            with self.subTest(data):
                self.doCleanups()
                self.setUp()
                self.upgrade()
                self.push(data)
                self.assertEqual(self.closed(), 1002)


class FairShare(Upgraded):
    """An app that takes a millisecond over a message."""

    def setUp(self) -> None:
        super().setUp()
        self.story: list[str] = []

        def slowly(message: Any) -> None:
            self.reactor.rightNow += 0.001
            self.story.append("message")

        self.speaker.answer = slowly

    def turn(self) -> None:
        """The others' share: what is due in the next turn of the reactor."""
        self.story.append("turn")
        if self.story.count("message") < 100:
            self.reactor.callLater(0, self.turn)

    def check(self, data: bytes, most: int) -> None:
        self.upgrade()
        self.reactor.callLater(0, self.turn)
        self.push(data)
        runs = [len(run.split()) for run in " ".join(self.story).split("turn")]
        self.assertEqual(sum(runs), 100)
        self.assertLessEqual(max(runs), most, self.story)

    def test_many_messages_that_came_at_once(self) -> None:
        self.check(b"".join(text(str(number)) for number in range(100)), 3)
        self.assertEqual(self.speaker.heard, [str(number) for number in range(100)])

    def test_fragments_that_came_at_once(self) -> None:
        """A fragment costs a share, too, though the app hears of the whole only."""
        self.speaker.answer = lambda message: self.story.extend(["message"] * 100)
        self.upgrade()
        seconds = self.reactor.seconds

        def ticking() -> float:
            # Time passes, whoever asks for it.
            self.reactor.rightNow += 0.0005
            return seconds()

        self.reactor.seconds = ticking  # type: ignore[method-assign]
        self.reactor.callLater(0, self.turn)
        self.push(b"".join(fragments(BINARY, [b"x"] * 5000)))
        del self.reactor.seconds
        self.assertEqual(self.speaker.heard, [b"x" * 5000])
        self.assertGreater(self.story.count("turn"), 5000 / (16 * 4))

    def test_a_protocol_that_has_enough_for_now(self) -> None:
        """As uvicorn's does, which asks for the next message when the app has taken the last."""
        self.upgrade()
        delivery = self.channel.transport.protocol
        self.speaker.answer = lambda message: delivery.pause()
        self.push(b"".join(text(str(number)) for number in range(4)))
        self.assertEqual(self.speaker.heard, ["0"])
        # Not before it is done with the one that it has just taken.
        delivery.resume()
        self.assertEqual(self.speaker.heard, ["0"])
        self.reactor.settle()
        self.reactor.advance(0)
        self.assertEqual(self.speaker.heard, ["0", "1"])
        # What comes meanwhile waits too, and then comes in order.
        self.push(text("4"))
        self.speaker.answer = lambda message: None
        delivery.resume()
        self.reactor.advance(0)
        self.reactor.settle()
        self.assertEqual(self.speaker.heard, ["0", "1", "2", "3", "4"])

    def test_an_app_that_fails_on_what_it_got_later(self) -> None:
        def fails(message: Any) -> None:
            self.reactor.rightNow += 0.001
            if message == "50":
                raise ValueError("an app's fault")

        self.speaker.answer = fails
        self.upgrade()
        # Trial would take a failure in the log for one of the test.
        with mock.patch.object(upgraded, "_log") as log:
            self.push(b"".join(text(str(number)) for number in range(100)))
        log.failure.assert_called_once_with("a connection failed")
        self.assertEqual(self.speaker.heard[-1], "50")
        self.assertFalse(self.open())
        self.assertEqual(len(self.speaker.reasons), 1)


class Turns(unittest.TestCase):
    """Many connections with something left: they take turns, and the others wait for one step."""

    def test_round_robin(self) -> None:
        clock = Clock()
        story: list[int | str] = []
        left = dict.fromkeys(range(5), 3)
        rota = RoundRobin(clock)

        def step(number: int) -> None:
            clock.rightNow += 0.001
            story.append(number)
            left[number] -= 1
            if left[number]:
                rota.add(partial(step, number))

        def turn() -> None:
            story.append("turn")
            if any(left.values()):
                clock.callLater(0, turn)

        for number in left:
            rota.add(partial(step, number))
        clock.callLater(0, turn)
        clock.advance(0)
        self.assertEqual([number for number in story if number != "turn"], [0, 1, 2, 3, 4] * 3)
        self.assertEqual(story[1::2], ["turn"] * 15)

    def test_quick_steps_share_a_turn(self) -> None:
        clock = Clock()
        rota = RoundRobin(clock)
        done: list[int] = []
        for number in range(100):
            rota.add(partial(done.append, number))
        self.assertEqual(len(clock.getDelayedCalls()), 1)
        clock.advance(0)
        self.assertEqual(done, list(range(100)))
        self.assertEqual(clock.getDelayedCalls(), [])
