"""The ids in answers: what is set, what is learned, and when."""

from typing import Any

import attrs
from twisted.internet.task import Clock

from stickyd.http1.head_parser import Head
from stickyd.ipc.frame import Frame, Kind
from stickyd.routing.policy import Policy
from stickyd.routing.signed_keys import make, secret_of, slot_in
from stickyd.shm.shared_ids import SharedIds
from stickyd.stats import WorkerCounters
from stickyd.worker.answer_ids import AnswerIds, Fields, RequestIds
from stickyd.worker.key_owner import KeyOwner
from stickyd.worker.known_keys import KnownKeys
from tests.support.affinity import CLIENT, PROXY, head_of
from tests.support.learned import WithLearnedTable

CHAIN = "learn(hdr(X-Id)),learn(cookie(sid)),insert(S),src"


class Routing:
    """What a worker's routing is to the ids."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.keys = KeyOwner(KnownKeys())

    @property
    def known(self) -> list[str]:
        """The keys that are remembered."""
        assert self.keys.memory is not None
        return self.keys.memory.keys()


@attrs.define(eq=False)
class Connection:
    """The connection of a request."""

    frame: Frame
    context: Any
    keys: tuple[str, ...] = ()
    handed: None = None

    def in_use(self) -> bool:
        return True


@attrs.frozen
class Context:
    reactor: Clock


class Ids(WithLearnedTable):
    def setUp(self) -> None:
        self.now = 1000.0
        self.shared = SharedIds(self.make(64), lambda: self.now)
        self.counters = WorkerCounters()
        self.routing = Routing(self.policy([1, 2, 3]))

    def policy(self, slots: list[int], chain: str = CHAIN) -> Policy:
        return Policy.build(chain, "10.0.0.0/8", "rendezvous", 1, slots, learned=self.shared)

    def request(self, head: Head, peer: str | None = PROXY) -> RequestIds:
        ids = AnswerIds.of(2, self.routing.policy, "", self.counters, self.shared)
        assert ids is not None
        frame = Frame(Kind.PLACED, 1, (peer, 1) if peer else None, None)
        return RequestIds(ids, self.routing, head, Connection(frame, Context(Clock())))

    def answer(self, *fields: tuple[bytes, bytes], status: bytes = b"200") -> bytes:
        """The lines that are added to the answer to a client without any id."""
        told: Fields = [(name, [value]) for name, value in fields]
        return self.request(head_of()).lines(status, told)

    def slot_of(self, line: str) -> int | None:
        placed = self.policy([1, 2, 3]).place(head_of(line), PROXY)
        return placed.slot if placed.reason.startswith("learn") else None


class Learned(Ids):
    def test_known_when_the_lines_are_there(self) -> None:
        """They are asked for before the head is written, so before the answer's first byte."""
        for field, line in (
            ((b"X-Id", b"one"), "X-Id: one"),
            ((b"x-iD", b" two\t"), "X-Id: two"),
            ((b"Set-Cookie", b"sid=three; Path=/"), "Cookie: a=b; sid=three"),
            ((b"set-cookie", b'sid="a b"'), 'Cookie: sid="a b"'),
        ):
            self.assertIsNone(self.slot_of(line))
            self.answer(field)
            self.assertEqual(self.slot_of(line), 2)
        self.assertEqual(self.counters.learned, 4)
        self.answer((b"X-Id", b"one"))
        self.assertEqual(self.counters.learned, 4)
        self.assertIn("three", self.routing.known)

    def test_of_several_cookies_the_last_one_stays(self) -> None:
        self.answer((b"Set-Cookie", b"sid=first"), (b"Set-Cookie", b"sid=second"))
        self.assertEqual((self.slot_of("Cookie: sid=first")), None)
        self.assertEqual((self.slot_of("Cookie: sid=second")), 2)

    def test_what_is_no_id(self) -> None:
        for fields in (
            [(b"X-Id", b"")],
            [(b"X-Id", b"one"), (b"X-Id", b"two")],
            [(b"X-Idea", b"one")],
            [(b"Set-Cookie", b"sid=; Max-Age=0")],
            [(b"Set-Cookie", b"SID=one")],
            # It carries its slot.
            [(b"X-Id", make(2, bytes(12), secret_of(1)).encode())],
        ):
            self.answer(*fields)
        self.assertEqual(self.counters.learned, 0)
        self.assertEqual(self.shared.table.counts().used, 0)

    def test_idle_ids_are_forgotten(self) -> None:
        self.answer((b"X-Id", b"one"))
        self.now += 99
        self.assertEqual(self.slot_of("X-Id: one"), 2)
        self.now += 99
        self.assertEqual(self.slot_of("X-Id: one"), 2)
        self.now += 101
        self.assertIsNone(self.slot_of("X-Id: one"))

    def test_a_slot_that_is_removed_hands_out_nothing(self) -> None:
        asked = self.request(head_of())
        self.routing.policy = self.policy([1, 3])
        self.assertEqual(asked.lines(b"200", [(b"X-Id", [b"one"])]), b"")
        self.assertIsNone(self.slot_of("X-Id: one"))


class Inserted(Ids):
    def value_in(self, lines: bytes) -> str:
        line, _, self.rest = lines.partition(b"\r\n")
        self.assertRegex(line, rb"\ASet-Cookie: S=[\w-]{28}; Path=/; HttpOnly; SameSite=Lax\Z")
        return line[14:42].decode()

    def test_once_for_each_answer(self) -> None:
        values = [self.value_in(self.answer()) for _ in range(9)]
        self.assertEqual(self.rest, b"Cache-Control: private\r\n")
        self.assertEqual(len(set(values)), 9)
        self.assertEqual({slot_in(value, secret_of(1)) for value in values}, {2})
        # An old worker that drains goes on with them.
        self.assertEqual(self.routing.known, values)

    def test_what_the_app_says_of_caches_stays(self) -> None:
        for name in (b"Cache-Control", b"cache-control", b"Expires", b"Pragma"):
            self.value_in(self.answer((name, b"no-cache")))
            self.assertEqual(self.rest, b"")
        self.value_in(self.answer(status=b"101"))
        self.assertEqual(self.rest, b"")

    def test_a_client_that_has_one(self) -> None:
        for slot, wanted in ((1, False), (2, False), (4, True)):
            value = make(slot, bytes(12), secret_of(1))
            asked = self.request(head_of(f"Cookie: S={value}; a=b"))
            self.assertEqual(asked.head.values(b"cookie"), [b"a=b"])
            self.assertEqual(bool(asked.lines(b"200", [])), wanted)

    def test_an_answer_that_another_worker_has_sent(self) -> None:
        request = self.request(head_of())
        request.resume(("key", "id"))
        self.assertEqual(request.lines(b"101", [(b"Mcp-Session-Id", [b"new"])]), b"")
        self.assertEqual(request.issued, ["key", "id"])
        self.assertEqual(self.counters.inserted, 0)

    def test_chains_without(self) -> None:
        for chain in ("xff,src", "cookie(sid),least"):
            policy = self.policy([1, 2], chain)
            self.assertIsNone(AnswerIds.of(1, policy, "", self.counters, None))
        self.routing.policy = self.policy([1, 2], "mcp")
        head = head_of("Cookie: S=x", f"X-Forwarded-For: {CLIENT}")
        asked = self.request(head)
        self.assertIs(asked.head, head)
        self.assertEqual(asked.lines(b"200", []), b"")
