"""Ids that the daemon or the app hands out: ``insert``, ``learn``, and ``least`` behind them."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from stickyd.routing.issued_ids import COPIES_MOST, learned_key
from stickyd.routing.policy import Placement, Policy
from stickyd.routing.signed_keys import make, secret_of
from tests.support.affinity import CLIENT, OFTEN, PROXY, head_of

RANDOM = bytes(12)
IDS = st.text("abcXYZ019-_", min_size=1, max_size=12)


class Learned:
    """A table of learned ids."""

    def __init__(self) -> None:
        self.slots: dict[bytes, int] = {}

    def slot_of(self, key: bytes) -> int | None:
        return self.slots.get(key)

    def learn(self, kind: str, name: str, value: str, slot: int) -> None:
        self.slots[learned_key(kind, name, value.encode())] = slot


def policy(affinity: str, slots: int = 4, learned: Learned | None = None) -> Policy:
    return Policy.build(
        affinity, "10.0.0.0/8", "rendezvous", 7, range(1, slots + 1), learned=learned
    )


def key_of(slot: int, seed: int = 7, random: bytes = RANDOM) -> str:
    return make(slot, random, secret_of(seed))


class Insert(unittest.TestCase):
    def place(self, *lines: str, slots: int = 4) -> Placement:
        return policy("insert(STICKYD),xff,src", slots).place(head_of(*lines), PROXY)

    def test_a_valid_id_names_its_slot(self) -> None:
        for slot in (1, 2, 3, 4):
            text = key_of(slot)
            for line in (
                f"Cookie: STICKYD={text}",
                f"Cookie: a=b; STICKYD={text}; c=d",
                f"Cookie:  a=b ;\tSTICKYD={text} ",
                # The first that is valid, whatever stands before it.
                f"Cookie: STICKYD=x; STICKYD={text}; STICKYD={key_of(1 + slot % 4)}",
                f"Cookie: STICKYD={key_of(5)}; STICKYD={text}",
            ):
                placed = self.place(line, f"X-Forwarded-For: {CLIENT}")
                self.assertEqual((placed.slot, placed.reason), (slot, "insert(STICKYD)"), line)
                self.assertEqual(placed.why, "")

    def test_why_it_is_not_used(self) -> None:
        text = key_of(2)
        for lines, why in (
            ((), "no cookie STICKYD"),
            (("Cookie: stickyd=x; xSTICKYD=y",), "no cookie STICKYD"),
            (("Cookie: STICKYD",), "no cookie STICKYD"),
            (("Cookie: STICKYD=",), "cookie STICKYD has no valid id"),
            (("Cookie: STICKYD=x",), "cookie STICKYD has no valid id"),
            ((f'Cookie: STICKYD="{text}"',), "cookie STICKYD has no valid id"),
            ((f"Cookie: STICKYD={key_of(2, seed=8)}",), "cookie STICKYD has no valid id"),
            ((f"Cookie: STICKYD={text[:-1]}B",), "cookie STICKYD has no valid id"),
            ((f"Cookie: STICKYD={key_of(9)}",), "cookie STICKYD names slot 9, which is gone"),
        ):
            placed = self.place(*lines, f"X-Forwarded-For: {CLIENT}")
            self.assertEqual(placed.reason, "xff", lines)
            self.assertEqual(placed.why, f"insert(STICKYD): {why}")

    def test_a_bounded_number_of_copies_is_looked_at(self) -> None:
        copies = "; ".join([*["STICKYD=x"] * COPIES_MOST, f"STICKYD={key_of(2)}"])
        self.assertEqual(self.place(f"Cookie: {copies}").reason, "src")
        less = copies.removeprefix("STICKYD=x; ")
        self.assertEqual(self.place(f"Cookie: {less}").reason, "insert(STICKYD)")

    @OFTEN
    @given(st.integers(1, 8), st.integers(1, 8), st.binary(min_size=12, max_size=12))
    def test_only_those_of_slots_that_went_are_placed_anew(
        self, slot: int, left: int, random: bytes
    ) -> None:
        line = f"Cookie: STICKYD={key_of(slot, random=random)}"
        placed = policy("browser", left).place(head_of(line), PROXY)
        if slot <= left:
            self.assertEqual((placed.slot, placed.by_load), (slot, False))
        else:
            self.assertEqual((placed.slot, placed.by_load), (None, True))


class Learn(unittest.TestCase):
    def test_an_id_goes_to_the_slot_that_made_it(self) -> None:
        learned = Learned()
        learned.learn("learn_hdr", "mcp-session-id", "abc", 3)
        learned.learn("learn_cookie", "sessionid", "def", 2)
        chain = policy("mcp,django", learned=learned)
        for line, slot, reason in (
            ("MCP-Session-ID: abc", 3, "learn(hdr(mcp-session-id))"),
            ("Cookie: sessionid=def", 2, "learn(cookie(sessionid))"),
            ("Cookie: sessionid=old; sessionid=def", 2, "learn(cookie(sessionid))"),
        ):
            placed = chain.place(head_of(line), PROXY)
            self.assertEqual((placed.slot, placed.reason), (slot, reason))

    def test_names_do_not_meet(self) -> None:
        learned = Learned()
        learned.learn("learn_hdr", "sid", "abc", 3)
        chain = policy("learn(cookie(sid)),learn(hdr(SID)),learn(hdr(other)),src", learned=learned)
        for line, reason in (
            ("Cookie: sid=abc", "src"),
            ("other: abc", "src"),
            ("Sid: abc", "learn(hdr(SID))"),
        ):
            self.assertEqual(chain.place(head_of(line), PROXY).reason, reason)

    def test_why_it_is_not_used(self) -> None:
        learned = Learned()
        learned.learn("learn_hdr", "x-id", "gone", 9)
        chain = policy("learn(hdr(x-id)),src", learned=learned)
        for lines, why in (
            ((), "no header x-id"),
            (("X-Id:",), "header x-id is empty"),
            (("X-Id: a", "X-Id: a"), "2 lines of x-id"),
            (("X-Id: strange",), "the id in x-id has not been learned"),
            (("X-Id: gone",), "the id in x-id was learned with slot 9, which is gone"),
        ):
            placed = chain.place(head_of(*lines), PROXY)
            self.assertEqual(placed.why, f"learn(hdr(x-id)): {why}")
            self.assertEqual(
                (placed.slot, placed.reason), (chain.table.slot_of(b"10.0.0.9"), "src")
            )

    def test_an_id_that_carries_its_slot_needs_no_table(self) -> None:
        chain = policy("django")
        placed = chain.place(head_of(f"Cookie: sessionid={key_of(4)}"), PROXY)
        self.assertEqual((placed.slot, placed.reason), (4, "learn(cookie(sessionid))"))

    @OFTEN
    @given(st.dictionaries(IDS, st.integers(1, 6)), st.lists(IDS), st.integers(1, 6))
    def test_against_a_dictionary(self, made: dict[str, int], asked: list[str], left: int) -> None:
        learned = Learned()
        for name, slot in made.items():
            learned.learn("learn_hdr", "x-id", name, slot)
        chain = policy("learn(hdr(x-id)),xff,src", left, learned)
        for name in [*made, *asked]:
            head = head_of(f"X-Id: {name}", f"X-Forwarded-For: {CLIENT}")
            slot = made.get(name, 7)
            expected = slot if slot <= left else chain.table.slot_of(CLIENT.encode())
            self.assertEqual(chain.place(head, PROXY).slot, expected)


class Least(unittest.TestCase):
    def test_reason_and_why(self) -> None:
        placed = policy("cookie(sid),browser").place(head_of(), None)
        self.assertEqual((placed.slot, placed.key, placed.by_load), (None, None, True))
        self.assertEqual(placed.reason, "least")
        self.assertEqual(
            placed.why, "cookie(sid): no cookie sid; insert(STICKYD): no cookie STICKYD"
        )

    def test_without_it_no_source_decides(self) -> None:
        placed = policy("cookie(sid),src").place(head_of(), None)
        self.assertEqual((placed.slot, placed.by_load, placed.reason), (None, False, "none"))
        self.assertEqual(
            placed.why, "cookie(sid): no cookie sid; src: a Unix socket has no address"
        )

    def test_what_a_chain_does(self) -> None:
        for spec, inserts, learns, by_load in (
            ("xff,src", None, 0, False),
            ("browser", "STICKYD", 0, True),
            ("mcp,django,browser", "STICKYD", 2, True),
            ("insert(a),src", "a", 0, False),
        ):
            chain = policy(spec)
            self.assertEqual((chain.inserts, len(chain.learns)), (inserts, learns))
            self.assertEqual(chain.by_load, by_load)
