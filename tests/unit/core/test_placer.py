"""The compiled placer beside the policy: its answer is the same, or it asks the policy."""

import os
import random
import unittest
from hashlib import blake2b

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.core.placer import placer
from stickyd.routing.issued_ids import learned_key
from stickyd.routing.policy import Policy
from stickyd.routing.signed_keys import make, secret_of
from stickyd.shm.learned_table import LearnedTable
from stickyd.shm.memory import create_memory
from stickyd.shm.shared_ids import SharedIds
from tests.slow.fuzz_heads import mutate
from tests.support.core_agreement import NATIVE, PEERS, PLAIN, Placements
from tests.support.extent import examples
from tests.unit.routing.test_issued_ids import Learned
from tests.unit.routing.test_rendezvous import GOLDEN
from tests.unit.routing.test_trusted_peers import CASES

OFTEN = settings(max_examples=examples(300), deadline=None, derandomize=True)
LOCAL = "127.0.0.1"


def xff(*values: str) -> bytes:
    lines = [f"X-Forwarded-For: {value}" for value in values]
    return "\r\n".join(["GET / HTTP/1.1", "Host: a", *lines, "", ""]).encode("latin-1")


@unittest.skipIf(NATIVE is None, "the compiled core is not built")
class Compiled(unittest.TestCase):
    def setUp(self) -> None:
        assert NATIVE is not None
        self.native = NATIVE
        self.chance = random.Random(1)
        table = LearnedTable.create(4096, 1e6)
        self.addCleanup(table.close)
        self.learned = SharedIds(table)
        self.placements = Placements(NATIVE, self.chance, self.learned)

    def agree(self, policy: Policy, data: bytes, peer: str | None) -> None:
        difference = self.placements.difference(policy, data, peer)
        self.assertIsNone(difference, (policy, data, peer))

    def asked(self) -> int:
        """How often the policy has been asked since the last call."""
        count, self.placements.asked = self.placements.asked, 0
        return count


class Hash(Compiled):
    def test_an_example_of_the_standard(self) -> None:
        """RFC 7693 has one without a key only; this is of the reference implementation's own."""
        key = bytes(range(64))
        for size in range(256):
            message = bytes(number % 256 for number in range(size))
            expected = blake2b(message, digest_size=8, key=key).digest()
            got = self.native.digest_of(key, bytes(16), 8, message)
            self.assertEqual(got, int.from_bytes(expected, "big"), size)

    @OFTEN
    @given(
        st.binary(min_size=1, max_size=64),
        st.binary(min_size=16, max_size=16),
        st.integers(1, 8),
        st.binary(max_size=600),
    )
    def test_as_python(self, key: bytes, person: bytes, size: int, message: bytes) -> None:
        expected = blake2b(message, digest_size=size, key=key, person=person).digest()
        got = self.native.digest_of(key, person, size, message)
        self.assertEqual(got, int.from_bytes(expected, "big"))

    def test_golden_vectors(self) -> None:
        for count, column in ((2, 2), (4, 3), (8, 4)):
            policy = Policy.build("hdr(k),src", "", "rendezvous", 1, range(1, count + 1))
            compiled = placer(policy, self.native)
            assert compiled is not None
            for row in GOLDEN:
                if row[0]:
                    data = f"GET / HTTP/1.1\r\nHost: a\r\nK: {row[0]}\r\n\r\n".encode()
                    placed = compiled.place(data, None)
                    assert placed is not None
                    self.assertEqual(placed[0], row[column], row)

    def test_the_owner_of_every_bucket(self) -> None:
        policy = Policy.build("hdr(k)", "", "rendezvous", 7, (65535, 2, 300, 9, 512))
        for number in range(examples(60_000)):
            self.agree(policy, b"GET / HTTP/1.1\r\nHost: a\r\nK: %d\r\n\r\n" % number, None)
        self.assertEqual(self.asked(), 0)


class ItsOwn(Compiled):
    """What it must place without the policy, or there would be no use in it."""

    def test_clients_of_common_chains(self) -> None:
        for chain in ("xff,src", "xff", "src", "hdr(X-Key),xff,src", "cookie(sid),xff,src"):
            for trusted in ("127.0.0.1,::1", "*", "10.0.0.0/8,127.0.0.0/8,fd00::/8"):
                policy = Policy.build(chain, trusted, "rendezvous", 1, range(1, 5))
                for hops in (
                    *(["203.0.113.7"], ["203.0.113.7, 10.0.0.1"], ["203.0.113.7", "10.0.0.1"], []),
                    *(["2001:DB8::7"], ["[2001:db8::7]:80, 10.0.0.1:9"], ["::ffff:203.0.113.7"]),
                ):
                    for peer in (LOCAL, "::1", "10.0.0.1", "2001:db8::1", None):
                        self.agree(policy, xff(*hops), peer)
        self.assertEqual(self.asked(), 0)

    def test_every_source_but_forwarded(self) -> None:
        key = make(2, bytes(12), secret_of(1))
        for chain, field, target in (
            ("hdr(X-Key)", "x-key: alice", "/"),
            ("hdr(X-Key)", f"x-key: {key}", "/"),
            ("cookie(sid)", "Cookie: a=b; sid=c", "/"),
            ("cookie(sid)", f"Cookie: a=b; sid={key}", "/"),
            ("url_param(sid)", "A: b", "/x?a=b&sid=c"),
            ("url_param(sid)", "A: b", f"/x?a=b&sid={key}"),
            ("socketio", "A: b", f"/socket.io/?EIO=4&sid={key}"),
            ("sockjs", "A: b", "/echo/123/abc/xhr"),
            ("sockjs", "A: b", f"/echo/123/{key}/websocket"),
            ("hdr(b),cookie(a),url_param(a)", "A: b", "/"),
        ):
            data = f"GET {target} HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n".encode()
            self.agree(Policy.build(chain, "", "rendezvous", 1, range(1, 5)), data, None)
        self.assertEqual(self.asked(), 0)
        own = self.placements.own
        self.assertEqual((own.pop("socketio"), own.pop("none")), (1, 1))
        self.assertEqual(list(own.values()), [2, 2, 2, 2])


class IssuedIds(Compiled):
    """Ids of ``insert`` and ``learn``: placed without the policy, in a table that changes."""

    def policy(self, chain: str, slots: tuple[int, ...] = (1, 2, 3, 4)) -> Policy:
        return Policy.build(chain, LOCAL, "rendezvous", 1, slots, learned=self.learned)

    def test_cookies_that_the_daemon_sets(self) -> None:
        good, gone = (make(slot, bytes(12), secret_of(1)) for slot in (2, 9))
        policy = self.policy("insert(S),xff,src")
        for cookies, by_cookie in (
            (f"S={good}", True),
            (f"a=b;S={good} ;c=d", True),
            (f"S=x;S=;S={gone}; S={good}", True),
            (f"S=x;S=;S={gone};S=y; S={good}", False),
            (f"S={gone}", False),
            (f's={good}; xS={good}; S="{good}"', False),
            ("S", False),
            (";;=;", False),
        ):
            data = f"GET / HTTP/1.1\r\nHost: a\r\nCookie: {cookies}\r\n\r\n".encode()
            before = self.placements.own.get("insert(S)", 0)
            self.agree(policy, data, LOCAL)
            self.assertEqual(self.placements.own.get("insert(S)", 0) - before, by_cookie, cookies)
        self.assertEqual(self.asked(), 0)

    def test_learned_ids(self) -> None:
        self.learned.learn(learned_key("learn_hdr", "X-Id", b"abc"), 3)
        self.learned.learn(learned_key("learn_cookie", "Sid", b"def"), 2)
        self.learned.learn(learned_key("learn_cookie", "Sid", b""), 2)
        self.learned.learn(learned_key("learn_cookie", "Sid", b"gone"), 9)
        policy = self.policy("learn(hdr(X-Id)),learn(cookie(Sid)),src")
        for field, reason in (
            ("x-ID: abc", "learn(hdr(X-Id))"),
            ("x-id: abc\r\nX-Id: abc", "src"),
            ("x-id: def", "src"),
            ("x-id:", "src"),
            ("Cookie: Sid=def", "learn(cookie(Sid))"),
            ("Cookie: Sid=;Sid=;Sid=;Sid=;Sid=gone; Sid=def", "learn(cookie(Sid))"),
            ("Cookie: Sid=1;Sid=2;Sid=3;Sid=4; Sid=def", "src"),
            ("Cookie: sid=def; Sid=gone", "src"),
            ("Cookie: Sid=" + make(4, bytes(12), secret_of(1)), "learn(cookie(Sid))"),
        ):
            before = self.placements.own.get(reason, 0)
            self.agree(policy, f"GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n".encode(), LOCAL)
            self.assertEqual(self.placements.own.get(reason, 0), before + 1, field)
        self.assertEqual(self.asked(), 0)

    def test_an_id_that_is_learned_later_and_anew(self) -> None:
        policy = self.policy("learn(hdr(x-id)),src")
        data = b"GET / HTTP/1.1\r\nHost: a\r\nX-Id: abc\r\n\r\n"
        compiled = placer(policy, self.native)
        assert compiled is not None
        for slot in (2, 3):
            self.learned.learn(learned_key("learn_hdr", "x-id", b"abc"), slot)
            self.assertEqual(compiled.place(data, None), (slot, 0, None))
        self.learned.learn(learned_key("learn_hdr", "x-id", b"abc"), 9)
        self.assertEqual(compiled.place(data, None), (0, 0, None))

    def test_a_placer_outlives_the_table(self) -> None:
        table = LearnedTable.create(10, 10)
        policy = Policy.build("mcp", LOCAL, "rendezvous", 1, (1, 2), learned=SharedIds(table))
        compiled = placer(policy, self.native)
        assert compiled is not None
        table.close()
        data = b"GET / HTTP/1.1\r\nHost: a\r\nMcp-Session-Id: abc\r\n\r\n"
        placed = compiled.place(data, LOCAL)
        assert placed is not None
        self.assertEqual(placed[1], 2)

    @OFTEN
    @given(
        st.sampled_from((1, 5, 16, 31, 32, 100)),
        st.lists(st.tuples(st.integers(0, 60), st.sampled_from((0.0, 0.5, 3.0)), st.booleans())),
    )
    def test_look_ups_against_the_table(
        self, entries: int, steps: list[tuple[int, float, bool]]
    ) -> None:
        """Of tables from one set to many, with ids that are overwritten and that become idle."""
        table = LearnedTable.create(entries, 10.0)
        fd = create_memory("another table", table.head.size)
        os.pwrite(fd, table.memory[:], 0)
        other = LearnedTable.attach(fd)
        try:
            now = 100.0
            for number, later, stores in steps:
                now += later
                key = b"%d" % number
                if stores:
                    table.remember(key, number + 1, now)
                    other.memory[:] = table.memory[:]
                else:
                    expected = other.find(key, now) or 0
                    cut = number % (len(key) + 1)
                    got = self.native.find_learned(
                        table.memory, key[:cut], key[cut:], int(now * 1e6)
                    )
                    self.assertEqual(got, expected)
                    # The time of the last use, too.
                    self.assertEqual(table.memory[:], other.memory[:])
        finally:
            table.close()
            other.close()


class Agreement(Compiled):
    def test_every_number_of_an_ipv4_address(self) -> None:
        """The key is the address as text."""
        policy = Policy.build("xff", LOCAL, "rendezvous", 1, (1, 2, 3, 4))
        for at in range(4):
            for number in range(256):
                parts = ["9", "10", "99", "100"]
                parts[at] = str(number)
                self.agree(policy, xff(".".join(parts)), LOCAL)
        self.assertEqual(self.asked(), 0)

    def test_the_walk_along_the_hops(self) -> None:
        """Every named case of X-Forwarded-For."""
        for expected, lines, peer, trusted in CASES.values():
            for chain in ("xff,src", "xff"):
                policy = Policy.build(chain, trusted, "rendezvous", 1, range(1, 9))
                self.agree(policy, xff(*lines), peer)
                if expected is not None:
                    self.asked()
        self.assertGreater(self.placements.own["xff"], 100)

    def test_every_source(self) -> None:
        for _ in range(examples(600)):
            for policy in self.placements.policies():
                data = self.placements.head(policy.table.seed)
                self.agree(policy, data, self.chance.choice(PEERS))

    def test_mutated(self) -> None:
        policies = self.placements.policies()
        for _ in range(examples(15_000)):
            policy = self.chance.choice(policies)
            corpus = [self.placements.head(policy.table.seed), *PLAIN]
            self.agree(policy, mutate(corpus, self.chance), self.chance.choice(PEERS))

    def test_a_peer_that_is_no_canonical_text(self) -> None:
        policy = Policy.build("src", "", "rendezvous", 1, range(1, 5))
        compiled = placer(policy, self.native)
        assert compiled is not None
        for peer in (
            "",
            "::FFFF",
            "::ffff:1.2.3.4",
            "0::1",
            "fe80::1%eth0",
            "1.2.3.4 ",
            "\u00fc",
            "a" * 99,
        ):
            self.assertIsNone(compiled.place(PLAIN[0], peer), peer)


class WhoIsAsked(Compiled):
    def test_policies_that_only_python_knows(self) -> None:
        build = Policy.build
        self.assertIsNone(placer(build("xff", "", "sticky-session", 1, (1, 2)), self.native))
        self.assertIsNone(placer(build("xff", "", "rendezvous", 1, (0, 1)), self.native))
        self.assertIsNone(placer(build("xff", "", "rendezvous", 1, (1, 65536)), self.native))
        self.assertIsNone(placer(build("xff", "", "rendezvous", 1, (1, 2)), None))

    def test_learned_ids_that_only_python_can_look_up(self) -> None:
        for chain, is_asked in (("learn(hdr(a)),src", True), ("insert(a),src", False)):
            policy = Policy.build(chain, "", "rendezvous", 1, (1, 2), learned=Learned())
            self.assertIs(placer(policy, self.native) is None, is_asked)

    def test_what_only_the_policy_can_tell(self) -> None:
        build = Policy.build
        for chain, data in (
            ("forwarded,src", b"GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=1.2.3.4\r\n\r\n"),
            ("url_param(sid)", b"GET /?sid=%41 HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("xff,src", xff("unknown")),
            ("xff,src", xff("1.2.3.4,,127.0.0.1")),
            ("xff,src", b"GET / HTTP/1.1\nHost: a\n\n"),
            ("hdr(a),least", xff("1.2.3.4")),
            ("browser", b"GET / HTTP/1.1\r\nHost: a\r\nCookie: STICKYD=x\r\n\r\n"),
        ):
            compiled = placer(build(chain, LOCAL, "rendezvous", 1, (1, 2)), self.native)
            assert compiled is not None
            self.assertIsNone(compiled.place(data, LOCAL), data)

    def test_wrong_arguments_are_refused(self) -> None:
        good: dict[str, object] = {
            "hash_key": (bytes(16), bytes(16)),
            "tag_key": (bytes(32), bytes(16)),
            "slots": [1],
            "chain": [("hdr", b"a", b"")],
            "everyone": False,
            "unix_peers": True,
            "networks": [(bytes(4), bytes(4))],
        }
        self.native.Placer(**good)  # type: ignore[arg-type]
        for name, value in (
            ("hash_key", (b"", bytes(16))),
            ("hash_key", (bytes(65), bytes(16))),
            ("tag_key", (bytes(32), bytes(15))),
            ("slots", []),
            ("slots", [2, 1]),
            ("slots", [1, 1]),
            ("slots", [0]),
            ("slots", [65536]),
            ("chain", [("moon", b"", b"")]),
            ("chain", [("hdr", "a", b"")]),
            ("chain", [("hdr", b"a", "a")]),
            ("chain", [("hdr", b"a")]),
            ("learned", bytearray(4096)),
            ("learned", b"stickyd learned\1" + bytes(8192)),
            ("networks", [(bytes(4), bytes(16))]),
            ("networks", [(bytes(5), bytes(5))]),
        ):
            with self.assertRaises(
                (ValueError, KeyError, TypeError, BufferError), msg=(name, value)
            ):
                self.native.Placer(**{**good, name: value})  # type: ignore[arg-type]
        for arguments in ((b"", bytes(16), 8), (bytes(1), bytes(1), 8), (bytes(1), bytes(16), 9)):
            with self.assertRaises(ValueError):
                self.native.digest_of(*arguments, b"")
