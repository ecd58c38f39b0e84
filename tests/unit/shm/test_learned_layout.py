"""The memory of learned ids: its layout, and the place of an id."""

import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.shm import learned_layout as layout
from tests.support.extent import examples

OFTEN = settings(max_examples=examples(100), deadline=None, derandomize=True)

SECRET = bytes(range(32))


class Heads(unittest.TestCase):
    def test_golden_bytes(self) -> None:
        head = layout.head_for(65536, 3600.0, SECRET)
        self.assertEqual(
            head.pack().hex(),
            "737469636b7964206c6561726e656401"
            "0010000000000000"
            "1000000000000000"
            "00a493d600000000"
            "000000000000000000000000000000000000000000000000" + SECRET.hex(),
        )
        self.assertEqual(layout.read_head(head.pack()), head)
        self.assertEqual(head.size, 4096 + 8 * (3 * 65536 + 2 * 4096))

    @OFTEN
    @given(st.integers(1, 1 << 26))
    def test_never_more_places_than_asked_for_and_hardly_fewer(self, entries: int) -> None:
        head = layout.head_for(entries, 1.0, SECRET)
        self.assertLessEqual(head.places, entries)
        self.assertGreater(head.places, entries * 15 / 16 - 1)
        if entries < 32:
            self.assertEqual((head.sets, head.ways), (1, entries))

    def test_what_no_table_can_have(self) -> None:
        for entries, idle, secret in (
            (0, 1.0, SECRET),
            ((1 << 26) + 1, 1.0, SECRET),
            (1, 0.0, SECRET),
            (1, -1.0, SECRET),
            (1, 1e9, SECRET),
            (1, float("nan"), SECRET),
            (1, 1.0, b"short"),
        ):
            with self.subTest(entries=entries, idle=idle), self.assertRaises(ValueError):
                layout.head_for(entries, idle, secret)

    def test_another_version_or_no_table_is_refused(self) -> None:
        data = layout.head_for(100, 1.0, SECRET).pack()
        for wrong, message in (
            (data[:15] + bytes([2]) + data[16:], "layout 2, this program has 1"),
            (b"x" + data[1:], "no table of learned ids"),
            (bytes(len(data)), "no table of learned ids"),
            (data[:-1], "too short"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                layout.read_head(wrong)


class Places(unittest.TestCase):
    def test_golden_vectors(self) -> None:
        digests = layout.Digests(layout.head_for(65536, 1.0, SECRET))
        self.assertEqual(
            [tuple(digests.locate(key)) for key in (b"", b"sessionid=abc")],
            [
                (0x88B8C7726D3713BA, 0xC82279DF88D00000, (3219 * 16, 3003 * 16)),
                (0x6EE2950F39030F18, 0x60862D0607740000, (2627 * 16, 1602 * 16)),
            ],
        )

    def test_the_secret_decides(self) -> None:
        heads = [layout.head_for(65536, 1.0, secret) for secret in (SECRET, bytes(32))]
        one, other = (layout.Digests(head).locate(b"id") for head in heads)
        for mine, theirs in zip(one, other, strict=True):
            self.assertNotEqual(mine, theirs)

    @OFTEN
    @given(st.binary(max_size=300), st.integers(1, 5000))
    def test_within_the_table(self, key: bytes, entries: int) -> None:
        head = layout.head_for(entries, 1.0, SECRET)
        located = layout.Digests(head).locate(key)
        self.assertIn(located.tag, range(1, 1 << 64))
        self.assertIn(located.mark, range(0, 1 << 64, 1 << 16))
        for start in located.starts:
            self.assertIn(start, range(0, head.places, head.ways))
        self.assertEqual(len(set(located.starts)), min(2, head.sets))

    def test_every_set_is_used_as_often_as_others(self) -> None:
        head = layout.head_for(16 * 10, 1.0, SECRET)
        digests = layout.Digests(head)
        for which in (0, 1):
            seen = [digests.locate(b"%d" % at).starts[which] // 16 for at in range(2000)]
            self.assertEqual(set(seen), set(range(10)))
            self.assertLess(max(map(seen.count, range(10))), 260)

    def test_what_may_be_overwritten(self) -> None:
        self.assertEqual(layout.vacant([5, 0, 6, 7], [9, 0, 3, 4], 4), [1, 2])
        self.assertEqual(layout.vacant([5, 6], [4, 4], 4), [])
