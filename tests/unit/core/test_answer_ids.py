"""Ids of ``insert`` and ``learn`` in the compiled engine, beside Python's."""

import unittest
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.core.placer import placer
from stickyd.http1.cookie_header import set_cookie, without_cookie
from stickyd.http1.head_parser import Head
from stickyd.routing.issued_ids import learned_key
from stickyd.routing.policy import Policy
from stickyd.routing.signed_keys import make, secret_of
from stickyd.settings import RoutingSettings, Settings
from stickyd.shm.learned_table import LearnedTable
from stickyd.shm.shared_ids import SharedIds
from stickyd.stats import WorkerCounters
from stickyd.worker import answer_ids
from stickyd.worker.answer_ids import AnswerIds
from stickyd.worker.apps.loaders.web import WebApp
from tests.support.cores import NATIVE, python_core
from tests.support.extent import examples
from tests.unit.core.test_answer import PATHS, Served

CHAIN = "learn(hdr(X-Ample)),learn(cookie(a)),insert(S),src"
KNOWN = make(1, bytes(12), secret_of(1)).encode()
GONE = make(9, bytes(12), secret_of(1)).encode()
OFTEN = settings(max_examples=examples(1500), deadline=None, derandomize=True)

pieces = st.lists(
    st.sampled_from(
        [
            *(b"S", b"SS", b"s", b"=", b";", b" ", b"\t", b'"', b"S=", b"S=x;", b"; ", b"a=b"),
            *(b"Max-Age", b"=0", b"=-1", b"=00", b"=10", b"max-age=", b"-", b"\xff"),
        ]
    ),
    max_size=14,
).map(b"".join)
fields = st.lists(
    st.tuples(
        st.sampled_from([b"X-Ample", b"x-ample", b"Set-Cookie", b"SET-COOKIE", b"X-Ampl", b"B"]),
        st.one_of(
            pieces,
            st.sampled_from(
                [b"", b" id ", b"id", b"a=id", b"a=id; Max-Age=0", KNOWN, b"S=" + KNOWN]
            ),
        ),
    ),
    max_size=4,
)


def head_with(cookie: bytes) -> Head:
    lines = [(b"host", b"x"), (b"cookie", cookie.strip(b" \t"))]
    return Head(b"GET", b"/", 1, lines, 0, 0, True, frozenset(), False)


@unittest.skipIf(NATIVE is None, "the compiled core is not built")
class Cookies(unittest.TestCase):
    @OFTEN
    @given(pieces)
    def test_the_daemons_cookie_is_taken_out(self, text: bytes) -> None:
        assert NATIVE is not None
        head = head_with(text)
        left = NATIVE.without_cookie(head.fields[1][1], b"S")
        kept = without_cookie(head, b"S").values(b"cookie")
        if left is None:
            self.assertEqual(kept, [head.fields[1][1]])
        else:
            self.assertEqual([left] if left else [], kept)

    @OFTEN
    @given(pieces)
    def test_what_a_set_cookie_stores(self, text: bytes) -> None:
        assert NATIVE is not None
        for name in (b"S", b"a"):
            self.assertEqual(NATIVE.stored_cookie(text, name), set_cookie(text, name))

    @OFTEN
    @given(fields, st.booleans())
    def test_what_an_answer_hands_out(self, told: list[tuple[bytes, bytes]], again: bool) -> None:
        """News to the table, if Python learns it; afterwards it is none."""
        table = LearnedTable.create(64, 100)
        try:
            shared = SharedIds(table)
            policy = Policy.build(CHAIN, "", "rendezvous", 1, (1, 2), learned=shared)
            compiled = placer(policy, NATIVE)
            assert compiled is not None
            counters = WorkerCounters()
            ids = AnswerIds.of(2, policy, "", counters, shared)
            assert ids is not None
            if again:
                shared.learn(learned_key("learn_hdr", "X-Ample", b"id"), 2)
                shared.learn(learned_key("learn_cookie", "a", b"id"), 1)
            data = b"".join(b"%b: %b\r\n" % field for field in told)
            ours = compiled.hands_out_news(data, 2)
            list(ids.learn(policy, [(name, [value]) for name, value in told]))
            self.assertEqual(ours, bool(counters.learned), told)
            self.assertFalse(compiled.hands_out_news(data, 2))
        finally:
            table.close()


@unittest.skipIf(NATIVE is None, "the compiled core is not built")
class ItsIds(Served):
    """Requests of a chain that sets and learns ids, to the engine's exchange and to Python's."""

    settings = Settings(workers=1, routing=RoutingSettings(affinity=CHAIN))

    def setUp(self) -> None:
        self.table = LearnedTable.create(64, 100)
        self.addCleanup(self.table.close)
        self.learned = SharedIds(self.table)
        super().setUp()

    def served(self, data: bytes) -> tuple[bytes, str]:
        with mock.patch.object(answer_ids, "urandom", return_value=bytes(12)):
            got, told = super().served(data)
        counters = self.worker.context.accounting.counters
        assert self.learned is not None
        known = [
            self.learned.slot_of(learned_key("learn_hdr", "X-Ample", b"x")),
            self.learned.slot_of(learned_key("learn_cookie", "a", b"id")),
        ]
        ids = (counters.inserted, counters.learned, self.table.counts().used, known)
        return got, told + repr(ids)

    def test_as_python_answers_with_ids(self) -> None:
        ask = b"GET %b HTTP/1.1\r\nHost: x\r\n%b\r\n"
        inserted = set()
        for line in (
            b"",
            b"Cookie: S=" + KNOWN + b"\r\n",
            b"Cookie: a=1; S=" + GONE + b";b=2\r\nX-Forwarded-Proto: https\r\n",
            b"Cookie: a=id\r\nCookie: S=" + KNOWN + b"\r\n",
        ):
            for path in (*PATHS, b"/sees", b"/private"):
                with self.subTest(line=line, path=path):
                    data = ask % (path, line) * 2
                    ours = self.served(data)
                    self.assertIsNotNone(self.worker.engine)
                    with mock.patch.object(WebApp, "compiled", return_value=None):
                        self.assertEqual(ours, self.served(data))
                    with python_core():
                        self.assertEqual(ours, self.served(data))
                        self.assertIsNone(self.worker.engine)
                    inserted.add(ours[0].count(b"Set-Cookie: S=%b; Path=/" % KNOWN))
                    self.assertNotIn(b"cookie', [b'S=", ours[0])
        self.assertEqual(inserted, {0, 1, 2})

    def test_the_engine_writes_them_itself(self) -> None:
        """Of a client that has the cookie and of one that repeats its id, Python sees nothing."""
        ask = b"GET %b HTTP/1.1\r\nHost: x\r\nCookie: S=" + KNOWN + b"\r\n\r\n"
        made: list[Any] = []
        self.doCleanups()
        self.setUp()
        original = AnswerIds.learn

        def learning(*arguments: Any) -> Any:
            made.append(arguments)
            return original(*arguments)

        with mock.patch.object(AnswerIds, "learn", learning):
            self.begin(ask % b"/private" * 5)
            while self.got.count(b"\r\n\r\nx") < 5:
                self.take(1)
        self.assertEqual(len(made), 1)
