"""What a client of an upgraded connection can make a worker hold, and for how long."""

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from stickyd.settings import Limits, Settings, WebSocketSettings
from tests.slow.websocket_cases.frames import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    close,
    fragments,
    frame,
    text,
)
from tests.support.upgraded import AHEAD, MOST, Upgraded


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


class Size(Upgraded):
    settings = Settings(workers=1, limits=Limits(websocket=WebSocketSettings(message=MOST)))

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
