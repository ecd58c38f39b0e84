"""Frames of WebSocket clients: where they end, and what their messages are gathered in."""

import random
import tracemalloc
import unittest
from itertools import accumulate
from typing import Any

import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.testing import StringTransport
from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyChannel
from twisted.web.websocket import WebSocketResource
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from stickyd.http1.websocket_frames import FRAMES_MOST, FrameMeter, MessageTooBig
from stickyd.worker.apps.asgi_websocket import WebSocketProtocol
from stickyd.worker.apps.websocket_buffers import BytesBuffer, TextBuffer, gather_linearly
from tests.slow.websocket_cases.frames import BINARY, CLOSE, PING, TEXT, fragments, frame
from tests.support.extent import examples

OFTEN = settings(max_examples=examples(200), deadline=None, derandomize=True)

MESSAGES = st.lists(
    st.one_of(
        st.lists(st.binary(max_size=300), min_size=1, max_size=40).map(
            lambda parts: fragments(BINARY, parts)
        ),
        st.sampled_from([0, 1, 125, 126, 127, 65535, 65536]).map(
            lambda size: [frame(TEXT, b"x" * size)]
        ),
        st.sampled_from([PING, CLOSE]).map(lambda opcode: [frame(opcode, b"\x03\xe8")]),
    ),
    max_size=6,
)


def units(meter: FrameMeter, data: bytes) -> list[bytes]:
    found = []
    at = 0
    while at < len(data):
        end = meter.unit(data, at)
        assert end > at
        found.append(data[at:end])
        at = end
    return found


class Meter(unittest.TestCase):
    @OFTEN
    @given(MESSAGES, st.randoms(use_true_random=False))
    def test_units_end_where_messages_end(
        self, messages: list[list[bytes]], chance: random.Random
    ) -> None:
        stream = b"".join(part for message in messages for part in message)
        ends = set()
        for message in messages:
            size = 0
            for number, part in enumerate(message, 1):
                size += len(part)
                if number == len(message) or number % FRAMES_MOST == 0:
                    ends.add(sum(ends and [max(ends)]) + size)
                    size = 0
        # In one piece: every message is a unit, one of many fragments several.
        found = units(FrameMeter(None), stream)
        self.assertEqual(b"".join(found), stream)
        at, got = 0, set()
        for unit in found:
            at += len(unit)
            got.add(at)
        self.assertEqual(got, ends)
        # In any pieces: none goes beyond the end of a message.
        whole = set(accumulate(sum(map(len, message)) for message in messages))
        meter, at = FrameMeter(None), 0
        while at < len(stream):
            piece = stream[at : at + chance.choice((1, 2, 3, 13, 14, 15, 1000))]
            for unit in units(meter, piece):
                self.assertEqual({end for end in whole if at < end < at + len(unit)}, set())
                at += len(unit)
            self.assertEqual(meter.between, at in whole)

    def test_a_control_frame_within_a_message_is_not_its_end(self) -> None:
        first, second, last = fragments(BINARY, [b"", b"a", b""])
        ping = frame(PING)
        meter = FrameMeter(None)
        for part, between in (
            (ping, True),
            (first, False),
            (ping, False),
            (second, False),
            (last[:-1], False),
            (last[-1:], True),
            (ping, True),
        ):
            units(meter, part)
            self.assertIs(meter.between, between)

    def test_the_bound_is_on_a_message(self) -> None:
        for parts, fits in (([10], True), ([11], False), ([5, 5], True), ([5, 0, 6], False)):
            for size in (1, 3, 1000):
                with self.subTest(parts=parts, size=size):
                    meter = FrameMeter(10)
                    message = b"".join(fragments(BINARY, [bytes(n) for n in parts]))
                    stream = (message + frame(PING, bytes(100))) * (2 if fits else 1)
                    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
                    if fits:
                        self.assertEqual(
                            b"".join(b"".join(units(meter, p)) for p in pieces), stream
                        )
                    else:
                        with self.assertRaises(MessageTooBig):
                            for piece in pieces:
                                units(meter, piece)

    @OFTEN
    @given(st.lists(st.binary(max_size=40), max_size=10))
    def test_any_bytes(self, pieces: list[bytes]) -> None:
        meter = FrameMeter(None)
        for piece in pieces:
            self.assertEqual(b"".join(units(meter, piece)), piece)


class Speaker:
    """An app's end of a WebSocket."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def buildProtocol(self, asked: Any) -> "Speaker":
        return self

    def negotiationStarted(self, transport: Any) -> None:
        self.protocol = transport

    def negotiationFinished(self) -> None:
        pass

    def textMessageReceived(self, message: str) -> None:
        self.heard.append(message)

    def bytesMessageReceived(self, message: bytes) -> None:
        self.heard.append(message)

    def connectionLost(self, reason: Any) -> None:
        pass


class Channel(DummyChannel):
    """What `WebSocketResource` asks of a channel."""

    def _protocolUpgradeForWebsockets(self, protocol: Any) -> None:
        self.upgraded = protocol
        protocol.makeConnection(StringTransport())


def upgraded() -> tuple[Speaker, Any]:
    """An app's end, and the protocol that Twisted puts over it."""
    speaker = Speaker()
    channel = Channel()
    asked = Request(channel, False)
    asked.method, asked.path = b"GET", b"/"
    for name, value in (
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
    ):
        asked.requestHeaders.setRawHeaders(name, [value])
    asked.requestHeaders.setRawHeaders("host", ["test"])
    WebSocketResource(speaker).render_GET(asked)
    return speaker, channel.upgraded


class Buffers(unittest.TestCase):
    """Our buffers in the place of those of `twisted.web.websocket`."""

    def test_the_installed_twisted_takes_them(self) -> None:
        """If this fails: another Twisted has other names, and each fragment may cost a message."""
        speaker, protocol = upgraded()
        self.assertTrue(gather_linearly(protocol))
        texts = ["ab", "", "ü", "\r\n", "x" * 70000]
        for part in fragments(TEXT, [text.encode() for text in texts]):
            protocol.dataReceived(part)
        data = [b"\x00\xff", b"", bytes(70000)]
        protocol.dataReceived(b"".join(fragments(BINARY, data)))
        protocol.dataReceived(frame(TEXT, b"next") + frame(BINARY))
        self.assertEqual(speaker.heard, ["".join(texts), b"".join(data), "next", b""])
        self.assertIs(type(speaker.heard[1]), bytes)

    def test_a_fragment_is_not_a_copy_of_those_before(self) -> None:
        """What is allocated while a message grows stays near its size; before, each had a copy."""
        for buffer, part in ((BytesBuffer(), b"x" * 1000), (TextBuffer(), "x" * 1000)):
            with self.subTest(type(buffer).__name__):
                for _ in range(1000):
                    buffer.add(part)  # type: ignore[arg-type]
                tracemalloc.start()
                try:
                    buffer.add(part)  # type: ignore[arg-type]
                    _, peak = tracemalloc.get_traced_memory()
                finally:
                    tracemalloc.stop()
                self.assertLess(peak, 500_000)
                self.assertEqual(buffer.done(), part * 1001)

    def test_a_protocol_without_such_buffers_is_left_alone(self) -> None:
        class Other:
            _bytesBuffer = b""
            _textBuffer = BytesBuffer()

        other = Other()
        self.assertFalse(gather_linearly(other))
        self.assertEqual(vars(other), {})
        self.assertFalse(gather_linearly(object()))


class Uvicorn(unittest.TestCase):
    """Our subclass of uvicorn's protocol."""

    def test_fragments_are_one_buffer(self) -> None:
        config = uvicorn.Config(lambda: None, factory=True, log_config=None, interface="asgi3")
        config.loaded, config.loaded_app = True, None  # type: ignore[assignment]
        protocol = WebSocketProtocol(config, ServerState(), {}, _loop=object())  # type: ignore[arg-type]
        protocol.transport = StringTransport()  # type: ignore[assignment]
        protocol.transport.pause_reading = lambda: None
        protocol.handle_bytes(Frame(Opcode.BINARY, b"a", fin=False))
        for _ in range(1000):
            protocol.handle_cont(Frame(Opcode.CONT, b"", fin=False))
            protocol.handle_cont(Frame(Opcode.CONT, b"b", fin=False))
        self.assertEqual(len(protocol.frames), 1)
        protocol.handle_cont(Frame(Opcode.CONT, b"c", fin=True))
        told = protocol.queue.get_nowait()
        self.assertEqual(told, {"type": "websocket.receive", "bytes": b"a" + b"b" * 1000 + b"c"})
        self.assertIs(type(told["bytes"]), bytes)
        protocol.handle_text(Frame(Opcode.TEXT, "ü".encode()[:1], fin=False))
        protocol.handle_cont(Frame(Opcode.CONT, "ü".encode()[1:], fin=True))
        self.assertEqual(protocol.queue.get_nowait(), {"type": "websocket.receive", "text": "ü"})
        self.assertEqual(protocol.frames, [])
