"""Keys that carry their slot."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from stickyd.routing.policy import Policy
from stickyd.routing.signed_keys import LENGTH, make, secret_of, slot_in
from stickyd.routing.source import Key
from tests.support.affinity import ALPHABET, GOLDEN, OFTEN, PROXY, RANDOM, SECRET, SLOTS, head_of


class Declared(unittest.TestCase):
    """Keys that carry their slot."""

    def test_pinned(self) -> None:
        """Numbers that hold on every machine, written down for other programs."""
        self.assertEqual(make(3, bytes(range(12)), secret_of(1)), GOLDEN)

    @OFTEN
    @given(SLOTS, RANDOM, st.integers(0, 2**128 - 1))
    def test_round_trip(self, slot: int, chance: bytes, seed: int) -> None:
        text = make(slot, chance, secret_of(seed))
        self.assertRegex(text, r"\A[A-Za-z0-9_-]{28}\Z")
        self.assertEqual(slot_in(text, secret_of(seed)), slot)
        self.assertIsNone(slot_in(text, secret_of(seed ^ 1)))

    @OFTEN
    @given(SLOTS, RANDOM, st.integers(0, LENGTH - 1), st.sampled_from(ALPHABET))
    def test_another_character(self, slot: int, chance: bytes, at: int, other: str) -> None:
        text = make(slot, chance, SECRET)
        changed = text[:at] + other + text[at + 1 :]
        self.assertEqual(slot_in(changed, SECRET), slot if changed == text else None)

    @OFTEN
    @given(SLOTS, RANDOM, st.integers(0, 167))
    def test_another_bit(self, slot: int, chance: bytes, bit: int) -> None:
        text = make(slot, chance, SECRET)
        changed = _flip(text, bit)
        self.assertNotEqual(changed, text)
        self.assertIsNone(slot_in(changed, SECRET))

    @OFTEN
    @given(SLOTS, RANDOM, st.integers(0, LENGTH), st.text(min_size=1, max_size=3))
    def test_more_or_less(self, slot: int, chance: bytes, at: int, more: str) -> None:
        text = make(slot, chance, SECRET)
        self.assertIsNone(slot_in(text[:at] + more + text[at:], SECRET))
        if at < LENGTH:
            self.assertIsNone(slot_in(text[:at], SECRET))
            self.assertIsNone(slot_in(text[:at] + more[0] + text[at + 1 :] + "=", SECRET))

    @OFTEN
    @given(st.text(max_size=40) | st.text(ALPHABET, min_size=28, max_size=28))
    def test_any_text_is_none(self, text: str) -> None:
        self.assertIsNone(slot_in(text, SECRET))

    def test_what_cannot_be_made(self) -> None:
        for slot, chance in ((0, bytes(12)), (65536, bytes(12)), (-1, bytes(12)), (1, bytes(11))):
            with self.assertRaises(ValueError):
                make(slot, chance, SECRET)

    def test_in_every_source_of_values(self) -> None:
        sid = make(3, bytes(12), SECRET)
        for spec, head in (
            ("url_param(sid)", head_of(target=f"/?sid={sid}")),
            ("cookie(sid)", head_of(f"Cookie: sid={sid}")),
            ("hdr(X-Sid)", head_of(f"X-Sid: {sid}")),
            ("socketio", head_of(target=f"/socket.io/?EIO=4&sid={sid}")),
            ("sockjs", head_of(target=f"/echo/123/{sid}/xhr")),
        ):
            for hashed in ("rendezvous", "sticky-session"):
                policy = Policy.build(spec, "", hashed, 7, range(1, 5))
                placement = policy.place(head, PROXY)
                self.assertEqual(placement.slot, 3, spec)
                self.assertEqual(placement.key, Key(spec, sid, 3))
                self.assertEqual(placement.reason, spec)

    def test_where_the_slot_or_the_seed_is_another_the_text_is_hashed(self) -> None:
        head = head_of(target=f"/?sid={make(9, bytes(12), SECRET)}")
        for seed, slots in ((7, range(1, 5)), (8, range(1, 17))):
            policy = Policy.build("url_param(sid),src", "", "rendezvous", seed, slots)
            placement = policy.place(head, PROXY)
            assert placement.key is not None
            self.assertEqual(placement.key.source, "url_param(sid)")
            self.assertIsNone(placement.key.slot)
            self.assertEqual(placement.slot, policy.table.slot_of(placement.key.text.encode()))

    def test_socketio_goes_on_to_the_next_source_instead(self) -> None:
        for sid in ("", "abc", make(9, bytes(12), SECRET), make(1, bytes(12), secret_of(8))):
            policy = Policy.build("socketio", "", "rendezvous", 7, range(1, 5))
            placement = policy.place(head_of(target=f"/?sid={sid}"), PROXY)
            self.assertEqual(placement.key, Key("src", PROXY))

    def test_not_from_an_address(self) -> None:
        """A key in a source of addresses is no key."""
        sid = make(3, bytes(12), SECRET)
        policy = Policy.build("xff,forwarded,src", "*", "rendezvous", 7, range(1, 5))
        placement = policy.place(head_of(f"X-Forwarded-For: {sid}", f"Forwarded: for={sid}"), PROXY)
        self.assertEqual(placement.key, Key("src", PROXY))


def _flip(text: str, bit: int) -> str:
    at, within = divmod(bit, 6)
    return text[:at] + ALPHABET[ALPHABET.index(text[at]) ^ (1 << within)] + text[at + 1 :]
