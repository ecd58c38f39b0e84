"""What is sent in parts arrives as it was written, however much the kernel takes at a time."""

import socket
import unittest
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.net import writev as gathering
from stickyd.net.writev import PARTS_MOST, SEND_MOST, SMALL, send_parts

SIZES = st.one_of(
    st.integers(0, 40),
    st.integers(SMALL - 2, SMALL + 2),
    st.integers(0, 300_000),
)
MANY = st.lists(st.integers(0, 3 * SMALL // PARTS_MOST), max_size=3 * PARTS_MOST)


class Pair(unittest.TestCase):
    def setUp(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.addCleanup(self.ours.close)
        self.addCleanup(self.theirs.close)
        self.ours.setblocking(False)
        self.theirs.setblocking(False)

    def receive(self) -> bytes:
        got = b""
        while True:
            try:
                data = self.theirs.recv(1 << 20)
            except BlockingIOError:
                return got
            got += data


def written(sizes: list[int]) -> list[bytes]:
    """Parts that tell themselves apart; none is empty, as a transport takes none."""
    return [bytes([65 + index % 26]) * size for index, size in enumerate(sizes) if size]


class Sending(Pair):
    def check(self, sizes: list[int], room: int) -> None:
        # The kernel doubles it (socket(7)); what it refuses waits for the reader.
        self.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)
        parts = written(sizes)
        whole = b"".join(parts)
        left, got = len(whole), b""
        while left:
            try:
                sent = send_parts(self.ours.fileno(), parts, left)
            except BlockingIOError:
                sent = 0
            left -= sent
            self.assertEqual(sum(map(len, parts)), left)
            came = self.receive()
            self.assertTrue(sent or came, "neither side goes on")
            got += came
        self.assertEqual(parts, [])
        self.assertEqual(got + self.receive(), whole)

    @settings(deadline=None, max_examples=60)
    @given(st.lists(SIZES, max_size=8), st.sampled_from([2048, 20_000, 200_000]))
    def test_any_parts(self, sizes: list[int], room: int) -> None:
        self.check(sizes, room)

    @settings(deadline=None, max_examples=40)
    @given(MANY, st.sampled_from([2048, 20_000]))
    def test_many_parts(self, sizes: list[int], room: int) -> None:
        self.check(sizes, room)


class AtOnce(Pair):
    def test_no_more_than_is_fair(self) -> None:
        sent: list[int] = []

        def take_all(descriptor: int, parts: list[bytes]) -> int:
            sent.append(sum(map(len, parts)))
            return sent[-1]

        parts = [b"h" * 100, bytes(SEND_MOST), b"t" * 100]
        with mock.patch.object(gathering.os, "writev", take_all):
            self.assertEqual(send_parts(-1, parts, SEND_MOST + 200), SEND_MOST)
        self.assertEqual(sent, [SEND_MOST])
        self.assertEqual(b"".join(parts), bytes(100) + b"t" * 100)

    def test_a_big_rest_is_not_copied_again(self) -> None:
        self.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
        big = bytes(1 << 20)
        parts = [big, *written([10] * PARTS_MOST)]
        send_parts(self.ours.fileno(), parts, len(big) + 10 * PARTS_MOST)
        self.assertIsInstance(parts[0], memoryview)
        self.assertIs(parts[0].obj, big)
        self.assertEqual(parts[1:], [b"".join(written([10] * PARTS_MOST))])

    def test_nobody_reads(self) -> None:
        self.theirs.close()
        for size in (10, 10 * SMALL):
            parts = [bytes(size)]
            with self.assertRaises(BrokenPipeError):
                send_parts(self.ours.fileno(), parts, size)
            self.assertEqual(parts, [bytes(size)])
