"""The frame that travels with a connection: one layout, and nothing lost on the way."""

import struct
import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.ipc.frame import (
    VERSION,
    Frame,
    FrameError,
    Kind,
    as_returned,
    carries,
    connection_of,
    decode,
    entry_of,
)
from stickyd.net.address import Address, canonical
from tests.support.extent import examples

OFTEN = settings(max_examples=examples(200), deadline=None, derandomize=True)

V4 = Frame(
    Kind.MOVED,
    connection=0x0102030405060708,
    peer=("203.0.113.7", 49152),
    local=("192.0.2.1", 3000),
    listener=1,
    head_left=9999,
    table=3,
    hops=2,
    unread=b"GET /",
    entry=0x0A0B0C0D,
    source=3,
    put_at=0x0E0F1011,
)
V4_BYTES = bytes.fromhex(
    "03"  # version
    "02"  # kind
    "0002"  # hops
    "0102030405060708"  # connection id
    "00000003"  # table version
    "0000270f"  # head deadline in ms
    "0a0b0c0d"  # ledger entry
    "0e0f1011"  # time put in
    "03"  # source
    "01"  # listener
    "02"  # family: IPv4
    "0c"  # length of the addresses
    "cb007107c000"  # peer and its port
    "c00002010bb8"  # local and its port
    "474554202f"  # unread bytes
)
V6 = Frame(Kind.PLACED, 1, ("2001:db8::7", 1), ("2001:db8::1", 65535))
V6_BYTES = bytes.fromhex(
    "030100000000000000000001000000010000000000000000000000000000"
    "0a24"  # family: IPv6, 36 bytes
    "20010db80000000000000000000000070001"
    "20010db8000000000000000000000001ffff"
)
UNIX = Frame(Kind.RETURNED, 2, None, None, listener=255, source=31)
UNIX_BYTES = bytes.fromhex("030300000000000000000002000000010000000000000000000000001fff0000")

FIXED = 32
"""Bytes before the addresses."""
VERSION_AT, KIND_AT, FAMILY_AT, LENGTH_AT = 0, 1, 30, 31

ports = st.integers(0, 65535)
v4_ends = st.tuples(st.ip_addresses(v=4).map(str), ports)
v6_ends = st.tuples(st.ip_addresses(v=6).map(lambda address: canonical(str(address))), ports)
any_ends = st.one_of(v4_ends, v6_ends)
both_ends = st.one_of(
    st.just((None, None)),
    st.tuples(v4_ends, v4_ends),
    st.tuples(v6_ends, v6_ends),
    st.tuples(any_ends, any_ends),
)


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    peer, local = draw(both_ends)
    return Frame(
        draw(st.sampled_from(Kind)),
        draw(st.integers(0, 2**64 - 1)),
        peer,
        local,
        draw(st.integers(0, 2**8 - 1)),
        draw(st.integers(0, 2**32 - 1)),
        draw(st.integers(0, 2**32 - 1)),
        draw(st.integers(0, 2**16 - 1)),
        draw(st.binary(max_size=200)),
        draw(st.integers(0, 2**32 - 1)),
        draw(st.integers(0, 2**8 - 1)),
        draw(st.integers(0, 2**32 - 1)),
        draw(st.one_of(st.just(b""), st.binary(max_size=50), st.just(b"r" * 8192))),
    )


def changed(message: bytes, at: int, value: int) -> bytes:
    return message[:at] + bytes([value]) + message[at + 1 :]


class Golden(unittest.TestCase):
    """The layout: a daemon of another build reads what this one wrote."""

    def test_v4(self) -> None:
        self.assertEqual(V4.encode(), V4_BYTES)
        self.assertEqual(decode(V4_BYTES), V4)

    def test_v6(self) -> None:
        self.assertEqual(V6.encode(), V6_BYTES)
        self.assertEqual(decode(V6_BYTES), V6)

    def test_with_a_record(self) -> None:
        """Of a client with a certificate: behind the addresses, in front of the unread bytes."""
        frame, end = V4._replace(tls=b"client"), FIXED + V4_BYTES[LENGTH_AT]
        message = changed(V4_BYTES, FAMILY_AT, 0x82)
        message = message[:end] + b"\0\x06client" + message[end:]
        self.assertEqual(frame.encode(), message)
        self.assertEqual(decode(message), frame)
        for unread in (b"", b"G"):
            self.assertEqual(carries(frame._replace(unread=unread).encode()), bool(unread))
        for size in range(end + 8):
            with self.assertRaises(FrameError):
                decode(message[:size])
            if size >= FIXED:
                self.assertFalse(carries(message[:size]))
        with self.assertRaises(FrameError):
            decode(message[:end] + b"\0\0")

    def test_unix(self) -> None:
        self.assertEqual(UNIX.encode(), UNIX_BYTES)
        self.assertEqual(decode(UNIX_BYTES), UNIX)

    def test_what_is_found_without_decoding(self) -> None:
        for frame in (V4, V6, UNIX):
            self.assertEqual(connection_of(frame.encode()), frame.connection)
            self.assertEqual(entry_of(frame.encode()), frame.entry)
            for unread in (b"", b"G"):
                message = frame._replace(unread=unread).encode()
                self.assertEqual(carries(message), bool(unread))
        for size in range(FIXED):
            self.assertEqual((connection_of(V4_BYTES[:size]), entry_of(V4_BYTES[:size])), (0, 0))
        self.assertEqual(entry_of(changed(V4_BYTES, VERSION_AT, 1)), 0)

    def test_numbers(self) -> None:
        self.assertEqual(VERSION, 3)
        self.assertEqual({kind.name: int(kind) for kind in Kind}, KINDS)


KINDS = {"PLACED": 1, "MOVED": 2, "RETURNED": 3, "HANDED": 4}


class RoundTrip(unittest.TestCase):
    """What was encoded is decoded."""

    @settings(OFTEN, max_examples=examples(400))
    @given(frames())
    def test_any_frame(self, frame: Frame) -> None:
        decoded = decode(frame.encode())
        self.assertEqual(decoded, frame)
        self.assertIsInstance(decoded.kind, Kind)
        self.assertEqual(decoded.encode(), frame.encode())

    def check_ends(self, peer: Address, local: Address) -> None:
        decoded = decode(Frame(Kind.PLACED, 1, peer, local).encode())
        self.assertEqual((decoded.peer, decoded.local), (peer, local))

    @settings(OFTEN, max_examples=examples(400))
    @given(frames())
    def test_the_frame_of_the_same_connection_when_idle(self, frame: Frame) -> None:
        idle = frame._replace(kind=Kind.RETURNED, head_left=0, unread=b"", put_at=0)
        self.assertEqual(as_returned(frame.encode()), idle.encode())

    def test_addresses(self) -> None:
        self.check_ends(("0.0.0.0", 0), ("255.255.255.255", 65535))
        self.check_ends(("::", 0), ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535))
        self.check_ends(("::1", 1), ("::2", 2))

    def test_ends_of_two_families(self) -> None:
        """Behind a PROXY header a v6 client may have come in on a v4 socket."""
        self.check_ends(("2001:db8::7", 1), ("192.0.2.1", 2))
        self.check_ends(("203.0.113.7", 1), ("2001:db8::1", 2))

    def test_one_end_without_address_is_a_unix_connection(self) -> None:
        for peer, local in ((("192.0.2.1", 1), None), (None, ("192.0.2.1", 1))):
            decoded = decode(Frame(Kind.PLACED, 1, peer, local).encode())
            self.assertEqual((decoded.peer, decoded.local), (None, None))

    def test_hops_stop_counting(self) -> None:
        for hops, arrived in ((0, 0), (65535, 65535), (65536, 65535), (10**9, 65535)):
            self.assertEqual(decode(V4._replace(hops=hops).encode()).hops, arrived)

    def test_unread_is_any_bytes(self) -> None:
        for unread in (b"", b"\0", V4_BYTES, bytes(range(256)), b"x" * 65536):
            self.assertEqual(decode(V4._replace(unread=unread).encode()).unread, unread)

    def test_frames_are_values(self) -> None:
        with self.assertRaises(AttributeError):
            V4.hops = 3  # type: ignore[misc]


class Malformed(unittest.TestCase):
    """What is no frame is a `FrameError` and nothing else."""

    def refused(self, message: bytes) -> None:
        with self.assertRaises(FrameError, msg=message.hex()):
            decode(message)

    def test_too_short(self) -> None:
        addresses_end = FIXED + V4_BYTES[LENGTH_AT]
        for size in range(addresses_end):
            self.refused(V4_BYTES[:size])
        self.assertEqual(decode(V4_BYTES[:addresses_end]), V4._replace(unread=b""))
        for size in range(len(V6_BYTES)):
            self.refused(V6_BYTES[:size])
        for size in range(len(UNIX_BYTES)):
            self.refused(UNIX_BYTES[:size])

    def test_another_version(self) -> None:
        for version in (0, 1, 2, 4, 255):
            self.refused(changed(V4_BYTES, VERSION_AT, version))

    def test_unknown_kind(self) -> None:
        for kind in (0, 5, 255):
            self.refused(changed(V4_BYTES, KIND_AT, kind))

    def test_unknown_family(self) -> None:
        for family in (1, 3, 9, 11, 255):
            self.refused(changed(V4_BYTES, FAMILY_AT, family))

    def test_addresses_of_another_length(self) -> None:
        padded = V4_BYTES + bytes(300)
        for length in range(256):
            if length != V4_BYTES[LENGTH_AT]:
                self.refused(changed(padded, LENGTH_AT, length))

    def test_addresses_of_the_other_family(self) -> None:
        self.refused(changed(V4_BYTES, FAMILY_AT, V6_BYTES[FAMILY_AT]))
        self.refused(changed(V6_BYTES, FAMILY_AT, V4_BYTES[FAMILY_AT]))

    def test_addresses_where_there_are_none(self) -> None:
        """The bytes would be lost without a word."""
        self.refused(changed(V4_BYTES, FAMILY_AT, 0))

    def test_is_a_value_error(self) -> None:
        self.assertTrue(issubclass(FrameError, ValueError))

    @settings(OFTEN, max_examples=examples(400))
    @given(st.one_of(st.binary(max_size=120), st.binary(max_size=120).map(lambda b: b"\2" + b)))
    def test_any_bytes(self, message: bytes) -> None:
        self.frame_or_error(message)

    @settings(OFTEN, max_examples=examples(400))
    @given(frames(), st.integers(0, FIXED - 1), st.integers(0, 255))
    def test_any_byte_changed(self, frame: Frame, at: int, value: int) -> None:
        self.frame_or_error(changed(frame.encode(), at, value))

    def frame_or_error(self, message: bytes) -> None:
        try:
            frame = decode(message)
        except FrameError:
            return
        self.assertIsInstance(frame, Frame)
        start = FIXED + message[LENGTH_AT]
        size = len(frame.tls)
        if size:
            self.assertEqual(message[start : start + 2 + size], struct.pack("!H", size) + frame.tls)
            start += 2 + size
        self.assertEqual(frame.unread, message[start:])

    def test_what_cannot_be_encoded_is_an_error_of_the_sender(self) -> None:
        for field, value in (("connection", 2**64), ("connection", -1), ("table", 2**32)):
            with self.assertRaises(struct.error, msg=field):
                V4._replace(**{field: value}).encode()
