"""What judges the WebSocket cases (tests.slow.websocket_cases): frames, offers, verdicts."""

import random
import unittest
import zlib

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, Ping, TextMessage

from tests.slow.websocket_cases.__main__ import GROUPS, all_cases
from tests.slow.websocket_cases.agreed import Agreed
from tests.slow.websocket_cases.frames import (
    BINARY,
    PING,
    TEXT,
    Breach,
    Frame,
    FrameReader,
    frame,
    text,
)
from tests.slow.websocket_cases.judging import FAILED, LAX, OK, answers, fails
from tests.slow.websocket_cases.wire import Heard

HELLO = ("text", b"hello")


class Frames(unittest.TestCase):
    def test_what_is_sent_is_what_another_library_reads(self) -> None:
        server = Connection(ConnectionType.SERVER)
        for size in (0, 1, 125, 126, 65535, 65536):
            server.receive_data(frame(BINARY, b"\xfe" * size))
            got = b"".join(event.data for event in server.events())  # type: ignore[union-attr]
            self.assertEqual(got, b"\xfe" * size)
        server.receive_data(text("hé") + frame(PING, b"p"))
        told, ping = server.events()
        self.assertEqual((told.data, ping.payload), ("hé", b"p"))  # type: ignore[union-attr]

    def test_what_another_library_sends_is_read(self) -> None:
        server = Connection(ConnectionType.SERVER)
        reader = FrameReader()
        for size in (0, 125, 126, 65535, 65536):
            for byte in server.send(BytesMessage(b"x" * size)):
                reader.add(bytes([byte]))
            self.assertEqual(list(reader.frames()), [Frame(BINARY, b"x" * size, True, 0)])
        reader.add(server.send(TextMessage("a")) + server.send(Ping(b"b")))
        self.assertEqual([f.opcode for f in reader.frames()], [TEXT, PING])

    def test_what_a_server_must_not_send(self) -> None:
        for data in (
            *(text("masked"), b"\x83\x00", b"\x09\x00", b"\x89\x7e\x00\x7e", b"\x81\x7e\x00\x7d"),
            b"\x81\x7f" + bytes(7) + b"\x05",
        ):
            reader = FrameReader()
            reader.add(data)
            with self.assertRaises(Breach, msg=data):
                list(reader.frames())


class Offers(unittest.TestCase):
    def test_answers_that_are_none(self) -> None:
        one = "permessage-deflate"
        for offer, answer in (
            (one, "x-other"),
            (one, f"{one}; client_max_window_bits=10"),
            (f"{one}; server_max_window_bits=10", one),
            (f"{one}; server_max_window_bits=10", f"{one}; server_max_window_bits=11"),
            (f"{one}; server_no_context_takeover", one),
            (one, f"{one}; server_max_window_bits=16"),
            (one, f"{one}; server_max_window_bits"),
            (one, f"{one}; made_up"),
            (one, f"{one}; server_max_window_bits=9; server_max_window_bits=9"),
        ):
            with self.assertRaises(Breach, msg=answer):
                Agreed.of(offer, answer)
        offer = f"{one}; server_max_window_bits=9, {one}"
        self.assertEqual(Agreed.of(offer, f"{one}; client_no_context_takeover").server_bits, 15)
        self.assertFalse(Agreed.of(offer, "").deflate)

    def test_windows(self) -> None:
        noise = random.Random(1).randbytes(500)
        for bits, far in ((9, 600), (12, 5000)):
            # What was said comes again when the window is full of something else.
            whole = noise + bytes(far) + noise
            for used in (bits, 15):
                deflater = zlib.compressobj(9, zlib.DEFLATED, -used)
                sent = deflater.compress(whole) + deflater.flush(zlib.Z_SYNC_FLUSH)
                offer = f"permessage-deflate; server_max_window_bits={bits}"
                agreed = Agreed.of(offer, offer)
                if used == bits:
                    self.assertEqual(agreed.inflate(sent.removesuffix(b"\0\0\xff\xff")), whole)
                else:
                    with self.assertRaises(Breach):
                        agreed.inflate(sent.removesuffix(b"\0\0\xff\xff"))


class Verdicts(unittest.TestCase):
    def check(self, verdict: str, judge: object, **heard: object) -> None:
        told = Heard(**{"close": (1000, b""), "end": "fin", **heard})  # type: ignore[arg-type]
        self.assertEqual(judge(told)[0], verdict, judge(told))  # type: ignore[operator]

    def test_all_is_well(self) -> None:
        judge = answers([HELLO])
        self.check(OK, judge, events=[HELLO])
        self.check(FAILED, judge, events=[])
        self.check(FAILED, judge, events=[HELLO, HELLO])
        self.check(FAILED, judge, events=[HELLO], close=None)
        self.check(FAILED, judge, events=[HELLO], behind=1)
        self.check(FAILED, judge, events=[HELLO], end="never")
        self.check(FAILED, judge, events=[HELLO], breach="something")
        self.check(LAX, judge, events=[HELLO], close=(1002, b""))
        self.check(LAX, judge, events=[HELLO], end="reset")

    def test_pongs_may_be_left_out_but_not_the_last(self) -> None:
        one, two, three = (("pong", bytes([n])) for n in range(3))
        judge = answers([one, two, three])
        self.check(OK, judge, events=[one, two, three])
        self.check(LAX, judge, events=[one, three])
        self.check(FAILED, judge, events=[one, two])
        self.check(FAILED, judge, events=[two, one, three])
        self.check(FAILED, judge, events=[])

    def test_a_connection_that_must_fail(self) -> None:
        judge = fails([HELLO], (1002,), early=True)
        self.check(OK, judge, events=[HELLO], close=(1002, b""))
        self.check(LAX, judge, events=[], close=(1002, b""))
        self.check(LAX, judge, events=[HELLO], close=None)
        self.check(LAX, judge, events=[HELLO], close=(1007, b""))
        self.check(LAX, judge, events=[HELLO, ("pong", b"late")], close=(1002, b""))
        self.check(FAILED, judge, events=[HELLO, HELLO], close=(1002, b""))
        self.check(FAILED, judge, events=[HELLO], close=(1002, b""), end="never")
        self.check(FAILED, judge, events=[HELLO], close=(1002, b""), behind=1)

    def test_cases_have_numbers_of_their_own(self) -> None:
        cases = list(all_cases())
        self.assertEqual(len({case.number for case in cases}), len(cases))
        self.assertEqual({case.group for case in cases}, set(GROUPS))
