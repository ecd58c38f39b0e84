"""What a WebSocket takes along: as written, so read."""

import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.ipc.handover import STATE_MOST, Handed, HandoverError
from tests.support.extent import examples

OFTEN = settings(max_examples=examples(200), deadline=None, derandomize=True)

HANDED = st.builds(
    Handed,
    st.binary(max_size=300),
    st.lists(st.text(max_size=20), max_size=3).map(tuple),
    st.text(max_size=60),
    st.binary(max_size=300),
    st.binary(max_size=300),
)
GOLDEN = (
    b"\x00\x00\x00\x12\x00\x00\x00\x22\x00\x00\x00\x03"
    b"GET / HTTP/1.1\r\n\r\n"
    b'{"keys": ["a"], "extensions": "x"}'
    b"\x00\xffs"
    b"\x81\x80"
)


class Codec(unittest.TestCase):
    def test_golden(self) -> None:
        handed = Handed(b"GET / HTTP/1.1\r\n\r\n", ("a",), "x", b"\x00\xffs", b"\x81\x80")
        self.assertEqual(handed.encode(), GOLDEN)
        self.assertEqual(Handed.decode(GOLDEN), handed)

    @OFTEN
    @given(HANDED)
    def test_round_trip(self, handed: Handed) -> None:
        self.assertEqual(Handed.decode(handed.encode()), handed)

    def test_what_is_cut_is_refused(self) -> None:
        for size in range(len(GOLDEN) - 2):
            with self.subTest(size), self.assertRaises(HandoverError):
                Handed.decode(GOLDEN[:size])

    @OFTEN
    @given(st.binary(max_size=80))
    def test_any_bytes(self, data: bytes) -> None:
        try:
            Handed.decode(data)
        except HandoverError:
            return
        self.assertGreaterEqual(len(data), 12)

    def test_too_much_state(self) -> None:
        for size, fits in ((STATE_MOST, True), (STATE_MOST + 1, False)):
            data = Handed(b"h", (), "", bytes(size), b"").encode()
            if fits:
                self.assertEqual(len(Handed.decode(data).state), size)
            else:
                with self.assertRaises(HandoverError):
                    Handed.decode(data)

    def test_notes_that_are_none(self) -> None:
        for notes in (b"{", b"[]", b'{"keys": 1, "extensions": ""}', b'{"keys": []}'):
            data = b"\0\0\0\0\0\0\0" + bytes([len(notes)]) + b"\0\0\0\0" + notes
            with self.subTest(notes), self.assertRaises(HandoverError):
                Handed.decode(data)
